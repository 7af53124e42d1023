//! Threads of their own for templates, so that rendering holds up no request and a deep template has the stack it needs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

const THREADS: usize = 2;
/// Stack of a thread. Only what is touched takes memory.
const STACK_BYTES: usize = 64 * 1024 * 1024;
/// Renderings that may wait for a thread; more wait for their turn.
const WAITING: usize = 64;
/// The longest that a rendering waits for its turn.
const WAIT: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// Why nothing was rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PoolError {
    /// Too many renderings wait.
    Busy,
    /// The work panicked.
    Panicked,
}

pub(super) struct Pool {
    jobs: mpsc::Sender<Job>,
    room: Semaphore,
}

impl Pool {
    pub(super) fn start() -> std::io::Result<Self> {
        let (jobs, receiver) = mpsc::channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..THREADS {
            let receiver = receiver.clone();
            std::thread::Builder::new()
                .name(format!("template-{number}"))
                .stack_size(STACK_BYTES)
                .spawn(move || run(&receiver))?;
        }
        Ok(Self { jobs, room: Semaphore::new(WAITING) })
    }

    /// Does the work on one of the threads.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let room = tokio::time::timeout(WAIT, self.room.acquire()).await;
        let Ok(Ok(_room)) = room else { return Err(PoolError::Busy) };
        let (sender, answer) = oneshot::channel();
        self.hand_over(move || drop(sender.send(work())));
        answer.await.map_err(|_| PoolError::Panicked)
    }

    /// The same for the start of the program, where nothing else runs yet.
    pub(super) fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let (sender, answer) = mpsc::channel();
        self.hand_over(move || drop(sender.send(work())));
        answer.recv().map_err(|_| PoolError::Panicked)
    }

    fn hand_over(&self, job: impl FnOnce() + Send + 'static) {
        // The threads end only with the process; a job that none takes drops its sender, which its caller sees.
        let _ = self.jobs.send(Box::new(job));
    }
}

fn run(receiver: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("rendering a template panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_its_own_work_only() {
        let pool = Pool::start().expect("threads");
        for _ in 0..=THREADS {
            assert_eq!(pool.run(|| panic!("on purpose")).await, Err::<(), _>(PoolError::Panicked));
        }
        assert_eq!(pool.run(|| 7).await, Ok(7));
        assert_eq!(pool.run_blocking(|| 8), Ok(8));
    }
}
