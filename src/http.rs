//! HTTP as this program uses it: the only module that names reqwest. Owns redirects, proxies, roots, time limits and
//! size limits; knows nothing of registries or archives, and never tries a download again that has begun.
//!
//! Proxies come from the environment (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, in either case) and the
//! trusted roots from the system, or from `SSL_CERT_FILE` and `SSL_CERT_DIR` where these are set.

mod body;
mod error;
mod redirect;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Client, Response, StatusCode};
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use body::{Body, Rate};
pub use error::HttpError;

/// How long a registry document may take, connect included; a wait that the server asked for is not counted.
pub const DOCUMENT_DEADLINE: Duration = Duration::from_secs(10);
/// How long a connection may take to open.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How long a download may stand still, and the span over which its rate is measured.
pub const IDLE_DEADLINE: Duration = Duration::from_secs(30);
/// The slowest download that is still worth waiting for, in bytes a second.
pub const LOWEST_RATE: u64 = 1024;

/// The longest wait that a server can ask for with `Retry-After`.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How long to wait before a request is tried again that a server failed to answer (5xx).
const BACKOFF: Duration = Duration::from_millis(250);

/// What an earlier answer said of itself, sent back to ask whether it still holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    /// The `ETag` header.
    pub etag: Option<String>,
    /// The `Last-Modified` header.
    pub last_modified: Option<String>,
}

impl Validators {
    /// Whether there is nothing to ask with.
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }
}

/// The answer to a request for a document.
#[derive(Debug)]
pub enum Document {
    /// A new body, as received, with its validators.
    Fresh(Vec<u8>, Validators),
    /// The earlier body still holds (304).
    Unchanged,
}

/// A document, and how the server gave it.
#[derive(Debug)]
pub struct Reached {
    pub bytes: Vec<u8>,
    /// From the request to the answer's headers, the connection included.
    pub latency: Duration,
    /// The server's clock (the `Date` header), with the `Age` that a cache on the way gives the answer.
    pub date: Option<(SystemTime, Duration)>,
}

/// How long this client waits for what.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// See [`CONNECT_DEADLINE`].
    pub connect: Duration,
    /// See [`DOCUMENT_DEADLINE`].
    pub document: Duration,
    /// See [`IDLE_DEADLINE`].
    pub idle: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect: CONNECT_DEADLINE, document: DOCUMENT_DEADLINE, idle: IDLE_DEADLINE }
    }
}

/// A client, made at the first request of a command: roots and proxies are not read before.
#[derive(Debug)]
pub struct Http {
    permits_plain: bool,
    deadlines: Deadlines,
    client: OnceLock<Client>,
}

/// Takes each chunk of a download, with the expected total where the server tells it.
pub type Sink<'a> = dyn FnMut(&[u8], Option<u64>) -> std::io::Result<()> + Send + 'a;

/// What one attempt came to.
enum Attempt<T> {
    Done(T),
    /// The server asks for another try after this time; the error stands if there is none.
    Again(Duration, HttpError),
}

impl Http {
    /// A client that honours the environment's proxies and the system's roots; `allow_http` permits plain http to
    /// other machines (loopback is always permitted).
    pub fn new(allow_http: bool) -> Result<Self, HttpError> {
        Ok(Self::with_deadlines(allow_http, Deadlines::default()))
    }

    /// The same with other time limits.
    pub fn with_deadlines(allow_http: bool, deadlines: Deadlines) -> Self {
        Self { permits_plain: allow_http, deadlines, client: OnceLock::new() }
    }

    /// Gets a document of at most `limit` decoded bytes within [`DOCUMENT_DEADLINE`].
    pub async fn document(&self, url: &Url, limit: u64, validators: &Validators) -> Result<Document, HttpError> {
        self.permit(url)?;
        let mut left = self.deadlines.document;
        let mut tried_before = false;
        loop {
            let begun = Instant::now();
            let attempt = timeout(left, self.document_once(url, limit, validators)).await;
            left = left.saturating_sub(begun.elapsed());
            match attempt.map_err(|_| HttpError::late(url, self.deadlines.document))?? {
                Attempt::Done(document) => return Ok(document),
                Attempt::Again(wait, _) if !tried_before => sleep(wait).await,
                Attempt::Again(_, error) => return Err(error),
            }
            tried_before = true;
        }
    }

    /// Gets a document anew, asking once, within [`DOCUMENT_DEADLINE`]: to know how the server does.
    pub async fn reach(&self, url: &Url, limit: u64) -> Result<Reached, HttpError> {
        self.permit(url)?;
        let once = timeout(self.deadlines.document, self.reach_once(url, limit)).await;
        once.map_err(|_| HttpError::late(url, self.deadlines.document))?
    }

    async fn reach_once(&self, url: &Url, limit: u64) -> Result<Reached, HttpError> {
        let begun = Instant::now();
        let mut response = self.get(url, document_headers()).await?;
        let latency = begun.elapsed();
        if let Some(Attempt::Again(_, error)) = refusal::<()>(url, &response)? {
            return Err(error);
        }
        let date = text(response.headers(), &header::DATE).and_then(|date| httpdate::parse_http_date(&date).ok());
        let age = text(response.headers(), &header::AGE).and_then(|age| age.trim().parse().ok()).unwrap_or(0);
        let date = date.map(|date| (date, Duration::from_secs(age)));
        let bytes = whole_body(url, limit, &mut response).await?;
        Ok(Reached { bytes, latency, date })
    }

    /// Streams a body of at most `limit` bytes into `sink`, failing when nothing arrives for [`IDLE_DEADLINE`] or
    /// when less than [`LOWEST_RATE`] arrives over that span; returns the number of bytes. `sink` gets each chunk and
    /// the expected total, where the server tells it. The bytes are those of the file: no content encoding is undone.
    pub async fn stream(&self, url: &Url, limit: u64, sink: &mut Sink<'_>) -> Result<u64, HttpError> {
        self.permit(url)?;
        let response = match self.stream_start(url).await? {
            Attempt::Done(response) => response,
            Attempt::Again(wait, _) => {
                sleep(wait).await;
                match self.stream_start(url).await? {
                    Attempt::Done(response) => response,
                    Attempt::Again(_, error) => return Err(error),
                }
            }
        };
        self.stream_body(response, url, limit, sink).await
    }

    /// Refuses an address before anything is connected.
    fn permit(&self, url: &Url) -> Result<(), HttpError> {
        match url.scheme() {
            "https" => Ok(()),
            "http" if self.permits_plain || redirect::is_loopback(url) => Ok(()),
            "http" => Err(HttpError::PlainHttp { url: error::redacted(url) }),
            _ => Err(HttpError::Scheme { url: error::redacted(url) }),
        }
    }

    fn client(&self) -> Result<&Client, HttpError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // Fails only when a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("nself/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.deadlines.connect)
            .redirect(redirect::policy(self.permits_plain))
            .referer(false)
            // Archives must arrive as they are, and a document's limit counts decoded bytes: see `Body`.
            .no_gzip()
            .build()
            .map_err(|error| HttpError::Client { cause: error::deepest(&error) })?;
        Ok(self.client.get_or_init(|| client))
    }

    async fn get(&self, url: &Url, headers: HeaderMap) -> Result<Response, HttpError> {
        let request = self.client()?.get(url.clone()).headers(headers);
        request.send().await.map_err(|error| HttpError::from_reqwest(url, &error, self.deadlines.connect))
    }

    async fn document_once(
        &self,
        url: &Url,
        limit: u64,
        validators: &Validators,
    ) -> Result<Attempt<Document>, HttpError> {
        let mut headers = document_headers();
        insert(&mut headers, header::IF_NONE_MATCH, validators.etag.as_deref());
        insert(&mut headers, header::IF_MODIFIED_SINCE, validators.last_modified.as_deref());
        let mut response = self.get(url, headers).await?;
        if response.status() == StatusCode::NOT_MODIFIED && !validators.is_empty() {
            return Ok(Attempt::Done(Document::Unchanged));
        }
        if let Some(refusal) = refusal(url, &response)? {
            return Ok(refusal);
        }
        let bytes = whole_body(url, limit, &mut response).await?;
        let received = Validators {
            etag: text(response.headers(), &header::ETAG),
            last_modified: text(response.headers(), &header::LAST_MODIFIED),
        };
        Ok(Attempt::Done(Document::Fresh(bytes, received)))
    }

    /// Sends the request of a download and waits for its headers.
    async fn stream_start(&self, url: &Url) -> Result<Attempt<Response>, HttpError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let response = timeout(self.deadlines.idle, self.get(url, headers))
            .await
            .map_err(|_| HttpError::late(url, self.deadlines.idle))??;
        Ok(refusal(url, &response)?.unwrap_or(Attempt::Done(response)))
    }

    async fn stream_body(
        &self,
        mut response: Response,
        url: &Url,
        limit: u64,
        sink: &mut Sink<'_>,
    ) -> Result<u64, HttpError> {
        let total = response.content_length();
        if total.is_some_and(|total| total > limit) {
            return Err(HttpError::TooLarge { url: error::redacted(url), limit });
        }
        let mut received: u64 = 0;
        let mut rate = Rate::new(self.deadlines.idle);
        loop {
            let begun = Instant::now();
            let chunk = timeout(self.deadlines.idle, response.chunk())
                .await
                .map_err(|_| HttpError::Stalled { url: error::redacted(url), span: self.deadlines.idle })?
                .map_err(|error| HttpError::broken(url, &error))?;
            let Some(chunk) = chunk else { break };
            received += chunk.len() as u64;
            if received > limit {
                return Err(HttpError::TooLarge { url: error::redacted(url), limit });
            }
            if !rate.is_enough(chunk.len(), begun.elapsed()) {
                return Err(HttpError::Stalled { url: error::redacted(url), span: self.deadlines.idle });
            }
            sink(&chunk, total).map_err(HttpError::Sink)?;
        }
        if received == 0 { Err(HttpError::Empty { url: error::redacted(url) }) } else { Ok(received) }
    }
}

fn document_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, */*;q=0.1"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    headers
}

async fn whole_body(url: &Url, limit: u64, response: &mut Response) -> Result<Vec<u8>, HttpError> {
    let mut body = Body::new(url, limit, response)?;
    while let Some(chunk) = response.chunk().await.map_err(|error| HttpError::broken(url, &error))? {
        body.push(&chunk)?;
    }
    body.finish()
}

/// Everything but a plain 200 with something in it that is not a web page is refused.
fn refusal<T>(url: &Url, response: &Response) -> Result<Option<Attempt<T>>, HttpError> {
    let status = response.status();
    let shown = error::redacted(url);
    if status == StatusCode::GONE {
        return Err(HttpError::Revoked { url: shown });
    }
    if status != StatusCode::OK {
        let error = HttpError::Status { url: shown, code: status.as_u16() };
        return match wait_asked_for(response) {
            Some(wait) => Ok(Some(Attempt::Again(wait, error))),
            None => Err(error),
        };
    }
    let kind = text(response.headers(), &header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    if kind.starts_with("text/html") || kind.starts_with("application/xhtml") {
        return Err(HttpError::Html { url: shown });
    }
    Ok(None)
}

/// After how long the same request may do better: what a 429 asks for, if that is not too long; a moment after a 5xx.
fn wait_asked_for(response: &Response) -> Option<Duration> {
    match response.status().as_u16() {
        429 => {
            let wanted = text(response.headers(), &header::RETRY_AFTER)?;
            wait_of(wanted.trim(), crate::context::now()).filter(|wait| *wait <= LONGEST_WAIT)
        }
        500 | 502..=504 => Some(BACKOFF),
        _ => None,
    }
}

/// How long `Retry-After` asks to wait: seconds, or until a date.
fn wait_of(text: &str, now: SystemTime) -> Option<Duration> {
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// An address as it may be shown: without credentials, query and fragment.
pub fn shown(url: &Url) -> String {
    error::redacted(url)
}

fn text(headers: &HeaderMap, name: &header::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(ToOwned::to_owned)
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        headers.insert(name, value);
    }
}
