//! Forgets what nobody needs any more, so that the database does not grow for ever.

use super::Store;
use crate::database::{DatabaseError, Statement, values};

/// Rows that one statement removes at most: others wait while it runs.
const AT_ONCE: i64 = 500;

/// Times, in milliseconds, from before which rows are forgotten.
#[derive(Debug)]
pub(crate) struct Before {
    pub(crate) requests: i64,
    pub(crate) rates: i64,
    pub(crate) messages: i64,
}

impl Store {
    /// Drops some expired requests, closed rate windows, and messages that nothing is open of. Returns how many rows
    /// went; 0 when nothing is left to forget.
    pub(crate) async fn forget_some(&self, before: &Before) -> Result<u64, DatabaseError> {
        let requests = "DELETE FROM np_notifications_requests WHERE key IN (
                SELECT key FROM np_notifications_requests WHERE expires_at <= $1 LIMIT $2)";
        let rates = "DELETE FROM np_notifications_rates WHERE user_id IN (
                SELECT user_id FROM np_notifications_rates WHERE window_start <= $1 LIMIT $2) AND window_start <= $1";
        let messages = "DELETE FROM np_notifications_messages WHERE id IN (
                SELECT id FROM np_notifications_messages m WHERE created_at < $1 AND NOT EXISTS (
                    SELECT 1 FROM np_notifications_deliveries d
                    WHERE d.message_id = m.id AND d.status IN ('queued', 'pending'))
                LIMIT $2)";
        let orphans = "DELETE FROM np_notifications_deliveries WHERE id IN (
                SELECT id FROM np_notifications_deliveries d WHERE created_at < $1 AND NOT EXISTS (
                    SELECT 1 FROM np_notifications_messages m WHERE m.id = d.message_id)
                LIMIT $2)";
        let dead = "DELETE FROM np_notifications_dead_letters WHERE id IN (
                SELECT id FROM np_notifications_dead_letters WHERE dead_at < $1 LIMIT $2)";
        let mut removed = 0;
        for (sql, time) in [
            (requests, before.requests),
            (rates, before.rates),
            (messages, before.messages),
            (orphans, before.messages),
            (dead, before.messages),
        ] {
            // Each by itself: the others of the queue get their turn in between.
            removed += self.database.transaction(vec![Statement::new(sql, values![time, AT_ONCE])]).await?;
        }
        Ok(removed)
    }
}
