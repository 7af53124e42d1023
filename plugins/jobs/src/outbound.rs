//! Requests to other servers: bounded in time and size, never redirected, optionally signed.

use std::error::Error;
use std::time::{Duration, Instant};

use kit::signature;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response};
use serde_json::Value;
use url::Url;

/// The most bytes of an answer that are kept.
const ANSWER_BYTES: usize = 256 * 1024;
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");

/// A request to be made.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) timeout: Duration,
}

impl Call {
    /// A JSON body to be posted.
    pub(crate) fn post(url: Url, body: &Value, timeout: Duration) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { method: Method::POST, url, headers, body: Some(body.to_string().into_bytes()), timeout }
    }

    /// Adds a header; what no header can carry is left out.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// Signs the body: hex HMAC-SHA256 as `X-Signature`.
    #[must_use]
    pub(crate) fn signed(mut self, secret: &str) -> Self {
        let body = self.body.as_deref().unwrap_or_default();
        if let Ok(value) = HeaderValue::from_str(&signature(secret, body)) {
            self.headers.insert(SIGNATURE, value);
        }
        self
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    /// Whether there was more of it.
    pub(crate) is_cut: bool,
    pub(crate) took: Duration,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the same request may succeed later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.status, 408 | 425 | 429) || self.status >= 500
    }

    /// The status and what the other server said, for people.
    pub(crate) fn explain(&self) -> String {
        let said = self.body["error"].as_str().or(self.body.as_str()).unwrap_or_default();
        let said: String = said.chars().filter(|c| !c.is_control()).take(300).collect();
        if said.is_empty() { format!("{}", self.status) } else { format!("{}: {said}", self.status) }
    }
}

/// The client of all requests.
pub(crate) struct Outbound {
    client: Client,
}

impl Outbound {
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .pool_max_idle_per_host(8)
            .user_agent(concat!("nself-jobs/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client })
    }

    /// Sends it; the error says what was tried and why it failed, without secrets of the address.
    pub(crate) async fn send(&self, call: Call) -> Result<Answer, String> {
        let began = Instant::now();
        let shown = shown(&call.url);
        let (method, timeout) = (call.method.clone(), call.timeout);
        let mut request = self.client.request(call.method, call.url).headers(call.headers);
        if let Some(body) = call.body {
            request = request.body(body);
        }
        let exchange = async {
            let response = request.send().await.map_err(|error| reason(&error))?;
            let status = response.status().as_u16();
            let (body, is_cut) = read(response).await?;
            Ok::<_, String>(Answer { status, body, is_cut, took: began.elapsed() })
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(why)) => Err(format!("{method} {shown} failed: {why}")),
            Err(_) => Err(format!("{method} {shown} did not end within {} ms", timeout.as_millis())),
        }
    }
}

/// An address without user, password and query, which may be secret.
pub(crate) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// The innermost cause; the outer ones repeat the whole address.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

async fn read(mut response: Response) -> Result<(Value, bool), String> {
    let mut body = Vec::new();
    let mut is_cut = false;
    while let Some(chunk) = response.chunk().await.map_err(|error| reason(&error))? {
        let room = ANSWER_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            is_cut = true;
            break;
        }
    }
    let text = String::from_utf8_lossy(&body);
    let value = serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text.into_owned()));
    Ok((value, is_cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_what_may_be_secret() {
        let url = Url::parse("https://user:pass@host:8443/path?token=secret#part").expect("an address");
        assert_eq!(shown(&url), "https://host:8443/path");
    }
}
