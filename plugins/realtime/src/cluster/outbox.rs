//! What waits to be told to other instances: never waits for Redis itself, and never grows without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use kit::Metrics;
use tokio::sync::{mpsc, watch};

use super::wire::Saying;
use crate::hub::{Change, Publisher};

/// The most entries and bytes that wait.
const MOST_ENTRIES: usize = 16_384;
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The way to other instances; without any it takes nothing.
#[derive(Clone, Default)]
pub(crate) struct Outbox(Option<Arc<Inner>>);

struct Inner {
    sender: mpsc::Sender<Saying>,
    bytes: AtomicUsize,
    /// Whether Redis is there.
    is_open: AtomicBool,
    /// Whether a change was dropped, so that the whole state must be told.
    has_gap: AtomicBool,
    dropped: AtomicU64,
    /// How many messages and events were put in, and how many of them Redis has been told.
    put: AtomicU64,
    told: watch::Sender<u64>,
    metrics: Metrics,
}

impl Outbox {
    /// An outbox, and where its entries come out.
    pub(crate) fn open(metrics: Metrics) -> (Self, mpsc::Receiver<Saying>) {
        let (sender, receiver) = mpsc::channel(MOST_ENTRIES);
        let (is_open, has_gap) = (AtomicBool::new(false), AtomicBool::new(false));
        let (bytes, dropped, put) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let told = watch::Sender::new(0);
        let inner = Inner { sender, bytes, is_open, has_gap, dropped, put, told, metrics };
        (Self(Some(Arc::new(inner))), receiver)
    }

    /// Whether there are other instances to tell.
    pub(crate) fn is_used(&self) -> bool {
        self.0.is_some()
    }

    /// Puts an entry in, or drops it and counts that.
    pub(crate) fn put(&self, says: Saying) {
        let Some(inner) = &self.0 else {
            return;
        };
        let (size, must_arrive) = (says.size(), says.must_arrive());
        let before = inner.bytes.fetch_add(size, Ordering::AcqRel);
        inner.put.fetch_add(u64::from(must_arrive), Ordering::AcqRel);
        if before + size <= MOST_BYTES && inner.sender.try_send(says).is_ok() {
            return;
        }
        inner.put.fetch_sub(u64::from(must_arrive), Ordering::AcqRel);
        inner.bytes.fetch_sub(size, Ordering::AcqRel);
        inner.dropped.fetch_add(1, Ordering::Relaxed);
        inner.metrics.count_error();
        if !must_arrive {
            inner.has_gap.store(true, Ordering::Release);
        }
    }

    /// Frees the place of an entry that was told or given up.
    pub(super) fn done(&self, says: &Saying) {
        if let Some(inner) = &self.0 {
            inner.bytes.fetch_sub(says.size(), Ordering::AcqRel);
            if says.must_arrive() {
                inner.told.send_modify(|told| *told += 1);
            }
        }
    }

    /// Waits until Redis has been told every message and event that was put in before.
    pub(super) async fn settled(&self) {
        if let Some(inner) = &self.0 {
            let put = inner.put.load(Ordering::Acquire);
            // The sender lives as long as this does.
            let _ = inner.told.subscribe().wait_for(|told| *told >= put).await;
        }
    }

    /// Notes whether Redis is there.
    pub(crate) fn set_open(&self, is_open: bool) {
        if let Some(inner) = &self.0 {
            inner.is_open.store(is_open, Ordering::Release);
        }
    }

    /// Whether a change was dropped since it was last asked.
    pub(super) fn take_gap(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.has_gap.swap(false, Ordering::AcqRel))
    }

    /// How many entries were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |inner| inner.dropped.load(Ordering::Relaxed))
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|inner| inner.bytes.load(Ordering::Acquire) == 0)
    }
}

impl Publisher for Outbox {
    fn is_open(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.is_open.load(Ordering::Acquire))
    }

    fn publish(&self, change: Change) {
        self.put(Saying::Change(change));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::wire::Event;
    use serde_json::value::RawValue;
    use std::sync::Arc;

    fn event(bytes: usize) -> Saying {
        let payload = RawValue::from_string(format!("\"{}\"", "x".repeat(bytes))).expect("JSON");
        Saying::Event(Event { rooms: Vec::new(), name: "e".to_owned(), payload })
    }

    fn gone() -> Change {
        Change::Disconnected { user_id: Arc::from("alice"), left: Vec::new(), is_gone: true }
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_and_room_comes_back() {
        let (outbox, mut receiver) = Outbox::open(Metrics::new("test"));
        for _ in 0..20 {
            outbox.put(event(1_000_000));
        }
        assert_eq!(outbox.dropped(), 4);
        assert!(!outbox.take_gap());
        let first = receiver.try_recv().expect("an entry");
        outbox.done(&first);
        outbox.put(event(1_000_000));
        assert_eq!(outbox.dropped(), 4);
    }

    #[test]
    fn a_dropped_change_asks_for_the_whole_state_once() {
        let (outbox, _receiver) = Outbox::open(Metrics::new("test"));
        outbox.set_open(true);
        for _ in 0..=MOST_ENTRIES {
            outbox.publish(gone());
        }
        assert_eq!((outbox.dropped(), outbox.take_gap(), outbox.take_gap()), (1, true, false));
    }

    #[test]
    fn nobody_is_told_of_changes_while_redis_is_away_but_events_are_kept() {
        let (outbox, mut receiver) = Outbox::open(Metrics::new("test"));
        assert!(!outbox.is_open());
        outbox.put(event(1));
        assert!(matches!(receiver.try_recv(), Ok(Saying::Event(_))));
        assert!(receiver.try_recv().is_err());
        assert_eq!(outbox.dropped(), 0);
    }
}
