//! Why a request gave nothing usable, in words. Addresses in here carry neither credentials nor queries.

use std::error::Error;
use std::time::Duration;

use url::Url;

use super::redirect::Refusal;

/// Why a request gave no usable answer. The text says what was answered, to be put after the address; `url` is that
/// address without credentials and without its query.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Another status than 200 (or than 304, where that was asked for).
    #[error("answered {}", status_text(*.code))]
    Status { url: String, code: u16 },
    /// 410: what was there has been revoked.
    #[error("answered 410 Gone: it has been revoked")]
    Revoked { url: String },
    /// A web page: a captive portal, or a site where a registry is expected.
    #[error("answered an HTML page")]
    Html { url: String },
    /// 200 with nothing in it.
    #[error("answered an empty body")]
    Empty { url: String },
    /// More than was permitted; `limit` in bytes.
    #[error("answered more than {} MiB", .limit.div_ceil(1 << 20))]
    TooLarge { url: String, limit: u64 },
    /// A content encoding that was not asked for.
    #[error("answered in an encoding that was not asked for: {encoding}")]
    Encoding { url: String, encoding: String },
    /// Nothing, or not all of it, within the deadline.
    #[error("did not answer within {}", seconds(*.after))]
    Late { url: String, after: Duration },
    /// Less than a KiB a second over this span.
    #[error("sent less than 1 KiB/s over {}", seconds(*.span))]
    Stalled { url: String, span: Duration },
    /// Nobody listens there.
    #[error("refused the connection")]
    Refused { url: String },
    /// The host's name does not resolve.
    #[error("name not found")]
    NameNotFound { url: String },
    /// TLS: whom the certificate names, who signed it, or when.
    #[error("certificate not trusted: {cause}")]
    Certificate { url: String, cause: String },
    /// TLS, everything else.
    #[error("no TLS connection: {cause}")]
    Tls { url: String, cause: String },
    /// A redirect that is not followed; `cause` begins with "redirected".
    #[error("{cause}")]
    Redirect { url: String, cause: String },
    /// Plain http to another machine.
    #[error("plain http is refused for other machines than this one (--allow-http permits it)")]
    PlainHttp { url: String },
    /// Neither https nor http.
    #[error("is neither https nor http")]
    Scheme { url: String },
    /// The connection ended, or the answer stopped making sense, before it was complete.
    #[error("broke off: {cause}")]
    Broken { url: String, cause: String },
    /// No connection, for another reason.
    #[error("not reachable: {cause}")]
    Unreachable { url: String, cause: String },
    /// The receiver of a download failed.
    #[error("writing what arrived: {0}")]
    Sink(std::io::Error),
    /// The client could not be made: the system's roots are unreadable.
    #[error("preparing a connection: {cause}")]
    Client { cause: String },
}

impl HttpError {
    /// The address that was asked for, without credentials and query.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Status { url, .. }
            | Self::Revoked { url }
            | Self::Html { url }
            | Self::Empty { url }
            | Self::TooLarge { url, .. }
            | Self::Encoding { url, .. }
            | Self::Late { url, .. }
            | Self::Stalled { url, .. }
            | Self::Refused { url }
            | Self::NameNotFound { url }
            | Self::Certificate { url, .. }
            | Self::Tls { url, .. }
            | Self::Redirect { url, .. }
            | Self::PlainHttp { url }
            | Self::Scheme { url }
            | Self::Broken { url, .. }
            | Self::Unreachable { url, .. } => Some(url),
            Self::Sink(_) | Self::Client { .. } => None,
        }
    }

    /// Whether the same request may succeed when it is made again: the connection or the server failed, not the
    /// request.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Status { code, .. } => *code == 429 || matches!(code, 500 | 502..=504),
            Self::Late { .. } | Self::Stalled { .. } | Self::Broken { .. } | Self::Unreachable { .. } => true,
            _ => false,
        }
    }

    pub(super) fn late(url: &Url, after: Duration) -> Self {
        Self::Late { url: redacted(url), after }
    }

    /// An error while a body arrives.
    pub(super) fn broken(url: &Url, error: &reqwest::Error) -> Self {
        Self::Broken { url: redacted(url), cause: deepest(error) }
    }

    /// An error before there were headers.
    pub(super) fn from_reqwest(url: &Url, error: &reqwest::Error, connect: Duration) -> Self {
        let shown = redacted(url);
        if let Some(refusal) = find::<Refusal>(error) {
            return Self::Redirect { url: shown, cause: refusal.to_string() };
        }
        if error.is_redirect() {
            return Self::Redirect { url: shown, cause: format!("redirected to nowhere: {}", deepest(error)) };
        }
        if let Some(tls) = find::<rustls::Error>(error) {
            return match tls {
                rustls::Error::InvalidCertificate(reason) => {
                    Self::Certificate { url: shown, cause: reason.to_string() }
                }
                other => Self::Tls { url: shown, cause: other.to_string() },
            };
        }
        if error.is_dns() {
            return Self::NameNotFound { url: shown };
        }
        match find::<std::io::Error>(error).map(std::io::Error::kind) {
            Some(std::io::ErrorKind::ConnectionRefused) => Self::Refused { url: shown },
            Some(std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::UnexpectedEof) => {
                Self::Broken { url: shown, cause: "the connection was closed".to_owned() }
            }
            _ if error.is_timeout() => Self::Late { url: shown, after: connect },
            _ if error.is_connect() => Self::Unreachable { url: shown, cause: deepest(error) },
            _ => Self::Broken { url: shown, cause: deepest(error) },
        }
    }
}

/// The address as it may be shown: no user name, no password, no query, no fragment.
pub(super) fn redacted(url: &Url) -> String {
    let mut shown = url.clone();
    // These fail only where there can be no user name, and then there is none.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    // The URL's own serialisation is ASCII without control characters.
    shown.into()
}

/// The innermost cause: the outer ones repeat the address, which may hold credentials.
pub(super) fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    crate::name::shown(&cause.to_string())
}

/// The first cause of this type; io errors hide theirs from `source`.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<T>() {
            return Some(found);
        }
        let hidden = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match hidden {
            Some(hidden) => Some(hidden as &(dyn Error + 'static)),
            None => cause.source(),
        };
    }
    None
}

fn status_text(code: u16) -> String {
    let reason = reqwest::StatusCode::from_u16(code).ok().and_then(|status| status.canonical_reason());
    reason.map_or_else(|| code.to_string(), |reason| format!("{code} {reason}"))
}

fn seconds(span: Duration) -> String {
    if span.subsec_millis() == 0 { format!("{} s", span.as_secs()) } else { format!("{} ms", span.as_millis()) }
}
