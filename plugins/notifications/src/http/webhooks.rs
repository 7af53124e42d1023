//! Addresses that want to be told of deliveries, and reports that providers send us.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use kit::{Caller, Failure, Fields, JsonObject, signature};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::{Parameters, Shared, check_name, checked, failed, fault, not_found};
use crate::channel::Channel;
use crate::draft::read_user;
use crate::preferences::read_rules;
use crate::state::App;
use crate::store::{Report, Webhook};
use crate::time::now;

const EVENTS: [&str; 2] = ["notification.sent", "notification.failed"];
const URL_BYTES: usize = 2000;
const MOST_OF_A_USER: usize = 50;
const REPORT_BYTES: usize = 64 * 1024;

/// `POST /webhooks`; the secret is shown this once.
pub(super) async fn subscribe(
    State(app): Shared,
    caller: Caller,
    JsonObject(mut fields): JsonObject,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let user_id = read_user(&mut fields);
    let url = fields.text("url");
    if !url.is_empty()
        && let Err(why) = check_address(&app, &url)
    {
        fields.reject("url", &why);
    }
    let events = if fields.has("events") { fields.texts("events", 20) } else { EVENTS.map(str::to_owned).to_vec() };
    if events.is_empty() || !events.iter().all(|event| EVENTS.contains(&event.as_str())) {
        fields.reject("events", &format!("must be a list of {}", EVENTS.join(", ")));
    }
    let secret = fields.optional_text("secret").filter(|secret| !secret.is_empty());
    checked(fields)?;
    caller.act_for(&user_id)?;
    if app.store.webhooks(&user_id).await.map_err(failed)?.len() >= MOST_OF_A_USER {
        return Err(fault("userId", &format!("has {MOST_OF_A_USER} webhooks already")));
    }
    let webhook = Webhook {
        id: uuid::Uuid::new_v4().to_string(),
        user_id,
        url,
        events,
        secret: secret.unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string()),
        created_at: now(),
        disabled_at: None,
    };
    app.store.add_webhook(&webhook).await.map_err(failed)?;
    let mut body = webhook.to_json();
    body["success"] = json!(true);
    body["secret"] = json!(webhook.secret);
    Ok((StatusCode::CREATED, Json(body)))
}

fn check_address(app: &App, url: &str) -> Result<(), String> {
    let parsed = reqwest::Url::parse(url).ok().filter(|_| url.len() <= URL_BYTES);
    let parsed = parsed.ok_or_else(|| "must be an http or https address".to_owned())?;
    app.outside.check(&parsed)
}

/// `GET /webhooks?userId=…`.
pub(super) async fn list(
    State(app): Shared,
    caller: Caller,
    Query(parameters): Parameters,
) -> Result<Json<Value>, Failure> {
    let user_id = user_parameter(&caller, &parameters)?;
    let webhooks = app.store.webhooks(&user_id).await.map_err(failed)?;
    Ok(Json(json!({"webhooks": webhooks.iter().map(Webhook::to_json).collect::<Vec<_>>()})))
}

fn user_parameter(caller: &Caller, parameters: &HashMap<String, String>) -> Result<String, Failure> {
    let user_id = parameters.get("userId").or_else(|| parameters.get("user_id"));
    let user_id = user_id.ok_or_else(|| fault("userId", "is required"))?;
    check_name("userId", user_id)?;
    caller.act_for(user_id)?;
    Ok(user_id.clone())
}

/// A webhook that the caller may change.
async fn find(app: &App, caller: &Caller, id: &str) -> Result<Webhook, Failure> {
    let webhook = app.store.webhook(id).await.map_err(failed)?;
    webhook.filter(|webhook| caller.may_act_for(&webhook.user_id)).ok_or_else(|| not_found("webhook"))
}

/// `DELETE /webhooks/:id`.
pub(super) async fn unsubscribe(
    State(app): Shared,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let webhook = find(&app, &caller, &id).await?;
    app.store.remove_webhook(&webhook.id).await.map_err(failed)?;
    Ok(Json(json!({"success": true})))
}

/// `POST /webhooks/:id/enable`: calls one again that was switched off.
pub(super) async fn enable(State(app): Shared, caller: Caller, Path(id): Path<String>) -> Result<Json<Value>, Failure> {
    let webhook = find(&app, &caller, &id).await?;
    app.store.enable_webhook(&webhook.id).await.map_err(failed)?;
    Ok(Json(json!({"success": true})))
}

/// `GET /webhooks/dead-letters?userId=…`: what was given up.
pub(super) async fn dead_letters(
    State(app): Shared,
    caller: Caller,
    Query(parameters): Parameters,
) -> Result<Json<Value>, Failure> {
    let user_id = user_parameter(&caller, &parameters)?;
    Ok(Json(json!({"deadLetters": app.store.dead_letters(&user_id).await.map_err(failed)?})))
}

/// `POST /webhooks/dead-letters/:id/replay`.
pub(super) async fn replay(State(app): Shared, caller: Caller, Path(id): Path<String>) -> Result<Json<Value>, Failure> {
    let owner = app.store.owner_of_dead_letter(&id).await.map_err(failed)?;
    if !owner.is_some_and(|owner| caller.may_act_for(&owner)) {
        return Err(not_found("dead letter"));
    }
    app.store.replay_dead_letter(&id, now()).await.map_err(failed)?;
    Ok(Json(json!({"success": true})))
}

/// `POST /webhooks/notifications`: a provider's report, signed with the common secret.
pub(super) async fn report(State(app): Shared, request: Request) -> Result<Json<Value>, Failure> {
    let Some(secret) = &app.config.webhook_secret else {
        let error = "reports cannot be checked: set NOTIFICATIONS_WEBHOOK_SECRET";
        return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, error));
    };
    let given = request.headers().get("x-signature").map(|value| value.as_bytes().to_vec()).unwrap_or_default();
    let body = axum::body::to_bytes(request.into_body(), REPORT_BYTES)
        .await
        .map_err(|_| Failure::too_large(None, REPORT_BYTES))?;
    let expected = signature(secret, &body);
    let given = given.strip_prefix(b"sha256=").unwrap_or(&given).to_ascii_lowercase();
    if !bool::from(given.ct_eq(expected.as_bytes())) {
        return Err(Failure::new(StatusCode::UNAUTHORIZED, "the signature in `X-Signature` does not fit the body"));
    }
    let value: Value = serde_json::from_slice(&body)
        .map_err(|error| Failure::new(StatusCode::BAD_REQUEST, format!("the request body is not JSON: {error}")))?;
    let mut fields = Fields::new(value);
    let event = fields.text("event");
    let names = ["notification_id", "notificationId", "message_id"];
    let id_field = names.into_iter().find(|name| fields.has(name)).unwrap_or(names[0]);
    let id = fields.text(id_field);
    let channel = fields.optional_text("channel").map_or(Some(Channel::Email), |name| Channel::parse(&name));
    if channel.is_none() {
        fields.reject("channel", "must be email, push, sms or in-app");
    }
    checked(fields)?;
    let channel = channel.unwrap_or(Channel::Email);
    let changed = note(&app, &event, &id, channel).await?;
    Ok(Json(json!({"received": true, "changed": changed})))
}

async fn note(app: &App, event: &str, id: &str, channel: Channel) -> Result<bool, Failure> {
    if let Some(report) = Report::parse(event) {
        return app.store.report(id, channel.as_str(), report, now()).await.map_err(failed);
    }
    if !matches!(event, "complaint" | "unsubscribe") {
        return Err(fault("event", "is none that is known"));
    }
    // Who complains, or unsubscribes, gets no more of this category.
    let message = app.store.message(id).await.map_err(failed)?.ok_or_else(|| not_found("notification"))?;
    let rule = json!({"channel": channel.as_str(), "category": message.category, "enabled": false});
    let (rules, _) = read_rules(Fields::new(rule)).map_err(|details| super::invalid(&details))?;
    let changed = app.store.change_preferences(&message.user_id, |preferences| preferences.set_rules(rules.clone()));
    changed.await.map_err(failed)?.map_err(|why| fault("event", &why))?;
    Ok(true)
}
