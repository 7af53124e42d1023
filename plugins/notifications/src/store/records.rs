//! What apps register: templates, addresses that are told of deliveries, browsers that take push messages.

use serde_json::{Value, json};

use super::Store;
use crate::database::{DatabaseError, Row, Statement, values};
use crate::templates::Template;
use crate::time::iso;

/// An address that is told of one user's deliveries.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) url: String,
    pub(crate) events: Vec<String>,
    pub(crate) secret: String,
    pub(crate) created_at: i64,
}

/// A message to such an address that has not arrived yet.
#[derive(Debug, Clone)]
pub(crate) struct WebhookCall {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) payload: String,
    pub(crate) attempts: i64,
    pub(crate) url: String,
    pub(crate) secret: String,
}

/// A browser's push subscription, kept for the app.
#[derive(Debug, Clone)]
pub(crate) struct PushSubscription {
    pub(crate) endpoint: String,
    pub(crate) user_id: String,
    pub(crate) subscription: String,
    pub(crate) device_id: Option<String>,
    pub(crate) platform: Option<String>,
}

impl Webhook {
    /// The secret is shown once, by whoever made it.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "webhookId": self.id,
            "userId": self.user_id,
            "url": self.url,
            "events": self.events,
            "createdAt": iso(self.created_at),
        })
    }
}

impl Store {
    pub(crate) async fn stored_templates(&self) -> Result<Vec<Template>, DatabaseError> {
        let sql = "SELECT document FROM np_notifications_templates ORDER BY name";
        Ok(self.database.query(sql, Vec::new()).await?.iter().filter_map(read_template).collect())
    }

    pub(crate) async fn stored_template(&self, name: &str) -> Result<Option<Template>, DatabaseError> {
        let sql = "SELECT document FROM np_notifications_templates WHERE name = $1";
        Ok(self.database.query(sql, values![name]).await?.first().and_then(read_template))
    }

    pub(crate) async fn store_template(&self, template: &Template, now: i64) -> Result<u64, DatabaseError> {
        let sql = "INSERT INTO np_notifications_templates (name, document, created_at, updated_at)
            VALUES ($1, $2, $3, $3)
            ON CONFLICT (name) DO UPDATE SET document = excluded.document, updated_at = excluded.updated_at";
        self.database.change(sql, values![&template.name, json!(template).to_string(), now]).await
    }

    pub(crate) async fn remove_template(&self, name: &str) -> Result<bool, DatabaseError> {
        let sql = "DELETE FROM np_notifications_templates WHERE name = $1";
        Ok(self.database.change(sql, values![name]).await? > 0)
    }

    pub(crate) async fn add_webhook(&self, webhook: &Webhook) -> Result<u64, DatabaseError> {
        let sql = "INSERT INTO np_notifications_webhooks (id, user_id, url, events, secret, created_at)
            VALUES ($1, $2, $3, $4, $5, $6)";
        // Commas on both ends, so that an event is found by `,name,`.
        let events = format!(",{},", webhook.events.join(","));
        let Webhook { id, user_id, url, secret, created_at, .. } = webhook;
        self.database.change(sql, values![id, user_id, url, events, secret, *created_at]).await
    }

    pub(crate) async fn webhooks(&self, user_id: &str) -> Result<Vec<Webhook>, DatabaseError> {
        let sql = "SELECT id, user_id, url, events, secret, created_at FROM np_notifications_webhooks
            WHERE user_id = $1 ORDER BY created_at LIMIT 1000";
        let rows = self.database.query(sql, values![user_id]).await?;
        let read = |row: &Row| Webhook {
            id: row.text(0),
            user_id: row.text(1),
            url: row.text(2),
            events: row.text(3).split(',').filter(|event| !event.is_empty()).map(str::to_owned).collect(),
            secret: row.text(4),
            created_at: row.number(5),
        };
        Ok(rows.iter().map(read).collect())
    }

    pub(crate) async fn remove_webhook(&self, id: &str) -> Result<bool, DatabaseError> {
        let calls = "DELETE FROM np_notifications_webhook_calls WHERE webhook_id = $1";
        let webhook = "DELETE FROM np_notifications_webhooks WHERE id = $1";
        let statements = vec![Statement::new(webhook, values![id]).or_abort(), Statement::new(calls, values![id])];
        match self.database.transaction(statements).await {
            Ok(_) => Ok(true),
            Err(DatabaseError::Unchanged(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes calls that are due; until `again_at` nobody else takes them.
    pub(crate) async fn due_webhook_calls(
        &self,
        most: i64,
        now: i64,
        again_at: i64,
    ) -> Result<Vec<WebhookCall>, DatabaseError> {
        let sql = format!(
            "UPDATE np_notifications_webhook_calls SET due_at = $1, attempts = attempts + 1
             WHERE id IN (SELECT id FROM np_notifications_webhook_calls WHERE due_at <= $2
                ORDER BY due_at LIMIT $3 {})
             RETURNING id, event, payload, attempts,
                (SELECT url FROM np_notifications_webhooks WHERE id = webhook_id),
                (SELECT secret FROM np_notifications_webhooks WHERE id = webhook_id)",
            self.database.skip_locked()
        );
        let rows = self.database.query(sql, values![again_at, now, most]).await?;
        let read = |row: &Row| WebhookCall {
            id: row.text(0),
            event: row.text(1),
            payload: row.text(2),
            attempts: row.number(3),
            url: row.text(4),
            secret: row.text(5),
        };
        Ok(rows.iter().map(read).collect())
    }

    /// Forgets a call that has arrived, or that nobody tries any more.
    pub(crate) async fn drop_webhook_call(&self, id: &str) -> Result<u64, DatabaseError> {
        self.database.change("DELETE FROM np_notifications_webhook_calls WHERE id = $1", values![id]).await
    }

    pub(crate) async fn put_back_webhook_call(&self, id: &str, due_at: i64) -> Result<u64, DatabaseError> {
        let sql = "UPDATE np_notifications_webhook_calls SET due_at = $2 WHERE id = $1";
        self.database.change(sql, values![id, due_at]).await
    }

    pub(crate) async fn add_push_subscription(&self, one: &PushSubscription, now: i64) -> Result<u64, DatabaseError> {
        let sql = "INSERT INTO np_notifications_push_subscriptions
                (endpoint, user_id, subscription, device_id, platform, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $6)
            ON CONFLICT (endpoint) DO UPDATE SET user_id = excluded.user_id, subscription = excluded.subscription,
                device_id = excluded.device_id, platform = excluded.platform, updated_at = excluded.updated_at";
        let PushSubscription { endpoint, user_id, subscription, device_id, platform } = one;
        let values = values![endpoint, user_id, subscription, device_id.as_ref(), platform.as_ref(), now];
        self.database.change(sql, values).await
    }

    pub(crate) async fn remove_push_subscription(&self, endpoint: &str) -> Result<bool, DatabaseError> {
        let sql = "DELETE FROM np_notifications_push_subscriptions WHERE endpoint = $1";
        Ok(self.database.change(sql, values![endpoint]).await? > 0)
    }

    pub(crate) async fn count_push_subscriptions(&self, user_id: &str) -> Result<i64, DatabaseError> {
        let sql = "SELECT COUNT(*) FROM np_notifications_push_subscriptions WHERE user_id = $1";
        Ok(self.database.query(sql, values![user_id]).await?.first().map_or(0, |row| row.number(0)))
    }
}

fn read_template(row: &Row) -> Option<Template> {
    let template: Template = serde_json::from_str(&row.text(0)).ok()?;
    Some(Template { source: "stored".to_owned(), ..template })
}
