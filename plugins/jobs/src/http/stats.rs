//! Statistics, from the jobs whose results are still kept: the newest of each queue.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use kit::{Failure, clock};
use serde_json::{Value, json};

use super::Shared;
use crate::state::App;
use crate::store::{State as JobState, Summary};

/// How many ended jobs of each queue and state are looked at.
const SAMPLE: u64 = 500;
/// How many jobs to come are looked at for their types.
const PENDING_SAMPLE: u64 = 500;
const HOUR: u64 = 3_600_000;

pub(super) async fn by_type(State(app): Shared) -> Result<Json<Value>, Failure> {
    Ok(Json(json!({"types": types(&app).await?, "sample": SAMPLE})))
}

async fn types(app: &App) -> Result<BTreeMap<String, Value>, Failure> {
    let mut types: BTreeMap<String, Value> = BTreeMap::new();
    for name in app.queues.names() {
        for state in JobState::ALL {
            let sample = if state.has_ended() { SAMPLE } else { PENDING_SAMPLE };
            for job in app.queues.list(&name, state, 0, sample).await? {
                let entry = types.entry(job.kind().to_owned()).or_insert_with(
                    || json!({"total": 0, "waiting": 0, "active": 0, "delayed": 0, "completed": 0, "failed": 0}),
                );
                for field in ["total", state.plain()] {
                    entry[field] = json!(entry[field].as_u64().unwrap_or(0) + 1);
                }
            }
        }
    }
    Ok(types)
}

pub(super) async fn metrics(State(app): Shared) -> Result<Json<Value>, Failure> {
    Ok(Json(summary(&ended(&app).await?)))
}

/// The newest jobs that have ended.
async fn ended(app: &App) -> Result<Vec<Summary>, Failure> {
    let mut jobs = Vec::new();
    for name in app.queues.names() {
        for state in [JobState::Completed, JobState::Failed] {
            jobs.extend(app.queues.list(&name, state, 0, SAMPLE).await?);
        }
    }
    Ok(jobs)
}

/// Average in milliseconds, success in percent, throughput in jobs a minute over the last hour.
#[expect(clippy::cast_precision_loss, reason = "numbers of jobs and milliseconds are far from 2^53")]
fn summary(jobs: &[Summary]) -> Value {
    let durations: Vec<u64> = jobs.iter().filter_map(Summary::duration).collect();
    let completed = jobs.iter().filter(|job| job.state() == Some(JobState::Completed)).count();
    let hour_ago = clock::milliseconds(clock::now()).saturating_sub(HOUR);
    let recent = jobs.iter().filter(|job| job.finished_on().is_some_and(|time| time >= hour_ago)).count();
    let average = |sum: u64, count: usize| if count == 0 { 0.0 } else { sum as f64 / count as f64 };
    json!({
        "avgProcessingTime": average(durations.iter().sum(), durations.len()),
        "successRate": if jobs.is_empty() { 100.0 } else { completed as f64 * 100.0 / jobs.len() as f64 },
        "throughput": recent as f64 / 60.0,
        "sample": jobs.len(),
    })
}

pub(super) async fn all(State(app): Shared) -> Result<Json<Value>, Failure> {
    let names = app.queues.names();
    let counts = app.queues.counts(&names).await?;
    let mut total = json!({"waiting": 0, "active": 0, "completed": 0, "failed": 0, "delayed": 0, "paused": 0});
    let mut queues = Vec::new();
    for (name, counts) in names.iter().zip(&counts) {
        let mut view = counts.json();
        if let Some(fields) = total.as_object_mut() {
            for (field, sum) in fields {
                *sum = json!(sum.as_u64().unwrap_or(0) + view[field].as_u64().unwrap_or(0));
            }
        }
        view["name"] = json!(name.as_str());
        view["isPaused"] = json!(counts.is_paused);
        queues.push(view);
    }
    let metrics = summary(&ended(&app).await?);
    Ok(Json(json!({"queues": queues, "total": total, "types": types(&app).await?, "metrics": metrics})))
}
