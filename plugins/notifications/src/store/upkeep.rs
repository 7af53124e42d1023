//! Forgets what nobody needs any more, so that the database does not grow for ever.

use super::Store;
use crate::database::{DatabaseError, Statement, values};

/// Messages that one statement removes at most: others wait while it runs.
const AT_ONCE: i64 = 500;

impl Store {
    /// Drops expired requests, closed rate windows, and messages from before a time that nothing is open of. Tells
    /// how many messages went.
    pub(crate) async fn forget(&self, now: i64, rates_before: i64, messages_before: i64) -> Result<u64, DatabaseError> {
        let requests = "DELETE FROM np_notifications_requests WHERE expires_at <= $1";
        let rates = "DELETE FROM np_notifications_rates WHERE window_start <= $1";
        let statements = vec![Statement::new(requests, values![now]), Statement::new(rates, values![rates_before])];
        self.database.transaction(statements).await?;
        let mut total = 0;
        loop {
            let removed = self.forget_some(messages_before).await?;
            total += removed;
            if removed == 0 {
                return Ok(total);
            }
        }
    }

    async fn forget_some(&self, before: i64) -> Result<u64, DatabaseError> {
        let sql = "DELETE FROM np_notifications_messages WHERE id IN (
                SELECT id FROM np_notifications_messages m WHERE created_at < $1 AND NOT EXISTS (
                    SELECT 1 FROM np_notifications_deliveries d
                    WHERE d.message_id = m.id AND d.status IN ('queued', 'pending'))
                LIMIT $2)";
        let removed = self.database.change(sql, values![before, AT_ONCE]).await?;
        let orphans = "DELETE FROM np_notifications_deliveries WHERE id IN (
                SELECT id FROM np_notifications_deliveries d WHERE created_at < $1 AND NOT EXISTS (
                    SELECT 1 FROM np_notifications_messages m WHERE m.id = d.message_id)
                LIMIT $2)";
        self.database.change(orphans, values![before, AT_ONCE * 4]).await?;
        Ok(removed)
    }
}
