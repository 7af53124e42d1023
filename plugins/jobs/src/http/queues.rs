//! Queues: numbers, pausing, emptying.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use kit::Failure;
use serde_json::{Value, json};

use super::{OptionalObject, Shared, invalid, known_queue};
use crate::control;
use crate::queue_name::QueueName;
use crate::store::State as JobState;

/// How many jobs of each state a queue's page lists.
const LISTED: u64 = 20;
const USUAL_CLEAN: u64 = 1_000;
const MOST_CLEAN: u64 = 10_000;

pub(super) async fn list(State(app): Shared) -> Result<Json<Value>, Failure> {
    let names = app.queues.names();
    let counts = app.queues.counts(&names).await?;
    let queues: Vec<Value> = names
        .iter()
        .zip(&counts)
        .map(|(name, counts)| json!({"name": name.as_str(), "counts": counts.json(), "isPaused": counts.is_paused}))
        .collect();
    Ok(Json(json!({"queues": queues})))
}

pub(super) async fn show(State(app): Shared, Path(name): Path<String>) -> Result<Json<Value>, Failure> {
    let name = known_queue(&app, &name)?;
    let counts = app.queues.counts_of(&name).await?;
    let mut jobs = Vec::new();
    for state in JobState::ALL {
        if counts.of(state) > 0 {
            let listed = app.queues.list(&name, state, 0, LISTED).await?;
            jobs.extend(listed.iter().map(|job| Value::Object(job.summary())));
        }
    }
    Ok(Json(json!({
        "name": name.as_str(),
        "counts": counts.json(),
        "isPaused": counts.is_paused,
        "processingRate": app.queues.ended_last_minute(&name).await?,
        "jobs": jobs,
    })))
}

pub(super) async fn stats(State(app): Shared, Path(name): Path<String>) -> Result<Json<Value>, Failure> {
    let name = known_queue(&app, &name)?;
    let counts = app.queues.counts_of(&name).await?;
    let mut stats = counts.json();
    stats["name"] = json!(name.as_str());
    stats["queue"] = json!(name.as_str());
    stats["isPaused"] = json!(counts.is_paused);
    stats["total"] = json!(JobState::ALL.iter().map(|state| counts.of(*state)).sum::<u64>());
    stats["processingRate"] = json!(app.queues.ended_last_minute(&name).await?);
    Ok(Json(stats))
}

fn done(name: &QueueName, message: &str) -> Json<Value> {
    Json(json!({"success": true, "queue": name.as_str(), "message": message}))
}

/// Removes a queue that a request made, with its jobs and schedules.
pub(super) async fn remove(State(app): Shared, Path(name): Path<String>) -> Result<Json<Value>, Failure> {
    let name = known_queue(&app, &name)?;
    control::remove_queue(&app, &name).await?;
    Ok(done(&name, "the queue was removed"))
}

pub(super) async fn pause(State(app): Shared, Path(name): Path<String>) -> Result<Json<Value>, Failure> {
    let name = known_queue(&app, &name)?;
    app.queues.pause(&name).await?;
    Ok(done(&name, "the queue is paused"))
}

pub(super) async fn resume(State(app): Shared, Path(name): Path<String>) -> Result<Json<Value>, Failure> {
    let name = known_queue(&app, &name)?;
    app.queues.resume(&name).await?;
    Ok(done(&name, "the queue goes on"))
}

pub(super) async fn drain(
    State(app): Shared,
    Path(name): Path<String>,
    OptionalObject(mut fields): OptionalObject,
) -> Result<Json<Value>, Failure> {
    let name = known_queue(&app, &name)?;
    let delayed = fields.take("delayed").is_some_and(|value| value == json!(true));
    fields.finish().map_err(|details| Failure::invalid(&details))?;
    control::drain(&app, &name, delayed).await?;
    Ok(done(&name, "what waited was removed"))
}

pub(super) async fn clean(
    State(app): Shared,
    Path(name): Path<String>,
    OptionalObject(mut fields): OptionalObject,
) -> Result<Json<Value>, Failure> {
    let name = known_queue(&app, &name)?;
    let grace = fields.optional_count("grace").unwrap_or(0);
    let limit = fields.optional_count("limit").unwrap_or(USUAL_CLEAN).clamp(1, MOST_CLEAN);
    let word = fields.optional_text("status").unwrap_or_else(|| "completed".to_owned());
    fields.finish().map_err(|details| Failure::invalid(&details))?;
    let state = cleanable(&word)?;
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let gone = control::clean(&app, &name, state, (grace, limit)).await?;
    Ok(Json(json!({"success": true, "queue": name.as_str(), "cleaned": gone.len(), "jobIds": gone})))
}

/// A state whose jobs may be removed together: running jobs may not.
pub(crate) fn cleanable(word: &str) -> Result<JobState, Failure> {
    let state = JobState::parse(word).filter(|state| !matches!(state, JobState::Active | JobState::WaitingChildren));
    state.ok_or_else(|| invalid("status", "must be completed, failed, waiting, prioritized, paused or delayed"))
}

/// The answer where a queue is not known.
pub(crate) fn no_queue(name: &str) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, format!("there is no queue `{name}`")).with("queue", json!(name))
}
