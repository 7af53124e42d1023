//! Reads what a request wants done: type, payload, queue, options, time. Decides nothing but what is legal.

use std::time::Duration;

use bullmq::JobOptions;
use bullmq::types::{BackoffStrategy, KeepJobs, RemoveOnFinish};
use kit::{FieldError, Fields, clock};
use serde_json::{Value, json};

use crate::config::Defaults;
use crate::cron;
use crate::queue_name::QueueName;

/// The longest type and the longest id of a caller's own, in bytes.
const LONGEST_KIND: usize = 200;
const LONGEST_ID: usize = 200;
/// The most bytes of metadata and of tags.
const LABEL_BYTES: usize = 16 * 1024;
/// The longest delay: ten years in milliseconds.
const LONGEST_DELAY: u64 = 315_360_000_000;
/// The end of the year 9999.
const LAST_MILLISECOND: u64 = 253_402_300_799_999;
/// BullMQ's own bound.
const LOWEST_PRIORITY: u64 = 2_097_152;
const MOST_ATTEMPTS: u64 = 1_000;
/// The shortest interval of a repetition, in milliseconds.
const SHORTEST_INTERVAL: u64 = 100;
/// What comes before or after a job's id in keys that are no jobs.
const RESERVED_IDS: [&str; 17] = [
    "active",
    "completed",
    "delayed",
    "events",
    "failed",
    "id",
    "limiter",
    "marker",
    "meta",
    "paused",
    "pc",
    "prioritized",
    "repeat",
    "stalled",
    "stalled-check",
    "wait",
    "waiting-children",
];

/// When a job comes again.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Repetition {
    pub(crate) pattern: Option<String>,
    pub(crate) every: Option<u64>,
    pub(crate) zone: Option<String>,
    pub(crate) limit: Option<u64>,
    pub(crate) start: Option<u64>,
    pub(crate) end: Option<u64>,
}

/// A job that somebody wants.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) kind: String,
    pub(crate) payload: Value,
    pub(crate) metadata: Option<Value>,
    pub(crate) tags: Option<Value>,
    pub(crate) queue: QueueName,
    pub(crate) options: JobOptions,
    pub(crate) repetition: Option<Repetition>,
}

/// Why an order is not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Fields that cannot be used.
    Invalid(Vec<FieldError>),
    /// A schedule that never comes.
    Schedule(String),
}

impl Order {
    /// About how many bytes it takes in Redis.
    pub(crate) fn size(&self) -> u64 {
        self.payload.to_string().len() as u64 + 1024
    }

    /// What is stored as the job's data: the envelope that nself's clients write.
    pub(crate) fn envelope(&self) -> Value {
        json!({
            "type": self.kind,
            "payload": self.payload,
            "metadata": self.metadata.clone().unwrap_or_else(|| json!({})),
            "tags": self.tags.clone().unwrap_or_else(|| json!([])),
            "createdAt": clock::iso(clock::now()),
        })
    }
}

/// The queue that a type goes to by itself.
fn usual_queue(kind: &str) -> &'static str {
    match kind {
        "send-email" | "send-notification" => "high-priority",
        "scheduled-message" => "scheduled",
        "cleanup-expired" | "cleanup-old-messages" | "file-cleanup" | "index-search" => "low-priority",
        _ => "default",
    }
}

/// Reads the body of `POST /jobs` and its like.
pub(crate) fn read_order(mut fields: Fields, defaults: &Defaults) -> Result<Order, Refusal> {
    let kind = read_kind(&mut fields);
    let payload = fields.take("payload").or_else(|| fields.take("data"));
    if payload.is_none() {
        fields.reject("payload", "is required");
    }
    let most = defaults.most_payload_bytes;
    if payload.as_ref().is_some_and(|payload| payload.to_string().len() > most) {
        fields.reject("payload", &format!("must not be larger than {most} bytes (JOBS_MAX_PAYLOAD_SIZE)"));
    }
    let top_queue = fields.optional_text("queue");
    let run_at = fields.take("runAt").and_then(|value| read_time(&mut fields, "runAt", &value));
    let schedule = fields.optional_text("schedule");
    let top_zone = fields.optional_text("timezone");
    let (metadata, tags) = (fields.take("metadata"), fields.take("tags"));
    for (field, value) in [("metadata", &metadata), ("tags", &tags)] {
        if value.as_ref().is_some_and(|value| value.to_string().len() > LABEL_BYTES) {
            fields.reject(field, "must not be larger than 16384 bytes");
        }
    }
    let inner = Fields::new(fields.take("options").unwrap_or_else(|| json!({})));
    let (inner, mut options, named_queue) = read_options(inner, defaults);
    let (inner, repetition) = read_repetition(inner, schedule, top_zone);
    absorb(&mut fields, inner, "options");
    let queue = named_queue.or(top_queue).unwrap_or_else(|| usual_queue(&kind).to_owned());
    let queue = QueueName::parse(&queue);
    if let Err(why) = &queue {
        fields.reject("queue", why);
    }
    if let Some(run_at) = run_at {
        // BullMQ counts a delay from the job's time: both are made of one reading of the clock.
        let now = clock::milliseconds(clock::now());
        options.timestamp = Some(now);
        options.delay = Some(run_at.saturating_sub(now));
    }
    if options.delay.is_some_and(|delay| delay > LONGEST_DELAY) {
        fields.reject("delay", "must not be longer than ten years");
    }
    fields.finish().map_err(Refusal::Invalid)?;
    let Ok(queue) = queue else {
        return Err(Refusal::Invalid(Vec::new()));
    };
    if let Some(repetition) = &repetition {
        repetition.check()?;
    }
    Ok(Order { kind, payload: payload.unwrap_or_default(), metadata, tags, queue, options, repetition })
}

/// A job's type: any text that can be shown.
pub(crate) fn read_kind(fields: &mut Fields) -> String {
    let kind = fields.text("type");
    if kind.len() > LONGEST_KIND || kind.chars().any(char::is_control) {
        fields.reject("type", "must be printable and not longer than 200 bytes");
    }
    kind
}

fn absorb(fields: &mut Fields, inner: Fields, prefix: &str) {
    if let Err(errors) = inner.finish() {
        for error in errors {
            let field = if error.field == "payload" { prefix.to_owned() } else { format!("{prefix}.{}", error.field) };
            fields.reject(&field, &error.message);
        }
    }
}

/// A time as text (RFC 3339 with its zone) or as milliseconds since 1970; the result is in milliseconds, rounded up.
fn read_time(fields: &mut Fields, field: &str, value: &Value) -> Option<u64> {
    let time = match value {
        Value::String(text) => {
            clock::parse_iso(text).map(|time| clock::milliseconds(time + Duration::from_nanos(999_999)))
        }
        other => other.as_u64().filter(|number| *number <= LAST_MILLISECOND),
    };
    if time.is_none() {
        fields.reject(
            field,
            "must be a time with its zone such as 2026-01-31T12:00:00Z or 2026-01-31T14:00:00+02:00, or milliseconds since \
             1970",
        );
    }
    time
}

fn read_options(mut fields: Fields, defaults: &Defaults) -> (Fields, JobOptions, Option<String>) {
    let mut options = JobOptions::new();
    options.priority = read_priority(&mut fields);
    options.delay = fields.optional_count("delay");
    let mut attempts = fields.optional_count("attempts");
    let mut backoff = fields.take("backoff").and_then(|value| read_backoff(&mut fields, "backoff", &value));
    if let Some(retry) = fields.take("retry") {
        let mut retry = Fields::new(retry);
        attempts = attempts.or(retry.optional_count("attempts"));
        let kind = retry.optional_text("backoff");
        let wanted = retry.optional_count("delay").map(|delay| match kind.as_deref() {
            Some("fixed") => BackoffStrategy::Fixed(delay),
            _ => BackoffStrategy::Exponential(delay),
        });
        backoff = backoff.or(wanted);
        absorb(&mut fields, retry, "retry");
    }
    if attempts.is_some_and(|attempts| attempts > MOST_ATTEMPTS) {
        fields.reject("attempts", "must not be more than 1000");
    }
    let attempts = attempts.and_then(|attempts| u32::try_from(attempts.max(1)).ok());
    options.attempts = Some(attempts.unwrap_or(defaults.attempts));
    options.backoff = Some(backoff.unwrap_or_else(|| defaults.backoff.clone()));
    options.remove_on_complete = Some(read_keeping(&mut fields, "removeOnComplete", defaults.keep_completed));
    options.remove_on_fail = Some(read_keeping(&mut fields, "removeOnFail", defaults.keep_failed));
    options.lifo = fields.take("lifo").and_then(|value| value.as_bool()).filter(|lifo| *lifo);
    options.job_id = read_id(&mut fields);
    let queue = fields.optional_text("queue");
    (fields, options, queue)
}

/// BullMQ's order: 0 comes before all, then 1, then the higher numbers.
fn read_priority(fields: &mut Fields) -> Option<u32> {
    let value = fields.take("priority")?;
    let priority = match &value {
        Value::String(name) => match name.as_str() {
            "critical" | "urgent" => Some(1),
            "high" => Some(5),
            "normal" | "medium" => Some(10),
            "low" => Some(20),
            _ => None,
        },
        number => number.as_u64().filter(|number| *number <= LOWEST_PRIORITY),
    };
    if priority.is_none() {
        fields
            .reject("priority", "must be critical, high, normal or low, or a number from 0 (first) to 2097152 (last)");
    }
    priority.and_then(|priority| u32::try_from(priority).ok())
}

fn read_backoff(fields: &mut Fields, field: &str, value: &Value) -> Option<BackoffStrategy> {
    let delay = |value: &Value| value.as_u64().filter(|delay| *delay <= LONGEST_DELAY);
    let strategy = match (value, value["type"].as_str()) {
        (Value::Number(_), _) => delay(value).map(BackoffStrategy::Fixed),
        (Value::String(kind), _) if kind == "exponential" => Some(BackoffStrategy::Exponential(1_000)),
        (Value::String(kind), _) if kind == "fixed" => Some(BackoffStrategy::Fixed(1_000)),
        (_, Some("exponential")) => delay(&value["delay"]).map(BackoffStrategy::Exponential),
        (_, Some("fixed")) => delay(&value["delay"]).map(BackoffStrategy::Fixed),
        _ => None,
    };
    if strategy.is_none() {
        fields.reject(field, "must be milliseconds, or {type: fixed or exponential, delay: milliseconds}");
    }
    strategy
}

fn read_keeping(fields: &mut Fields, field: &str, default: Duration) -> RemoveOnFinish {
    let usual = RemoveOnFinish::Options(KeepJobs { age: Some(default.as_secs()), count: None, limit: None });
    let Some(value) = fields.take(field) else {
        return usual;
    };
    let is_legal = match &value {
        Value::Bool(_) => true,
        Value::Number(number) => number.is_u64(),
        Value::Object(object) => object.contains_key("age") || object.contains_key("count"),
        _ => false,
    };
    if let Some(keeping) = serde_json::from_value(value).ok().filter(|_| is_legal) {
        return keeping;
    }
    fields.reject(field, "must be true, false, a number of jobs, or {age: seconds, count: jobs}");
    usual
}

fn read_id(fields: &mut Fields) -> Option<String> {
    let id = fields.optional_text("jobId")?;
    let is_number = id.chars().all(|c| c.is_ascii_digit());
    let is_legal = id.len() <= LONGEST_ID && !id.contains(':') && !id.chars().any(char::is_control);
    if id.is_empty() || is_number || !is_legal || RESERVED_IDS.contains(&id.as_str()) {
        fields.reject("jobId", "must be a word of at most 200 bytes, without `:`, and not a number");
    }
    Some(id)
}

fn read_repetition(mut fields: Fields, schedule: Option<String>, zone: Option<String>) -> (Fields, Option<Repetition>) {
    let Some(repeat) = fields.take("repeat") else {
        let repetition = schedule.map(|pattern| Repetition { pattern: Some(pattern), zone, ..Repetition::default() });
        return (fields, repetition);
    };
    let mut repeat = Fields::new(repeat);
    let pattern = repeat.optional_text("pattern").or(repeat.optional_text("cron")).or(schedule);
    let every = repeat.optional_count("every");
    let own_zone = repeat.optional_text("tz").or(repeat.optional_text("timezone"));
    let mut date = |name: &str| {
        let value = repeat.take(name)?;
        read_time(&mut repeat, name, &value)
    };
    let (start, end) = (date("startDate"), date("endDate"));
    let limit = repeat.optional_count("limit");
    match (&pattern, every) {
        (Some(_), Some(_)) => repeat.reject("every", "cannot be used together with a pattern"),
        (None, None) => repeat.reject("pattern", "is required, or `every`"),
        (None, Some(every)) if every < SHORTEST_INTERVAL => repeat.reject("every", "must be at least 100 ms"),
        (None, Some(every)) if every > LONGEST_DELAY => repeat.reject("every", "must not be longer than ten years"),
        _ => {}
    }
    absorb(&mut fields, repeat, "repeat");
    (fields, Some(Repetition { pattern, every, zone: own_zone.or(zone), limit, start, end }))
}

impl Repetition {
    /// Whether it ever comes.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let now = clock::milliseconds(clock::now());
        if self.end.is_some_and(|end| end <= now) {
            return Err(Refusal::Schedule("its end is past".to_owned()));
        }
        let begin = self.start.map_or(now, |start| start.max(now));
        let first = match &self.pattern {
            // A start that is itself a time of the pattern counts.
            Some(pattern) => cron::next_after(pattern, self.zone.as_deref(), begin.saturating_sub(1)),
            None => Ok(begin),
        };
        let first = first.map_err(Refusal::Schedule)?;
        if self.end.is_some_and(|end| end < first) {
            let first = clock::iso(clock::at(first));
            return Err(Refusal::Schedule(format!("it ends before its first run, which would be at {first}")));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
