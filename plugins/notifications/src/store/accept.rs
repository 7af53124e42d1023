//! Takes a message in: remembered request, rate limits, message and deliveries, all or nothing.

use std::time::Duration;

use serde_json::Value;

use super::queue::call_webhooks;
use super::{Ending, Store};
use crate::channel::{Channel, State};
use crate::database::{DatabaseError, Statement, values};
use crate::time::span;

/// A message as it is stored: rendered, for each channel.
#[derive(Debug, Clone)]
pub(crate) struct NewMessage {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) kind: String,
    pub(crate) category: String,
    pub(crate) priority: i64,
    pub(crate) template: Option<String>,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) content: String,
    pub(crate) recipient: String,
    pub(crate) attachments: Option<String>,
    pub(crate) data: String,
    pub(crate) metadata: String,
    pub(crate) tags: String,
    pub(crate) scheduled_at: Option<i64>,
    pub(crate) visible_at: i64,
    pub(crate) created_at: i64,
}

/// The message on one channel.
#[derive(Debug, Clone)]
pub(crate) struct NewDelivery {
    pub(crate) channel: Channel,
    pub(crate) state: State,
    pub(crate) due_at: i64,
    pub(crate) digest: Option<&'static str>,
    pub(crate) error: Option<String>,
    /// Counts against the user's limit: so many in this window; `None` where none holds.
    pub(crate) limit: Option<(u32, Duration)>,
}

/// A request that must not be carried out twice, and its answer.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    pub(crate) key: String,
    pub(crate) fingerprint: String,
    pub(crate) answer: Value,
    pub(crate) expires_at: i64,
}

/// All that one acceptance stores.
pub(crate) struct Acceptance<'a> {
    pub(crate) message: &'a NewMessage,
    pub(crate) deliveries: &'a [NewDelivery],
    pub(crate) remembered: Option<&'a Remembered>,
    /// What ended in the same moment, for those who want to be told.
    pub(crate) endings: &'a [Ending],
}

/// Why nothing was stored.
#[derive(Debug)]
pub(crate) enum NotAccepted {
    /// The same request was answered before: its fingerprint and its answer.
    Known {
        fingerprint: String,
        answer: Value,
    },
    /// The user's limit on this channel is reached; it opens again at this time.
    Limited {
        channel: Channel,
        limit: u32,
        opens_at: i64,
    },
    Database(DatabaseError),
}

impl From<DatabaseError> for NotAccepted {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl Store {
    /// Stores a message; once this has answered, it outlives a kill.
    pub(crate) async fn accept(&self, acceptance: Acceptance<'_>) -> Result<(), NotAccepted> {
        let message = acceptance.message;
        let now = message.created_at;
        let mut statements: Vec<Statement> =
            acceptance.remembered.iter().map(|remembered| remember(remembered, now)).collect();
        let remembered = statements.len();
        let limited: Vec<(&NewDelivery, u32, Duration)> = acceptance
            .deliveries
            .iter()
            .filter_map(|delivery| delivery.limit.map(|(limit, window)| (delivery, limit, window)))
            .collect();
        for (delivery, limit, window) in &limited {
            statements.push(count(&message.user_id, delivery.channel, *limit, now - span(*window), now));
        }
        statements.push(insert_message(message, acceptance.deliveries));
        statements.extend(acceptance.deliveries.iter().map(|delivery| insert_delivery(message, delivery)));
        for ending in acceptance.endings {
            statements.extend(call_webhooks(ending));
        }
        match self.database.transaction(statements).await {
            Ok(_) => Ok(()),
            Err(DatabaseError::Unchanged(place)) if place < remembered => {
                Err(self.recall(acceptance.remembered).await?)
            }
            Err(DatabaseError::Unchanged(place)) => {
                let Some((delivery, limit, window)) = limited.get(place - remembered) else {
                    return Err(DatabaseError::Unchanged(place).into());
                };
                let opens_at = self.window_start(&message.user_id, delivery.channel).await? + span(*window);
                Err(NotAccepted::Limited { channel: delivery.channel, limit: *limit, opens_at })
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn recall(&self, remembered: Option<&Remembered>) -> Result<NotAccepted, DatabaseError> {
        let key = remembered.map_or("", |remembered| remembered.key.as_str());
        let known = self.known_request(key).await?;
        // Between the two statements it may have been forgotten; then the client may simply ask again.
        let (fingerprint, answer) =
            known.ok_or_else(|| DatabaseError::Away("a request has just expired".to_owned()))?;
        Ok(NotAccepted::Known { fingerprint, answer })
    }

    /// The fingerprint and the answer of a request that was carried out under this key.
    async fn known_request(&self, key: &str) -> Result<Option<(String, Value)>, DatabaseError> {
        let sql = "SELECT fingerprint, answer FROM np_notifications_requests WHERE key = $1";
        let rows = self.database.query(sql, values![key]).await?;
        rows.first().map(|row| Ok((row.text("fingerprint")?, row.json("answer")?))).transpose()
    }

    async fn window_start(&self, user_id: &str, channel: Channel) -> Result<i64, DatabaseError> {
        let sql = "SELECT window_start FROM np_notifications_rates WHERE user_id = $1 AND channel = $2";
        let rows = self.database.query(sql, values![user_id, channel.as_str()]).await?;
        rows.first().map_or(Ok(0), |row| row.number("window_start"))
    }
}

/// Takes the key, unless another request holds it.
fn remember(remembered: &Remembered, now: i64) -> Statement {
    let sql = "INSERT INTO np_notifications_requests (key, fingerprint, answer, expires_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (key) DO UPDATE SET
            fingerprint = excluded.fingerprint, answer = excluded.answer, expires_at = excluded.expires_at
        WHERE np_notifications_requests.expires_at <= $5";
    let Remembered { key, fingerprint, answer, expires_at } = remembered;
    Statement::new(sql, values![key, fingerprint, answer.to_string(), *expires_at, now]).or_abort()
}

/// Counts one more message in the user's window, or changes nothing where it is full.
fn count(user_id: &str, channel: Channel, limit: u32, window_opened_after: i64, now: i64) -> Statement {
    let sql = "INSERT INTO np_notifications_rates (user_id, channel, window_start, used) VALUES ($1, $2, $3, 1)
        ON CONFLICT (user_id, channel) DO UPDATE SET
            used = CASE WHEN np_notifications_rates.window_start > $4 THEN np_notifications_rates.used + 1 ELSE 1 END,
            window_start = CASE WHEN np_notifications_rates.window_start > $4
                THEN np_notifications_rates.window_start ELSE excluded.window_start END
        WHERE np_notifications_rates.window_start <= $4 OR np_notifications_rates.used < $5";
    let values = values![user_id, channel.as_str(), now, window_opened_after, i64::from(limit)];
    Statement::new(sql, values).or_abort()
}

fn insert_message(message: &NewMessage, deliveries: &[NewDelivery]) -> Statement {
    let in_app =
        deliveries.iter().any(|delivery| delivery.channel == Channel::InApp && delivery.state != State::Skipped);
    let sql = "INSERT INTO np_notifications_messages (id, user_id, kind, category, priority, template, title, body,
            content, recipient, attachments, data, metadata, tags, in_app, scheduled_at, visible_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";
    Statement::new(
        sql,
        values![
            &message.id,
            &message.user_id,
            &message.kind,
            &message.category,
            message.priority,
            message.template.as_ref(),
            &message.title,
            &message.body,
            &message.content,
            &message.recipient,
            message.attachments.as_ref(),
            &message.data,
            &message.metadata,
            &message.tags,
            in_app,
            message.scheduled_at,
            message.visible_at,
            message.created_at,
        ],
    )
}

fn insert_delivery(message: &NewMessage, delivery: &NewDelivery) -> Statement {
    let now = message.created_at;
    let when = |states: &[State]| states.contains(&delivery.state).then_some(now);
    let sql = "INSERT INTO np_notifications_deliveries (id, message_id, user_id, channel, status, priority, digest,
            attempts, due_at, first_due_at, lease_until, error, sent_at, delivered_at, failed_at, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $8, 0, $9, $10, $11, $12, $13, $13)";
    Statement::new(
        sql,
        values![
            format!("{}:{}", message.id, delivery.channel),
            &message.id,
            &message.user_id,
            delivery.channel.as_str(),
            delivery.state.as_str(),
            message.priority,
            delivery.digest,
            delivery.due_at,
            delivery.error.as_ref(),
            when(&[State::Delivered]),
            when(&[State::Delivered]),
            when(&[State::Failed]),
            now,
        ],
    )
}
