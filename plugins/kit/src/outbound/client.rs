//! The client of all requests: bounded in time and size, never redirected, without the system's proxy.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Method, Response};
use serde_json::Value;
use url::Url;

use super::address::AddressPolicy;
use super::signature::{StandardWebhook, signature};
use crate::settings::ConfigurationError;

/// The most bytes of an answer that are kept.
const ANSWER_BYTES: usize = 256 * 1024;
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Connections to one host that wait for the next request.
const IDLE_CONNECTIONS: usize = 8;
/// The longest text of an error or an answer that is passed on, in characters.
const TEXT_CHARACTERS: usize = 300;

/// A request to be made.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Vec<u8>>,
    /// The longest that the request and its answer may take.
    pub timeout: Duration,
}

impl Call {
    /// A request without a body.
    pub fn get(url: Url, timeout: Duration) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: None, timeout }
    }

    /// A JSON body to be posted.
    pub fn post(url: Url, body: &Value, timeout: Duration) -> Self {
        Self::post_text(url, body.to_string(), timeout)
    }

    /// JSON that is a text already.
    pub fn post_text(url: Url, body: String, timeout: Duration) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { method: Method::POST, url, headers, body: Some(body.into_bytes()), timeout }
    }

    /// Adds a header; a value that no header can carry is left out.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// Signs the body: `X-Signature` (hexadecimal HMAC-SHA256 of the body), and the headers of Standard Webhooks, whose
    /// signature covers the id and the time too. The id is the same for each attempt.
    #[must_use]
    pub fn signed(self, secret: &str, id: &str) -> Self {
        let body = self.body.as_deref().unwrap_or_default();
        let own = signature(secret, body);
        let standard = StandardWebhook::sign(secret, id, body);
        self.with("x-signature", &own)
            .with("webhook-id", id)
            .with("webhook-timestamp", &standard.timestamp)
            .with("webhook-signature", &standard.signature)
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// JSON, or its text where it is none.
    pub body: Value,
    /// Whether there was more of it than is kept.
    pub is_cut: bool,
    pub took: Duration,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        matches!(self.status, 408 | 425 | 429) || self.status >= 500
    }

    /// The status and the other server's error, for people.
    pub fn explain(&self) -> String {
        let text = self.body["error"].as_str().or(self.body.as_str()).unwrap_or_default();
        let text: String = text.chars().filter(|c| !c.is_control()).take(TEXT_CHARACTERS).collect();
        if text.is_empty() { format!("{}", self.status) } else { format!("{}: {text}", self.status) }
    }
}

/// Sends requests.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::Client,
    policy: Option<AddressPolicy>,
}

impl Client {
    /// For addresses that strangers name; `agent` is the user agent.
    pub fn guarded(agent: &str, policy: AddressPolicy) -> Result<Self, ConfigurationError> {
        Self::build(agent, Some(policy))
    }

    /// For addresses that the operator configured.
    pub fn trusted(agent: &str) -> Result<Self, ConfigurationError> {
        Self::build(agent, None)
    }

    fn build(agent: &str, policy: Option<AddressPolicy>) -> Result<Self, ConfigurationError> {
        // Fails only where it was chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .redirect(Policy::none())
            // A proxy would resolve names itself, past the policy.
            .no_proxy()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_WITHIN)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .user_agent(agent);
        let builder = match &policy {
            Some(policy) => builder.dns_resolver(Arc::new(policy.clone())),
            None => builder,
        };
        let inner = builder.build();
        let inner =
            inner.map_err(|error| ConfigurationError::new(format!("could not set up the HTTP client: {error}")))?;
        Ok(Self { inner, policy })
    }

    /// Whether this address may be asked; see [`AddressPolicy::check`].
    pub fn check(&self, url: &Url) -> Result<(), String> {
        self.policy.as_ref().map_or(Ok(()), |policy| policy.check(url))
    }

    /// Sends a request and reads its answer. The error says what was tried and why it failed, without secrets of the
    /// address.
    pub async fn send(&self, call: Call) -> Result<Answer, String> {
        let began = Instant::now();
        let what = format!("{} {}", call.method, shown(&call.url));
        let timeout = call.timeout;
        // The limit below covers the request and its answer, and says so.
        let call = Call { timeout: timeout.saturating_mul(2), ..call };
        let exchange = async {
            let response = self.exchange(call).await?;
            let status = response.status().as_u16();
            let (body, is_cut) = read(response).await?;
            Ok::<_, String>(Answer { status, body, is_cut, took: began.elapsed() })
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(why)) => Err(format!("{what} failed: {why}")),
            Err(_) => Err(format!("{what} did not end within {} ms", timeout.as_millis())),
        }
    }

    /// Sends a request whose answer the caller reads piece by piece, within the request's time.
    pub async fn open(&self, call: Call) -> Result<Response, String> {
        let what = format!("{} {}", call.method, shown(&call.url));
        self.exchange(call).await.map_err(|why| format!("{what} failed: {why}"))
    }

    async fn exchange(&self, call: Call) -> Result<Response, String> {
        // The resolver is not asked for hosts that are addresses.
        self.check(&call.url).map_err(|why| format!("the address {why}"))?;
        let mut request = self.inner.request(call.method, call.url).headers(call.headers).timeout(call.timeout);
        if let Some(body) = call.body {
            request = request.body(body);
        }
        request.send().await.map_err(|error| reason(&error))
    }
}

/// An address without user, password and query, which may be secret.
pub fn shown(url: &Url) -> String {
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
    cause.to_string().chars().take(TEXT_CHARACTERS).collect()
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
    use crate::settings::Environment;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const SOON: Duration = Duration::from_secs(20);

    /// A server that answers every connection with this text; its address.
    async fn server(answer: &'static str) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0_u8; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Url::parse(&format!("http://{address}/hook?token=secret")).expect("an address")
    }

    fn guarded(hosts: &str) -> Client {
        let environment = Environment::from_pairs([("SAMPLE_ALLOWED_HOSTS", hosts)]);
        let policy = AddressPolicy::read(&environment, "SAMPLE").expect("legal hosts");
        Client::guarded("tests", policy).expect("a client")
    }

    #[tokio::test]
    async fn a_guarded_client_reaches_this_machine_only_where_it_is_allowed() {
        let url = server("HTTP/1.1 200 OK\r\ncontent-length: 8\r\nconnection: close\r\n\r\n{\"a\": 1}").await;
        let named = Url::parse(&url.as_str().replace("127.0.0.1", "localhost")).expect("an address");
        for url in [&url, &named] {
            let error = guarded("").send(Call::get(url.clone(), SOON)).await.expect_err("refused");
            assert!(error.contains("SAMPLE_ALLOWED_HOSTS") && !error.contains("secret"), "{error}");
        }
        let answer = guarded("127.0.0.1").send(Call::get(url.clone(), SOON)).await.expect("allowed");
        assert_eq!((answer.status, answer.body["a"].as_u64()), (200, Some(1)));
        assert!(Client::trusted("tests").expect("a client").send(Call::get(url, SOON)).await.is_ok());
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_not_followed() {
        let url = server(
            "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        )
        .await;
        let answer = guarded("127.0.0.1").send(Call::get(url, SOON)).await.expect("an answer");
        assert_eq!(answer.status, 302);
    }

    #[test]
    fn addresses_are_shown_without_what_may_be_secret() {
        let url = Url::parse("https://user:pass@host:8443/path?token=secret#part").expect("an address");
        assert_eq!(shown(&url), "https://host:8443/path");
    }

    #[test]
    fn a_signed_call_carries_both_signatures() {
        let url = Url::parse("http://host/").expect("an address");
        let call = Call::post(url, &serde_json::json!({"a": 1}), SOON).signed("s", "call-1");
        assert_eq!(call.headers["x-signature"].len(), 64);
        assert_eq!(call.headers["webhook-id"], "call-1");
        assert!(call.headers["webhook-signature"].to_str().is_ok_and(|value| value.starts_with("v1,")));
        assert!(call.headers["webhook-timestamp"].to_str().is_ok_and(|value| value.parse::<u64>().is_ok()));
    }
}
