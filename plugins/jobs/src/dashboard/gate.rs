//! The dashboard's door: who may come in, under which host name, and that no other page sends people's browsers here.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kit::Failure;
use subtle::ConstantTimeEq;
use url::Url;

use crate::config::{Access, Dashboard};

/// The header that the page's own requests carry; another origin's page cannot send it unasked.
const OWN_HEADER: &str = "x-nself-dashboard";
/// A wrong password is told late, so that trying many takes long.
const WRONG_PASSWORD_PAUSE: Duration = Duration::from_millis(500);

/// The rules of the door.
pub(super) struct Gate {
    access: Access,
    hosts: Vec<String>,
}

impl Gate {
    pub(super) fn new(dashboard: Option<&Dashboard>) -> Self {
        match dashboard {
            Some(dashboard) => Self { access: dashboard.access.clone(), hosts: dashboard.hosts.clone() },
            None => Self { access: Access::Closed, hosts: Vec::new() },
        }
    }

    /// A name that an attacker's page could point at this machine is none of ours.
    fn knows_host(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else {
            return false;
        };
        let Ok(url) = Url::parse(&format!("http://{host}/")) else {
            return false;
        };
        let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        name.parse::<IpAddr>().is_ok()
            || name == "localhost"
            || name.ends_with(".localhost")
            || self.hosts.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(&name))
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        match &self.access {
            Access::Open => true,
            Access::Closed => false,
            Access::Password { username, password } => credentials(headers).is_some_and(|given| {
                let expected = format!("{username}:{password}");
                bool::from(given.as_slice().ct_eq(expected.as_bytes()))
            }),
        }
    }
}

fn credentials(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    BASE64_STANDARD.decode(encoded.trim()).ok()
}

/// Whether a request that changes something comes from the page itself.
fn is_own(headers: &HeaderMap) -> bool {
    let same_origin = match headers.get(ORIGIN).map(|origin| origin.to_str()) {
        None => true,
        Some(Ok(origin)) => {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok());
            origin.split_once("://").map(|(_, authority)| authority) == host
        }
        Some(Err(_)) => false,
    };
    same_origin && headers.contains_key(OWN_HEADER)
}

/// Middleware that applies the rules.
pub(super) async fn check(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let refuse = |text: &str| Failure::new(StatusCode::FORBIDDEN, text).into_response();
    if !gate.knows_host(headers) {
        return refuse("the dashboard is not known under this host name; add the name to JOBS_DASHBOARD_HOSTS");
    }
    if matches!(gate.access, Access::Closed) {
        return refuse("the dashboard is closed: set JOBS_DASHBOARD_PASSWORD, and start the plugin again");
    }
    if !gate.admits(headers) {
        if headers.contains_key(AUTHORIZATION) {
            tokio::time::sleep(WRONG_PASSWORD_PAUSE).await;
        }
        let mut response =
            Failure::new(StatusCode::UNAUTHORIZED, "the dashboard's user name and password are required")
                .into_response();
        let scheme = HeaderValue::from_static("Basic realm=\"nself jobs\", charset=\"UTF-8\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        return response;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) && !is_own(headers) {
        return refuse("changes are taken from the dashboard's own page only (header X-Nself-Dashboard, same origin)");
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value))).collect()
    }

    fn gate(access: Access) -> Gate {
        Gate { access, hosts: vec!["queues.example.org".to_owned()] }
    }

    #[test]
    fn only_names_that_nobody_else_can_give_out_are_known() {
        let gate = gate(Access::Open);
        for host in ["127.0.0.1:4200", "[::1]:4200", "localhost", "queues.localhost:4200", "Queues.Example.org"] {
            assert!(gate.knows_host(&headers(&[("host", host)])), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", ""] {
            assert!(!gate.knows_host(&headers(&[("host", host)])), "{host}");
        }
        assert!(!gate.knows_host(&HeaderMap::new()));
    }

    #[test]
    fn the_password_opens_and_nothing_near_it_does() {
        let gate = gate(Access::Password { username: "admin".to_owned(), password: "se:cret".to_owned() });
        // printf 'admin:se:cret' | base64
        assert!(gate.admits(&headers(&[("authorization", "Basic YWRtaW46c2U6Y3JldA==")])));
        for wrong in ["Basic YWRtaW46c2VjcmV0", "Bearer YWRtaW46c2U6Y3JldA==", "Basic %%%", "Basic", ""] {
            assert!(!gate.admits(&headers(&[("authorization", wrong)])), "{wrong}");
        }
        assert!(!gate.admits(&HeaderMap::new()));
    }

    #[test]
    fn other_pages_cannot_change_anything() {
        let host = ("host", "localhost:4200");
        let own = ("x-nself-dashboard", "1");
        assert!(is_own(&headers(&[host, own])));
        assert!(is_own(&headers(&[host, own, ("origin", "http://localhost:4200")])));
        for foreign in ["http://evil.example", "null", "http://localhost:4201"] {
            assert!(!is_own(&headers(&[host, own, ("origin", foreign)])), "{foreign}");
        }
        assert!(!is_own(&headers(&[host, ("origin", "http://localhost:4200")])));
    }
}
