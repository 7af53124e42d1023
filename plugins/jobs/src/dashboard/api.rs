//! The routes that the dashboard's page calls, named as Bull Board names its own.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use kit::Failure;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::broker::State as BrokerState;
use crate::control;
use crate::http::{cleanable, no_queue};
use crate::queue_name::QueueName;
use crate::state::App;
use crate::store::{Found, State as JobState};

const USUAL_LIMIT: u64 = 25;
const MOST_JOBS: u64 = 100;
const MOST_LOG_ROWS: isize = 500;
/// How many jobs one click on "clean" or "retry all" moves.
const MOST_MOVED: u32 = 10_000;

type Shared = State<Arc<App>>;
type Answer = Result<Json<Value>, Failure>;

pub(super) async fn not_found(request: Request) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, format!("there is no `{}` here", request.uri().path()))
}

pub(super) async fn not_allowed(request: Request) -> Failure {
    let (method, path) = (request.method(), request.uri().path());
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, format!("`{path}` does not answer to {method}"))
}

fn known(app: &App, name: &str) -> Result<QueueName, Failure> {
    app.queues.known(name).ok_or_else(|| no_queue(name))
}

async fn found(app: &App, queue: &str, id: &str) -> Result<Found, Failure> {
    let name = known(app, queue)?;
    let found = app.queues.find(id, Some(&name)).await?;
    found.ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, format!("there is no job `{id}`")).with("jobId", json!(id)))
}

fn done() -> Json<Value> {
    Json(json!({"success": true}))
}

pub(super) async fn queues(State(app): Shared) -> Answer {
    let names = app.queues.names();
    let counts = app.queues.counts(&names).await?;
    let queues: Vec<Value> = names
        .iter()
        .zip(&counts)
        .map(|(name, counts)| {
            let numbers = JobState::ALL.iter().map(|state| (state.word().to_owned(), json!(counts.of(*state))));
            json!({
                "name": name.as_str(),
                "isPaused": counts.is_paused,
                "counts": Value::Object(numbers.collect::<Map<_, _>>()),
            })
        })
        .collect();
    let latency = match app.queues.broker().state() {
        BrokerState::Connected(latency) => Some(latency.as_secs_f64() * 1_000.0),
        BrokerState::Away(_) => None,
    };
    Ok(Json(json!({
        "queues": queues,
        "redis": {"latency": latency},
        "workers": {"enabled": app.config.workers, "total": app.crew.len().await, "active": app.crew.running()},
        "version": env!("CARGO_PKG_VERSION"),
    })))
}

#[derive(Deserialize)]
pub(super) struct Page {
    state: Option<String>,
    offset: Option<u64>,
    limit: Option<u64>,
}

pub(super) async fn jobs(State(app): Shared, Path(queue): Path<String>, Query(page): Query<Page>) -> Answer {
    let name = known(&app, &queue)?;
    let word = page.state.as_deref().unwrap_or("waiting");
    let state = JobState::parse(word)
        .ok_or_else(|| Failure::new(StatusCode::BAD_REQUEST, format!("`{word}` is no state of a job")))?;
    let total = app.queues.counts_of(&name).await?.of(state);
    let (offset, limit) = (page.offset.unwrap_or(0), page.limit.unwrap_or(USUAL_LIMIT).min(MOST_JOBS));
    let jobs = app.queues.list(&name, state, offset, limit).await?;
    let jobs: Vec<Value> = jobs.iter().map(|job| Value::Object(job.summary())).collect();
    Ok(Json(json!({"queue": queue, "state": state.word(), "jobs": jobs, "total": total})))
}

pub(super) async fn job(State(app): Shared, Path((queue, id)): Path<(String, String)>) -> Answer {
    let found = found(&app, &queue, &id).await?;
    let record = app.queues.record(&found).await?;
    let record = record.ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, "the job has just gone"))?;
    let reading = found.queue.get_job_logs(&id, 0, MOST_LOG_ROWS - 1, true);
    let (logs, total) = app.queues.broker().ask(reading).await?;
    let mut view = record.json();
    view.insert("logs".to_owned(), json!(logs));
    view.insert("logTotal".to_owned(), json!(total));
    Ok(Json(Value::Object(view)))
}

pub(super) async fn logs(State(app): Shared, Path((queue, id)): Path<(String, String)>) -> Answer {
    let found = found(&app, &queue, &id).await?;
    let reading = found.queue.get_job_logs(&id, 0, MOST_LOG_ROWS - 1, true);
    let (logs, _) = app.queues.broker().ask(reading).await?;
    Ok(Json(json!(logs)))
}

pub(super) async fn remove(State(app): Shared, Path((queue, id)): Path<(String, String)>) -> Answer {
    control::remove(&app, &found(&app, &queue, &id).await?).await?;
    Ok(done())
}

pub(super) async fn retry(State(app): Shared, Path((queue, id)): Path<(String, String)>) -> Answer {
    control::retry(&app, &found(&app, &queue, &id).await?).await?;
    Ok(done())
}

pub(super) async fn promote(State(app): Shared, Path((queue, id)): Path<(String, String)>) -> Answer {
    control::promote(&app, &found(&app, &queue, &id).await?).await?;
    Ok(done())
}

pub(super) async fn pause(State(app): Shared, Path(queue): Path<String>) -> Answer {
    app.queues.pause(&known(&app, &queue)?).await?;
    Ok(done())
}

pub(super) async fn resume(State(app): Shared, Path(queue): Path<String>) -> Answer {
    app.queues.resume(&known(&app, &queue)?).await?;
    Ok(done())
}

pub(super) async fn empty(State(app): Shared, Path(queue): Path<String>) -> Answer {
    control::drain(&app, &known(&app, &queue)?, false).await?;
    Ok(done())
}

pub(super) async fn promote_all(State(app): Shared, Path(queue): Path<String>) -> Answer {
    let name = known(&app, &queue)?;
    let handle = app.queues.open(&name).await?;
    app.queues.broker().ask(handle.promote_jobs(MOST_MOVED)).await?;
    app.queues.settle(&name).await?;
    Ok(done())
}

pub(super) async fn clean(State(app): Shared, Path((queue, word)): Path<(String, String)>) -> Answer {
    let name = known(&app, &queue)?;
    let gone = control::clean(&app, &name, cleanable(&word)?, (0, MOST_MOVED)).await?;
    Ok(Json(json!({"success": true, "cleaned": gone.len()})))
}

pub(super) async fn retry_all(State(app): Shared, Path((queue, word)): Path<(String, String)>) -> Answer {
    let name = known(&app, &queue)?;
    if word != "failed" {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "only failed jobs can be tried again"));
    }
    let handle = app.queues.open(&name).await?;
    app.queues.broker().ask(handle.retry_jobs("failed", 1_000, None)).await?;
    app.queues.settle(&name).await?;
    Ok(done())
}

pub(super) async fn schedules(State(app): Shared) -> Answer {
    Ok(Json(json!({"schedules": app.schedules.list().await?})))
}

pub(super) async fn remove_schedule(State(app): Shared, Path(name): Path<String>) -> Answer {
    if app.schedules.remove(&name).await? {
        return Ok(done());
    }
    Err(Failure::new(StatusCode::NOT_FOUND, format!("there is no schedule `{name}`")))
}

pub(super) async fn redis_stats(State(app): Shared) -> Answer {
    let mut commands = app.queues.broker().commands()?;
    let asking = async { Ok(redis::cmd("INFO").query_async::<String>(&mut commands).await?) };
    let text = app.queues.broker().ask(asking).await?;
    let field = |name: &str| {
        let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
        line.split_once(':').map(|(_, value)| value.trim())
    };
    Ok(Json(json!({
        "version": field("redis_version"),
        "uptimeSeconds": field("uptime_in_seconds"),
        "memory": field("used_memory_human"),
        "clients": field("connected_clients"),
    })))
}
