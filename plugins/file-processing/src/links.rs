//! Names files to callers: addresses that answer, and where a key guards the server, that open without it.

use axum::http::HeaderMap;
use axum::http::header::HOST;
use hmac::{Hmac, KeyInit, Mac};
use object_store::path::Path;
use sha2::Sha256;

use crate::images::hex;

/// What the address is where a request does not say a usable one.
const FALLBACK_HOST: &str = "127.0.0.1:3104";
/// Keeps a link's signature apart from anything else that the key signs.
const PURPOSE: &[u8] = b"file-processing link v1\0";

/// Makes addresses of stored files.
#[derive(Clone)]
pub(crate) struct Links {
    public_url: Option<String>,
    secret: Option<String>,
}

impl Links {
    /// Addresses below the public one, or below what each request asked; signed where there is a secret.
    pub(crate) fn new(public_url: Option<String>, secret: Option<String>) -> Self {
        Self { public_url, secret }
    }

    /// The address below which a caller with these headers reaches this server.
    pub(crate) fn base(&self, headers: &HeaderMap) -> String {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let scheme = if header("x-forwarded-proto") == Some("https") { "https" } else { "http" };
        let host = header(HOST.as_str()).filter(|host| is_host(host)).unwrap_or(FALLBACK_HOST);
        format!("{scheme}://{host}")
    }

    /// The address without a request: only where one is configured.
    pub(crate) fn public_base(&self) -> Option<&str> {
        self.public_url.as_deref()
    }

    /// The address of what this server answers at a path such as `/results/…`.
    pub(crate) fn url(&self, base: &str, path: &str) -> String {
        match self.signature(path) {
            Some(signature) => format!("{base}{path}?signature={signature}"),
            None => format!("{base}{path}"),
        }
    }

    /// The address of a file that this server made.
    pub(crate) fn to_key(&self, base: &str, key: &Path) -> String {
        self.url(base, &format!("/{key}"))
    }

    /// Whether a link to this path may be opened.
    pub(crate) fn opens(&self, path: &str, signature: Option<&str>) -> bool {
        let Some(mac) = self.mac(path) else { return true };
        let given = signature.and_then(from_hex).unwrap_or_default();
        mac.verify_slice(&given).is_ok()
    }

    fn signature(&self, path: &str) -> Option<String> {
        Some(hex(&self.mac(path)?.finalize().into_bytes()))
    }

    fn mac(&self, path: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_ref()?.as_bytes()).ok()?;
        mac.update(PURPOSE);
        mac.update(path.as_bytes());
        Some(mac)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Whether a Host header is a host and a port and nothing else.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let address = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
    let is_legal = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.bytes().all(address),
        None => host.bytes().all(name),
    };
    is_legal && !host.is_empty() && host.len() <= 253 && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn base_of(host: &'static str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static(host));
        Links::new(None, None).base(&headers)
    }

    #[test]
    fn addresses_follow_the_host_that_was_asked_unless_it_is_none() {
        assert_eq!(base_of("files.localhost:3104"), "http://files.localhost:3104");
        assert_eq!(base_of("[::1]:80"), "http://[::1]:80");
        for bad in ["evil/path", "a b", "user@host", "host:port", "", "<script>", "a:1:2"] {
            assert_eq!(base_of(bad), "http://127.0.0.1:3104", "{bad}");
        }
        let fixed = Links::new(Some("https://files.example".to_owned()), None);
        assert_eq!(fixed.base(&HeaderMap::new()), "https://files.example");
    }

    #[test]
    fn a_signed_link_opens_its_own_path_only() {
        let links = Links::new(None, Some("key".to_owned()));
        let url = links.url("http://host", "/results/a.png");
        let signature = url.split_once("signature=").map(|(_, signature)| signature.to_owned());
        assert!(links.opens("/results/a.png", signature.as_deref()));
        assert!(!links.opens("/results/b.png", signature.as_deref()));
        assert!(!links.opens("/results/a.png", None));
        assert!(!links.opens("/results/a.png", Some("zz")));
        assert!(Links::new(None, None).opens("/results/a.png", None));
    }
}
