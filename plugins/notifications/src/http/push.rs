//! Browsers' push subscriptions: kept for the app, until there is a sender that uses them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kit::{Caller, Failure, Fields, JsonObject};
use serde_json::{Value, json};

use super::{Shared, checked, failed, fault, not_found};
use crate::channel::Channel;
use crate::draft::read_user;
use crate::store::PushSubscription;
use crate::time::now;

const MOST_OF_A_USER: i64 = 50;
const ENDPOINT_BYTES: usize = 2000;

/// `POST /api/push/subscribe`.
pub(super) async fn subscribe(
    State(app): Shared,
    caller: Caller,
    JsonObject(mut fields): JsonObject,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let user_id = read_user(&mut fields);
    let subscription = fields.take("subscription").unwrap_or_default();
    let endpoint = read_endpoint(&mut fields, &subscription);
    let device = |value: Option<String>| value.map(|text| text.chars().take(200).collect::<String>());
    let device_id = device(fields.optional_text("device_id"));
    let platform = device(fields.optional_text("platform"));
    checked(fields)?;
    caller.act_for(&user_id)?;
    if app.store.count_push_subscriptions(&user_id).await.map_err(failed)? >= MOST_OF_A_USER {
        return Err(fault("user_id", &format!("has {MOST_OF_A_USER} subscriptions already")));
    }
    let one = PushSubscription { endpoint, user_id, subscription: subscription.to_string(), device_id, platform };
    app.store.add_push_subscription(&one, now()).await.map_err(failed)?;
    let mut body = json!({"success": true, "endpoint": one.endpoint, "message": "Subscription stored"});
    if let Some(why) = app.channels.off(Channel::Push) {
        body["warning"] = json!(why);
    }
    Ok((StatusCode::CREATED, Json(body)))
}

fn read_endpoint(fields: &mut Fields, subscription: &Value) -> String {
    let mut inner = Fields::new(subscription.clone());
    let endpoint = inner.text("endpoint");
    let is_web = reqwest::Url::parse(&endpoint).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if !endpoint.is_empty() && (!is_web || endpoint.len() > ENDPOINT_BYTES) {
        inner.reject("endpoint", "must be a web address");
    }
    let mut keys = Fields::new(inner.take("keys").unwrap_or_else(|| json!({})));
    for name in ["p256dh", "auth"] {
        if keys.text(name).len() > 500 {
            keys.reject(name, "must not be longer than 500 bytes");
        }
    }
    let faults =
        inner.finish().err().into_iter().flatten().map(|error| (format!("subscription.{}", error.field), error));
    let faults: Vec<_> = faults
        .chain(
            keys.finish()
                .err()
                .into_iter()
                .flatten()
                .map(|error| (format!("subscription.keys.{}", error.field), error)),
        )
        .collect();
    for (field, error) in faults {
        fields.reject(&field, &error.message);
    }
    endpoint
}

/// `DELETE /api/push/unsubscribe {endpoint}`.
pub(super) async fn unsubscribe(
    State(app): Shared,
    caller: Caller,
    JsonObject(mut fields): JsonObject,
) -> Result<Json<Value>, Failure> {
    let endpoint = fields.text("endpoint");
    checked(fields)?;
    let owner = app.store.owner_of_push_subscription(&endpoint).await.map_err(failed)?;
    if !owner.is_some_and(|owner| caller.may_act_for(&owner)) {
        return Err(not_found("subscription"));
    }
    app.store.remove_push_subscription(&endpoint).await.map_err(failed)?;
    Ok(Json(json!({"success": true})))
}
