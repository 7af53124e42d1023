//! Workers: one for each queue, for as long as the server runs, and their orderly end.
//!
//! A worker is opened once Redis answers, follows its queue's pause, and gives back at the end what it cannot finish.
//! It must not know what a job's type means.

mod attempt;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bullmq::types::{KeepJobs, RemoveOnFinish};
use bullmq::worker::CancellationToken;
use bullmq::{Job, Worker, WorkerOptions};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep};

use crate::broker::State;
use crate::config::Defaults;
use crate::metrics::Counters;
use crate::processors::Workshop;
use crate::queue_name::QueueName;

/// How long a job's lock holds without being renewed; then the job is another worker's.
const LOCK: Duration = Duration::from_secs(30);
/// How often jobs of workers that died are looked for.
const STALLED_EVERY: Duration = Duration::from_secs(15);
/// How often a job may outlive its worker before it fails.
const MOST_STALLED: u32 = 3;
/// How long a worker waits after an error of Redis.
const ERROR_PAUSE: Duration = Duration::from_secs(1);
/// How often pauses and new names of queues are looked for.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);
const LEARN_TURNS: u32 = 20;
/// A job that was just being taken when the stop came is running by then.
const TAKEN_WITHIN: Duration = Duration::from_millis(200);
/// How long a worker whose queue was removed may take to close, in milliseconds.
const CLOSE_WITHIN_MS: u64 = 5_000;
/// How long giving a job back may take.
const RETURN_WITHIN: Duration = Duration::from_secs(1);

/// All workers of this server.
pub(crate) struct Crew {
    workshop: Workshop,
    counters: Counters,
    defaults: Defaults,
    concurrency: usize,
    name: String,
    workers: Mutex<HashMap<QueueName, Arc<Worker>>>,
    running: AtomicUsize,
    /// Tells running jobs to be given back.
    give_back: watch::Sender<bool>,
    stopping: watch::Sender<bool>,
}

impl Crew {
    pub(crate) fn new(workshop: Workshop, counters: Counters, defaults: Defaults, concurrency: usize) -> Self {
        Self {
            workshop,
            counters,
            defaults,
            concurrency,
            name: format!("nself-jobs-{}", uuid::Uuid::new_v4().simple()),
            workers: Mutex::default(),
            running: AtomicUsize::new(0),
            give_back: watch::Sender::new(false),
            stopping: watch::Sender::new(false),
        }
    }

    /// Jobs that run here now.
    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Workers that were opened.
    pub(crate) async fn len(&self) -> usize {
        self.workers.lock().await.len()
    }

    /// Ends a job that runs here; tells whether it does.
    pub(crate) async fn cancel(&self, queue: &QueueName, id: &str) -> bool {
        let worker = self.workers.lock().await.get(queue).cloned();
        match worker {
            Some(worker) => worker.cancel_job(id).await,
            None => false,
        }
    }

    /// Opens a worker for each queue, and for those that become known later.
    pub(crate) async fn open_all(self: Arc<Self>) {
        let queues = self.workshop.queues.clone();
        let mut names = queues.watch_names();
        loop {
            queues.broker().connected().await;
            let known = names.borrow_and_update().clone();
            let mut is_complete = true;
            for name in known {
                if *self.stopping.borrow() {
                    return;
                }
                is_complete &= self.open(&name).await;
            }
            if is_complete {
                let _ = names.changed().await;
            } else {
                sleep(ERROR_PAUSE).await;
            }
        }
    }

    /// Opens a queue's worker, where there is none; tells whether there is one.
    async fn open(self: &Arc<Self>, name: &QueueName) -> bool {
        if self.workers.lock().await.contains_key(name) {
            return true;
        }
        let (crew, queue) = (self.clone(), name.clone());
        let processor = move |job: Job, token: CancellationToken| {
            let (crew, queue) = (crew.clone(), queue.clone());
            async move { crew.attempt(queue, job, token).await }
        };
        let worker = match Worker::with_options(name.as_str(), processor, self.options()).await {
            Ok(worker) => Arc::new(worker),
            Err(error) => {
                tracing::warn!(queue = name.as_str(), %error, "a worker could not be opened; it is tried again");
                return false;
            }
        };
        tokio::spawn(drain_events(worker.clone()));
        let mut workers = self.workers.lock().await;
        if *self.stopping.borrow() {
            worker.pause();
        }
        workers.insert(name.clone(), worker);
        tracing::info!(queue = name.as_str(), concurrency = self.concurrency, "working");
        true
    }

    /// Closes a queue's worker, where there is one.
    pub(crate) async fn close(&self, name: &QueueName) {
        let Some(worker) = self.workers.lock().await.remove(name) else { return };
        worker.pause();
        // It waits for news of Redis, which nobody here has to wait for.
        tokio::spawn(async move {
            if let Err(error) = worker.close(CLOSE_WITHIN_MS).await {
                tracing::debug!(%error, "a worker was not closed in time");
            }
        });
    }

    /// Closes the workers of queues that another instance removed.
    async fn close_removed(&self) {
        let names = self.workshop.queues.names();
        let workers = self.workers.lock().await;
        let gone: Vec<QueueName> = workers.keys().filter(|name| !names.contains(name)).cloned().collect();
        drop(workers);
        for name in gone {
            self.close(&name).await;
        }
    }

    fn options(&self) -> WorkerOptions {
        let keep =
            |age: Duration| RemoveOnFinish::Options(KeepJobs { age: Some(age.as_secs()), count: None, limit: None });
        WorkerOptions::new()
            .connection(self.workshop.queues.broker().options())
            .name(self.name.clone())
            .concurrency(self.concurrency)
            .lock_duration(LOCK)
            .stalled_interval(STALLED_EVERY)
            .max_stalled_count(MOST_STALLED)
            .run_retry_delay(ERROR_PAUSE)
            .remove_on_complete(keep(self.defaults.keep_completed))
            .remove_on_fail(keep(self.defaults.keep_failed))
    }

    /// Lets each worker rest while its queue is paused: it would move what is due into the wrong list.
    pub(crate) async fn follow_queues(self: Arc<Self>) {
        let queues = self.workshop.queues.clone();
        let mut turn: u32 = 0;
        loop {
            queues.broker().connected().await;
            if turn.is_multiple_of(LEARN_TURNS)
                && let Err(trouble) = queues.learn().await
            {
                tracing::debug!(%trouble, "names of queues were not read");
            }
            turn = turn.wrapping_add(1);
            self.close_removed().await;
            let names = queues.names();
            if let Ok(paused) = queues.settle_all(&names).await {
                for (name, is_paused) in names.iter().zip(paused) {
                    self.rest(name, is_paused).await;
                }
            }
            sleep(FOLLOW_EVERY).await;
        }
    }

    async fn rest(&self, name: &QueueName, is_paused: bool) {
        let workers = self.workers.lock().await;
        if *self.stopping.borrow() {
            return;
        }
        if let Some(worker) = workers.get(name) {
            match (is_paused, worker.is_paused()) {
                (true, false) => worker.pause(),
                (false, true) => worker.resume(),
                _ => {}
            }
        }
    }

    /// Takes no further job, lets running ones end, and gives the rest back to the queues. Workers stay as they are,
    /// paused: closing them would wait for news of Redis that nobody needs any more.
    pub(crate) async fn stop(&self, within: Duration) {
        let deadline = Instant::now() + within;
        self.stopping.send_replace(true);
        let workers: Vec<Arc<Worker>> = self.workers.lock().await.values().cloned().collect();
        for worker in &workers {
            worker.pause();
        }
        sleep(TAKEN_WITHIN).await;
        if !self.is_idle(&workers, deadline).await {
            tracing::info!(jobs = self.running(), "jobs that still run are given back");
            self.give_back.send_replace(true);
            let is_away = matches!(self.workshop.queues.broker().state(), State::Away(_));
            if is_away || !self.is_idle(&workers, Instant::now() + RETURN_WITHIN).await {
                tracing::warn!("some jobs could not be given back; other workers take them when their locks end");
            }
        }
    }

    async fn is_idle(&self, workers: &[Arc<Worker>], deadline: Instant) -> bool {
        loop {
            let mut active = 0;
            for worker in workers {
                active += worker.active_count().await;
            }
            if active == 0 {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A worker's events pile up unless somebody takes them; what matters of them is logged already.
async fn drain_events(worker: Arc<Worker>) {
    while let Some(event) = worker.next_event().await {
        if matches!(event, bullmq::worker::WorkerEvent::Closed) {
            return;
        }
    }
}
