//! One row for each user's preferences, changed without losing what somebody else changes at the same time.

use super::Store;
use crate::database::{DatabaseError, Statement, values};
use crate::preferences::Preferences;

/// How often a change is tried anew when others change the same user's row.
const TRIES: usize = 20;

impl Store {
    pub(crate) async fn preferences(&self, user_id: &str) -> Result<Preferences, DatabaseError> {
        Ok(self.read_preferences(user_id).await?.0)
    }

    /// Changes a user's preferences; the change is applied to what is stored at that moment.
    pub(crate) async fn change_preferences<E>(
        &self,
        user_id: &str,
        change: impl Fn(&mut Preferences) -> Result<(), E>,
    ) -> Result<Result<Preferences, E>, DatabaseError> {
        for _ in 0..TRIES {
            let (mut preferences, revision) = self.read_preferences(user_id).await?;
            if let Err(error) = change(&mut preferences) {
                return Ok(Err(error));
            }
            let document = preferences.to_json();
            let statement = match revision {
                None => Statement::new(
                    "INSERT INTO np_notifications_preferences (user_id, document, revision) VALUES ($1, $2, 1)
                        ON CONFLICT (user_id) DO NOTHING",
                    values![user_id, document],
                ),
                Some(revision) => Statement::new(
                    "UPDATE np_notifications_preferences SET document = $2, revision = revision + 1
                        WHERE user_id = $1 AND revision = $3",
                    values![user_id, document, revision],
                ),
            };
            match self.database.transaction(vec![statement.or_abort()]).await {
                Ok(_) => return Ok(Ok(preferences)),
                Err(DatabaseError::Unchanged(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(DatabaseError::Away(format!("{TRIES} changes of one user's preferences met others")))
    }

    async fn read_preferences(&self, user_id: &str) -> Result<(Preferences, Option<i64>), DatabaseError> {
        let sql = "SELECT document, revision FROM np_notifications_preferences WHERE user_id = $1";
        let rows = self.database.query(sql, values![user_id]).await?;
        Ok(match rows.first() {
            Some(row) => {
                let preferences = Preferences::from_json(&row.text("document")?);
                if preferences.is_unreadable() {
                    tracing::warn!(
                        user_id,
                        "a user's preferences cannot be read; only what was switched on since is sent"
                    );
                }
                (preferences, Some(row.number("revision")?))
            }
            None => (Preferences::default(), None),
        })
    }
}
