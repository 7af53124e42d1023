//! Which redirects are followed. Owns the judgement alone: reqwest does the following, and drops credentials when
//! scheme, host or port change.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use reqwest::redirect::Policy;
use url::{Host, Url};

/// How many redirects one request may take.
pub(super) const MOST_REDIRECTS: usize = 5;

/// Why a redirect is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    TooMany,
    Scheme,
    Downgrade,
    Userinfo,
    PlainHttp,
    Inward,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TooMany => "redirected more than 5 times",
            Self::Scheme => "redirected to an address that is neither https nor http",
            Self::Downgrade => "redirected from https to http",
            Self::Userinfo => "redirected to an address with a user name in it",
            Self::PlainHttp => "redirected to plain http",
            Self::Inward => "redirected to an address of this machine or of a private network",
        })
    }
}

impl std::error::Error for Refusal {}

pub(super) fn policy(allow_http: bool) -> Policy {
    Policy::custom(move |attempt| match judge(attempt.previous(), attempt.url(), allow_http) {
        None => attempt.follow(),
        Some(refusal) => attempt.error(refusal),
    })
}

/// `previous` starts with the address that was asked for.
pub(super) fn judge(previous: &[Url], next: &Url, allow_http: bool) -> Option<Refusal> {
    let first = previous.first()?;
    let last = previous.last()?;
    if previous.len() > MOST_REDIRECTS {
        return Some(Refusal::TooMany);
    }
    match (last.scheme(), next.scheme()) {
        ("https", "http") => return Some(Refusal::Downgrade),
        (_, "https" | "http") => {}
        _ => return Some(Refusal::Scheme),
    }
    if !next.username().is_empty() || next.password().is_some() {
        return Some(Refusal::Userinfo);
    }
    if is_inward(next) && !is_inward(first) {
        return Some(Refusal::Inward);
    }
    if next.scheme() == "http" && !allow_http && !is_loopback(next) {
        return Some(Refusal::PlainHttp);
    }
    None
}

/// Whether the address is one of this machine by its spelling: no name is resolved.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_local_name(name),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|mapped| mapped.is_loopback())
        }
        None => false,
    }
}

fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether the address is, by its spelling, one that only this machine or its network can mean.
fn is_inward(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_local_name(name),
        Some(Host::Ipv4(address)) => is_inward_address(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_inward_address(IpAddr::V6(address)),
        None => true,
    }
}

fn is_inward_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_inward_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_inward_v4(mapped),
            None => {
                address.is_loopback()
                    || address.is_unspecified()
                    || address.is_unique_local()
                    || address.is_unicast_link_local()
            }
        },
    }
}

fn is_inward_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    // 100.64.0.0/10 is what carriers, and overlay networks, use behind their address translation.
    let is_shared = first == 100 && (64..128).contains(&second);
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_unspecified()
        || address.is_broadcast()
        || is_shared
}
