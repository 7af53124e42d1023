//! Schedules under names: `/scheduled`, also called `/api/schedules`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use kit::{Failure, Fields, JsonObject};
use serde_json::{Map, Value, json};

use super::{Shared, add, invalid, refused};
use crate::request::{Order, read_order};
use crate::schedules::Schedule;
use crate::state::App;

/// The longest name in bytes.
const LONGEST_NAME: usize = 200;
/// What a change takes over from the schedule that it changes.
const KEPT: [&str; 5] = ["type", "schedule", "payload", "timezone", "queue"];

fn no_schedule(name: &str) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, format!("there is no schedule `{name}`")).with("name", json!(name))
}

pub(super) async fn list(State(app): Shared) -> Result<Json<Value>, Failure> {
    let jobs = app.schedules.list().await?;
    Ok(Json(json!({"jobs": jobs, "total": jobs.len()})))
}

pub(super) async fn show(State(app): Shared, Path(name): Path<String>) -> Result<Json<Value>, Failure> {
    app.schedules.get(&name).await?.map(Json).ok_or_else(|| no_schedule(&name))
}

pub(super) async fn create(
    State(app): Shared,
    JsonObject(mut fields): JsonObject,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let name = fields.text("name");
    let is_legal = name.len() <= LONGEST_NAME && !name.contains(':') && !name.chars().any(char::is_control);
    if !is_legal {
        fields.reject("name", "must be printable, without `:`, and not longer than 200 bytes");
    }
    let is_on = read_switch(&mut fields).unwrap_or(true);
    let answer = store(&app, name, fields, is_on).await?;
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Changes what is given and keeps the rest.
pub(super) async fn change(
    State(app): Shared,
    Path(name): Path<String>,
    JsonObject(mut fields): JsonObject,
) -> Result<Json<Value>, Failure> {
    let before = app.schedules.get(&name).await?.ok_or_else(|| no_schedule(&name))?;
    let mut is_on = read_switch(&mut fields);
    if is_on.is_none() {
        is_on = before["enabled"].as_bool();
    }
    let mut merged = Map::new();
    for field in KEPT {
        let value = fields.take(field).or_else(|| before.get(field).filter(|value| !value.is_null()).cloned());
        if let Some(value) = value {
            merged.insert(field.to_owned(), value);
        }
    }
    let mut options = fields.take("options").unwrap_or_else(|| json!({}));
    if !merged.contains_key("schedule") && options["repeat"].is_null() && options.is_object() {
        let repeat = json!({"every": before["every"], "limit": before["limit"], "endDate": before["endDate"]});
        options["repeat"] = repeat;
    }
    merged.insert("options".to_owned(), options);
    fields.finish().map_err(|details| Failure::invalid(&details))?;
    let answer = store(&app, name, Fields::new(Value::Object(merged)), is_on.unwrap_or(true)).await?;
    Ok(Json(answer))
}

pub(super) async fn remove(State(app): Shared, Path(name): Path<String>) -> Result<Json<Value>, Failure> {
    if !app.schedules.remove(&name).await? {
        return Err(no_schedule(&name));
    }
    Ok(Json(json!({"success": true, "name": name, "message": "the schedule was removed"})))
}

fn read_switch(fields: &mut Fields) -> Option<bool> {
    fields.has("enabled").then(|| fields.flag("enabled"))
}

async fn store(app: &App, name: String, fields: Fields, is_on: bool) -> Result<Value, Failure> {
    let mut order = read_order(fields, &app.config.defaults).map_err(refused)?;
    let Some(repetition) = order.repetition.take() else {
        return Err(invalid("schedule", "is required"));
    };
    add::make_room(app, &order).await?;
    let definition = json!({
        "name": name,
        "type": order.kind,
        "queue": order.queue.as_str(),
        "schedule": repetition.pattern,
        "every": repetition.every,
        "timezone": repetition.zone,
        "payload": order.payload,
        "enabled": is_on,
        "nextRun": null,
        "nextRunAt": null,
    });
    if !is_on {
        app.schedules.keep_off(&name, &definition).await?;
        return Ok(answer(&definition, None));
    }
    let data = order.envelope();
    let Order { kind, queue, options, .. } = order;
    app.schedules.stop_elsewhere(&name, &queue).await?;
    let schedule = Schedule { name, queue, kind, data, repetition, options };
    let id = app.schedules.start(&schedule).await?;
    let stored = app.schedules.get(&schedule.name).await?.unwrap_or(definition);
    Ok(answer(&stored, id))
}

fn answer(schedule: &Value, id: Option<String>) -> Value {
    let mut answer = schedule.clone();
    answer["success"] = json!(true);
    // The schedule's name stays the same from job to job.
    answer["jobId"] = json!(id.or_else(|| schedule["name"].as_str().map(str::to_owned)));
    answer["scheduleId"] = schedule["name"].clone();
    answer
}
