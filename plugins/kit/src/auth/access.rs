//! The check of each request: origin, credentials, host, class. Decides; remembers nothing.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::key::bearer_token;
use super::{ApiKey, Caller, Tokens};
use crate::http::{Class, Failure, Origins, Peer, host_name};
use crate::settings::{ConfigurationError, Environment};

/// Headers in which a proxy names the caller behind it.
const FORWARDED_FOR: [&str; 2] = ["x-forwarded-for", "x-real-ip"];

/// The rules by which a plugin takes requests.
#[derive(Debug, Clone)]
pub struct Access {
    /// What the plugin's variables begin with, for errors that name them.
    prefix: String,
    key: Option<ApiKey>,
    tokens: Option<Tokens>,
    requires_key: bool,
    local_callers: Vec<IpAddr>,
    /// Whether the server listens on loopback only, so that loopback peers are programs of this machine.
    is_loopback: bool,
    host_names: Vec<String>,
    origins: Origins,
}

impl Access {
    /// Reads `<NAME>_REQUIRE_KEY`, `<NAME>_LOCAL_CALLERS`, `<NAME>_HOSTS` and the origins for the plugin whose variables
    /// begin with this prefix; the key is `key`, and `listening` the address that it serves.
    pub(crate) fn read(
        environment: &Environment,
        prefix: &str,
        key: Option<ApiKey>,
        listening: IpAddr,
    ) -> Result<Self, ConfigurationError> {
        let own = |suffix: &str| format!("{prefix}_{suffix}");
        let is_production = environment.is_production();
        let mut host_names = environment.list(&[&own("HOSTS")]).unwrap_or_default();
        host_names.push(format!("plugin-{}", prefix.to_ascii_lowercase().replace('_', "-")));
        Ok(Self {
            requires_key: environment.switch(&[&own("REQUIRE_KEY")], is_production)?,
            local_callers: local_callers(environment, &own("LOCAL_CALLERS"))?,
            is_loopback: listening.is_loopback(),
            host_names,
            origins: Origins::read(environment, prefix, is_production)?,
            tokens: Tokens::read(environment, prefix)?,
            prefix: prefix.to_owned(),
            key,
        })
    }

    /// What verifies users' tokens, where a source of them is configured.
    pub fn tokens(&self) -> Option<&Tokens> {
        self.tokens.as_ref()
    }

    /// The pages that may call from a browser.
    pub fn origins(&self) -> &Origins {
        &self.origins
    }

    /// Checks a request by the rules of ordinary routes: for self-verified ones whose own proof is missing.
    pub async fn check_ordinary(&self, parts: &Parts) -> Result<Option<Caller>, Failure> {
        self.admit(Class::Ordinary, parts).await
    }

    async fn admit(&self, class: Class, parts: &Parts) -> Result<Option<Caller>, Failure> {
        if class == Class::Probe {
            return Ok(None);
        }
        let is_foreign = self.is_foreign(parts);
        if class == Class::SelfVerified {
            if is_foreign && !is_embedded(parts) {
                return Err(self.refused_origin(&parts.headers));
            }
            // A wrong key or token here may belong to the proof that the route checks itself.
            return Ok(self.identify(&parts.headers).await.unwrap_or_default());
        }
        let caller = self.identify(&parts.headers).await;
        // A key or token that a script sends is not something that a browser adds by itself; a page's script is known by
        // `Sec-Fetch-Site`.
        let may_be_foreign = self.origins.takes_any() || !is_cross_site(&parts.headers);
        if is_foreign && !(may_be_foreign && matches!(caller, Ok(Some(_)))) {
            return Err(self.refused_origin(&parts.headers));
        }
        match caller? {
            Some(Caller::User(user)) if class == Class::Power && !user.is_admin => {
                let message =
                    format!("the role `{}` may not do this; it takes the API key or an administrator", user.role);
                Err(Failure::new(StatusCode::FORBIDDEN, message))
            }
            Some(caller) => Ok(Some(caller)),
            None if class == Class::Power => Err(self.without_key("this route acts on others")),
            None if self.requires_key => Err(self.without_key("this server requires a key")),
            None if !self.is_local(parts) => {
                Err(self.without_key("calls from other machines and containers need a key"))
            }
            None => self.checked_host(&parts.headers).map(|()| Some(Caller::Local)),
        }
    }

    /// The caller whose key or token the request carries.
    async fn identify(&self, headers: &HeaderMap) -> Result<Option<Caller>, Failure> {
        if self.key.as_ref().is_some_and(|key| key.is_in(headers)) {
            return Ok(Some(Caller::Service));
        }
        if let (Some(tokens), Some(token)) = (&self.tokens, bearer_token(headers)) {
            let wanted = headers.get("x-hasura-role").and_then(|role| role.to_str().ok());
            if let Ok(user) = tokens.verify(token, wanted).await {
                return Ok(Some(Caller::User(user)));
            }
        }
        // Without a key or a source of tokens nothing that is sent can be checked, and it counts as nothing.
        if (self.key.is_some() || self.tokens.is_some()) && ApiKey::is_given(headers) {
            return Err(self.without_key("the key or token is not valid"));
        }
        Ok(None)
    }

    /// Whether a page that is no part of the project makes the request.
    fn is_foreign(&self, parts: &Parts) -> bool {
        let Some(origin) = parts.headers.get(ORIGIN) else { return is_cross_site(&parts.headers) };
        let Ok(origin) = origin.to_str() else { return true };
        !self.origins.allows(origin) && !self.is_own(origin, &parts.headers)
    }

    /// Whether the page was served under the very host that is asked, by a name that is this server's.
    fn is_own(&self, origin: &str, headers: &HeaderMap) -> bool {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_some() && authority == host && self.knows_host(headers)
    }

    fn is_local(&self, parts: &Parts) -> bool {
        let Some(Peer(peer)) = parts.extensions.get::<Peer>() else { return false };
        let peer = peer.ip().to_canonical();
        let is_peer = self.local_callers.contains(&peer) || (self.is_loopback && peer.is_loopback());
        is_peer && !parts.headers.contains_key("forwarded") && self.is_forwarded_from_here(&parts.headers)
    }

    /// Whether each caller that a proxy of this machine names is of this machine, too.
    fn is_forwarded_from_here(&self, headers: &HeaderMap) -> bool {
        let values = FORWARDED_FOR.iter().flat_map(|name| headers.get_all(*name));
        values.map(HeaderValue::to_str).all(|value| {
            value.is_ok_and(|value| {
                value.split(',').all(|address| {
                    let address = address.trim().parse::<IpAddr>().map(|address| address.to_canonical());
                    address.is_ok_and(|address| address.is_loopback() || self.local_callers.contains(&address))
                })
            })
        })
    }

    fn knows_host(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        host.is_some_and(|host| self.origins.knows_host(host, &self.host_names))
    }

    fn checked_host(&self, headers: &HeaderMap) -> Result<(), Failure> {
        if self.knows_host(headers) {
            return Ok(());
        }
        let host = headers.get(HOST).and_then(|host| host_name(host.to_str().ok()?)).unwrap_or_default();
        let prefix = &self.prefix;
        let message = format!("`{host}` is not a known name of this server; add it to `{prefix}_HOSTS`, or send a key");
        Err(Failure::new(StatusCode::FORBIDDEN, message))
    }

    fn refused_origin(&self, headers: &HeaderMap) -> Failure {
        let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
        let prefix = &self.prefix;
        let message = match origin {
            Some(origin) => {
                format!("pages of `{origin}` may not call this server; add the origin to `{prefix}_CORS_ORIGINS`")
            }
            None => {
                format!("pages of other sites may not call this server; list their origins in `{prefix}_CORS_ORIGINS`")
            }
        };
        Failure::new(StatusCode::FORBIDDEN, message)
    }

    fn without_key(&self, why: &str) -> Failure {
        let prefix = &self.prefix;
        let message = format!(
            "{why}: send the value of `{prefix}_API_KEY` in the header `X-API-Key` or as `Authorization: Bearer`, or a \
             user's token"
        );
        Failure::new(StatusCode::UNAUTHORIZED, message).with_header(WWW_AUTHENTICATE, "Bearer")
    }
}

fn local_callers(environment: &Environment, name: &str) -> Result<Vec<IpAddr>, ConfigurationError> {
    let list = environment.list(&[name]).unwrap_or_default();
    let addresses = list.iter().map(|text| {
        let address = text.parse::<IpAddr>().map(|address| address.to_canonical());
        address.map_err(|_| ConfigurationError::new(format!("`{name}` lists `{text}`, which is not an IP address")))
    });
    addresses.collect()
}

/// Whether the browser says that a page of another site makes the request.
fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}

/// Whether a page shows or links to what is asked for, without being able to read it: a link that is followed, an image.
fn is_embedded(parts: &Parts) -> bool {
    let mode = parts.headers.get("sec-fetch-mode").and_then(|mode| mode.to_str().ok());
    matches!(parts.method, Method::GET | Method::HEAD)
        && !parts.headers.contains_key(ORIGIN)
        && matches!(mode, Some("navigate" | "no-cors"))
}

/// Middleware of a group of routes: lets requests pass that may be made, with their [`Caller`].
pub(crate) async fn check(State(class): State<Class>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Some(access) = parts.extensions.get::<Arc<Access>>().cloned() else {
        // A router that `kit::router` did not make.
        return Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "the access rules are missing").into_response();
    };
    match access.admit(class, &parts).await {
        Ok(caller) => {
            if let Some(caller) = caller {
                parts.extensions.insert(caller);
            }
            next.run(Request::from_parts(parts, body)).await
        }
        Err(error) => error.into_response(),
    }
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
