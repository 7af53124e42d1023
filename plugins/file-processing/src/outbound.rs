//! Asks other servers: delivers webhooks, fetches files. Addresses that callers name reach nothing on this machine or its
//! networks, unless the operator allows it.

use std::time::Duration;

use kit::outbound::{AddressPolicy, Call, Client};
use kit::{ConfigurationError, Environment};
use reqwest::Response;
use url::Url;

use crate::problem::Problem;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const FETCH_WITHIN: Duration = Duration::from_mins(1);
/// How outgoing requests name this server.
const AGENT: &str = concat!("nself-file-processing/", env!("CARGO_PKG_VERSION"));

/// Which addresses callers may name.
#[derive(Clone)]
pub(crate) struct Policies {
    /// For webhooks.
    webhooks: AddressPolicy,
    /// For files, whose hosts must be listed besides.
    fetching: AddressPolicy,
    /// Hosts that files may be fetched from; `*.example.com` allows what is below a domain.
    fetch_hosts: Vec<String>,
}

impl Policies {
    pub(crate) fn read(environment: &Environment) -> Result<Self, ConfigurationError> {
        let hosts = environment.list(&["FILE_PROCESSING_FETCH_ALLOWED_HOSTS"]).unwrap_or_default();
        Ok(Self {
            webhooks: AddressPolicy::read(environment, "FILE_PROCESSING")?,
            fetching: AddressPolicy::read(environment, "FILE_PROCESSING_FETCH")?,
            fetch_hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
        })
    }
}

/// The way out.
pub(crate) struct Outbound {
    webhooks: Client,
    fetching: Client,
    trusted: Client,
    fetch_hosts: Vec<String>,
    /// The operator's own address for the end of jobs.
    configured: Option<String>,
}

impl Outbound {
    pub(crate) fn new(policies: Policies, configured: Option<String>) -> Result<Self, ConfigurationError> {
        Ok(Self {
            webhooks: Client::guarded(AGENT, policies.webhooks)?,
            fetching: Client::guarded(AGENT, policies.fetching)?,
            trusted: Client::trusted(AGENT)?,
            fetch_hosts: policies.fetch_hosts,
            configured,
        })
    }

    /// Whether a webhook may be sent there; the error completes a sentence about the address.
    pub(crate) fn check_webhook(&self, text: &str) -> Result<Url, String> {
        let url = Url::parse(text).map_err(|error| format!("is no address: {error}"))?;
        if self.configured.as_deref() != Some(text) {
            self.webhooks.check(&url)?;
        }
        Ok(url)
    }

    /// Posts the end of a job as JSON, signed where there is a secret; an error says why it was not taken.
    pub(crate) async fn post(&self, job: &str, url: &str, body: String, secret: Option<&str>) -> Result<(), String> {
        let client = if self.configured.as_deref() == Some(url) { &self.trusted } else { &self.webhooks };
        let call = Call::post_text(self.check_webhook(url)?, body, ANSWER_WITHIN);
        let call = match secret {
            Some(secret) => call.signed(secret, job),
            None => call,
        };
        let answer = client.send(call).await?;
        if answer.is_success() { Ok(()) } else { Err(format!("the answer was {}", answer.explain())) }
    }

    /// Opens a file at an address whose host is allowed.
    pub(crate) async fn fetch(&self, text: &str) -> Result<Response, Problem> {
        let url = self.check_fetch(text)?;
        let answer = self.fetching.open(Call::get(url, FETCH_WITHIN)).await;
        let answer = answer.map_err(|why| Problem::Storage(format!("fetching `fileUrl`: {why}")))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(Problem::Missing(format!("fetching `fileUrl` was answered with {status}")));
        }
        Ok(answer)
    }

    /// Whether a file may be fetched from there.
    pub(crate) fn check_fetch(&self, text: &str) -> Result<Url, Problem> {
        let url = Url::parse(text).map_err(|error| Problem::field("fileUrl", format!("is no address: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Problem::field("fileUrl", "must begin with http:// or https://"));
        }
        if !self.may_fetch(&url) {
            let hint = "files are fetched from hosts in `FILE_PROCESSING_FETCH_ALLOWED_HOSTS` only";
            return Err(Problem::Forbidden(format!("`fileUrl` is not fetched: {hint}")));
        }
        Ok(url)
    }

    fn may_fetch(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        self.fetch_hosts.iter().any(|allowed| match allowed.strip_prefix("*.") {
            Some(domain) => host.strip_suffix(domain).is_some_and(|below| below.ends_with('.')),
            None => *allowed == host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbound(pairs: &[(&str, &str)], configured: Option<&str>) -> Outbound {
        let policies = Policies::read(&Environment::from_pairs(pairs.iter().copied())).expect("legal settings");
        Outbound::new(policies, configured.map(str::to_owned)).expect("clients")
    }

    #[test]
    fn webhooks_reach_this_network_only_where_it_is_allowed() {
        let inner = [
            "http://127.0.0.1:1",
            "http://10.0.0.1",
            "http://169.254.169.254/latest",
            "http://0xa9fea9fe/",
            "http://[::ffff:169.254.169.254]/",
            "http://[fd00:ec2::254]/",
            "http://localhost/",
        ];
        let strict = outbound(&[], Some("http://app:3000/hook"));
        for url in inner.into_iter().chain(["file:///etc/passwd", "nonsense"]) {
            assert!(strict.check_webhook(url).is_err(), "{url}");
        }
        for url in ["https://example.com/hook", "http://app:3000/hook"] {
            assert!(strict.check_webhook(url).is_ok(), "{url}");
        }
        let open = outbound(&[("FILE_PROCESSING_ALLOWED_HOSTS", "10.0.0.0/8,localhost")], None);
        for url in ["http://10.0.0.1", "http://localhost/"] {
            assert!(open.check_webhook(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn files_come_from_named_hosts_only() {
        let outbound = outbound(&[("FILE_PROCESSING_FETCH_ALLOWED_HOSTS", "files.example,*.cdn.example")], None);
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
}
