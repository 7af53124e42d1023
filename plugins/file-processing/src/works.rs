//! Bounds what is done at a time: how many works wait, how many run, how much memory they occupy, how long they take.
//!
//! A work is a closure on a thread of its own. One that panics answers 422, one that takes too long is given up: it
//! ends at its next look at its [`Control`], and keeps its place until then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use prometheus::IntGauge;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

/// Memory is counted in units of this many bytes.
const MEMORY_UNIT: u64 = 1 << 20;

/// The places for works.
pub(crate) struct Works {
    running: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    memory_bytes: u64,
    admitted: Arc<AtomicUsize>,
    at_once: usize,
    most: usize,
    timeout: Duration,
    waiting: IntGauge,
}

/// A place in the queue, given back when it is dropped.
pub(crate) struct Ticket(Arc<AtomicUsize>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What a running work looks at.
#[derive(Clone)]
pub(crate) struct Control {
    given_up: Arc<AtomicBool>,
    memory: Arc<Semaphore>,
    memory_bytes: u64,
    runtime: Handle,
}

impl Control {
    /// Whether nobody waits for the result any more.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    /// An error once nobody waits for the result any more.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.is_given_up() { Err(Problem::Conflict("the work was given up".to_owned())) } else { Ok(()) }
    }

    /// Waits until so much memory is free for this work and does it. A work must not reserve within a reservation:
    /// two of them could wait for one another.
    pub(crate) fn with_memory<T>(&self, bytes: u64, work: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
        if bytes > self.memory_bytes {
            let (needed, free) = (bytes / MEMORY_UNIT, self.memory_bytes / MEMORY_UNIT);
            let reason = format!("it takes up to {needed} MiB of memory, and {free} MiB may be used");
            return Err(Problem::Broken(reason));
        }
        let units = u32::try_from(bytes.div_ceil(MEMORY_UNIT)).unwrap_or(u32::MAX);
        let reserved = self.runtime.block_on(self.memory.acquire_many(units));
        let _reserved = reserved.map_err(|_| Problem::Conflict("the server is stopping".to_owned()))?;
        self.check()?;
        work()
    }
}

/// Tells a work that nobody waits for it, however the waiting ended.
struct GiveUp(Arc<AtomicBool>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Works {
    /// Places for so many works at once and so many that wait; the gauge shows how many wait.
    pub(crate) fn new(at_once: usize, queue: usize, memory_bytes: u64, timeout: Duration, waiting: IntGauge) -> Self {
        let units = usize::try_from(memory_bytes / MEMORY_UNIT).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            running: Arc::new(Semaphore::new(at_once)),
            memory: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))),
            memory_bytes,
            admitted: Arc::default(),
            at_once,
            most: at_once + queue,
            timeout,
            waiting,
        }
    }

    /// Takes a place in the queue, or says that there is none.
    pub(crate) fn admit(&self) -> Result<Ticket, Problem> {
        let most = self.most;
        let more = |count: usize| (count < most).then_some(count + 1);
        match self.admitted.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) {
            Ok(_) => Ok(Ticket(self.admitted.clone())),
            Err(current) => Err(Problem::Busy(current, most)),
        }
    }

    /// How many works run.
    pub(crate) fn running(&self) -> usize {
        self.at_once - self.running.available_permits().min(self.at_once)
    }

    /// Does a work when its turn comes; waiting and working together have the time that an operation has.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Control) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let done = async { self.work(self.place().await, work).await };
        let result = tokio::time::timeout(self.timeout, done).await;
        result.unwrap_or(Err(Problem::TimedOut(operation, self.timeout)))
    }

    /// Does a work when its turn comes, however late; only the working is timed.
    pub(crate) async fn run_in_turn<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Control) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let place = self.place().await;
        let result = tokio::time::timeout(self.timeout, self.work(place, work)).await;
        result.unwrap_or(Err(Problem::TimedOut(operation, self.timeout)))
    }

    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        let _counted = Counted::new(&self.waiting);
        // Fails only where the places were closed, which nobody does.
        self.running.clone().acquire_owned().await.ok()
    }

    async fn work<T: Send + 'static>(
        &self,
        place: Option<OwnedSemaphorePermit>,
        work: impl FnOnce(&Control) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let give_up = GiveUp(Arc::default());
        let control = Control {
            given_up: give_up.0.clone(),
            memory: self.memory.clone(),
            memory_bytes: self.memory_bytes,
            runtime: Handle::current(),
        };
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            catch_unwind(AssertUnwindSafe(|| work(&control)))
        });
        let done = done.await;
        drop(give_up);
        // The panic itself is in the log.
        let decoder_gave_out = || Err(Problem::Broken("it made the decoder fail".to_owned()));
        done.map_or_else(|_| decoder_gave_out(), |done| done.unwrap_or_else(|_| decoder_gave_out()))
    }
}

/// Counts in a gauge as long as it lives.
struct Counted<'a>(&'a IntGauge);

impl<'a> Counted<'a> {
    fn new(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A control for tests of what runs in a work, with the runtime that its waiting needs.
#[cfg(test)]
pub(crate) struct TestControl {
    pub(crate) control: Control,
    _runtime: tokio::runtime::Runtime,
}

#[cfg(test)]
impl Control {
    pub(crate) fn for_test(memory_bytes: u64) -> TestControl {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let memory = Arc::new(Semaphore::new(1024));
        let control = Self { given_up: Arc::default(), memory, memory_bytes, runtime: runtime.handle().clone() };
        TestControl { control, _runtime: runtime }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn works(at_once: usize, queue: usize, timeout: Duration) -> Works {
        Works::new(at_once, queue, 10 << 20, timeout, IntGauge::new("waiting", "Waiting.").expect("a name"))
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_full_queue_says_how_full_it_is_and_a_place_given_back_is_free() {
        let works = works(1, 1, LONG);
        let first = works.admit().expect("a place");
        let _second = works.admit().expect("a place");
        assert!(matches!(works.admit(), Err(Problem::Busy(2, 2))));
        drop(first);
        assert!(works.admit().is_ok());
    }

    #[tokio::test]
    async fn a_panic_becomes_a_broken_file_and_frees_its_place() {
        let works = works(1, 1, LONG);
        for _ in 0..3 {
            let result = works.run::<()>("resize", |_| panic!("on purpose")).await;
            assert!(matches!(result, Err(Problem::Broken(_))), "{result:?}");
        }
        assert_eq!(works.running(), 0);
    }

    #[tokio::test]
    async fn what_takes_too_long_is_given_up_and_told_to_end() {
        let works = works(1, 1, Duration::from_millis(50));
        let (ended, end) = std::sync::mpsc::channel();
        let result = works
            .run("resize", move |control| {
                while !control.is_given_up() {
                    std::thread::yield_now();
                }
                ended.send(()).map_err(|_| Problem::Slow)
            })
            .await;
        assert!(matches!(result, Err(Problem::TimedOut("resize", _))), "{result:?}");
        assert!(end.recv_timeout(LONG).is_ok(), "the work was never told");
    }

    #[tokio::test]
    async fn memory_is_shared_and_more_than_all_of_it_is_refused() {
        let works = works(2, 1, LONG);
        let too_much = works.run("resize", |control| control.with_memory(11 << 20, || Ok(()))).await;
        assert!(matches!(too_much, Err(Problem::Broken(_))));
        let inside = Arc::new(AtomicUsize::new(0));
        let alone = |inside: Arc<AtomicUsize>| {
            works.run("resize", move |control| {
                control.with_memory(6 << 20, || {
                    let others = inside.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(20));
                    inside.fetch_sub(1, Ordering::SeqCst);
                    Ok(others)
                })
            })
        };
        let (first, second) = tokio::join!(alone(inside.clone()), alone(inside.clone()));
        assert_eq!((first.ok(), second.ok()), (Some(0), Some(0)));
    }
}
