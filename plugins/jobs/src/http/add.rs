//! Adding jobs: one answer for all clients' spellings.

use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kit::{Failure, JsonObject, clock};
use serde_json::{Value, json};
use url::Url;

use super::{Shared, invalid, refused};
use crate::request::{Order, Repetition, read_order};
use crate::schedules::Schedule;
use crate::state::App;

pub(super) async fn add(
    State(app): Shared,
    JsonObject(fields): JsonObject,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let mut order = read_order(fields, &app.config.defaults).map_err(refused)?;
    make_room(&app, &order).await?;
    let answer = match order.repetition.take() {
        Some(repetition) => repeat(&app, &order, repetition).await?,
        None => once(&app, &order).await?,
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Refuses a request to an address that it could never make.
fn check_address(app: &App, order: &Order) -> Result<(), Failure> {
    if !matches!(order.kind.as_str(), "http-webhook" | "http-request") {
        return Ok(());
    }
    let url = order.payload["url"].as_str().and_then(|text| Url::parse(text).ok());
    let url = url.ok_or_else(|| invalid("payload.url", "must be an http or https address"))?;
    app.guarded.check(&url).map_err(|why| invalid("payload.url", &why))
}

/// Makes sure that the queue is there and takes another job.
pub(super) async fn make_room(app: &App, order: &Order) -> Result<(), Failure> {
    check_address(app, order)?;
    let queue = &order.queue;
    if !app.queues.broker().has_memory(order.size()).await? {
        return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "Redis has too little free memory for further jobs")
            .with("hint", json!("remove ended jobs (POST /queues/:name/clean), or raise Redis's maxmemory")));
    }
    let current = app.queues.counts_of(queue).await?.pending();
    let max = app.config.most_jobs;
    if current >= max {
        return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "Queue full")
            .with("queue", json!(queue.as_str()))
            .with("current", json!(current))
            .with("max", json!(max)));
    }
    if !app.queues.remember(queue).await? {
        return Err(invalid("queue", "is not known, and there are too many queues for another one"));
    }
    Ok(())
}

async fn once(app: &App, order: &Order) -> Result<Value, Failure> {
    let queue = app.queues.open(&order.queue).await?;
    let mut options = order.options.clone();
    // BullMQ counts ids by queue; one that is unique everywhere lets all routes find the job without naming it.
    options.job_id.get_or_insert_with(|| uuid::Uuid::new_v4().to_string());
    let delay = options.delay.unwrap_or(0);
    let adding = async { queue.add(&order.kind, order.envelope()).options(options).await };
    let job = app.queues.broker().ask(adding).await?;
    app.queues.settle(&order.queue).await?;
    // The queue counts the delay from the job's own time: a clock read after the queue's answer would promise a later
    // start than the one that comes.
    let added = job.timestamp();
    let mut answer = accepted(order, job.id(), if delay > 0 { "delayed" } else { "waiting" }, clock::at(added));
    answer["runAt"] = json!(clock::iso(clock::at(added.saturating_add(delay))));
    Ok(answer)
}

async fn repeat(app: &App, order: &Order, repetition: Repetition) -> Result<Value, Failure> {
    let name = order.options.job_id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let schedule = Schedule {
        name,
        queue: order.queue.clone(),
        kind: order.kind.clone(),
        data: order.envelope(),
        repetition,
        options: order.options.clone(),
    };
    let id = app.schedules.start(&schedule).await?;
    let id = id.ok_or_else(|| refused(crate::request::Refusal::Schedule("it never comes".to_owned())))?;
    let mut answer = accepted(order, &id, "delayed", clock::now());
    let next = id.rsplit(':').next().and_then(|next| next.parse().ok());
    answer["runAt"] = json!(next.map(|next| clock::iso(clock::at(next))));
    answer["repeat"] = json!(true);
    answer["scheduleId"] = json!(schedule.name);
    Ok(answer)
}

fn accepted(order: &Order, id: &str, status: &str, created: SystemTime) -> Value {
    json!({
        "success": true,
        "jobId": id,
        "id": id,
        "queueName": order.queue.as_str(),
        "queue": order.queue.as_str(),
        "type": order.kind,
        "status": status,
        "createdAt": clock::iso(created),
    })
}
