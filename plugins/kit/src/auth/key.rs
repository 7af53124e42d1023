//! The API key, and the internal secret that the plugins of a project share.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use subtle::ConstantTimeEq;

/// The secrets that make a caller a service: the plugin's own key, and the secret that the plugins of one project send
/// one another. Their values are never printed.
#[derive(Clone)]
pub struct ApiKey {
    secrets: Vec<String>,
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ApiKey(…)")
    }
}

impl ApiKey {
    /// Wraps secrets; `None` where there is none.
    pub(crate) fn new(secrets: impl IntoIterator<Item = String>) -> Option<Self> {
        let secrets: Vec<String> = secrets.into_iter().filter(|secret| !secret.is_empty()).collect();
        (!secrets.is_empty()).then_some(Self { secrets })
    }

    /// Whether `Authorization: Bearer` or `X-API-Key` carries one of the secrets; constant in time for a given length.
    pub fn is_in(&self, headers: &HeaderMap) -> bool {
        let opens = |given: &[u8]| {
            // Every comparison is made, so that the time does not show which one matched.
            self.secrets.iter().fold(false, |opens, secret| bool::from(given.ct_eq(secret.as_bytes())) | opens)
        };
        given(headers).any(opens)
    }

    /// Whether a request carries any key or token.
    pub(crate) fn is_given(headers: &HeaderMap) -> bool {
        given(headers).next().is_some()
    }
}

fn given(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let bearer = bearer_token(headers).map(str::as_bytes);
    let header = headers.get("x-api-key").map(HeaderValue::as_bytes);
    [bearer, header].into_iter().flatten()
}

/// The token of `Authorization: Bearer`.
pub(super) fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_start())
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
    fn a_key_is_accepted_in_either_header_and_only_whole() {
        let key = ApiKey::new(["right".to_owned()]).expect("a key");
        assert!(key.is_in(&headers("x-api-key", "right")));
        assert!(key.is_in(&headers("authorization", "bearer right")));
        assert!(!key.is_in(&headers("authorization", "right")));
        assert!(!key.is_in(&headers("x-api-key", "righ")));
        assert!(!key.is_in(&headers("x-api-key", "right ")));
        assert!(!key.is_in(&HeaderMap::new()));
        assert!(!key.is_in(&headers("x-api-key", "between plugins")));
        let both = ApiKey::new(["right".to_owned(), "between plugins".to_owned()]).expect("keys");
        assert!(both.is_in(&headers("x-api-key", "between plugins")));
        assert!(both.is_in(&headers("x-api-key", "right")));
        assert!(ApiKey::new([String::new()]).is_none());
    }
}
