//! What waits for a worker: taking it, telling what came of it, trying again.
//!
//! A delivery that is taken is leased: no other instance takes it before the lease has run out. An instance that comes
//! back after a kill gives up its own leases first, so that what it held goes out at once.

use serde_json::Value;

use super::Store;
use crate::channel::{Channel, Priority, State};
use crate::database::{DatabaseError, Row, Statement, values};
use crate::draft::{Attachment, Recipient};

/// A delivery that this instance has taken.
#[derive(Debug, Clone)]
pub(crate) struct Claimed {
    pub(crate) id: String,
    pub(crate) message_id: String,
    pub(crate) user_id: String,
    pub(crate) channel: Channel,
    pub(crate) digest: Option<String>,
    /// With this one.
    pub(crate) attempts: i64,
    /// When it was to go out at first.
    pub(crate) first_due_at: i64,
}

/// What is to be delivered.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) kind: String,
    pub(crate) category: String,
    pub(crate) priority: Priority,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) content: Value,
    pub(crate) recipient: Recipient,
    /// Loaded apart: they may be large.
    pub(crate) has_attachments: bool,
    pub(crate) data: Value,
    pub(crate) created_at: i64,
}

/// What came of a delivery for good.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    pub(crate) id: String,
    pub(crate) message_id: String,
    pub(crate) user_id: String,
    pub(crate) state: State,
    pub(crate) error: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) provider_id: Option<String>,
    /// What subscribers are told: the event and its payload.
    pub(crate) event: Option<(&'static str, String)>,
    pub(crate) at: i64,
}

const CLAIMED: &str = "id, message_id, user_id, channel, digest, attempts, first_due_at";

impl Claimed {
    fn read(row: &Row) -> Result<Self, DatabaseError> {
        let channel = row.text("channel")?;
        Ok(Self {
            id: row.text("id")?,
            message_id: row.text("message_id")?,
            user_id: row.text("user_id")?,
            channel: Channel::parse(&channel)
                .ok_or_else(|| DatabaseError::Refused(format!("there is no channel `{channel}`")))?,
            digest: row.optional_text("digest")?,
            attempts: row.number("attempts")?,
            first_due_at: row.number("first_due_at")?,
        })
    }

    fn read_all(rows: &[Row]) -> Vec<Self> {
        let read =
            |row: &Row| Self::read(row).inspect_err(|error| tracing::error!(%error, "a delivery cannot be read"));
        // The others go out nevertheless.
        rows.iter().filter_map(|row| read(row).ok()).collect()
    }
}

impl Store {
    /// Moves what has waited long enough into the queue.
    pub(crate) async fn promote(&self, now: i64) -> Result<u64, DatabaseError> {
        let sql = "UPDATE np_notifications_deliveries SET status = 'queued' WHERE status = 'pending' AND due_at <= $1";
        self.database.change(sql, values![now]).await
    }

    /// Takes up to so many due deliveries, the most urgent first.
    pub(crate) async fn claim(
        &self,
        instance: &str,
        most: usize,
        now: i64,
        lease_until: i64,
    ) -> Result<Vec<Claimed>, DatabaseError> {
        let sql = format!(
            "UPDATE np_notifications_deliveries
             SET lease_until = $1, claimed_by = $2, attempts = attempts + 1, updated_at = $3
             WHERE id IN (
                SELECT id FROM np_notifications_deliveries
                WHERE status = 'queued' AND due_at <= $3 AND lease_until <= $3
                ORDER BY priority, due_at LIMIT $4 {})
             RETURNING {CLAIMED}",
            self.database.skip_locked()
        );
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = self.database.query(sql, values![lease_until, instance, now, most]).await?;
        Ok(Claimed::read_all(&rows))
    }

    /// Takes what else of the same user's digest is due, so that all of it goes into one message.
    pub(crate) async fn claim_digest(
        &self,
        instance: &str,
        first: &Claimed,
        now: i64,
        lease_until: i64,
    ) -> Result<Vec<Claimed>, DatabaseError> {
        let sql = format!(
            "UPDATE np_notifications_deliveries
             SET lease_until = $1, claimed_by = $2, attempts = attempts + 1, updated_at = $3
             WHERE id IN (
                SELECT id FROM np_notifications_deliveries
                WHERE status = 'queued' AND due_at <= $3 AND lease_until <= $3
                    AND user_id = $4 AND channel = $5 AND digest = $6
                ORDER BY created_at LIMIT 100 {})
             RETURNING {CLAIMED}",
            self.database.skip_locked()
        );
        let values = values![lease_until, instance, now, &first.user_id, first.channel.as_str(), first.digest.as_ref()];
        let rows = self.database.query(sql, values).await?;
        Ok(Claimed::read_all(&rows))
    }

    /// Gives up what this instance held when it was killed.
    pub(crate) async fn release(&self, instance: &str) -> Result<u64, DatabaseError> {
        let sql = "UPDATE np_notifications_deliveries SET lease_until = 0, claimed_by = NULL
            WHERE status = 'queued' AND claimed_by = $1";
        self.database.change(sql, values![instance]).await
    }

    /// What a message says; `None` where it is gone.
    pub(crate) async fn payload(&self, message_id: &str) -> Result<Option<Payload>, DatabaseError> {
        let sql = "SELECT id, user_id, kind, category, priority, title, body, content, recipient,
            CASE WHEN attachments IS NULL THEN 0 ELSE 1 END AS has_attachments, data, created_at FROM np_notifications_messages WHERE id = $1";
        let rows = self.database.query(sql, values![message_id]).await?;
        let read = |row: &Row| {
            Ok(Payload {
                id: row.text("id")?,
                user_id: row.text("user_id")?,
                kind: row.text("kind")?,
                category: row.text("category")?,
                priority: Priority::from_number(row.number("priority")?),
                title: row.text("title")?,
                body: row.text("body")?,
                content: row.json("content")?,
                recipient: row.json("recipient")?,
                has_attachments: row.number("has_attachments")? != 0,
                data: row.json("data")?,
                created_at: row.number("created_at")?,
            })
        };
        rows.first().map(read).transpose()
    }

    pub(crate) async fn attachments(&self, message_id: &str) -> Result<Vec<Attachment>, DatabaseError> {
        let sql = "SELECT attachments FROM np_notifications_messages WHERE id = $1";
        let rows = self.database.query(sql, values![message_id]).await?;
        match rows.first() {
            Some(row) if row.optional_text("attachments")?.is_some() => row.json("attachments"),
            _ => Ok(Vec::new()),
        }
    }

    /// Notes what came of deliveries, tells subscribers, and drops attachments that nobody needs any more.
    pub(crate) async fn finish(&self, endings: &[Ending]) -> Result<u64, DatabaseError> {
        let mut statements = Vec::with_capacity(endings.len() * 3);
        for ending in endings {
            statements.push(end(ending));
            statements.extend(call_webhooks(ending));
            let drop_files = "UPDATE np_notifications_messages SET attachments = NULL
                WHERE id = $1 AND attachments IS NOT NULL AND NOT EXISTS (SELECT 1 FROM np_notifications_deliveries
                    WHERE message_id = $1 AND status IN ('queued', 'pending'))";
            statements.push(Statement::new(drop_files, values![&ending.message_id]));
        }
        self.database.transaction(statements).await
    }

    /// Puts deliveries back for another attempt at a later time; `attempts` is how many count so far.
    pub(crate) async fn put_back(
        &self,
        claimed: &[Claimed],
        due_at: i64,
        error: &str,
        counts: bool,
    ) -> Result<u64, DatabaseError> {
        let sql = "UPDATE np_notifications_deliveries
            SET due_at = $2, error = $3, attempts = attempts - $4, lease_until = 0, claimed_by = NULL
            WHERE id = $1 AND status = 'queued'";
        let uncounted = i64::from(!counts);
        let statement = |one: &Claimed| Statement::new(sql, values![&one.id, due_at, error, uncounted]);
        self.database.transaction(claimed.iter().map(statement).collect()).await
    }

    /// Gives back what was taken and not begun; it does not count as an attempt.
    pub(crate) async fn give_back(&self, claimed: &[Claimed]) -> Result<u64, DatabaseError> {
        let sql = "UPDATE np_notifications_deliveries
            SET attempts = attempts - 1, lease_until = 0, claimed_by = NULL WHERE id = $1 AND status = 'queued'";
        self.database.transaction(claimed.iter().map(|one| Statement::new(sql, values![&one.id])).collect()).await
    }

    /// How many deliveries wait for a worker, and how many for their time.
    pub(crate) async fn waiting(&self) -> Result<(i64, i64), DatabaseError> {
        let sql = "SELECT (SELECT COUNT(*) FROM np_notifications_deliveries WHERE status = 'queued') AS waiting,
            (SELECT COUNT(*) FROM np_notifications_deliveries WHERE status = 'pending') AS pending";
        let rows = self.database.query(sql, Vec::new()).await?;
        rows.first().map_or(Ok((0, 0)), |row| Ok((row.number("waiting")?, row.number("pending")?)))
    }
}

fn end(ending: &Ending) -> Statement {
    let at = |states: &[State]| states.contains(&ending.state).then_some(ending.at);
    let sql = "UPDATE np_notifications_deliveries SET status = $2, error = $3, provider = $4, provider_id = $5,
            sent_at = COALESCE($6, sent_at), delivered_at = COALESCE($7, delivered_at),
            failed_at = COALESCE($8, failed_at), lease_until = 0, claimed_by = NULL, updated_at = $9
        WHERE id = $1";
    Statement::new(
        sql,
        values![
            &ending.id,
            ending.state.as_str(),
            ending.error.as_ref(),
            ending.provider.as_ref(),
            ending.provider_id.as_ref(),
            at(&[State::Sent, State::Delivered]),
            at(&[State::Delivered]),
            at(&[State::Failed, State::Bounced]),
            ending.at,
        ],
    )
}

/// Queues a call for every address that wants to know of this ending.
pub(super) fn call_webhooks(ending: &Ending) -> Option<Statement> {
    let (event, payload) = ending.event.as_ref()?;
    let sql =
        "INSERT INTO np_notifications_webhook_calls (id, webhook_id, event, payload, attempts, due_at, created_at)
        SELECT CAST($1 AS text) || ':' || id, id, CAST($2 AS text), CAST($3 AS text), 0, CAST($4 AS bigint),
            CAST($4 AS bigint)
        FROM np_notifications_webhooks WHERE user_id = $5 AND events LIKE $6 AND disabled_at IS NULL
        ON CONFLICT (id) DO NOTHING";
    let call = format!("{}:{event}", ending.id);
    let values = values![call, *event, payload, ending.at, &ending.user_id, format!("%,{event},%")];
    Some(Statement::new(sql, values))
}
