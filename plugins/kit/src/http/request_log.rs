//! The id, the time and the log line of each request.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;

use crate::telemetry::Metrics;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken from a request, in bytes.
const ID_BYTES: usize = 128;

/// Middleware that measures a request and logs it: errors of the server as warnings, refusals as information, everything
/// else with `LOG_LEVEL=debug`. The path and the query are not logged: they may hold secrets.
pub(crate) async fn measure(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let id = given_id(&request).unwrap_or_else(new_id);
    // The pattern, not the path: a label must not grow with what clients ask for.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let (method, status, took) = (known_method(&method), response.status().as_u16(), began.elapsed());
    metrics.count_request(method, route, status, took);
    let (id_text, ms) = (id.to_str().unwrap_or_default(), took.as_secs_f64() * 1000.0);
    match status {
        500.. => tracing::warn!(request_id = id_text, method, route, status, ms, "request"),
        400.. => tracing::info!(request_id = id_text, method, route, status, ms, "request"),
        _ => tracing::debug!(request_id = id_text, method, route, status, ms, "request"),
    }
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The method as a label; clients may invent methods.
fn known_method(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        _ => "other",
    }
}

fn given_id(request: &Request) -> Option<HeaderValue> {
    let id = request.headers().get(REQUEST_ID)?;
    let is_legal = !id.is_empty() && id.len() <= ID_BYTES && id.as_bytes().iter().all(u8::is_ascii_graphic);
    is_legal.then(|| id.clone())
}

/// An id that no other request of any instance has: a random number of the process, and a count.
fn new_id() -> HeaderValue {
    static PROCESS: OnceLock<u64> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let process = PROCESS.get_or_init(|| RandomState::new().hash_one(std::process::id()));
    let id = format!("{process:016x}-{:x}", COUNT.fetch_add(1, Ordering::Relaxed));
    HeaderValue::from_str(&id).expect("hexadecimal digits fit a header")
}
