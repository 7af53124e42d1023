//! The error contract: every answer outside 2xx is JSON with an `error` text.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::fields::FieldError;

/// An answer that says what went wrong: a status, the `error` text, further fields and headers.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    body: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Failure {
    /// A failure with the text that becomes `error`.
    pub fn new(status: StatusCode, error: impl Into<String>) -> Self {
        let mut body = Map::new();
        body.insert("error".to_owned(), Value::String(error.into()));
        Self { status, body, headers: Vec::new() }
    }

    /// 400 with `details`, one entry a field.
    pub fn invalid(details: &[FieldError]) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "the request is not valid").with("details", json!(details))
    }

    /// 413 with the size, where it was announced, and the limit, both in bytes.
    pub fn too_large(size: Option<u64>, limit: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "the request body is too large")
            .with("size", json!(size))
            .with("maxSize", json!(limit))
    }

    /// 408: the body came too slowly.
    pub fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the request body was sent too slowly")
    }

    /// 429 with the headers that say when to come back.
    pub fn rate_limited(limit: u32, retry_after_seconds: u64, reset_epoch_seconds: u64) -> Self {
        let mut failure = Self::new(StatusCode::TOO_MANY_REQUESTS, "too many requests");
        let mut set = |name: HeaderName, value: u64| {
            failure.headers.push((name, HeaderValue::from(value)));
        };
        set(RETRY_AFTER, retry_after_seconds);
        set(HeaderName::from_static("x-ratelimit-limit"), u64::from(limit));
        set(HeaderName::from_static("x-ratelimit-remaining"), 0);
        set(HeaderName::from_static("x-ratelimit-reset"), reset_epoch_seconds);
        failure
    }

    /// The same failure with one more header.
    #[must_use]
    pub(crate) fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// The same failure with one more field in its body.
    #[must_use]
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.body.insert(field.to_owned(), value);
        self
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, AppendHeaders(self.headers), Json(Value::Object(self.body))).into_response()
    }
}
