//! Orders for later: create, look, list, cancel, statistics.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use kit::{Failure, Fields, JsonObject, clock};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::http::Shared;
use crate::http::request_options::read_options;
use crate::images::hex;
use crate::jobs::{Job, Operation, State as JobState, Thumbnail};
use crate::keys;
use crate::problem::Problem;
use crate::state::App;

/// The longest `Idempotency-Key`.
const KEY_BYTES: usize = 200;
/// The most jobs that one answer lists.
const MOST_LISTED: usize = 500;
/// The longest texts of a job, and the largest data that are handed back.
const TEXT_BYTES: usize = 2048;
const CALLBACK_BYTES: usize = 16 * 1024;
/// What a job is guessed to take while none has been done.
const GUESS_MS: u64 = 1000;

type Answer = Result<Json<Value>, Failure>;

pub(super) async fn create(
    State(app): Shared,
    headers: HeaderMap,
    JsonObject(fields): JsonObject,
) -> Result<(StatusCode, Json<Value>), Failure> {
    order(&app, &headers, fields, StatusCode::CREATED).await
}

/// The id of a job whose request carries an `Idempotency-Key`: the same for each attempt, as long as the job is kept.
fn repeated_id(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    if key.is_empty() || key.len() > KEY_BYTES {
        return Err(Problem::field("Idempotency-Key", "must have 1 to 200 bytes"));
    }
    let digest = Sha256::digest(key.as_bytes());
    Ok(Some(format!("once-{}", &hex(&digest)[..32])))
}

/// Accepts a job; it survives the process from here on.
pub(super) async fn order(
    app: &Arc<App>,
    headers: &HeaderMap,
    mut fields: Fields,
    status: StatusCode,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let mut job = read_job(app, &mut fields);
    fields.finish().map_err(|details| Failure::invalid(&details))?;
    if let Some(id) = repeated_id(headers)? {
        job.id = id;
    }
    let file_id = job.file_id.clone();
    let checked = check(app, &job);
    checked.map_err(|problem| problem.about(&file_id))?;
    let counts = app.desk.counts();
    let mean = counts.duration_ms.checked_div(counts.completed as u64).unwrap_or(0).max(1);
    let mean = if counts.completed == 0 { GUESS_MS } else { mean };
    let wanted = (job.file_path.clone(), job.file_url.clone());
    let (job, is_repeated) = app.desk.accept_once(job).await.map_err(|problem| problem.about(&file_id))?;
    if is_repeated && (job.file_path.clone(), job.file_url.clone()) != wanted {
        return Err(Problem::Conflict("this Idempotency-Key was used for another file".to_owned()).about(&file_id));
    }
    if !is_repeated {
        app.counters.jobs.inc();
    }
    let answer = json!({
        "success": true,
        "jobId": job.id,
        "fileId": job.file_id,
        "status": job.state.as_str(),
        "duplicate": is_repeated,
        "estimatedDuration": mean * (counts.pending as u64 + 1),
    });
    Ok((status, Json(answer)))
}

fn read_job(app: &App, fields: &mut Fields) -> Job {
    let mut short = |field: &str| {
        let text = fields.optional_text(field).filter(|text| !text.is_empty())?;
        if text.len() > TEXT_BYTES {
            fields.reject(field, "must not be longer than 2048 bytes");
        }
        Some(text)
    };
    let file_id = short("fileId");
    let path = short("filePath").or(short("storagePath"));
    let address = short("fileUrl").or(short("url"));
    let (file_name, mime_type) = (short("fileName"), short("mimeType"));
    let (webhook_url, webhook_secret) = (short("webhookUrl"), short("webhookSecret"));
    if path.is_none() && address.is_none() {
        fields.reject("filePath", "is required: the key of a stored file");
    }
    let (operations, options) = read_operations(app, fields);
    let callback_data = fields.take("callbackData");
    if callback_data.as_ref().is_some_and(|data| data.to_string().len() > CALLBACK_BYTES) {
        fields.reject("callbackData", "must not be longer than 16384 bytes");
    }
    let now = clock::milliseconds(clock::now());
    Job {
        file_path: path,
        file_url: address,
        file_name,
        file_size: fields.optional_count("fileSize"),
        mime_type,
        operations,
        options,
        priority: fields.optional_count("priority").unwrap_or(5),
        webhook_url: webhook_url.or_else(|| app.config.webhook_url.clone()),
        webhook_secret: webhook_secret.or_else(|| app.config.webhook_secret.clone()),
        callback_data,
        ..Job::new(keys::new_id(), file_id.unwrap_or_else(keys::new_id), now)
    }
}

/// Operations come as a list of names, or as an object of wishes.
fn read_operations(app: &App, fields: &mut Fields) -> (Vec<Operation>, crate::jobs::Options) {
    let all = vec![Operation::Thumbnail, Operation::Optimize, Operation::Metadata];
    let value = fields.take("operations");
    let Some(value) = value else { return (all, crate::jobs::Options::default()) };
    if let Value::Array(names) = &value {
        let known: Option<Vec<Operation>> = names.iter().map(|name| name.as_str().and_then(Operation::parse)).collect();
        let known = known.filter(|operations| !operations.is_empty());
        if known.is_none() {
            fields.reject("operations", "must list some of thumbnail, optimize, scan, metadata");
        }
        return (known.unwrap_or_default(), crate::jobs::Options::default());
    }
    let mut inner = Fields::new(value);
    let wishes = read_options(app, &mut inner);
    if let Err(errors) = inner.finish() {
        for error in errors {
            fields.reject(&format!("operations.{}", error.field), &error.message);
        }
    }
    let mut operations = vec![Operation::Metadata];
    if wishes.thumbnail {
        operations.push(Operation::Thumbnail);
    }
    if wishes.optimize || wishes.within.is_some() {
        operations.push(Operation::Optimize);
    }
    (operations, wishes.options())
}

fn check(app: &App, job: &Job) -> Result<(), Problem> {
    if !keys::is_id(&job.file_id) {
        return Err(Problem::field("fileId", "must have 1 to 128 letters, digits, `-`, `_` or single dots"));
    }
    match (&job.file_path, &job.file_url) {
        (Some(path), None) => keys::named(path).map(drop)?,
        (None, Some(url)) => app.outbound.check_fetch(url).map(drop)?,
        _ => return Err(Problem::field("fileUrl", "must not be given beside `filePath`")),
    }
    if let Some(url) = &job.webhook_url {
        app.outbound.check_webhook(url).map_err(|message| Problem::field("webhookUrl", message))?;
    }
    if job.operations == [Operation::Scan] {
        return Err(Problem::Off("virus scanning is off: nothing was scanned".to_owned()));
    }
    Ok(())
}

fn named(path: Result<Path<String>, PathRejection>) -> Result<String, Failure> {
    let Path(text) = path.map_err(|_| Problem::Missing("there is no such job or file".to_owned()))?;
    Ok(text)
}

/// Thumbnails as callers read them.
pub(super) fn thumbnail_views(app: &App, base: &str, thumbnails: &[Thumbnail]) -> Vec<Value> {
    let address = |thumbnail: &Thumbnail| app.links.url(base, &format!("/{}", thumbnail.path));
    thumbnails.iter().map(|thumbnail| thumbnail.view(Some(address(thumbnail)))).collect()
}

fn view(app: &App, base: &str, job: &Job) -> Value {
    let thumbnails = thumbnail_views(app, base, &job.thumbnails);
    let mut view = job.view();
    view.insert("thumbnails".to_owned(), json!(thumbnails));
    let mut answer = json!({"job": view, "thumbnails": thumbnails});
    let mut put = |field: &str, value: Value| {
        if !value.is_null() {
            answer[field] = value;
        }
    };
    put("metadata", json!(job.metadata));
    put("scan", json!(job.scan));
    put("optimization", json!(job.optimization));
    put("url", json!(job.result_path.as_ref().map(|path| app.links.url(base, &format!("/{path}")))));
    answer
}

pub(super) async fn show(State(app): Shared, headers: HeaderMap, path: Result<Path<String>, PathRejection>) -> Answer {
    let id = named(path)?;
    let job = app.desk.get(&id).ok_or_else(|| Problem::Missing(format!("there is no job `{id}`")))?;
    Ok(Json(view(&app, &app.links.base(&headers), &job)))
}

pub(super) async fn status(
    State(app): Shared,
    headers: HeaderMap,
    path: Result<Path<String>, PathRejection>,
) -> Answer {
    let id = named(path)?;
    let job = app.desk.latest_of(&id);
    let job = job.ok_or_else(|| Problem::Missing(format!("nothing was ordered for a file `{id}`")).about(&id))?;
    let mut answer = view(&app, &app.links.base(&headers), &job);
    answer["fileId"] = json!(job.file_id);
    answer["jobId"] = json!(job.id);
    answer["status"] = json!(job.state.as_str());
    if let Some(error) = &job.error {
        answer["error"] = json!(error);
        answer["message"] = json!(error);
    }
    Ok(Json(answer))
}

pub(super) async fn cancel(State(app): Shared, path: Result<Path<String>, PathRejection>) -> Answer {
    let job = app.desk.cancel(&named(path)?).await?;
    Ok(Json(json!({"success": true, "jobId": job.id, "status": job.state.as_str(), "job": job.view()})))
}

#[derive(Deserialize)]
pub(super) struct ListQuery {
    status: Option<String>,
    limit: Option<usize>,
    offset: Option<usize>,
}

pub(super) async fn list(State(app): Shared, query: Result<Query<ListQuery>, QueryRejection>) -> Answer {
    let Query(query) = query.map_err(|error| Problem::field("query", error.body_text()))?;
    let state = match query.status.as_deref().filter(|status| !status.is_empty() && *status != "all") {
        None => None,
        Some(text) => Some(JobState::parse(text).ok_or_else(|| {
            Problem::field("status", "must be one of pending, processing, completed, failed, cancelled")
        })?),
    };
    let limit = query.limit.unwrap_or(50).min(MOST_LISTED);
    let offset = query.offset.unwrap_or(0);
    let (jobs, total) = app.desk.list(state, limit, offset);
    let jobs: Vec<_> = jobs.iter().map(Job::view).collect();
    Ok(Json(json!({"jobs": jobs, "total": total, "limit": limit, "offset": offset})))
}

pub(super) async fn stats(State(app): Shared) -> Json<Value> {
    let counts = app.desk.counts();
    Json(json!({
        "pending": counts.pending,
        "processing": counts.processing,
        "completed": counts.completed,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "avgDurationMs": counts.duration_ms.checked_div(counts.completed as u64).unwrap_or(0),
        "totalProcessed": counts.completed + counts.failed,
        "thumbnailsGenerated": counts.thumbnails,
        "storageUsed": app.storage.used(),
    }))
}
