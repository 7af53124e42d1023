//! Looking at jobs, and what may be done to one.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use kit::Failure;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Shared, Within, invalid, known_queue};
use crate::control;
use crate::queue_name::QueueName;
use crate::state::App;
use crate::store::{Found, State as JobState, Summary};

const USUAL_LIMIT: u64 = 50;
const MOST_JOBS: u64 = 500;
/// How many jobs a search by type looks at, the newest of each state of each queue first.
const SEARCHED_JOBS: u64 = 2_000;
/// How many of them in one state of one queue, so that a large one hides no other.
const SEARCHED_IN_STATE: u64 = 500;
const MOST_LOG_ROWS: isize = 1_000;
/// How long a request waits for a running job to end after it was told to.
const END_CHECKS: u32 = 20;
const END_CHECK_EVERY: Duration = Duration::from_millis(50);

fn no_job(id: &str) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, format!("there is no job `{id}`")).with("jobId", json!(id))
}

async fn find(app: &App, id: &str, within: &Within) -> Result<Found, Failure> {
    let queue = within.queue(app)?;
    app.queues.find(id, queue.as_ref()).await?.ok_or_else(|| no_job(id))
}

pub(super) async fn show(
    State(app): Shared,
    Path(id): Path<String>,
    Asked(within): Asked<Within>,
) -> Result<Json<Value>, Failure> {
    let found = find(&app, &id, &within).await?;
    let record = app.queues.record(&found).await?.ok_or_else(|| no_job(&id))?;
    Ok(Json(Value::Object(record.json())))
}

pub(super) async fn progress(
    State(app): Shared,
    Path(id): Path<String>,
    Asked(within): Asked<Within>,
) -> Result<Json<Value>, Failure> {
    let found = find(&app, &id, &within).await?;
    let record = app.queues.record(&found).await?.ok_or_else(|| no_job(&id))?;
    Ok(Json(json!({"jobId": id, "progress": record.progress(), "status": record.state().map(JobState::plain)})))
}

pub(super) async fn logs(
    State(app): Shared,
    Path(id): Path<String>,
    Asked(within): Asked<Within>,
) -> Result<Json<Value>, Failure> {
    let found = find(&app, &id, &within).await?;
    let reading = found.queue.get_job_logs(&id, 0, MOST_LOG_ROWS - 1, true);
    let (logs, total) = app.queues.broker().ask(reading).await?;
    Ok(Json(json!({"jobId": id, "logs": logs, "total": total})))
}

#[derive(Deserialize)]
pub(super) struct Search {
    queue: Option<String>,
    status: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    limit: Option<u64>,
    offset: Option<u64>,
}

pub(super) async fn list(State(app): Shared, Asked(search): Asked<Search>) -> Result<Json<Value>, Failure> {
    let limit = search.limit.unwrap_or(USUAL_LIMIT).min(MOST_JOBS);
    let offset = search.offset.unwrap_or(0);
    let names = match &search.queue {
        Some(name) => vec![known_queue(&app, name)?],
        None => app.queues.names(),
    };
    let states = match search.status.as_deref() {
        Some(word) => states(word)?,
        None => JobState::ALL.to_vec(),
    };
    let (jobs, total, is_complete) = match &search.kind {
        Some(kind) => of_kind(&app, (&names, &states), kind, (offset, limit)).await?,
        None => page(&app, (&names, &states), (offset, limit)).await?,
    };
    let jobs: Vec<Value> = jobs.iter().map(|job| Value::Object(job.summary())).collect();
    Ok(Json(json!({"jobs": jobs, "total": total, "limit": limit, "offset": offset, "complete": is_complete})))
}

/// A status may stand for several of BullMQ's states.
fn states(word: &str) -> Result<Vec<JobState>, Failure> {
    if word == "waiting" {
        let all = JobState::ALL.into_iter();
        return Ok(all.filter(|state| state.plain() == "waiting").collect());
    }
    let state = JobState::parse(word);
    state
        .map(|state| vec![state])
        .ok_or_else(|| invalid("status", "must be waiting, active, completed, failed, delayed, paused or prioritized"))
}

/// Jobs, how many there are in all, and whether all were looked at.
type Listed = (Vec<Summary>, u64, bool);
type Places<'a> = (&'a [QueueName], &'a [JobState]);

async fn page(app: &App, (names, states): Places<'_>, page: (u64, u64)) -> Result<Listed, Failure> {
    let (mut offset, limit) = page;
    let counts = app.queues.counts(names).await?;
    let (mut jobs, mut total) = (Vec::new(), 0);
    for (name, counts) in names.iter().zip(&counts) {
        for state in states {
            let here = counts.of(*state);
            total += here;
            let wanted = limit.saturating_sub(jobs.len() as u64);
            if offset < here && wanted > 0 {
                jobs.extend(app.queues.list(name, *state, offset, wanted).await?);
            }
            offset = offset.saturating_sub(here);
        }
    }
    Ok((jobs, total, true))
}

async fn of_kind(
    app: &App,
    (names, states): Places<'_>,
    kind: &str,
    (offset, limit): (u64, u64),
) -> Result<Listed, Failure> {
    let counts = app.queues.counts(names).await?;
    let (mut matching, mut left, mut is_complete) = (Vec::new(), SEARCHED_JOBS, true);
    for (name, counts) in names.iter().zip(&counts) {
        for state in states {
            let wanted = counts.of(*state).min(SEARCHED_IN_STATE).min(left);
            is_complete &= wanted == counts.of(*state);
            if wanted > 0 {
                let jobs = app.queues.list(name, *state, 0, wanted).await?;
                matching.extend(jobs.into_iter().filter(|job| job.kind() == kind));
                left -= wanted;
            }
        }
    }
    let total = matching.len() as u64;
    let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
    let kept = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok((matching.into_iter().skip(skipped).take(kept).collect(), total, is_complete))
}

fn done(id: &str, message: &str) -> Json<Value> {
    Json(json!({"success": true, "jobId": id, "message": message}))
}

pub(super) async fn remove(
    State(app): Shared,
    Path(id): Path<String>,
    Asked(within): Asked<Within>,
) -> Result<Json<Value>, Failure> {
    let queue = within.queue(&app)?;
    let Some(found) = app.queues.find(&id, queue.as_ref()).await? else {
        // What a repeating job was answered with names its schedule.
        let is_schedule = app.schedules.remove(&id).await?;
        return if is_schedule { Ok(done(&id, "the schedule was removed")) } else { Err(no_job(&id)) };
    };
    end_running(&app, &found).await?;
    control::remove(&app, &found).await?;
    Ok(done(&id, "the job was removed"))
}

/// Ends a job that runs, and waits for its end.
async fn end_running(app: &App, found: &Found) -> Result<(), Failure> {
    for check in 0..END_CHECKS {
        if app.queues.state_of(found).await? != Some(JobState::Active) {
            return Ok(());
        }
        let runs_here = app.crew.cancel(&found.name, &found.id).await;
        // A job may have been taken, or have ended, in this very moment.
        if !runs_here && check > 2 {
            break;
        }
        tokio::time::sleep(END_CHECK_EVERY).await;
    }
    Err(Failure::new(StatusCode::CONFLICT, "the job is running in another process, which has to end it")
        .with("jobId", json!(found.id)))
}

pub(super) async fn cancel(
    State(app): Shared,
    Path(id): Path<String>,
    Asked(within): Asked<Within>,
) -> Result<Json<Value>, Failure> {
    let queue = within.queue(&app)?;
    let Some(found) = app.queues.find(&id, queue.as_ref()).await? else {
        let is_schedule = app.schedules.remove(&id).await?;
        return if is_schedule { Ok(done(&id, "the schedule was cancelled")) } else { Err(no_job(&id)) };
    };
    let state = app.queues.state_of(&found).await?;
    if state == Some(JobState::Active) {
        end_running(&app, &found).await?;
        return Ok(done(&id, "the job was running and has been cancelled"));
    }
    if state.is_some_and(JobState::has_ended) {
        return Ok(done(&id, "the job had already ended"));
    }
    control::remove(&app, &found).await?;
    Ok(done(&id, "the job was cancelled"))
}

pub(super) async fn retry(
    State(app): Shared,
    Path(id): Path<String>,
    Asked(within): Asked<Within>,
) -> Result<Json<Value>, Failure> {
    let found = find(&app, &id, &within).await?;
    control::retry(&app, &found).await?;
    Ok(done(&id, "the job is tried again"))
}

pub(super) async fn promote(
    State(app): Shared,
    Path(id): Path<String>,
    Asked(within): Asked<Within>,
) -> Result<Json<Value>, Failure> {
    let found = find(&app, &id, &within).await?;
    control::promote(&app, &found).await?;
    Ok(done(&id, "the job waits for a worker now"))
}
