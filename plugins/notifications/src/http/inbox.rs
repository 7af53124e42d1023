//! A user's messages: list, one, read and not read, removed.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, Path, Query, Request, State};
use axum::http::header::CONTENT_TYPE;
use kit::{Caller, Failure, FieldError, JsonObject};
use serde_json::{Value, json};

use super::{Parameters, Shared, check_name, checked, failed, fault, invalid, not_found};
use crate::channel::Channel;
use crate::draft::read_user;
use crate::state::App;
use crate::store::{Filter, Message};
use crate::time::now;

const USUAL_LIMIT: i64 = 50;
const MOST_LISTED: i64 = 200;

/// `GET /notifications/:id`.
pub(super) async fn show(State(app): Shared, caller: Caller, Path(id): Path<String>) -> Result<Json<Value>, Failure> {
    let message = app.store.message(&id).await.map_err(failed)?;
    // What is somebody else's is not there.
    let message = message.filter(|message| caller.may_act_for(&message.user_id));
    Ok(Json(message.ok_or_else(|| not_found("notification"))?.to_camel()))
}

/// `GET /history?userId=…`.
pub(super) async fn history(
    app: Shared,
    caller: Caller,
    Query(parameters): Parameters,
) -> Result<Json<Value>, Failure> {
    let user_id = user_parameter(&parameters)?;
    caller.act_for(&user_id)?;
    list(app, user_id, Query(parameters)).await
}

/// `GET /history/:userId`.
pub(super) async fn history_of(
    app: Shared,
    caller: Caller,
    Path(user_id): Path<String>,
    parameters: Parameters,
) -> Result<Json<Value>, Failure> {
    caller.act_for(&user_id)?;
    list(app, user_id, parameters).await
}

fn user_parameter(parameters: &std::collections::HashMap<String, String>) -> Result<String, Failure> {
    let user_id = parameters.get("userId").or_else(|| parameters.get("user_id"));
    user_id.cloned().ok_or_else(|| fault("userId", "is required"))
}

async fn list(State(app): Shared, user_id: String, Query(parameters): Parameters) -> Result<Json<Value>, Failure> {
    check_name("userId", &user_id)?;
    let mut faults = Vec::new();
    let mut reject = |field: &str, message: &str| {
        faults.push(FieldError { field: field.to_owned(), message: message.to_owned() });
    };
    let text = |name: &str| parameters.get(name).filter(|text| !text.is_empty()).cloned();
    let mut number = |name: &str, default: i64| match parameters.get(name).map(|text| text.parse::<i64>()) {
        None => default,
        Some(Ok(number)) if number >= 0 => number,
        Some(_) => {
            reject(name, "must be a number of 0 or more");
            default
        }
    };
    let (limit, offset) = (number("limit", USUAL_LIMIT).min(MOST_LISTED), number("offset", 0));
    let read = match parameters.get("read").map(String::as_str) {
        None | Some("") => None,
        Some("true" | "1") => Some(true),
        Some("false" | "0") => Some(false),
        Some(_) => {
            reject("read", "must be true or false");
            None
        }
    };
    let channel = text("channel").map(|name| Channel::parse(&name).ok_or(()));
    if channel == Some(Err(())) {
        reject("channel", "must be email, push, sms or in-app");
    }
    if !faults.is_empty() {
        return Err(invalid(&faults));
    }
    let filter = Filter {
        user_id,
        kind: text("type"),
        category: text("category"),
        channel: channel.and_then(Result::ok).map(|channel| channel.as_str().to_owned()),
        status: text("status"),
        read,
        limit,
        offset,
    };
    let page = app.store.list(&filter, now()).await.map_err(failed)?;
    Ok(Json(json!({
        "notifications": page.messages.iter().map(Message::to_camel).collect::<Vec<_>>(),
        "total": page.total,
        "unread": page.unread,
        "limit": limit,
        "offset": offset,
    })))
}

/// `GET /unread?userId=…`.
pub(super) async fn unread(app: Shared, caller: Caller, Query(parameters): Parameters) -> Result<Json<Value>, Failure> {
    unread_of(app, caller, Path(user_parameter(&parameters)?)).await
}

/// `GET /unread/:userId`.
pub(super) async fn unread_of(
    State(app): Shared,
    caller: Caller,
    Path(user_id): Path<String>,
) -> Result<Json<Value>, Failure> {
    caller.act_for(&user_id)?;
    check_name("userId", &user_id)?;
    let unread = app.store.unread(&user_id, now()).await.map_err(failed)?;
    Ok(Json(json!({"userId": user_id, "unread": unread, "count": unread})))
}

/// `POST /read/:id {userId}`.
pub(super) async fn read(
    app: Shared,
    caller: Caller,
    id: Path<String>,
    body: JsonObject,
) -> Result<Json<Value>, Failure> {
    mark(app, caller, id, (body, Some(now()))).await
}

/// `POST /unread/:id {userId}`.
pub(super) async fn mark_unread(
    app: Shared,
    caller: Caller,
    id: Path<String>,
    body: JsonObject,
) -> Result<Json<Value>, Failure> {
    mark(app, caller, id, (body, None)).await
}

async fn mark(
    State(app): Shared,
    caller: Caller,
    Path(id): Path<String>,
    (JsonObject(mut fields), at): (JsonObject, Option<i64>),
) -> Result<Json<Value>, Failure> {
    let user_id = read_user(&mut fields);
    checked(fields)?;
    caller.act_for(&user_id)?;
    if !app.store.mark_read(&id, &user_id, at).await.map_err(failed)? {
        return Err(not_found("notification of this user"));
    }
    let unread = app.store.unread(&user_id, now()).await.map_err(failed)?;
    Ok(Json(json!({"success": true, "notificationId": id, "read": at.is_some(), "unread": unread})))
}

/// `POST /read-all {userId}`.
pub(super) async fn read_all(
    State(app): Shared,
    caller: Caller,
    JsonObject(mut fields): JsonObject,
) -> Result<Json<Value>, Failure> {
    let user_id = read_user(&mut fields);
    checked(fields)?;
    caller.act_for(&user_id)?;
    let marked = app.store.mark_all_read(&user_id, now()).await.map_err(failed)?;
    Ok(Json(json!({"success": true, "markedCount": marked})))
}

/// `DELETE /:id`, the user in the body or in the query.
pub(super) async fn remove(
    State(app): Shared,
    caller: Caller,
    Path(id): Path<String>,
    Query(parameters): Parameters,
    request: Request,
) -> Result<Json<Value>, Failure> {
    let user_id = match user_parameter(&parameters) {
        Ok(user_id) => user_id,
        Err(missing) => user_in_body(request, missing).await?,
    };
    check_name("userId", &user_id)?;
    caller.act_for(&user_id)?;
    if app.store.remove(&user_id, Some(&id), now()).await.map_err(failed)? == 0 {
        return Err(not_found("notification of this user"));
    }
    Ok(Json(json!({"success": true, "notificationId": id, "deletedCount": 1})))
}

async fn user_in_body(request: Request, missing: Failure) -> Result<String, Failure> {
    if !request.headers().contains_key(CONTENT_TYPE) {
        return Err(missing);
    }
    let JsonObject(mut fields) = JsonObject::from_request(request, &()).await?;
    let user_id = read_user(&mut fields);
    checked(fields)?;
    Ok(user_id)
}

/// `POST /clear {userId}`.
pub(super) async fn clear(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonObject(mut fields): JsonObject,
) -> Result<Json<Value>, Failure> {
    let user_id = read_user(&mut fields);
    checked(fields)?;
    caller.act_for(&user_id)?;
    let removed = app.store.remove(&user_id, None, now()).await.map_err(failed)?;
    Ok(Json(json!({"success": true, "deletedCount": removed})))
}
