//! The HTTP routes of all dialects, and how refusals read. Each route reads, asks the engine or the store, and writes;
//! nothing is decided here.

mod api;
mod inbox;
mod large;
mod preferences;
mod push;
mod send;
mod statistics;
mod templates;
mod webhooks;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use kit::{Class, Failure, FieldError, Fields, Routes, clock};
use serde_json::json;

use crate::database::DatabaseError;
use crate::draft::{NAME_BYTES, is_name};
use crate::engine::Refusal;
use crate::state::App;
use crate::time;

type Shared = State<Arc<App>>;
type Parameters = Query<HashMap<String, String>>;

/// All routes of the plugin.
pub(crate) fn routes(app: &Arc<App>) -> Routes {
    let report = Router::new().route("/webhooks/notifications", post(webhooks::report)).with_state(app.clone());
    Routes::new()
        .group(Class::Ordinary, prepared(ordinary(), app))
        .group(Class::Power, prepared(power(), app))
        .group(Class::SelfVerified, report)
}

/// Lets requests in once the tables are there and there is room for large bodies.
fn prepared(routes: Router<Arc<App>>, app: &Arc<App>) -> Router {
    routes
        .layer(from_fn_with_state(app.clone(), require_tables))
        .layer(from_fn_with_state(large::Budget::new(app.config.server.body_limit), large::wait_for_room))
        .with_state(app.clone())
}

/// What changes what others are sent, or reaches many of them.
fn power() -> Router<Arc<App>> {
    Router::new()
        .route("/broadcast", post(send::broadcast))
        .route("/webhooks", post(webhooks::subscribe))
        .route("/webhooks/{id}", delete(webhooks::unsubscribe))
        .route("/webhooks/{id}/enable", post(webhooks::enable))
        .route("/webhooks/dead-letters/{id}/replay", post(webhooks::replay))
        .route("/templates", post(templates::create))
        .route("/templates/{name}", put(templates::replace).delete(templates::remove))
        .route("/api/templates", post(templates::create))
        .route("/api/templates/{name}", put(templates::replace).delete(templates::remove))
}

fn ordinary() -> Router<Arc<App>> {
    Router::new()
        .route("/send", post(send::send))
        .route("/send/template", post(send::send_template))
        .route("/send-bulk", post(send::send_bulk))
        .route("/batch/send", post(send::send_bulk))
        .route("/notifications", get(inbox::history))
        .route("/notifications/{id}", get(inbox::show))
        .route("/history", get(inbox::history))
        .route("/history/{user_id}", get(inbox::history_of))
        .route("/unread", get(inbox::unread))
        .route("/unread/{id}", get(inbox::unread_of).post(inbox::mark_unread))
        .route("/read/{id}", post(inbox::read))
        .route("/read-all", post(inbox::read_all))
        .route("/clear", post(inbox::clear))
        .route("/{id}", delete(inbox::remove))
        .merge(settings_routes())
        .merge(api_routes())
}

fn settings_routes() -> Router<Arc<App>> {
    let document = get(preferences::show).post(preferences::merge).put(preferences::merge);
    Router::new()
        .route("/preferences/{user_id}", document)
        .route("/templates", get(templates::list))
        .route("/templates/{name}", get(templates::show))
        .route("/webhooks", get(webhooks::list))
        .route("/webhooks/dead-letters", get(webhooks::dead_letters))
}

fn api_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/notifications/send", post(api::send))
        .route("/api/send", post(api::send))
        .route("/api/send-bulk", post(send::send_bulk))
        .route("/api/notifications/{id}", get(api::show))
        .route("/api/preferences", post(preferences::set_rules))
        .route("/api/preferences/{user_id}", get(preferences::list_rules).put(preferences::set_rules_of))
        .route("/api/templates", get(templates::list))
        .route("/api/templates/{name}", get(templates::show))
        .route("/api/push/subscribe", post(push::subscribe))
        .route("/api/push/unsubscribe", delete(push::unsubscribe).post(push::unsubscribe))
        .route("/api/stats", get(statistics::all))
        .route("/api/stats/delivery", get(statistics::delivery))
        .route("/api/stats/engagement", get(statistics::engagement))
        .route("/api/unread/{user_id}", get(inbox::unread_of))
        .route("/api/preferences/{user_id}/document", put(preferences::merge))
}

/// Until the tables are there, nothing can be stored.
async fn require_tables(State(app): Shared, request: Request, next: Next) -> Response {
    if app.is_migrated() {
        return next.run(request).await;
    }
    storage_failure(&DatabaseError::Away("its tables are not there yet".to_owned())).into_response()
}

fn storage_failure(error: &DatabaseError) -> Failure {
    if let DatabaseError::Away(_) = error {
        return Failure::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            .with("success", json!(false))
            .with("dependency", json!("database"));
    }
    tracing::error!(%error, "storage failed");
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "the request could not be stored").with("success", json!(false))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn failed(error: DatabaseError) -> Failure {
    storage_failure(&error)
}

fn invalid(details: &[FieldError]) -> Failure {
    Failure::invalid(details).with("success", json!(false))
}

fn fault(field: &str, message: &str) -> Failure {
    invalid(&[FieldError { field: field.to_owned(), message: message.to_owned() }])
}

fn checked(fields: Fields) -> Result<(), Failure> {
    fields.finish().map_err(|details| invalid(&details))
}

fn not_found(what: &str) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, format!("there is no such {what}")).with("success", json!(false))
}

/// A name out of a path.
fn check_name(field: &str, name: &str) -> Result<(), Failure> {
    if is_name(name, NAME_BYTES) {
        return Ok(());
    }
    Err(fault(field, "must be printable, not empty and not longer than 200 bytes"))
}

/// Too many templates are being rendered.
fn busy() -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "too many templates are being rendered; try again later")
}

/// A refusal as an answer; what the user does not want is told apart by the routes.
fn refused(refusal: Refusal) -> Failure {
    let failure = match refusal {
        Refusal::Invalid(details) => Failure::invalid(&details),
        Refusal::UnknownTemplate(name) => fault("template", &format!("there is no template `{name}`")),
        Refusal::NoChannel(results) | Refusal::Unwanted(results) => {
            let why: Vec<&str> = results.iter().filter_map(|result| result.error.as_deref()).collect();
            let error = format!("no channel can take the message: {}", why.join("; "));
            Failure::new(StatusCode::BAD_REQUEST, error).with("results", json!(results))
        }
        Refusal::Limited { channel, limit, opens_at } => {
            let wait = u64::try_from((opens_at - time::now()).max(0) / 1000 + 1).unwrap_or(1);
            let reset = clock::milliseconds(clock::now()) / 1000 + wait;
            Failure::rate_limited(limit, wait, reset).with("channel", json!(channel.as_str()))
        }
        Refusal::QueueFull { current, limit } => {
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, "the queue of deliveries is full; try again later")
                .with("queue", json!("deliveries"))
                .with("current", json!(current))
                .with("max", json!(limit))
        }
        Refusal::KeyReused => {
            let error = "the idempotency key was used for a request with another content";
            Failure::new(StatusCode::UNPROCESSABLE_ENTITY, error).with("reason", json!("idempotency_key_reused"))
        }
        Refusal::Busy => busy(),
        Refusal::Forbidden => Failure::new(StatusCode::FORBIDDEN, "a user's token acts for that user only"),
        Refusal::Database(error) => storage_failure(&error),
    };
    failure.with("success", json!(false))
}
