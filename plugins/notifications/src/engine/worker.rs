//! Takes due deliveries and has them delivered, so many at a time, until a stop is asked for.
//!
//! A stop takes nothing more: what was just taken is given back without counting as an attempt, and what is under way
//! is waited for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::deliver::deliver;
use super::lease::lease_end;
use crate::database::DatabaseError;
use crate::state::App;
use crate::store::Claimed;
use crate::time::now;

/// Taken at once at most, so that what is urgent need not wait for a long list.
const MOST_AT_ONCE: usize = 16;
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

struct Worker {
    app: Arc<App>,
    slots: Arc<Semaphore>,
    deliveries: JoinSet<()>,
    looked_at: Option<Instant>,
    has_released: bool,
}

/// Delivers until a stop is asked for; completes once nothing is under way.
pub(crate) async fn run(app: Arc<App>) {
    let slots = Arc::new(Semaphore::new(app.config.workers));
    let mut worker =
        Worker { app: app.clone(), slots, deliveries: JoinSet::new(), looked_at: None, has_released: false };
    while !app.backlog.is_stopping() {
        if !app.is_migrated() {
            app.backlog.sleep(app.config.poll_interval.min(PAUSE_AFTER_ERROR)).await;
            continue;
        }
        match worker.round().await {
            Ok(0) => app.backlog.idle(app.config.poll_interval).await,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "could not look for work");
                app.backlog.sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
    while worker.deliveries.join_next().await.is_some() {}
}

impl Worker {
    async fn round(&mut self) -> Result<usize, DatabaseError> {
        if !self.has_released {
            self.release().await?;
            self.has_released = true;
        }
        let now = Instant::now();
        if self.looked_at.is_none_or(|at| now.duration_since(at) >= self.app.config.poll_interval) {
            self.look_around().await?;
            self.looked_at = Some(now);
        }
        while self.deliveries.try_join_next().is_some() {}
        self.take_and_deliver().await
    }

    /// Takes back what this instance held when it was killed.
    async fn release(&self) -> Result<(), DatabaseError> {
        let released = self.app.store.release(self.app.backlog.instance()).await?;
        if released > 0 {
            tracing::info!(released, "deliveries that were under way at the last end are tried again");
        }
        Ok(())
    }

    /// Moves what is due into the queue and counts again; other instances count with us.
    async fn look_around(&self) -> Result<(), DatabaseError> {
        let promoted = self.app.store.promote(now()).await?;
        if promoted > 0 {
            self.app.backlog.joined_queue(promoted);
        }
        let counting = self.app.backlog.begin_counting();
        let counted = self.app.store.waiting().await?;
        self.app.backlog.end_counting(&counting, counted);
        Ok(())
    }

    async fn take_and_deliver(&mut self) -> Result<usize, DatabaseError> {
        let app = &self.app;
        // Waits until there is somebody to do the work.
        let first = tokio::select! {
            slot = self.slots.clone().acquire_owned() => slot,
            () = app.backlog.stopped() => return Ok(0),
        };
        let Ok(first) = first else { return Ok(0) };
        let free = self.slots.available_permits() + 1;
        drop(first);
        let now = now();
        let claimed = app.store.claim(app.backlog.instance(), free.min(MOST_AT_ONCE), now, lease_end(now)).await?;
        if app.backlog.is_stopping() {
            app.store.give_back(&claimed).await?;
            return Ok(0);
        }
        let taken = claimed.len();
        for together in together(claimed) {
            let begun: Vec<Claimed> = together.into_iter().filter(|one| app.backlog.begin(&one.id)).collect();
            let Ok(slot) = self.slots.clone().acquire_owned().await else { break };
            let app = app.clone();
            self.deliveries.spawn(async move {
                let guard = UnderWay { app: app.clone(), ids: begun.iter().map(|one| one.id.clone()).collect() };
                deliver(&app, begun).await;
                drop((guard, slot));
            });
        }
        Ok(taken)
    }
}

/// Puts the parts of one user's digest together; everything else is alone.
fn together(claimed: Vec<Claimed>) -> Vec<Vec<Claimed>> {
    let mut groups: Vec<Vec<Claimed>> = Vec::with_capacity(claimed.len());
    let digest = |one: &Claimed| one.digest.clone().map(|digest| (one.user_id.clone(), one.channel, digest));
    for one in claimed {
        let same = |group: &&mut Vec<Claimed>| digest(&one).is_some() && digest(&group[0]) == digest(&one);
        match groups.iter_mut().find(same) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}

/// Ends even where the work panics: its lease runs out, and it is tried again.
struct UnderWay {
    app: Arc<App>,
    ids: Vec<String>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        for id in &self.ids {
            self.app.backlog.end(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Channel;

    fn claimed(id: &str, user: &str, digest: Option<&str>) -> Claimed {
        Claimed {
            id: id.to_owned(),
            message_id: id.to_owned(),
            user_id: user.to_owned(),
            channel: Channel::Email,
            digest: digest.map(str::to_owned),
            attempts: 1,
            first_due_at: 0,
        }
    }

    #[test]
    fn only_parts_of_one_users_digest_go_together() {
        let all = vec![
            claimed("1", "a", Some("daily")),
            claimed("2", "a", None),
            claimed("3", "b", Some("daily")),
            claimed("4", "a", None),
            claimed("5", "a", Some("daily")),
        ];
        let ids = |group: &Vec<Claimed>| group.iter().map(|one| one.id.clone()).collect::<Vec<_>>().concat();
        assert_eq!(together(all).iter().map(ids).collect::<Vec<_>>(), ["15", "2", "3", "4"]);
    }
}
