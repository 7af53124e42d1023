//! The dashboard: one page with its style and script, and the routes that it calls, on a port of its own.
//!
//! What jobs contain is hostile: the page shows it as text only, and its policy forbids scripts but its own.

mod api;
mod gate;

use std::sync::Arc;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{delete, get, post};

use crate::state::App;
use gate::Gate;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Everything that the dashboard's port answers.
pub(crate) fn router(app: Arc<App>) -> Router {
    let gate = Gate::new(app.config.dashboard.as_ref());
    let one = get(api::job).delete(api::remove);
    Router::new()
        .route("/", get(async || asset(PAGE, "text/html; charset=utf-8")))
        .route("/page.css", get(async || asset(STYLE, "text/css; charset=utf-8")))
        .route("/page.js", get(async || asset(SCRIPT, "text/javascript; charset=utf-8")))
        .route("/dashboard", get(async || Redirect::temporary("/")))
        .route("/api/queues", get(api::queues))
        .route("/api/queues/{queue}", get(api::jobs))
        .route("/api/queues/{queue}/pause", post(api::pause).put(api::pause))
        .route("/api/queues/{queue}/resume", post(api::resume).put(api::resume))
        .route("/api/queues/{queue}/empty", post(api::empty).put(api::empty))
        .route("/api/queues/{queue}/promote", post(api::promote_all).put(api::promote_all))
        .route("/api/queues/{queue}/clean/{state}", post(api::clean).put(api::clean))
        .route("/api/queues/{queue}/retry/{state}", post(api::retry_all).put(api::retry_all))
        .route("/api/queues/{queue}/{id}", one)
        .route("/api/queues/{queue}/{id}/logs", get(api::logs))
        .route("/api/queues/{queue}/{id}/retry", post(api::retry).put(api::retry))
        .route("/api/queues/{queue}/{id}/promote", post(api::promote).put(api::promote))
        .route("/api/queues/{queue}/{id}/clean", post(api::remove).put(api::remove))
        .route("/api/schedules", get(api::schedules))
        .route("/api/schedules/{name}", delete(api::remove_schedule))
        .route("/api/redis/stats", get(api::redis_stats))
        .method_not_allowed_fallback(api::not_allowed)
        .fallback(api::not_found)
        .with_state(app)
        .layer(from_fn_with_state(Arc::new(gate), gate::check))
        .layer(map_response(harden))
}

fn asset(text: &'static str, kind: &'static str) -> Response {
    ([(CONTENT_TYPE, kind)], text).into_response()
}

async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
