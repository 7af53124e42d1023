//! What can go wrong with a file, and the answer that each of it becomes.

use std::fmt::Display;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kit::{Failure, FieldError};
use serde_json::json;

use crate::content;

/// Why a file or a request was not processed.
#[derive(Debug, Clone)]
pub(crate) enum Problem {
    /// 400: fields that cannot be used.
    Invalid(Vec<FieldError>),
    /// 403.
    Forbidden(String),
    /// 404.
    Missing(String),
    /// 408: an upload that stands still.
    Slow,
    /// 409.
    Conflict(String),
    /// 413, with the size where it is known.
    TooLarge(Option<u64>, u64),
    /// 415: content of a kind that is not taken; the kind's name.
    Unsupported(String),
    /// 415: a request body that is no form.
    NoForm(String),
    /// 422: a file that is broken or asks too much; the reason.
    Broken(String),
    /// 501: announced as off.
    Off(String),
    /// 503: the queue is full; how many are in it, and how many may be.
    Busy(usize, usize),
    /// 503: the storage does not answer; what was tried and what it said.
    Storage(String),
    /// 507: no space is left of what may be used; which.
    Full(String),
    /// 504: an operation took longer than this.
    TimedOut(&'static str, Duration),
}

impl Problem {
    /// One field that cannot be used.
    pub(crate) fn field(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { field: field.to_owned(), message: message.into() }])
    }

    /// A broken file, told by a decoder or by the system.
    pub(crate) fn broken(doing: &str, error: impl Display) -> Self {
        Self::Broken(format!("{doing}: {error}"))
    }

    /// Whether the same file may succeed later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Storage(_) | Self::Busy(..))
    }

    /// The answer, with the file it is about.
    pub(crate) fn about(self, file_id: &str) -> Failure {
        self.into_failure().with("fileId", json!(file_id))
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge(..) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unsupported(_) | Self::NoForm(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Broken(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Off(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Busy(..) | Self::Storage(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut(..) => StatusCode::GATEWAY_TIMEOUT,
            Self::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
        }
    }

    fn into_failure(self) -> Failure {
        let text = self.to_string();
        let failure = match &self {
            Self::Invalid(details) => Failure::invalid(details),
            _ => Failure::new(self.status(), text.clone()),
        };
        // Some clients read `message`, most read `error`.
        let failure = failure.with("message", json!(text));
        match self {
            Self::TooLarge(size, limit) => failure.with("size", json!(size)).with("maxSize", json!(limit)),
            Self::Unsupported(kind) => {
                failure.with("mimeType", json!(kind)).with("supported", json!(content::SUPPORTED))
            }
            Self::NoForm(kind) => {
                failure.with("mimeType", json!(kind)).with("supported", json!(["multipart/form-data"]))
            }
            Self::Broken(reason) => failure.with("reason", json!(reason)),
            Self::Busy(current, most) => {
                failure.with("queue", json!("file-processing")).with("current", json!(current)).with("max", json!(most))
            }
            Self::TimedOut(operation, timeout) => {
                failure.with("operation", json!(operation)).with("timeout", json!(timeout.as_millis()))
            }
            _ => failure,
        }
    }
}

impl Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invalid(details) => {
                formatter.write_str("the request is not valid")?;
                details.iter().try_for_each(|error| write!(formatter, "; `{}` {}", error.field, error.message))
            }
            Self::Forbidden(text) | Self::Missing(text) | Self::Conflict(text) | Self::Off(text) | Self::Full(text) => {
                formatter.write_str(text)
            }
            Self::Slow => formatter.write_str("the upload came too slowly"),
            Self::TooLarge(_, limit) => write!(formatter, "the file is larger than {limit} bytes"),
            Self::Unsupported(kind) => write!(formatter, "files of the kind `{kind}` are not processed"),
            Self::NoForm(_) => formatter.write_str("the request body must be multipart/form-data with a `file`"),
            Self::Broken(reason) => write!(formatter, "the file cannot be processed: {reason}"),
            Self::Busy(..) => formatter.write_str("the queue is full; try again later"),
            Self::Storage(text) => write!(formatter, "the storage does not answer: {text}"),
            Self::TimedOut(operation, timeout) => {
                write!(formatter, "`{operation}` took longer than {} ms", timeout.as_millis())
            }
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        problem.into_failure()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.into_failure().into_response()
    }
}
