//! What is done for a job, by its type. Each processor does one attempt; trying again is the queue's affair.

mod callback;
mod cleanup;
mod noop;
mod peers;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use bullmq::Job;
use bullmq::types::JobProgress;
use kit::outbound::{Answer, Client};
use serde_json::Value;

use crate::config::Peers;
use crate::queue_name::QueueName;
use crate::store::Queues;

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Another attempt may succeed.
    Passing(String),
    /// No other attempt can.
    Lasting(String),
}

impl Fault {
    /// What an answer outside 2xx means.
    fn of(who: &str, answer: &Answer) -> Self {
        let text = format!("{who} answered {}", answer.explain());
        if answer.is_temporary() { Self::Passing(text) } else { Self::Lasting(text) }
    }
}

/// What processors work with.
pub(crate) struct Workshop {
    /// For addresses that a job names.
    pub(crate) guarded: Client,
    /// For addresses that are configured.
    pub(crate) trusted: Client,
    pub(crate) peers: Peers,
    pub(crate) queues: Arc<Queues>,
    /// The longest that one attempt may run.
    pub(crate) timeout: Duration,
}

/// One attempt at a job.
pub(crate) struct Task {
    pub(crate) queue: QueueName,
    pub(crate) kind: String,
    pub(crate) payload: Value,
    job: Job,
}

impl Task {
    /// Takes a job in nself's envelope or with bare data.
    pub(crate) fn new(queue: QueueName, job: Job) -> Self {
        let data = job.data();
        let enveloped = data.get("type").and_then(Value::as_str).filter(|_| data.get("payload").is_some());
        let kind = enveloped.unwrap_or(job.name()).to_owned();
        let payload = if enveloped.is_some() { data["payload"].clone() } else { data.clone() };
        Self { queue, kind, payload, job }
    }

    /// A name that no other job has: ids that BullMQ counts itself are unique in their queue only.
    fn unique_id(&self) -> String {
        let id = self.job.id();
        let is_counted = id.chars().all(|c| c.is_ascii_digit());
        if is_counted { format!("{}-{id}", self.queue) } else { id.to_owned() }
    }

    /// Tells how far it is, in percent.
    async fn progress(&mut self, percent: u32) {
        // A job whose progress cannot be told still runs.
        if let Err(error) = self.job.update_progress(JobProgress::Object(Value::from(percent))).await {
            tracing::debug!(%error, "progress was not stored");
        }
    }

    async fn log(&self, row: &str) {
        if let Err(error) = self.job.log(row).await {
            tracing::debug!(%error, "a job's log row was not stored");
        }
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.payload.get(field)?.as_str().filter(|text| !text.is_empty())
    }

    fn required(&self, field: &str) -> Result<&str, Fault> {
        self.text(field).ok_or_else(|| Fault::Lasting(format!("payload.{field} must be a text that is not empty")))
    }
}

/// The types that have a processor or a meaning of their own; all others share one label.
pub(crate) fn label(kind: &str) -> &'static str {
    const KNOWN: [&str; 18] = [
        "backup-database",
        "cleanup-expired",
        "cleanup-old-messages",
        "custom",
        "email-digest",
        "file-cleanup",
        "generate-analytics",
        "http-request",
        "http-webhook",
        "index-search",
        "noop",
        "process-file",
        "process-image",
        "scheduled-message",
        "send-digest",
        "send-email",
        "send-email-digest",
        "send-notification",
    ];
    KNOWN.into_iter().find(|known| *known == kind).unwrap_or("other")
}

/// Does one attempt.
pub(crate) async fn process(workshop: &Workshop, mut task: Task) -> Result<Value, Fault> {
    match task.kind.as_str() {
        "noop" => noop::run(&mut task).await,
        "http-webhook" | "http-request" => webhook::run(workshop, &task).await,
        "send-email" => peers::send_email(workshop, &task).await,
        "send-notification" => peers::send_notification(workshop, &task).await,
        "scheduled-message" => peers::send_message(workshop, &task).await,
        "process-file" | "process-image" => peers::process_file(workshop, &task).await,
        "cleanup-expired" | "cleanup-old-messages" | "file-cleanup" if cleanup::is_ours(&task) => {
            cleanup::run(workshop, &mut task).await
        }
        _ => callback::run(workshop, &task).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn jobs_come_in_an_envelope_or_bare() {
        let task = |name: &str, data: Value| {
            let queue = QueueName::parse("default").expect("a legal name");
            Task::new(queue, Job::new(name, data, None))
        };
        let enveloped = task("a", json!({"type": "b", "payload": {"x": 1}, "tags": []}));
        assert_eq!((enveloped.kind.as_str(), &enveloped.payload), ("b", &json!({"x": 1})));
        let bare = task("http-request", json!({"url": "http://x"}));
        assert_eq!((bare.kind.as_str(), &bare.payload), ("http-request", &json!({"url": "http://x"})));
        // A payload that happens to have a type is no envelope.
        let typed = task("a", json!({"type": "b"}));
        assert_eq!((typed.kind.as_str(), &typed.payload), ("a", &json!({"type": "b"})));
        for data in [json!(null), json!([1]), json!("text"), json!({"type": 7, "payload": 1})] {
            assert_eq!(task("a", data.clone()).payload, data);
        }
    }
}
