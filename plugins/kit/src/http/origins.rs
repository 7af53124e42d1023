//! The pages that may call from a browser, and the host names under which they may do it without a key.

use std::net::IpAddr;

use axum::http::HeaderValue;
use axum::http::request::Parts;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders};
use url::{Host, Url};

use crate::settings::{ConfigurationError, Environment};

/// The application's own page during development.
const DEVELOPMENT_PAGE: &str = "http://localhost:3000";
/// Headers of answers that a page may read beside the usual ones.
const EXPOSED: [&str; 6] = [
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-request-id",
    "idempotency-replayed",
];

/// The origins of pages that may call, and the project's own domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    listed: Vec<String>,
    /// Any page may read answers, but gets them with a key or a token only.
    any: bool,
    base_domain: Option<String>,
    /// Pages of the project's domain may be unencrypted: not in production.
    plain: bool,
}

impl Origins {
    /// Reads `<NAME>_CORS_ORIGINS` (or `_CORS_ORIGIN`, or `CORS_ORIGIN`) and `BASE_DOMAIN`.
    pub(crate) fn read(
        environment: &Environment,
        prefix: &str,
        is_production: bool,
    ) -> Result<Self, ConfigurationError> {
        let names = [format!("{prefix}_CORS_ORIGINS"), format!("{prefix}_CORS_ORIGIN"), "CORS_ORIGIN".to_owned()];
        let list = environment.list(&names.each_ref().map(String::as_str));
        let mut origins = Self {
            listed: Vec::new(),
            any: false,
            base_domain: environment.text(&["BASE_DOMAIN"]).map(|domain| domain.to_ascii_lowercase()),
            plain: !is_production,
        };
        for entry in list.unwrap_or_else(|| vec![DEVELOPMENT_PAGE.to_owned()]) {
            if entry == "*" {
                origins.any = true;
                continue;
            }
            let origin = normalized(&entry).ok_or_else(|| {
                let name = &names[0];
                ConfigurationError::new(format!(
                    "`{name}` lists `{entry}`, which is not an origin; write it as `https://app.example.com`"
                ))
            })?;
            origins.listed.push(origin);
        }
        if origins.any {
            let name = &names[0];
            tracing::warn!("`{name}` is `*`: pages of any origin may call, but only with a key or a token");
        }
        Ok(origins)
    }

    /// Whether pages of this origin may call as if they were part of the project.
    pub fn allows(&self, origin: &str) -> bool {
        if self.listed.iter().any(|listed| listed == origin) {
            return true;
        }
        let Some(base) = &self.base_domain else { return false };
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://").filter(|_| self.plain));
        // With a port it is another server of that host, not the project's gateway.
        host.is_some_and(|host| is_within(host, base))
    }

    /// Whether pages of any origin may call with a key or a token.
    pub(crate) fn takes_any(&self) -> bool {
        self.any
    }

    /// Whether a `Host` header names this server in a way that no page of others can make lead here.
    pub(crate) fn knows_host(&self, header: &str, names: &[String]) -> bool {
        let Some(name) = host_name(header) else { return false };
        name.parse::<IpAddr>().is_ok()
            || is_within(&name, "localhost")
            || self.base_domain.as_ref().is_some_and(|base| is_within(&name, base))
            || names.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(&name))
    }

    /// The cross-origin layer: listed origins with credentials, `*` without.
    pub(crate) fn layer(&self) -> CorsLayer {
        let exposed = EXPOSED.map(axum::http::HeaderName::from_static);
        let layer = CorsLayer::new()
            .allow_methods(AllowMethods::mirror_request())
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(ExposeHeaders::list(exposed));
        if self.any {
            return layer.allow_origin(AllowOrigin::any());
        }
        let origins = self.clone();
        let allows = move |origin: &HeaderValue, _: &Parts| origin.to_str().is_ok_and(|origin| origins.allows(origin));
        layer.allow_origin(AllowOrigin::predicate(allows)).allow_credentials(true)
    }
}

fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The name of a `Host` header, without its port, in lower case.
pub(crate) fn host_name(header: &str) -> Option<String> {
    let url = Url::parse(&format!("http://{header}/")).ok()?;
    let is_bare = url.path() == "/" && url.username().is_empty() && url.query().is_none() && url.fragment().is_none();
    match url.host().filter(|_| is_bare)? {
        Host::Domain(name) => Some(name.trim_end_matches('.').to_owned()),
        Host::Ipv4(address) => Some(address.to_string()),
        Host::Ipv6(address) => Some(address.to_string()),
    }
}

/// An origin as browsers send it.
fn normalized(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        // Applications with a scheme of their own, such as `capacitor://localhost`.
        return text.contains("://").then(|| text.trim_end_matches('/').to_owned());
    }
    (url.path() == "/" && url.query().is_none()).then(|| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(pairs: &[(&str, &str)], is_production: bool) -> Origins {
        let environment = Environment::from_pairs(pairs.iter().copied());
        Origins::read(&environment, "SAMPLE", is_production).expect("legal origins")
    }

    #[test]
    fn the_development_page_and_the_projects_hosts_are_allowed_by_default() {
        let origins = origins(&[("BASE_DOMAIN", "shop.example")], false);
        for allowed in
            ["http://localhost:3000", "https://shop.example", "https://app.shop.example", "http://shop.example"]
        {
            assert!(origins.allows(allowed), "{allowed}");
        }
        for refused in [
            "http://localhost:3001",
            "https://localhost:3000",
            "http://localhost:3000.evil.example",
            "https://evilshop.example",
            "https://shop.example.evil.example",
            "https://shop.example:8443",
            "ftp://shop.example",
            "null",
            "",
        ] {
            assert!(!origins.allows(refused), "{refused}");
        }
    }

    #[test]
    fn production_allows_encrypted_pages_of_the_project_only() {
        let origins = origins(&[("BASE_DOMAIN", "shop.example")], true);
        assert!(origins.allows("https://app.shop.example"));
        assert!(!origins.allows("http://app.shop.example"));
    }

    #[test]
    fn a_list_replaces_the_default_under_each_of_its_names() {
        for name in ["SAMPLE_CORS_ORIGINS", "SAMPLE_CORS_ORIGIN", "CORS_ORIGIN"] {
            let origins = origins(&[(name, "HTTPS://App.example:443/, http://b:1")], false);
            assert!(origins.allows("https://app.example") && origins.allows("http://b:1"), "{name}");
            assert!(!origins.allows("http://localhost:3000"), "{name}");
        }
    }

    #[test]
    fn a_star_makes_no_page_part_of_the_project() {
        let origins = origins(&[("SAMPLE_CORS_ORIGIN", "*")], false);
        assert!(origins.any && !origins.allows("https://evil.example"));
    }

    #[test]
    fn what_is_no_origin_is_named() {
        let environment = Environment::from_pairs([("SAMPLE_CORS_ORIGIN", "localhost:3000/x")]);
        let error = Origins::read(&environment, "SAMPLE", false).expect_err("no origin").to_string();
        assert!(error.contains("`SAMPLE_CORS_ORIGINS` lists `localhost:3000/x`"), "{error}");
    }

    #[test]
    fn only_host_names_that_no_stranger_gives_out_are_known() {
        let origins = origins(&[("BASE_DOMAIN", "shop.example")], false);
        let names = ["plugin-sample".to_owned(), "Hooks.example".to_owned()];
        for host in [
            "127.0.0.1:3105",
            "[::1]:3105",
            "172.18.0.5",
            "localhost",
            "jobs.localhost:3105",
            "LOCALHOST:1",
            "plugin-sample:3105",
            "hooks.example",
            "api.shop.example",
        ] {
            assert!(origins.knows_host(host, &names), "{host}");
        }
        for host in [
            "evil.example:3105",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evillocalhost",
            "evil.example@localhost",
            "localhost/evil",
            "evil.example#localhost",
            "",
        ] {
            assert!(!origins.knows_host(host, &names), "{host}");
        }
    }
}
