//! Preferences: the document of the root routes, and the rules of `/api/preferences`.

use axum::Json;
use axum::extract::{Path, State};
use kit::{Caller, Failure, Fields, JsonObject};
use serde_json::{Value, json};

use super::{Shared, check_name, failed, fault, invalid};
use crate::draft::read_user;
use crate::preferences::{read_merge, read_rules};
use crate::state::App;

/// `GET /preferences/:userId`.
pub(super) async fn show(
    State(app): Shared,
    caller: Caller,
    Path(user_id): Path<String>,
) -> Result<Json<Value>, Failure> {
    check_name("userId", &user_id)?;
    caller.act_for(&user_id)?;
    let preferences = app.store.preferences(&user_id).await.map_err(failed)?;
    Ok(Json(preferences.to_document(&user_id, &app.config.defaults)))
}

/// `POST` or `PUT /preferences/:userId`: a part is merged into what is there.
pub(super) async fn merge(
    State(app): Shared,
    caller: Caller,
    Path(user_id): Path<String>,
    JsonObject(fields): JsonObject,
) -> Result<Json<Value>, Failure> {
    check_name("userId", &user_id)?;
    caller.act_for(&user_id)?;
    let partial = read_merge(fields).map_err(|details| invalid(&details))?;
    let changed = app.store.change_preferences(&user_id, |preferences| preferences.merge(&partial)).await;
    let preferences = changed.map_err(failed)?.map_err(|why| fault("preferences", &why))?;
    Ok(Json(json!({"success": true, "preferences": preferences.to_document(&user_id, &app.config.defaults)})))
}

/// `GET /api/preferences/:userId`.
pub(super) async fn list_rules(
    State(app): Shared,
    caller: Caller,
    Path(user_id): Path<String>,
) -> Result<Json<Value>, Failure> {
    check_name("user_id", &user_id)?;
    caller.act_for(&user_id)?;
    let preferences = app.store.preferences(&user_id).await.map_err(failed)?;
    Ok(Json(json!({"preferences": preferences.to_rows(&user_id)})))
}

/// `POST /api/preferences`.
pub(super) async fn set_rules(
    State(app): Shared,
    caller: Caller,
    JsonObject(mut fields): JsonObject,
) -> Result<Json<Value>, Failure> {
    let user_id = read_user(&mut fields);
    caller.act_for(&user_id)?;
    store_rules(&app, &user_id, fields).await
}

/// `PUT /api/preferences/:userId`.
pub(super) async fn set_rules_of(
    State(app): Shared,
    caller: Caller,
    Path(user_id): Path<String>,
    JsonObject(fields): JsonObject,
) -> Result<Json<Value>, Failure> {
    check_name("user_id", &user_id)?;
    caller.act_for(&user_id)?;
    store_rules(&app, &user_id, fields).await
}

async fn store_rules(app: &App, user_id: &str, fields: Fields) -> Result<Json<Value>, Failure> {
    let (rules, partial) = read_rules(fields).map_err(|details| invalid(&details))?;
    let changed = app
        .store
        .change_preferences(user_id, |preferences| {
            preferences.merge(&partial)?;
            preferences.set_rules(rules.clone())
        })
        .await;
    let preferences = changed.map_err(failed)?.map_err(|why| fault("preferences", &why))?;
    Ok(Json(json!({"success": true, "preferences": preferences.to_rows(user_id)})))
}
