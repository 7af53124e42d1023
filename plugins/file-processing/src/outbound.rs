//! Asks other servers: delivers webhooks, fetches files. Only http and https, no redirects, and never an address of
//! the machine's own network link, where clouds keep their credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use kit::{ConfigurationError, signature};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, redirect};
use url::{Host, Url};

use crate::problem::Problem;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const FETCH_WITHIN: Duration = Duration::from_mins(1);

/// Chooses the one cryptography of this process; clients of any kind are made after it.
pub(crate) fn choose_cryptography() {
    // Fails only where it was chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The way out.
pub(crate) struct Outbound {
    client: Client,
    fetch_hosts: Vec<String>,
}

impl Outbound {
    /// May fetch from these hosts; `*.example.com` allows what is below a domain.
    pub(crate) fn new(fetch_hosts: Vec<String>) -> Result<Self, ConfigurationError> {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_WITHIN)
            .user_agent(concat!("nself-file-processing/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(CarefulResolver))
            .build()
            .map_err(|error| ConfigurationError::new(format!("the HTTP client cannot be set up: {error}")))?;
        Ok(Self { client, fetch_hosts })
    }

    /// Posts JSON, signed where there is a secret; an error says why it was not taken.
    pub(crate) async fn post(&self, url: &str, body: String, secret: Option<&str>) -> Result<(), String> {
        let url = checked_url(url)?;
        let mut request = self.client.post(url).header("content-type", "application/json").timeout(ANSWER_WITHIN);
        if let Some(secret) = secret {
            request = request.header("x-signature", signature(secret, body.as_bytes()));
        }
        let answer = request.body(body).send().await.map_err(|error| brief(&error))?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(format!("the answer was {status}")) }
    }

    /// Opens a file at an address whose host is allowed.
    pub(crate) async fn fetch(&self, text: &str) -> Result<Response, Problem> {
        let url = checked_url(text).map_err(|message| Problem::field("fileUrl", message))?;
        if !self.may_fetch(&url) {
            let hint = "its host is not in `FILE_PROCESSING_FETCH_ALLOWED_HOSTS`";
            return Err(Problem::Forbidden(format!("`fileUrl` is not fetched: {hint}")));
        }
        let answer = self.client.get(url).timeout(FETCH_WITHIN).send().await;
        let answer =
            answer.map_err(|error| Problem::Storage(format!("fetching `fileUrl` failed: {}", brief(&error))))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(Problem::Missing(format!("fetching `fileUrl` was answered with {status}")));
        }
        Ok(answer)
    }

    /// Whether a file may be fetched from there.
    pub(crate) fn check_fetch(&self, text: &str) -> Result<(), Problem> {
        let url = checked_url(text).map_err(|message| Problem::field("fileUrl", message))?;
        if self.may_fetch(&url) {
            return Ok(());
        }
        let hint = "files are fetched from hosts in `FILE_PROCESSING_FETCH_ALLOWED_HOSTS` only";
        Err(Problem::Forbidden(format!("`fileUrl` is not fetched: {hint}")))
    }

    fn may_fetch(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        self.fetch_hosts.iter().any(|allowed| match allowed.strip_prefix("*.") {
            Some(domain) => host.strip_suffix(domain).is_some_and(|below| below.ends_with('.')),
            None => *allowed == host,
        })
    }
}

/// An address that may be asked at all.
pub(crate) fn checked_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is no address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with http:// or https://".to_owned());
    }
    let refused = match url.host() {
        None => true,
        Some(Host::Domain(_)) => false,
        Some(Host::Ipv4(address)) => !is_askable(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => !is_askable(IpAddr::V6(address)),
    };
    if refused { Err("must not name this machine's link or a group address".to_owned()) } else { Ok(url) }
}

/// Addresses that no webhook or file is behind: link-local ones, groups, and none at all.
fn is_askable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_askable_v4(address),
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or_else(|| is_askable_v6(address), is_askable_v4),
    }
}

fn is_askable_v4(address: Ipv4Addr) -> bool {
    !(address.is_link_local() || address.is_multicast() || address.is_unspecified() || address.is_broadcast())
}

fn is_askable_v6(address: Ipv6Addr) -> bool {
    // The last is where a large cloud keeps its credentials.
    let metadata = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    !(address.is_unicast_link_local() || address.is_multicast() || address.is_unspecified() || address == metadata)
}

/// Leaves out addresses that must not be asked, whatever name leads there.
struct CarefulResolver;

impl Resolve for CarefulResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let askable: Vec<SocketAddr> = found.filter(|address| is_askable(address.ip())).collect();
            if askable.is_empty() {
                return Err("the name leads to no address that may be asked".into());
            }
            Ok(Box::new(askable.into_iter()) as Addrs)
        })
    }
}

/// The innermost cause; the outer ones repeat the address, which may hold a secret.
fn brief(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string().chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_off_the_link_are_asked() {
        for good in ["http://app:3000/hook", "https://example.com", "http://127.0.0.1:1", "http://10.0.0.1"] {
            assert!(checked_url(good).is_ok(), "{good}");
        }
        for bad in [
            "file:///etc/passwd",
            "gopher://a",
            "nonsense",
            "http://169.254.169.254/latest",
            "http://[fe80::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://0.0.0.0/",
            "http://0xa9fea9fe/",
            "http://[fd00:ec2::254]/",
        ] {
            assert!(checked_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn files_come_from_named_hosts_only() {
        choose_cryptography();
        let outbound = Outbound::new(vec!["files.example".to_owned(), "*.cdn.example".to_owned()]).expect("a client");
        for (url, allowed) in [
            ("http://files.example/a", true),
            ("http://FILES.example:81/a", true),
            ("http://a.cdn.example/a", true),
            ("http://cdn.example/a", false),
            ("http://evilcdn.example/a", false),
            ("http://files.example.evil/a", false),
            ("http://files.example@evil/a", false),
            ("http://127.0.0.1/a", false),
        ] {
            assert_eq!(outbound.check_fetch(url).is_ok(), allowed, "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_the_link_is_not_asked() {
        let name: Name = "169.254.169.254".parse().expect("a name");
        assert!(CarefulResolver.resolve(name).await.is_err());
    }
}
