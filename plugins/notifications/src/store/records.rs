//! What apps register: templates, and browsers that take push messages.

use serde_json::json;

use super::Store;
use crate::database::{DatabaseError, Row, values};
use crate::templates::Template;

/// A browser's push subscription, kept for the app.
#[derive(Debug, Clone)]
pub(crate) struct PushSubscription {
    pub(crate) endpoint: String,
    pub(crate) user_id: String,
    pub(crate) subscription: String,
    pub(crate) device_id: Option<String>,
    pub(crate) platform: Option<String>,
}

impl Store {
    pub(crate) async fn stored_templates(&self) -> Result<Vec<Template>, DatabaseError> {
        let sql = "SELECT document FROM np_notifications_templates ORDER BY name";
        self.database.query(sql, Vec::new()).await?.iter().map(read_template).collect()
    }

    pub(crate) async fn stored_template(&self, name: &str) -> Result<Option<Template>, DatabaseError> {
        let sql = "SELECT document FROM np_notifications_templates WHERE name = $1";
        self.database.query(sql, values![name]).await?.first().map(read_template).transpose()
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

    pub(crate) async fn remove_push_subscription(&self, endpoint: &str) -> Result<u64, DatabaseError> {
        let sql = "DELETE FROM np_notifications_push_subscriptions WHERE endpoint = $1";
        self.database.change(sql, values![endpoint]).await
    }

    pub(crate) async fn owner_of_push_subscription(&self, endpoint: &str) -> Result<Option<String>, DatabaseError> {
        let sql = "SELECT user_id FROM np_notifications_push_subscriptions WHERE endpoint = $1";
        self.database.query(sql, values![endpoint]).await?.first().map(|row| row.text("user_id")).transpose()
    }

    pub(crate) async fn count_push_subscriptions(&self, user_id: &str) -> Result<i64, DatabaseError> {
        let sql = "SELECT COUNT(*) AS subscriptions FROM np_notifications_push_subscriptions WHERE user_id = $1";
        let rows = self.database.query(sql, values![user_id]).await?;
        rows.first().map_or(Ok(0), |row| row.number("subscriptions"))
    }
}

fn read_template(row: &Row) -> Result<Template, DatabaseError> {
    let template: Template = row.json("document")?;
    Ok(Template { source: "stored".to_owned(), ..template })
}
