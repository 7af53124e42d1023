//! Takes due deliveries and has them delivered, so many at a time; knows how many wait and how many are under way.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, RwLock, RwLockReadGuard, Semaphore};
use tokio::time::Instant;

use super::deliver::deliver;
use crate::app::App;
use crate::store::Claimed;
use crate::time::{now, span};

/// How long what was taken is left alone by other instances: longer than any hand-over takes.
const LEASE: Duration = Duration::from_mins(2);
/// Taken at once at most, so that what is urgent need not wait for a long list.
const MOST_AT_ONCE: usize = 16;
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// What is known of the queue without asking the database.
#[derive(Debug)]
pub(crate) struct Worker {
    /// The name that leases of this instance carry, the same after a restart of the same container.
    pub(crate) instance: String,
    limit: i64,
    waiting: AtomicI64,
    pending: AtomicI64,
    pub(crate) completed: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// Held by whoever adds to the queue, so that it is not counted anew between a place and its row.
    counting: RwLock<()>,
    /// One e-mail with files at a time: each is held in memory several times over.
    pub(super) large: Semaphore,
    awake: Notify,
    is_stopping: AtomicBool,
    /// What this process delivers now; a lease that ran out meanwhile must not make it do so twice.
    under_way: Mutex<HashSet<String>>,
}

/// Places in the queue that were taken for a message; given back unless it is stored.
#[derive(Debug)]
pub(crate) struct Reserved<'a> {
    worker: &'a Worker,
    count: i64,
    _not_counted: RwLockReadGuard<'a, ()>,
}

impl Reserved<'_> {
    pub(crate) fn keep(mut self) {
        self.count = 0;
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.worker.waiting.fetch_sub(self.count, Ordering::Relaxed);
    }
}

impl Worker {
    pub(crate) fn new(instance: String, limit: i64) -> Self {
        Self {
            instance,
            limit,
            waiting: AtomicI64::new(0),
            pending: AtomicI64::new(0),
            completed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            counting: RwLock::new(()),
            large: Semaphore::new(1),
            awake: Notify::new(),
            is_stopping: AtomicBool::new(false),
            under_way: Mutex::default(),
        }
    }

    /// Takes places in the queue, or tells how many wait and how many may.
    pub(crate) async fn reserve(&self, count: usize) -> Result<Reserved<'_>, (i64, i64)> {
        let guard = self.counting.read().await;
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let before = self.waiting.fetch_add(count, Ordering::Relaxed);
        let reserved = Reserved { worker: self, count, _not_counted: guard };
        if count > 0 && before + count > self.limit { Err((before, self.limit)) } else { Ok(reserved) }
    }

    pub(crate) fn wake(&self) {
        self.awake.notify_one();
    }

    /// Deliveries that wait for a worker, that wait for their time, and that are under way.
    pub(crate) fn counts(&self) -> (i64, i64, usize) {
        let (waiting, pending) = (self.waiting.load(Ordering::Relaxed), self.pending.load(Ordering::Relaxed));
        (waiting.max(0), pending, self.under_way().len())
    }

    /// No more is taken; completes once nothing is under way.
    pub(crate) async fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.awake.notify_one();
        while !self.under_way().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    fn under_way(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what begins; `false` where it is under way already.
    pub(super) fn begin(&self, id: &str) -> bool {
        self.under_way().insert(id.to_owned())
    }

    pub(super) fn end(&self, id: &str) {
        self.under_way().remove(id);
    }

    pub(super) fn left_queue(&self, count: usize) {
        self.waiting.fetch_sub(i64::try_from(count).unwrap_or_default(), Ordering::Relaxed);
    }
}

/// When a lease that begins now ends.
pub(super) fn lease_end(now: i64) -> i64 {
    now + span(LEASE)
}

/// Delivers until a stop is asked for.
pub(crate) async fn run(app: Arc<App>) {
    let slots = Arc::new(Semaphore::new(app.config.workers));
    let mut looked_at = None;
    let mut has_released = false;
    while !app.worker.is_stopping() {
        if !app.is_migrated() {
            tokio::time::sleep(app.config.poll_interval.min(PAUSE_AFTER_ERROR)).await;
            continue;
        }
        let round = async {
            if !has_released {
                release(&app).await?;
            }
            let now = Instant::now();
            if looked_at.is_none_or(|at: Instant| now.duration_since(at) >= app.config.poll_interval) {
                look_around(&app).await?;
                looked_at = Some(now);
            }
            take_and_deliver(&app, &slots).await
        };
        match round.await {
            Ok(taken) => {
                has_released = true;
                if taken == 0 {
                    let _ = tokio::time::timeout(app.config.poll_interval, app.worker.awake.notified()).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "looking for work failed");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

/// Takes back what this instance held when it was killed.
async fn release(app: &App) -> Result<(), crate::database::DatabaseError> {
    let released = app.store.release(&app.worker.instance).await?;
    if released > 0 {
        tracing::info!(released, "deliveries that were under way at the last end are tried again");
    }
    Ok(())
}

/// Moves what is due into the queue and counts anew; other instances count with us.
async fn look_around(app: &App) -> Result<(), crate::database::DatabaseError> {
    app.store.promote(now()).await?;
    let _alone = app.worker.counting.write().await;
    let (waiting, pending) = app.store.waiting().await?;
    app.worker.waiting.store(waiting, Ordering::Relaxed);
    app.worker.pending.store(pending, Ordering::Relaxed);
    Ok(())
}

async fn take_and_deliver(app: &Arc<App>, slots: &Arc<Semaphore>) -> Result<usize, crate::database::DatabaseError> {
    // Waits until there is somebody to do the work.
    let Ok(first) = slots.clone().acquire_owned().await else { return Ok(0) };
    let free = slots.available_permits() + 1;
    drop(first);
    let now = now();
    let claimed = app.store.claim(&app.worker.instance, free.min(MOST_AT_ONCE), now, lease_end(now)).await?;
    let taken = claimed.len();
    for together in together(claimed) {
        let begun: Vec<Claimed> = together.into_iter().filter(|one| app.worker.begin(&one.id)).collect();
        let Ok(slot) = slots.clone().acquire_owned().await else { break };
        let app = app.clone();
        tokio::spawn(async move {
            let guard = UnderWay { app: app.clone(), ids: begun.iter().map(|one| one.id.clone()).collect() };
            deliver(&app, begun).await;
            drop((guard, slot));
        });
    }
    Ok(taken)
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
            self.app.worker.end(id);
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

    #[tokio::test]
    async fn places_that_are_not_used_are_given_back() {
        let worker = Worker::new("i".to_owned(), 2);
        worker.reserve(2).await.expect("room").keep();
        assert_eq!(worker.reserve(1).await.err(), Some((2, 2)));
        worker.left_queue(1);
        drop(worker.reserve(1).await.expect("room"));
        assert!(worker.reserve(1).await.is_ok());
        assert!(worker.reserve(0).await.is_ok());
    }
}
