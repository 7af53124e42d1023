//! Which addresses may be asked that strangers name. Knows names, networks and nothing of HTTP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::settings::{ConfigurationError, Environment};

/// What `<NAME>_ALLOWED_HOSTS` allows beside public addresses.
#[derive(Debug, Clone)]
pub struct AddressPolicy {
    variable: Arc<str>,
    rules: Arc<[Rule]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    /// This name, wherever it leads.
    Name(String),
    /// All names below this domain.
    Below(String),
    Network(IpNet),
}

impl AddressPolicy {
    /// Reads `<NAME>_ALLOWED_HOSTS`: names, `*.domain`, addresses and networks such as `10.0.0.0/8`.
    pub fn read(environment: &Environment, prefix: &str) -> Result<Self, ConfigurationError> {
        let variable = format!("{prefix}_ALLOWED_HOSTS");
        let list = environment.list(&[&variable]).unwrap_or_default();
        let rules: Result<Vec<Rule>, _> = list
            .iter()
            .map(|entry| {
                rule(entry).ok_or_else(|| {
                    let message = format!(
                        "`{variable}` lists `{entry}`, which is not a host name, `*.domain`, address or network"
                    );
                    ConfigurationError::new(message)
                })
            })
            .collect();
        Ok(Self { rules: rules?.into(), variable: variable.into() })
    }

    /// Whether an address may be asked at all; names are checked once more when they are resolved. The error completes a
    /// sentence that begins with the address or its field.
    pub fn check(&self, url: &Url) -> Result<(), String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err("must begin with http:// or https://".to_owned());
        }
        let is_allowed = match url.host() {
            None => false,
            Some(Host::Domain(name)) => self.allows_name(name) || !is_local_name(name),
            Some(Host::Ipv4(address)) => self.allows(None, IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => self.allows(None, IpAddr::V6(address)),
        };
        if is_allowed { Ok(()) } else { Err(self.refusal()) }
    }

    fn refusal(&self) -> String {
        format!("leads to this machine or a private network; hosts of those are listed in `{}`", self.variable)
    }

    fn allows(&self, name: Option<&str>, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address)
            || name.is_some_and(|name| self.allows_name(name))
            || self.rules.iter().any(|rule| matches!(rule, Rule::Network(network) if network.contains(&address)))
    }

    fn allows_name(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.rules.iter().any(|rule| match rule {
            Rule::Name(known) => *known == name,
            Rule::Below(domain) => name.strip_suffix(domain.as_str()).is_some_and(|below| below.ends_with('.')),
            Rule::Network(_) => false,
        })
    }
}

/// Leaves out the addresses that must not be asked, whatever name leads there.
impl Resolve for AddressPolicy {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> =
                found.filter(|address| policy.allows(Some(name.as_str()), address.ip())).collect();
            if allowed.is_empty() {
                return Err(format!("the name {}", policy.refusal()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn rule(entry: &str) -> Option<Rule> {
    let entry = entry.trim().to_ascii_lowercase();
    if let Ok(network) = entry.parse() {
        return Some(Rule::Network(network));
    }
    if let Ok(address) = entry.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(Rule::Network(address.into()));
    }
    let (name, below) = entry.strip_prefix("*.").map_or((entry.as_str(), false), |domain| (domain, true));
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let name = name.trim_end_matches('.').to_owned();
    is_name.then_some(if below { Rule::Below(name) } else { Rule::Name(name) })
}

/// Names that lead to this machine by themselves.
fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether an address is one of the public internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = matches!(
        (a, b, c),
        // This network, carrier-grade NAT, protocol assignments, benchmarks, reserved.
        (0 | 240.., ..) | (100, 64..=127, _) | (192, 0, 0) | (198, 18..=19, _)
    );
    !(is_special
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, .., g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        let [first, second] = high.to_be_bytes();
        let [third, fourth] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(first, second, third, fourth))
    };
    match (a, b) {
        // Translated to IPv4 (RFC 6052), and tunnelled through it (RFC 3056).
        (0x64, 0xff9b) => embedded(g, h),
        (0x2002, _) => embedded(b, address.segments()[2]),
        // Teredo, and documentation.
        (0x2001, 0 | 0xdb8) => false,
        // Everything else that is public lies in 2000::/3.
        _ => a & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(hosts: &str) -> AddressPolicy {
        AddressPolicy::read(&Environment::from_pairs([("SAMPLE_ALLOWED_HOSTS", hosts)]), "SAMPLE").expect("legal hosts")
    }

    fn allows(policy: &AddressPolicy, url: &str) -> bool {
        policy.check(&Url::parse(url).expect("an address")).is_ok()
    }

    #[test]
    fn only_public_addresses_may_be_asked() {
        let policy = policy("");
        for url in ["https://example.com", "http://1.1.1.1/", "http://[2606:4700::1111]/", "http://[64:ff9b::1.1.1.1]/"]
        {
            assert!(allows(&policy, url), "{url}");
        }
        for url in [
            "file:///etc/passwd",
            "gopher://example.com",
            "http://localhost:1",
            "http://LOCALHOST./",
            "http://a.localhost",
            "http://127.0.0.1",
            "http://127.1.2.3",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://0.0.0.0/",
            "http://10.0.0.1",
            "http://172.18.0.1",
            "http://192.168.1.1",
            "http://169.254.169.254/latest",
            "http://100.100.100.200/",
            "http://192.0.0.192/",
            "http://224.0.0.1/",
            "http://255.255.255.255/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://[::7f00:1]/",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/",
            "http://[fc00::1]/",
            "http://[64:ff9b::10.0.0.1]/",
            "http://[2002:7f00:1::]/",
            "http://[ff02::1]/",
        ] {
            assert!(!allows(&policy, url), "{url}");
        }
    }

    #[test]
    fn the_operator_allows_names_domains_addresses_and_networks() {
        let policy = policy("localhost, *.Internal.example, 10.1.0.0/16, 127.0.0.1, [::1]");
        for url in [
            "http://localhost:3000",
            "http://10.1.2.3",
            "http://127.0.0.1:1",
            "http://[::1]/",
            "http://[::ffff:10.1.0.9]/",
        ] {
            assert!(allows(&policy, url), "{url}");
        }
        for url in ["http://10.2.0.1", "http://127.0.0.2", "http://192.168.0.1"] {
            assert!(!allows(&policy, url), "{url}");
        }
        let private = "10.9.9.9".parse().expect("an address");
        assert!(policy.allows(Some("app.internal.example"), private));
        for name in ["internal.example", "evilinternal.example", "app.internal.example.evil"] {
            assert!(!policy.allows(Some(name), private), "{name}");
        }
        let environment = Environment::from_pairs([("SAMPLE_ALLOWED_HOSTS", "http://app")]);
        let error = AddressPolicy::read(&environment, "SAMPLE").expect_err("an address").to_string();
        assert!(error.contains("`SAMPLE_ALLOWED_HOSTS` lists `http://app`"), "{error}");
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_resolved() {
        let resolve = async |policy: AddressPolicy| {
            let name: Name = "localhost".parse().expect("a name");
            policy.resolve(name).await.map(Iterator::count)
        };
        let error = resolve(policy("")).await.expect_err("refused").to_string();
        assert!(error.contains("SAMPLE_ALLOWED_HOSTS"), "{error}");
        assert!(resolve(policy("localhost")).await.is_ok_and(|count| count > 0));
        assert!(resolve(policy("127.0.0.0/8, ::1")).await.is_ok_and(|count| count > 0));
    }
}
