//! Names files to callers: addresses that open one file for a while, to anyone who has them.
//!
//! They are signed by a key of their own: neither the API key nor the name under which a request came in has a part in
//! it.

use std::path::Path as FilePath;
use std::time::{Duration, SystemTime};

use axum::http::HeaderMap;
use axum::http::header::HOST;
use hmac::{Hmac, KeyInit, Mac};
use kit::clock;
use object_store::path::Path;
use sha2::Sha256;

use crate::images::hex;

/// Keeps a link's signature apart from anything else that the key signs.
const PURPOSE: &[u8] = b"file-processing link v2\0";

/// Makes and checks addresses of stored files.
#[derive(Clone)]
pub(crate) struct Links {
    public_url: Option<String>,
    key: String,
    lifetime: Duration,
}

impl Links {
    /// Addresses below the public one, or below what each request asked, which open files for so long.
    pub(crate) fn new(public_url: Option<String>, key: String, lifetime: Duration) -> Self {
        Self { public_url, key, lifetime }
    }

    /// The address below which a caller with these headers reaches this server. A host that somebody could have pointed
    /// here is not repeated: without one, addresses begin with their path.
    pub(crate) fn base(&self, headers: &HeaderMap) -> String {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let scheme = if header("x-forwarded-proto") == Some("https") { "https" } else { "http" };
        let host = header(HOST.as_str()).filter(|host| is_local_host(host));
        host.map(|host| format!("{scheme}://{host}")).unwrap_or_default()
    }

    /// The address without a request: only where one is configured.
    pub(crate) fn public_base(&self) -> Option<&str> {
        self.public_url.as_deref()
    }

    /// The address of what this server answers at a path such as `/results/…`.
    pub(crate) fn url(&self, base: &str, path: &str) -> String {
        let expires = clock::milliseconds(clock::now() + self.lifetime) / 1000;
        let signature = hex(&self.mac(path, expires).finalize().into_bytes());
        format!("{base}{path}?expires={expires}&signature={signature}")
    }

    /// The address of a file that this server made.
    pub(crate) fn to_key(&self, base: &str, key: &Path) -> String {
        self.url(base, &format!("/{key}"))
    }

    /// Whether a link to this path may be opened.
    pub(crate) fn opens(&self, path: &str, expires: Option<u64>, signature: Option<&str>, now: SystemTime) -> bool {
        let (Some(expires), Some(signature)) = (expires, signature.and_then(from_hex)) else { return false };
        let is_signed = self.mac(path, expires).verify_slice(&signature).is_ok();
        is_signed && clock::milliseconds(now) / 1000 < expires
    }

    fn mac(&self, path: &str, expires: u64) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_bytes()).expect("a key of any length fits");
        mac.update(PURPOSE);
        mac.update(&expires.to_be_bytes());
        mac.update(path.as_bytes());
        mac
    }
}

/// The key of this volume's links, generated at the first start.
pub(crate) fn stored_key(path: &FilePath) -> std::io::Result<String> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    match std::fs::read_to_string(path) {
        Ok(key) if key.trim().len() >= 32 => return Ok(key.trim().to_owned()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => (),
    }
    let key = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let unfinished = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
    file.write_all(key.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    Ok(key)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Whether a Host header names this machine or this network: an address, `localhost`, or a name without dots.
fn is_local_host(text: &str) -> bool {
    let host = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => text,
    };
    let is_address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    is_host(text) && (is_address || !host.contains('.') || host.ends_with(".localhost"))
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

    const HOUR: Duration = Duration::from_hours(1);

    fn links(key: &str) -> Links {
        Links::new(None, key.to_owned(), HOUR)
    }

    fn base_of(host: &'static str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static(host));
        links("key").base(&headers)
    }

    #[test]
    fn addresses_follow_hosts_of_this_network_and_repeat_no_other() {
        for host in ["files.localhost:3104", "[::1]:80", "127.0.0.1:3104", "plugin-file-processing:3104", "localhost"] {
            assert_eq!(base_of(host), format!("http://{host}"));
        }
        for bad in [
            "evil.example",
            "evil.example:3104",
            "localhost.evil.example",
            "evil/path",
            "a b",
            "user@host",
            "host:port",
            "",
            "<script>",
            "a:1:2",
        ] {
            assert_eq!(base_of(bad), "", "{bad}");
        }
        let fixed = Links::new(Some("https://files.example".to_owned()), "key".to_owned(), HOUR);
        assert_eq!(fixed.base(&HeaderMap::new()), "https://files.example");
    }

    fn parts(url: &str) -> (Option<u64>, Option<&str>) {
        let (expires, signature) =
            url.split_once("?expires=").and_then(|(_, rest)| rest.split_once("&signature=")).expect("a link");
        (expires.parse().ok(), Some(signature))
    }

    #[test]
    fn a_link_opens_its_own_path_until_it_expires() {
        let links = links("key");
        let url = links.url("http://host", "/results/a.png");
        let (expires, signature) = parts(&url);
        let now = clock::now();
        assert!(links.opens("/results/a.png", expires, signature, now));
        assert!(!links.opens("/results/a.png", expires, signature, now + HOUR + Duration::from_secs(1)));
        assert!(!links.opens("/results/a.png", expires.map(|time| time + 9999), signature, now));
        assert!(!links.opens("/results/b.png", expires, signature, now));
        assert!(!links.opens("/results/a.png", expires, None, now));
        assert!(!links.opens("/results/a.png", None, signature, now));
        assert!(!links.opens("/results/a.png", expires, Some("zz"), now));
        assert!(!super::Links::new(None, "other".to_owned(), HOUR).opens("/results/a.png", expires, signature, now));
        // The name under which it was asked for has no part in it.
        assert_eq!(parts(&links.url("https://elsewhere", "/results/a.png")).1.map(str::len), Some(64));
    }

    #[test]
    fn the_key_is_made_once_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("links.key");
        let key = stored_key(&path).expect("a key");
        assert_eq!((key.len(), stored_key(&path).expect("a key")), (64, key));
        assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "").expect("written");
        assert_eq!(stored_key(&path).expect("another key").len(), 64);
    }
}
