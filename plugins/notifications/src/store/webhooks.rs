//! Addresses that are told of deliveries, the calls that wait for them, and those that were given up.

use kit::outbound::shown;
use serde_json::{Value, json};

use super::Store;
use crate::database::{DatabaseError, Row, Statement, Value as Cell, values};
use crate::time::iso;

/// The most dead letters that a list shows.
const MOST_LISTED: i64 = 200;

/// An address that is told of one user's deliveries.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) url: String,
    pub(crate) events: Vec<String>,
    pub(crate) secret: String,
    pub(crate) created_at: i64,
    /// When it was switched off, because it took nothing for long.
    pub(crate) disabled_at: Option<i64>,
}

/// A message to such an address that has not arrived yet.
#[derive(Debug, Clone)]
pub(crate) struct WebhookCall {
    pub(crate) id: String,
    pub(crate) webhook_id: String,
    pub(crate) event: String,
    pub(crate) payload: String,
    pub(crate) attempts: i64,
    pub(crate) url: String,
    pub(crate) secret: String,
}

/// What became of a call.
#[derive(Debug)]
pub(crate) enum Settlement {
    Delivered,
    Later { due_at: i64, error: String },
    Dead { error: String, disables: bool },
}

impl Webhook {
    fn read(row: &Row) -> Result<Self, DatabaseError> {
        let events = row.text("events")?;
        Ok(Self {
            id: row.text("id")?,
            user_id: row.text("user_id")?,
            url: row.text("url")?,
            events: events.split(',').filter(|event| !event.is_empty()).map(str::to_owned).collect(),
            secret: row.text("secret")?,
            created_at: row.number("created_at")?,
            disabled_at: row.optional_number("disabled_at")?,
        })
    }

    /// As lists show it: without the secret, and without what the address may hold of secrets.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "webhookId": self.id,
            "userId": self.user_id,
            "url": reqwest::Url::parse(&self.url).map(|url| shown(&url)).unwrap_or_default(),
            "events": self.events,
            "enabled": self.disabled_at.is_none(),
            "disabledAt": self.disabled_at.map(iso),
            "createdAt": iso(self.created_at),
        })
    }
}

const WEBHOOK: &str = "id, user_id, url, events, secret, created_at, disabled_at";

impl Store {
    pub(crate) async fn add_webhook(&self, webhook: &Webhook) -> Result<u64, DatabaseError> {
        let sql = "INSERT INTO np_notifications_webhooks (id, user_id, url, events, secret, created_at)
            VALUES ($1, $2, $3, $4, $5, $6)";
        // Commas on both ends, so that an event is found by `,name,`.
        let events = format!(",{},", webhook.events.join(","));
        let Webhook { id, user_id, url, secret, created_at, .. } = webhook;
        self.database.change(sql, values![id, user_id, url, events, secret, *created_at]).await
    }

    pub(crate) async fn webhooks(&self, user_id: &str) -> Result<Vec<Webhook>, DatabaseError> {
        let sql = format!(
            "SELECT {WEBHOOK} FROM np_notifications_webhooks WHERE user_id = $1 ORDER BY created_at LIMIT 1000"
        );
        self.database.query(sql, values![user_id]).await?.iter().map(Webhook::read).collect()
    }

    pub(crate) async fn webhook(&self, id: &str) -> Result<Option<Webhook>, DatabaseError> {
        let sql = format!("SELECT {WEBHOOK} FROM np_notifications_webhooks WHERE id = $1");
        self.database.query(sql, values![id]).await?.first().map(Webhook::read).transpose()
    }

    /// Switches an address on again.
    pub(crate) async fn enable_webhook(&self, id: &str) -> Result<u64, DatabaseError> {
        self.database.change("UPDATE np_notifications_webhooks SET disabled_at = NULL WHERE id = $1", values![id]).await
    }

    /// Removes an address with all that waits for it.
    pub(crate) async fn remove_webhook(&self, id: &str) -> Result<u64, DatabaseError> {
        let tables = [
            ("np_notifications_webhooks", "id"),
            ("np_notifications_webhook_calls", "webhook_id"),
            ("np_notifications_dead_letters", "webhook_id"),
        ];
        let delete = |(table, column)| Statement::new(format!("DELETE FROM {table} WHERE {column} = $1"), values![id]);
        self.database.transaction(tables.map(delete).into()).await
    }

    /// Takes calls that are due, so many of one address and none of the busy ones; until `again_at` nobody else takes
    /// them.
    pub(crate) async fn claim_webhook_calls(
        &self,
        (busy, a_lane, most): (&[String], usize, usize),
        now: i64,
        again_at: i64,
    ) -> Result<Vec<WebhookCall>, DatabaseError> {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let mut cells = values![again_at, now, number(a_lane), number(most)];
        cells.extend(busy.iter().map(Cell::from));
        let places: Vec<String> = (5..5 + busy.len()).map(|place| format!("${place}")).collect();
        let others =
            if busy.is_empty() { String::new() } else { format!("AND webhook_id NOT IN ({})", places.join(", ")) };
        // Two instances may choose the same call; the one that comes second finds it due no more.
        let sql = format!(
            "UPDATE np_notifications_webhook_calls SET due_at = $1, attempts = attempts + 1
             WHERE due_at <= $2 AND id IN (SELECT id FROM (
                SELECT id, due_at, ROW_NUMBER() OVER (PARTITION BY webhook_id ORDER BY due_at, id) AS place
                FROM np_notifications_webhook_calls WHERE due_at <= $2 {others}) AS ranked
                WHERE place <= $3 ORDER BY due_at LIMIT $4)
             RETURNING id, webhook_id, event, payload, attempts,
                (SELECT url FROM np_notifications_webhooks w WHERE w.id = webhook_id) AS url,
                (SELECT secret FROM np_notifications_webhooks w WHERE w.id = webhook_id) AS secret"
        );
        let read = |row: &Row| {
            Ok(WebhookCall {
                id: row.text("id")?,
                webhook_id: row.text("webhook_id")?,
                event: row.text("event")?,
                payload: row.text("payload")?,
                attempts: row.number("attempts")?,
                url: row.optional_text("url")?.unwrap_or_default(),
                secret: row.optional_text("secret")?.unwrap_or_default(),
            })
        };
        self.database.query(sql, cells).await?.iter().map(read).collect()
    }

    /// Notes what became of a call.
    pub(crate) async fn settle_webhook_call(
        &self,
        id: &str,
        webhook_id: &str,
        settlement: Settlement,
        now: i64,
    ) -> Result<(), DatabaseError> {
        let drop = Statement::new("DELETE FROM np_notifications_webhook_calls WHERE id = $1", values![id]);
        let statements = match settlement {
            Settlement::Delivered => vec![drop],
            Settlement::Later { due_at, error } => {
                let sql = "UPDATE np_notifications_webhook_calls SET due_at = $2, error = $3 WHERE id = $1";
                vec![Statement::new(sql, values![id, due_at, error])]
            }
            Settlement::Dead { error, disables } => {
                let keep = "INSERT INTO np_notifications_dead_letters
                        (id, webhook_id, event, payload, attempts, error, created_at, dead_at)
                    SELECT id, webhook_id, event, payload, attempts, CAST($2 AS text), created_at, CAST($3 AS bigint)
                    FROM np_notifications_webhook_calls WHERE id = $1 ON CONFLICT (id) DO NOTHING";
                let mut statements = vec![Statement::new(keep, values![id, error, now]), drop];
                if disables {
                    let sql = "UPDATE np_notifications_webhooks SET disabled_at = $2 WHERE id = $1";
                    statements.push(Statement::new(sql, values![webhook_id, now]));
                }
                statements
            }
        };
        self.database.transaction(statements).await.map(|_| ())
    }

    /// What was given up of one user's addresses, newest first.
    pub(crate) async fn dead_letters(&self, user_id: &str) -> Result<Vec<Value>, DatabaseError> {
        let sql = "SELECT d.id AS id, d.webhook_id AS webhook_id, d.event AS event, d.payload AS payload,
                d.attempts AS attempts, d.error AS error, d.created_at AS created_at, d.dead_at AS dead_at
            FROM np_notifications_dead_letters d JOIN np_notifications_webhooks w ON w.id = d.webhook_id
            WHERE w.user_id = $1 ORDER BY d.dead_at DESC LIMIT $2";
        let read = |row: &Row| {
            Ok(json!({
                "id": row.text("id")?,
                "webhookId": row.text("webhook_id")?,
                "event": row.text("event")?,
                "payload": row.json::<Value>("payload")?,
                "attempts": row.number("attempts")?,
                "error": row.text("error")?,
                "createdAt": iso(row.number("created_at")?),
                "deadAt": iso(row.number("dead_at")?),
            }))
        };
        self.database.query(sql, values![user_id, MOST_LISTED]).await?.iter().map(read).collect()
    }

    /// Whose dead letter this is.
    pub(crate) async fn owner_of_dead_letter(&self, id: &str) -> Result<Option<String>, DatabaseError> {
        let sql = "SELECT w.user_id AS user_id FROM np_notifications_dead_letters d
            JOIN np_notifications_webhooks w ON w.id = d.webhook_id WHERE d.id = $1";
        self.database.query(sql, values![id]).await?.first().map(|row| row.text("user_id")).transpose()
    }

    /// Has a dead letter tried anew, and its address switched on.
    pub(crate) async fn replay_dead_letter(&self, id: &str, now: i64) -> Result<u64, DatabaseError> {
        let enable = "UPDATE np_notifications_webhooks SET disabled_at = NULL
            WHERE id = (SELECT webhook_id FROM np_notifications_dead_letters WHERE id = $1)";
        let queue = "INSERT INTO np_notifications_webhook_calls
                (id, webhook_id, event, payload, attempts, due_at, created_at)
            SELECT id, webhook_id, event, payload, 0, CAST($2 AS bigint), created_at
            FROM np_notifications_dead_letters WHERE id = $1 ON CONFLICT (id) DO NOTHING";
        let drop = "DELETE FROM np_notifications_dead_letters WHERE id = $1";
        let statements = vec![
            Statement::new(enable, values![id]),
            Statement::new(queue, values![id, now]),
            Statement::new(drop, values![id]),
        ];
        self.database.transaction(statements).await
    }
}
