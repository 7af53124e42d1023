//! Keeps what large requests hold in memory at a time within bounds: some wait until others are done.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kit::Failure;
use tokio::sync::Semaphore;

/// Smaller bodies pass freely.
const SMALL_BYTES: usize = 64 * 1024;
/// How many requests of the largest size may be held at a time.
const LARGEST_AT_ONCE: usize = 2;
const WAIT: Duration = Duration::from_secs(10);
/// The longest that a large request may take, its transfer included: a slow sender must not keep the room.
const WITHIN: Duration = Duration::from_secs(30);

/// Room for large bodies.
#[derive(Clone)]
pub(super) struct Budget {
    kibibytes: Arc<Semaphore>,
    largest: usize,
}

impl Budget {
    pub(super) fn new(largest: usize) -> Self {
        let kibibytes = (largest * LARGEST_AT_ONCE).div_ceil(1024).min(Semaphore::MAX_PERMITS);
        Self { kibibytes: Arc::new(Semaphore::new(kibibytes)), largest }
    }
}

/// Middleware that lets a large request wait for its room.
pub(super) async fn wait_for_room(State(budget): State<Budget>, request: Request, next: Next) -> Response {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let has_body = announced.is_some() || !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    // Without an announcement it may be as large as any; beyond the limit it is refused unread.
    let bytes: usize = announced.unwrap_or(budget.largest).min(budget.largest);
    if !has_body || bytes <= SMALL_BYTES {
        return next.run(request).await;
    }
    let share = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
    let Ok(Ok(_room)) = tokio::time::timeout(WAIT, budget.kibibytes.acquire_many(share)).await else {
        let error = "too many large requests at a time; try again later";
        return Failure::new(StatusCode::SERVICE_UNAVAILABLE, error).into_response();
    };
    match tokio::time::timeout(WITHIN, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Failure::new(StatusCode::REQUEST_TIMEOUT, "the request took more than 30 s").into_response(),
    }
}
