//! The API key rule: where a key is configured, a request must carry it.

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use crate::http::Failure;

/// A configured key, and the secret that plugins of one project know each other by, which opens the same doors; their
/// texts are never printed.
#[derive(Clone)]
pub struct ApiKey {
    key: String,
    internal: Option<String>,
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ApiKey(…)")
    }
}

impl ApiKey {
    /// Wraps a key that is not empty.
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), internal: None }
    }

    /// Lets the project's internal secret pass too.
    #[must_use]
    pub fn or_internal(self, secret: Option<String>) -> Self {
        Self { internal: secret, ..self }
    }

    /// Whether `Authorization: Bearer` or `X-API-Key` carries this key or the internal secret; constant in time for
    /// a given length.
    pub fn is_in(&self, headers: &HeaderMap) -> bool {
        let bearer = headers.get(AUTHORIZATION).and_then(bearer_token);
        let header = headers.get("x-api-key").map(HeaderValue::as_bytes);
        let opens = |given: &[u8]| {
            let known = [Some(&self.key), self.internal.as_ref()].into_iter().flatten();
            // Every comparison is made, so that time does not tell which one held.
            known.fold(false, |opens, known| bool::from(given.ct_eq(known.as_bytes())) | opens)
        };
        [bearer, header].into_iter().flatten().any(opens)
    }
}

fn bearer_token(value: &HeaderValue) -> Option<&[u8]> {
    let bytes = value.as_bytes();
    let (scheme, token) = bytes.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

/// Middleware that answers 401 to a request without the key.
pub(crate) async fn require_key(State(key): State<ApiKey>, request: Request, next: Next) -> Response {
    if key.is_in(request.headers()) {
        return next.run(request).await;
    }
    let mut response = Failure::new(StatusCode::UNAUTHORIZED, "an API key is required").into_response();
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn the_key_is_found_in_either_header_and_only_whole() {
        let key = ApiKey::new("right");
        assert!(key.is_in(&headers("x-api-key", "right")));
        assert!(key.is_in(&headers("authorization", "bearer right")));
        assert!(!key.is_in(&headers("authorization", "right")));
        assert!(!key.is_in(&headers("x-api-key", "righ")));
        assert!(!key.is_in(&headers("x-api-key", "right ")));
        assert!(!key.is_in(&HeaderMap::new()));
        assert!(!key.is_in(&headers("x-api-key", "between plugins")));
        let shared = key.or_internal(Some("between plugins".to_owned()));
        assert!(shared.is_in(&headers("x-api-key", "between plugins")));
        assert!(shared.is_in(&headers("x-api-key", "right")));
    }
}
