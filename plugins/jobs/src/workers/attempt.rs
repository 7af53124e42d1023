//! One attempt at a job: bounded in time, contained when it panics, counted, and told in words when it fails.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bullmq::worker::CancellationToken;
use bullmq::{Error, Job};
use kit::clock;
use redis::{Script, ScriptInvocation};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Crew;
use crate::broker::is_away;
use crate::metrics::Ended;
use crate::processors::{Fault, Task, label, process};
use crate::queue_name::QueueName;
use crate::store::keys;

/// The most entries of a stack trace that a job keeps, unless it asks for another number.
const STACK_ENTRIES: u32 = 10;

/// Keeps the data of a repeating job with its schedule, where a legacy producer has not: the next job gets what is there.
/// KEYS: the schedule. ARGV: data.
const KEEP_DATA: &str = r"
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
return redis.call('HSETNX', KEYS[1], 'data', ARGV[1])";

/// A connection that brought the job so lately is taken to work still.
const TRUSTED_FOR: Duration = Duration::from_millis(500);
const CONNECTION_PAUSE: Duration = Duration::from_millis(100);

/// Adds an entry as npm's bullmq does: a JSON list of texts. KEYS: the job. ARGV: entry, most entries, reason.
const NOTE_FAILURE: &str = r"
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local known, entries = pcall(cjson.decode, redis.call('HGET', KEYS[1], 'stacktrace') or '[]')
if not known or type(entries) ~= 'table' then entries = {} end
table.insert(entries, ARGV[1])
while #entries > tonumber(ARGV[2]) do table.remove(entries, 1) end
redis.call('HSET', KEYS[1], 'stacktrace', #entries > 0 and cjson.encode(entries) or '[]', 'failedReason', ARGV[3])
return 1";

/// What an attempt came to.
enum Outcome {
    Done(Value),
    Failed(Fault),
    /// The server stops before the job has ended.
    Returned,
}

/// Counts a job for as long as it runs.
struct Running(Arc<Crew>);

impl Running {
    fn begin(crew: &Arc<Crew>) -> Self {
        crew.running.fetch_add(1, Ordering::Relaxed);
        Self(crew.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Crew {
    pub(super) async fn attempt(
        self: Arc<Self>,
        queue: QueueName,
        job: Job,
        token: CancellationToken,
    ) -> bullmq::Result<Value> {
        let _running = Running::begin(&self);
        let attempts_made = job.attempts_made();
        self.counters.begin(attempts_made, waited(&job));
        let is_last = attempts_made + 1 >= job.opts().attempts.unwrap_or(1).max(1);
        let (id, entries) = (job.id().to_owned(), job.opts().stack_trace_limit.unwrap_or(STACK_ENTRIES));
        self.keep_data(&queue, &job).await;
        let (began, same_job) = (Instant::now(), job.clone());
        let ended_schedule = planned_after_end(&job).map(str::to_owned);
        let task = Task::new(queue.clone(), job);
        let kind = task.kind.clone();
        let outcome = match &ended_schedule {
            None => self.bounded(task, &token).await,
            Some(name) => {
                self.remove_schedule(&queue, name).await;
                Outcome::Done(json!({"skipped": "its schedule has ended"}))
            }
        };
        if began.elapsed() > TRUSTED_FOR {
            self.wait_for_connection(&same_job).await;
        }
        let (ended, result) = match outcome {
            Outcome::Done(value) => (Ended::Completed, Ok(value)),
            // The worker takes this to mean that the job goes back to the front of its queue.
            Outcome::Returned => (Ended::Returned, Err(Error::RateLimited { delay_ms: 0 })),
            Outcome::Failed(Fault::Passing(why)) => {
                self.note_failure(&queue, &id, &why, entries).await;
                (if is_last { Ended::Failed } else { Ended::Retried }, Err(Error::ProcessingError(why)))
            }
            Outcome::Failed(Fault::Lasting(why)) => {
                self.note_failure(&queue, &id, &why, entries).await;
                (Ended::Failed, Err(Error::Unrecoverable(why)))
            }
        };
        self.counters.end(queue.as_str(), label(&kind), ended);
        tracing::debug!(queue = queue.as_str(), job = id, kind, ?ended, "an attempt has ended");
        result
    }

    async fn bounded(self: &Arc<Self>, task: Task, token: &CancellationToken) -> Outcome {
        let limit = self.workshop.timeout;
        let kind = task.kind.clone();
        let crew = self.clone();
        // A task of its own: a panic ends it, and not the worker's bookkeeping.
        let mut attempt = tokio::spawn(async move { process(&crew.workshop, task).await });
        let mut give_back = self.give_back.subscribe();
        let outcome = tokio::select! {
            ended = &mut attempt => match ended {
                Ok(Ok(value)) => Outcome::Done(value),
                Ok(Err(fault)) => Outcome::Failed(fault),
                Err(_) => Outcome::Failed(Fault::Passing(format!("the processor of type `{kind}` broke off"))),
            },
            () = sleep(limit) => {
                let limit = limit.as_millis();
                Outcome::Failed(Fault::Passing(format!("the attempt did not end within {limit} ms (JOBS_JOB_TIMEOUT)")))
            }
            () = token.cancelled() => Outcome::Failed(Fault::Lasting("the job was cancelled while it ran".to_owned())),
            _ = give_back.wait_for(|is_wanted| *is_wanted) => Outcome::Returned,
        };
        attempt.abort();
        outcome
    }

    /// Removes a schedule that has ended; where that fails, the next look at all schedules does it.
    async fn remove_schedule(&self, queue: &QueueName, name: &str) {
        let queues = &self.workshop.queues;
        let removing = async {
            let handle = queues.open(queue).await?;
            queues.broker().ask(handle.remove_job_scheduler(name)).await
        };
        if let Err(trouble) = removing.await {
            tracing::debug!(schedule = name, %trouble, "an ended schedule was not removed");
        }
    }

    async fn keep_data(&self, queue: &QueueName, job: &Job) {
        let Some(schedule) = job.repeat_job_key() else {
            return;
        };
        let key = keys(queue).get(&format!("repeat:{schedule}"));
        self.run(KEEP_DATA, |call| {
            call.key(key).arg(job.data().to_string());
        })
        .await;
    }

    /// Waits until the worker's own connection works. It notices that it is broken only when it is used, and reporting
    /// the job's end would be what is lost: the job would run a second time.
    async fn wait_for_connection(&self, job: &Job) {
        let mut give_back = self.give_back.subscribe();
        let working = async {
            while let Err(error) = job.get_state().await
                && is_away(&error)
            {
                tracing::debug!(%error, "a job has ended, and waits for Redis to be told");
                sleep(CONNECTION_PAUSE).await;
            }
        };
        tokio::select! {
            () = working => {}
            _ = give_back.wait_for(|is_wanted| *is_wanted) => {}
        }
    }

    /// Keeps the reason with the job, also when it is tried again; bullmq-official keeps none.
    async fn note_failure(&self, queue: &QueueName, id: &str, why: &str, entries: u32) {
        let entry = format!("Error: {why}\n    at attempt ({}, {})", self.name, clock::iso(clock::now()));
        self.run(NOTE_FAILURE, |call| {
            call.key(keys(queue).job_key(id)).arg(entry).arg(entries).arg(why);
        })
        .await;
    }

    /// Runs a script that a job's end does not depend on.
    async fn run(&self, script: &str, fill: impl FnOnce(&mut ScriptInvocation<'_>)) {
        let broker = self.workshop.queues.broker();
        let Ok(mut commands) = broker.commands() else {
            return;
        };
        let script = Script::new(script);
        let mut call = script.prepare_invoke();
        fill(&mut call);
        if let Err(trouble) = broker.ask(async { Ok(call.invoke_async::<i64>(&mut commands).await?) }).await {
            tracing::debug!(%trouble, "something about a job was not noted");
        }
    }
}

/// The schedule of a job that was planned for a time after the schedule's end: BullMQ looks at the end only when it plans.
fn planned_after_end(job: &Job) -> Option<&str> {
    let end = job.opts().repeat.as_ref()?.end_date?;
    let (name, time) = job.id().strip_prefix("repeat:")?.rsplit_once(':')?;
    (time.parse::<u64>().ok()? > end).then_some(name)
}

/// How long a job waited since it was due; `None` where earlier attempts hide that.
fn waited(job: &Job) -> Option<Duration> {
    if job.attempts_made() > 0 || job.attempts_started() > 1 {
        return None;
    }
    let due = job.timestamp().saturating_add(job.opts().delay.unwrap_or(0));
    Some(Duration::from_millis(clock::milliseconds(clock::now()).saturating_sub(due)))
}
