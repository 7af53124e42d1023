//! The dashboard's door: who may come in, under which host name, and that no other page sends people's browsers here.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
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

/// Wrong passwords in a row that are answered as such; each further one locks for longer.
const FREE_GUESSES: u32 = 5;
const FIRST_LOCK: Duration = Duration::from_secs(30);
const LONGEST_LOCK: Duration = Duration::from_mins(15);

/// The rules of the door.
pub(super) struct Gate {
    access: Access,
    hosts: Vec<String>,
    guesses: Mutex<Guesses>,
}

/// Wrong passwords in a row. All callers share it: behind a published port they come from one address.
#[derive(Default)]
struct Guesses {
    wrong: u32,
    locked_until: Option<Instant>,
}

impl Guesses {
    /// How long the door stays locked.
    fn locked_for(&self, now: Instant) -> Option<Duration> {
        self.locked_until?.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    fn count_wrong(&mut self, now: Instant) {
        self.wrong = self.wrong.saturating_add(1);
        if let Some(beyond) = self.wrong.checked_sub(FREE_GUESSES) {
            let lock = FIRST_LOCK.saturating_mul(1 << beyond.min(10)).min(LONGEST_LOCK);
            self.locked_until = Some(now + lock);
        }
    }
}

impl Gate {
    pub(super) fn new(dashboard: Option<&Dashboard>) -> Self {
        match dashboard {
            Some(dashboard) => Self::of(dashboard.access.clone(), dashboard.hosts.clone()),
            None => Self::of(Access::Closed, Vec::new()),
        }
    }

    fn of(access: Access, hosts: Vec<String>) -> Self {
        Self { access, hosts, guesses: Mutex::default() }
    }

    /// Checks the password, unless too many wrong ones were tried: then nothing is checked for a while.
    fn check_password(&self, headers: &HeaderMap, now: Instant) -> Entry {
        let mut guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(self.access, Access::Open)
            && let Some(left) = guesses.locked_for(now)
        {
            return Entry::Locked(left);
        }
        if self.admits(headers) {
            *guesses = Guesses::default();
            return Entry::Open;
        }
        if headers.contains_key(AUTHORIZATION) {
            guesses.count_wrong(now);
            return Entry::Wrong;
        }
        Entry::NoPassword
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

/// What a password opens.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    Open,
    NoPassword,
    Wrong,
    /// For so long.
    Locked(Duration),
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
    match gate.check_password(headers, Instant::now()) {
        Entry::Open => (),
        Entry::NoPassword => return unauthorized(),
        Entry::Wrong => {
            tokio::time::sleep(WRONG_PASSWORD_PAUSE).await;
            return unauthorized();
        }
        Entry::Locked(left) => {
            let text = "too many wrong passwords were tried; try again later";
            let mut response = Failure::new(StatusCode::TOO_MANY_REQUESTS, text).into_response();
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(left.as_secs() + 1));
            return response;
        }
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) && !is_own(headers) {
        return refuse("changes are taken from the dashboard's own page only (header X-Nself-Dashboard, same origin)");
    }
    next.run(request).await
}

fn unauthorized() -> Response {
    let text = "the dashboard's user name and password are required";
    let mut response = Failure::new(StatusCode::UNAUTHORIZED, text).into_response();
    let scheme = HeaderValue::from_static("Basic realm=\"nself jobs\", charset=\"UTF-8\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value))).collect()
    }

    fn gate(access: Access) -> Gate {
        Gate::of(access, vec!["queues.example.org".to_owned()])
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
    fn guessing_locks_the_door_for_longer_and_longer() {
        let gate = gate(Access::Password { username: "admin".to_owned(), password: "se:cret".to_owned() });
        let right = headers(&[("authorization", "Basic YWRtaW46c2U6Y3JldA==")]);
        let wrong = headers(&[("authorization", "Basic YWRtaW46c2VjcmV0")]);
        let now = Instant::now();
        for _ in 0..4 {
            assert_eq!(gate.check_password(&wrong, now), Entry::Wrong);
        }
        // The right one starts the count again; no password is no guess.
        assert_eq!(gate.check_password(&right, now), Entry::Open);
        for _ in 0..5 {
            assert_eq!(gate.check_password(&HeaderMap::new(), now), Entry::NoPassword);
            assert_eq!(gate.check_password(&wrong, now), Entry::Wrong);
        }
        assert_eq!(gate.check_password(&right, now), Entry::Locked(FIRST_LOCK));
        let later = now + FIRST_LOCK;
        assert_eq!(gate.check_password(&wrong, later), Entry::Wrong);
        assert_eq!(gate.check_password(&right, later), Entry::Locked(FIRST_LOCK * 2));
        assert_eq!(gate.check_password(&right, later + FIRST_LOCK * 2), Entry::Open);
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
