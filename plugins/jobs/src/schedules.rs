//! Schedules: BullMQ's job schedulers under names, with an off switch, and the repair of broken ones.
//!
//! BullMQ knows no schedule that is switched off; those are kept beside the queues. It must not know HTTP.

use std::sync::Arc;
use std::time::Duration;

use bullmq::JobOptions;
use bullmq::job_scheduler::{JobSchedulerJson, RepeatOptions};
use kit::clock;
use serde_json::{Value, json};

use crate::broker::Trouble;
use crate::config::{Defaults, SystemJob};
use crate::queue_name::QueueName;
use crate::request::Repetition;
use crate::store::Queues;

/// Schedules that are switched off: name to definition.
const OFF_KEY: &str = "nself-jobs:schedules:off";
/// Schedules of the plugin's own begin so.
const SYSTEM_PREFIX: &str = "system-";
/// A schedule whose next job is overdue by so much, and is nowhere, has lost it.
const LOST_AFTER: u64 = 60_000;
const REPAIR_EVERY: Duration = Duration::from_secs(30);
/// The most schedules that are read at a time.
const MOST_SCHEDULES: isize = 1_000;

/// What a schedule is made of.
pub(crate) struct Schedule {
    pub(crate) name: String,
    pub(crate) queue: QueueName,
    pub(crate) kind: String,
    pub(crate) data: Value,
    pub(crate) repetition: Repetition,
    pub(crate) options: JobOptions,
}

/// All schedules.
pub(crate) struct Schedules {
    queues: Arc<Queues>,
}

impl Schedules {
    pub(crate) fn new(queues: Arc<Queues>) -> Self {
        Self { queues }
    }

    /// Sets a schedule going, in place of one of the same name; gives the id of its next job.
    pub(crate) async fn start(&self, schedule: &Schedule) -> Result<Option<String>, Trouble> {
        let queue = self.queues.open(&schedule.queue).await?;
        let repetition = &schedule.repetition;
        let repeat = RepeatOptions {
            pattern: repetition.pattern.clone(),
            every: repetition.every,
            limit: repetition.limit,
            start_date: repetition.start,
            end_date: repetition.end,
            tz: repetition.zone.clone(),
            ..RepeatOptions::default()
        };
        let options = JobOptions { job_id: None, delay: None, ..schedule.options.clone() };
        let data = schedule.data.clone();
        let starting =
            queue.upsert_job_scheduler(&schedule.name, repeat, Some(&schedule.kind), Some(data), Some(options));
        let job = self.queues.broker().ask(starting).await?;
        self.forget_off(&schedule.name).await?;
        self.queues.settle(&schedule.queue).await?;
        Ok(job.map(|job| job.id().to_owned()))
    }

    /// Keeps a schedule without letting it run.
    pub(crate) async fn keep_off(&self, name: &str, definition: &Value) -> Result<(), Trouble> {
        self.stop(name).await?;
        let mut commands = self.queues.broker().commands()?;
        let mut command = redis::cmd("HSET");
        command.arg(OFF_KEY).arg(name).arg(definition.to_string());
        self.queues.broker().ask(async { Ok(command.query_async(&mut commands).await?) }).await
    }

    async fn forget_off(&self, name: &str) -> Result<bool, Trouble> {
        let mut commands = self.queues.broker().commands()?;
        let mut command = redis::cmd("HDEL");
        command.arg(OFF_KEY).arg(name);
        self.queues.broker().ask(async { Ok(command.query_async(&mut commands).await?) }).await
    }

    /// Stops a running schedule in whatever queue; tells whether there was one.
    async fn stop(&self, name: &str) -> Result<bool, Trouble> {
        let mut was_there = false;
        for queue in self.queues.names() {
            let handle = self.queues.open(&queue).await?;
            was_there |= self.queues.broker().ask(handle.remove_job_scheduler(name)).await?;
        }
        Ok(was_there)
    }

    /// Removes a schedule, running or not; tells whether there was one.
    pub(crate) async fn remove(&self, name: &str) -> Result<bool, Trouble> {
        let was_running = self.stop(name).await?;
        Ok(self.forget_off(name).await? || was_running)
    }

    /// Stops one in every queue but this.
    pub(crate) async fn stop_elsewhere(&self, name: &str, kept: &QueueName) -> Result<(), Trouble> {
        for queue in self.queues.names().iter().filter(|queue| *queue != kept) {
            let handle = self.queues.open(queue).await?;
            self.queues.broker().ask(handle.remove_job_scheduler(name)).await?;
        }
        Ok(())
    }

    /// All of them, those that run in the order of their queues and next times, then those that are off.
    pub(crate) async fn list(&self) -> Result<Vec<Value>, Trouble> {
        let mut all = Vec::new();
        for queue in self.queues.names() {
            let handle = self.queues.open(&queue).await?;
            let running = self.queues.broker().ask(handle.get_job_schedulers(0, MOST_SCHEDULES - 1, true)).await?;
            all.extend(running.iter().map(|schedule| view(&queue, schedule)));
        }
        let mut commands = self.queues.broker().commands()?;
        let off = async { Ok(redis::cmd("HVALS").arg(OFF_KEY).query_async::<Vec<String>>(&mut commands).await?) };
        let off = self.queues.broker().ask(off).await?;
        all.extend(off.iter().filter_map(|text| serde_json::from_str(text).ok()));
        Ok(all)
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Option<Value>, Trouble> {
        for queue in self.queues.names() {
            let handle = self.queues.open(&queue).await?;
            if let Some(schedule) = self.queues.broker().ask(handle.get_job_scheduler(name)).await? {
                return Ok(Some(view(&queue, &schedule)));
            }
        }
        let mut commands = self.queues.broker().commands()?;
        let mut command = redis::cmd("HGET");
        command.arg(OFF_KEY).arg(name);
        let text: Option<String> =
            self.queues.broker().ask(async { Ok(command.query_async(&mut commands).await?) }).await?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Brings the plugin's own schedules to what is configured.
    pub(crate) async fn arrange_system_jobs(&self, jobs: &[SystemJob], defaults: &Defaults) -> Result<(), Trouble> {
        let queue = QueueName::parse("low-priority").expect("a legal name");
        for known in self.list().await? {
            let name = known["name"].as_str().unwrap_or_default();
            let kind = name.strip_prefix(SYSTEM_PREFIX);
            if kind.is_some_and(|kind| jobs.iter().all(|job| job.kind != kind)) {
                self.remove(name).await?;
            }
        }
        for job in jobs {
            let repetition = Repetition { pattern: Some(job.schedule.clone()), ..Repetition::default() };
            let data =
                json!({"type": job.kind, "payload": job.payload, "metadata": {"system": true}, "tags": ["system"]});
            let mut options = JobOptions::new();
            options.attempts = Some(defaults.attempts);
            options.backoff = Some(defaults.backoff.clone());
            let name = format!("{SYSTEM_PREFIX}{}", job.kind);
            let (queue, kind) = (queue.clone(), job.kind.to_owned());
            self.start(&Schedule { name, queue, kind, data, repetition, options }).await?;
        }
        Ok(())
    }

    /// Looks for ever for schedules that have lost their next job, and sets them going again. BullMQ plans the next job
    /// when one has ended: a process or a Redis that dies in between ends the schedule.
    pub(crate) async fn keep_going(self: Arc<Self>) {
        loop {
            tokio::time::sleep(REPAIR_EVERY).await;
            self.queues.broker().connected().await;
            for queue in self.queues.names() {
                if let Err(trouble) = self.repair(&queue).await {
                    tracing::debug!(queue = queue.as_str(), %trouble, "schedules were not looked at");
                }
            }
        }
    }

    pub(crate) async fn repair(&self, queue: &QueueName) -> Result<(), Trouble> {
        let handle = self.queues.open(queue).await?;
        let now = clock::milliseconds(clock::now());
        let schedules = self.queues.broker().ask(handle.get_job_schedulers(0, MOST_SCHEDULES - 1, true)).await?;
        for schedule in schedules {
            // BullMQ plans one job beyond the end.
            if schedule.end_date.zip(schedule.next).is_some_and(|(end, next)| next > end) {
                self.queues.broker().ask(handle.remove_job_scheduler(&schedule.key)).await?;
                continue;
            }
            let Some(next) = schedule.next.filter(|next| next.saturating_add(LOST_AFTER) < now) else {
                continue;
            };
            // One with a limit may simply have reached it; how often it ran is not kept in all of BullMQ's versions.
            let has_ended = schedule.end_date.is_some_and(|end| end <= now);
            let is_over = has_ended || schedule.limit.is_some();
            let id = format!("repeat:{}:{next}", schedule.key);
            let is_there = match self.queues.find(&id, Some(queue)).await? {
                Some(found) => self.queues.state_of(&found).await?.is_some_and(|state| !state.has_ended()),
                None => false,
            };
            if has_ended && !is_there {
                self.queues.broker().ask(handle.remove_job_scheduler(&schedule.key)).await?;
                continue;
            }
            if is_over || is_there || (schedule.pattern.is_none() && schedule.every.is_none()) {
                continue;
            }
            tracing::warn!(queue = queue.as_str(), schedule = schedule.key, "a schedule had lost its next job");
            self.start(&restored(queue, schedule)).await?;
        }
        Ok(())
    }
}

/// The schedule as it was, to be set going again.
fn restored(queue: &QueueName, schedule: JobSchedulerJson) -> Schedule {
    let options = schedule.opts.and_then(|options| serde_json::from_value(options).ok());
    Schedule {
        name: schedule.key,
        queue: queue.clone(),
        kind: schedule.name,
        data: schedule.data.unwrap_or_else(|| json!({})),
        repetition: Repetition {
            pattern: schedule.pattern,
            every: schedule.every,
            zone: schedule.tz,
            limit: schedule.limit,
            start: schedule.start_date,
            end: schedule.end_date,
        },
        options: options.unwrap_or_default(),
    }
}

fn view(queue: &QueueName, schedule: &JobSchedulerJson) -> Value {
    let data = schedule.data.clone().unwrap_or_default();
    let is_envelope = data["type"].is_string() && !data["payload"].is_null();
    let time = |milliseconds: Option<u64>| {
        let since = Duration::from_millis(milliseconds?);
        std::time::UNIX_EPOCH.checked_add(since).map(clock::iso)
    };
    json!({
        "name": schedule.key,
        "jobId": schedule.next.map(|next| format!("repeat:{}:{next}", schedule.key)),
        "type": schedule.name,
        "queue": queue.as_str(),
        "schedule": schedule.pattern,
        "every": schedule.every,
        "timezone": schedule.tz,
        "payload": if is_envelope { data["payload"].clone() } else { data },
        "enabled": true,
        "nextRun": time(schedule.next),
        "nextRunAt": time(schedule.next),
        "limit": schedule.limit,
        "endDate": time(schedule.end_date),
        "runs": schedule.iteration_count,
    })
}
