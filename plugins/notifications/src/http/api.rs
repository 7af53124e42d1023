//! Sending and looking up in the words of `/api`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use kit::{Caller, Failure, JsonObject};
use serde_json::{Value, json};

use super::send::{check_caller, mark_repeated, origin};
use super::{Shared, failed, invalid, not_found, refused};
use crate::draft::{Dialect, read};
use crate::engine::take;

/// `POST /api/notifications/send`, `POST /api/send`.
pub(super) async fn send(
    State(app): Shared,
    caller: Caller,
    headers: HeaderMap,
    JsonObject(fields): JsonObject,
) -> Result<Response, Failure> {
    let origin = origin(&headers, "api", &fields)?;
    let draft = read(fields, Dialect::Api, &[]).map_err(|details| invalid(&details))?;
    check_caller(&caller, &draft)?;
    let accepted = take(&app, draft, &origin).await.map_err(refused)?;
    let mut body = json!({
        "success": true,
        "notification_id": accepted.id,
        "message": if accepted.is_deferred { "Notification stored until its time comes" } else { "Notification queued" },
        "results": accepted.results,
    });
    if accepted.is_deferred {
        body["queued"] = json!(true);
    }
    if app.channels.dry_run {
        body["dry_run"] = json!(true);
    }
    let mut response = Json(body).into_response();
    mark_repeated(&accepted, &mut response);
    Ok(response)
}

/// `GET /api/notifications/:id`.
pub(super) async fn show(State(app): Shared, caller: Caller, Path(id): Path<String>) -> Result<Json<Value>, Failure> {
    let message = app.store.message(&id).await.map_err(failed)?;
    let message = message.filter(|message| caller.may_act_for(&message.user_id));
    let message = message.ok_or_else(|| not_found("notification"))?;
    Ok(Json(json!({"notification": message.to_snake()})))
}
