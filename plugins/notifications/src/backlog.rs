//! What is known of the queue without asking the database, and whether the plugin is stopping.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};

use crate::instance::Instance;

/// Counts in a row that are dropped because messages came or went meanwhile; the next one is taken nevertheless.
const MOST_DROPPED: u64 = 20;

/// The queue as this process sees it.
#[derive(Debug)]
pub(crate) struct Backlog {
    instance: Instance,
    limit: i64,
    /// Places that are taken for messages that are being stored.
    reserved: AtomicI64,
    waiting: AtomicI64,
    pending: AtomicI64,
    /// Grows with each change of the two numbers above.
    changes: AtomicU64,
    dropped_counts: AtomicU64,
    pub(crate) completed: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// One e-mail with files at a time: each is held in memory several times over.
    pub(crate) large: Semaphore,
    awake: Notify,
    stopping: watch::Sender<bool>,
    /// What this process delivers now; a lease that ran out meanwhile must not make it do so twice.
    under_way: Mutex<HashSet<String>>,
}

/// Places in the queue that were taken for a message; given back unless it is stored.
#[derive(Debug)]
pub(crate) struct Reserved<'a> {
    backlog: &'a Backlog,
    count: i64,
}

impl Reserved<'_> {
    /// The message is stored: its places are taken for good.
    pub(crate) fn keep(self) {
        self.backlog.changes.fetch_add(1, Ordering::SeqCst);
        self.backlog.waiting.fetch_add(self.count, Ordering::SeqCst);
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.backlog.changes.fetch_add(1, Ordering::SeqCst);
        self.backlog.reserved.fetch_sub(self.count, Ordering::SeqCst);
    }
}

/// The queue while it is being counted; senders go on meanwhile.
#[derive(Debug)]
pub(crate) struct Counting {
    waiting: i64,
    changes: u64,
    is_quiet: bool,
}

impl Backlog {
    pub(crate) fn new(instance: Instance, limit: i64) -> Self {
        Self {
            instance,
            limit,
            reserved: AtomicI64::new(0),
            waiting: AtomicI64::new(0),
            pending: AtomicI64::new(0),
            changes: AtomicU64::new(0),
            dropped_counts: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            large: Semaphore::new(1),
            awake: Notify::new(),
            stopping: watch::Sender::new(false),
            under_way: Mutex::default(),
        }
    }

    /// The name that leases of this process carry.
    pub(crate) fn instance(&self) -> &str {
        self.instance.name()
    }

    /// Takes places in the queue, or returns how many wait and how many may.
    pub(crate) fn reserve(&self, count: usize) -> Result<Reserved<'_>, (i64, i64)> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.changes.fetch_add(1, Ordering::SeqCst);
        let before = self.reserved.fetch_add(count, Ordering::SeqCst) + self.waiting.load(Ordering::SeqCst);
        let reserved = Reserved { backlog: self, count };
        if count > 0 && before + count > self.limit { Err((before.max(0), self.limit)) } else { Ok(reserved) }
    }

    pub(crate) fn begin_counting(&self) -> Counting {
        let changes = self.changes.load(Ordering::SeqCst);
        let is_quiet = self.reserved.load(Ordering::SeqCst) == 0;
        Counting { waiting: self.waiting.load(Ordering::SeqCst), changes, is_quiet }
    }

    /// Takes over what the database counted. Where messages came or went meanwhile, nobody knows which of them were
    /// counted: this process's own number is exact but for what other instances do, and stays.
    pub(crate) fn end_counting(&self, counting: &Counting, (waiting, pending): (i64, i64)) {
        self.pending.store(pending, Ordering::Relaxed);
        let is_same = counting.is_quiet && self.changes.load(Ordering::SeqCst) == counting.changes;
        if is_same || self.dropped_counts.fetch_add(1, Ordering::Relaxed) >= MOST_DROPPED {
            self.dropped_counts.store(0, Ordering::Relaxed);
            self.waiting.fetch_add(waiting - counting.waiting, Ordering::SeqCst);
        }
    }

    /// Deliveries joined the queue because their time has come.
    pub(crate) fn joined_queue(&self, count: u64) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.waiting.fetch_add(i64::try_from(count).unwrap_or_default(), Ordering::SeqCst);
    }

    pub(crate) fn left_queue(&self, count: usize) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.waiting.fetch_sub(i64::try_from(count).unwrap_or_default(), Ordering::SeqCst);
    }

    /// Deliveries that wait for a worker, that wait for their time, and that are under way.
    pub(crate) fn counts(&self) -> (i64, i64, usize) {
        let (waiting, pending) = (self.waiting.load(Ordering::Relaxed), self.pending.load(Ordering::Relaxed));
        (waiting.max(0), pending, self.under_way().len())
    }

    pub(crate) fn wake(&self) {
        self.awake.notify_one();
    }

    /// Waits until there may be work: a new message, this time, or a stop.
    pub(crate) async fn idle(&self, longest: Duration) {
        tokio::select! {
            () = self.awake.notified() => {}
            () = self.sleep(longest) => {}
        }
    }

    /// Waits for this time, or until a stop.
    pub(crate) async fn sleep(&self, time: Duration) {
        let _ = tokio::time::timeout(time, self.stopped()).await;
    }

    /// Completes at a stop.
    pub(crate) async fn stopped(&self) {
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Asks every task to end.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Notes what begins; `false` where it is under way already.
    pub(crate) fn begin(&self, id: &str) -> bool {
        self.under_way().insert(id.to_owned())
    }

    pub(crate) fn end(&self, id: &str) {
        self.under_way().remove(id);
    }

    fn under_way(&self) -> MutexGuard<'_, HashSet<String>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_are_not_used_are_given_back() {
        let backlog = Backlog::new(Instance::named("i"), 2);
        backlog.reserve(2).expect("room").keep();
        assert_eq!(backlog.reserve(1).err(), Some((2, 2)));
        backlog.left_queue(1);
        drop(backlog.reserve(1).expect("room"));
        assert!(backlog.reserve(1).is_ok());
        assert!(backlog.reserve(0).is_ok());
    }

    #[test]
    fn a_count_that_others_changed_meanwhile_is_dropped() {
        let backlog = Backlog::new(Instance::named("i"), 10);
        let quiet = backlog.begin_counting();
        backlog.end_counting(&quiet, (5, 1));
        assert_eq!(backlog.counts(), (5, 1, 0));
        let reserved = backlog.reserve(2).expect("room");
        let counting = backlog.begin_counting();
        // Stored, and counted, before its place is kept.
        backlog.end_counting(&counting, (7, 1));
        reserved.keep();
        assert_eq!(backlog.counts(), (7, 1, 0));
        let counting = backlog.begin_counting();
        backlog.left_queue(1);
        backlog.end_counting(&counting, (6, 1));
        assert_eq!(backlog.counts(), (6, 1, 0));
        // Another instance works as well: what it takes is seen in time.
        for _ in 0..=MOST_DROPPED {
            let counting = backlog.begin_counting();
            backlog.joined_queue(0);
            backlog.end_counting(&counting, (2, 0));
        }
        assert_eq!(backlog.counts(), (2, 0, 0));
    }
}
