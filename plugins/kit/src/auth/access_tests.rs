//! Who gets in: every class, with and without credentials, from pages, machines and containers.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use tower::ServiceExt;

use super::*;
use crate::http::{Peer, Routes};
use crate::settings::{Environment, Settings};

const GATEWAY: &str = "172.18.0.1:40000";
const CONTAINER: &str = "172.18.0.7:40000";
const KEY: (&str, &str) = ("x-api-key", "the key");

struct Server(Router);

impl Server {
    /// As the manager starts a plugin on a developer's machine, and these variables beside.
    fn installed(more: &[(&str, &str)]) -> Self {
        let pairs = [("SAMPLE_API_KEY", "the key"), ("SAMPLE_LOCAL_CALLERS", "172.18.0.1")];
        Self::with(&[&pairs, more].concat())
    }

    fn with(pairs: &[(&str, &str)]) -> Self {
        let environment = Environment::from_pairs(pairs.iter().copied());
        let settings = Settings::read(&environment, "sample", 1, 1024).expect("legal settings");
        let who = async |caller: Option<Caller>| format!("{caller:?}");
        let routes = Routes::new()
            .group(Class::Probe, Router::new().route("/health", get(async || "")))
            .group(Class::SelfVerified, Router::new().route("/hook", post(who)).route("/link", get(who)))
            .group(Class::Ordinary, Router::new().route("/inbox", get(who).post(who)))
            .group(Class::Power, Router::new().route("/everybody", get(who).post(who)));
        Self(
            routes
                .into_router()
                .layer(Extension(Arc::new(settings.access.clone())))
                .layer(settings.access.origins().layer()),
        )
    }

    async fn ask(&self, peer: &str, what: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let (method, path) = what.split_once(' ').expect("a method and a path");
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "127.0.0.1:3105");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let peer: SocketAddr = peer.parse().expect("an address");
        let request = request.extension(Peer(peer)).body(Body::empty()).expect("a legal request");
        self.0.clone().oneshot(request).await.expect("routers do not fail")
    }

    async fn status(&self, peer: &str, what: &str, headers: &[(&str, &str)]) -> u16 {
        self.ask(peer, what, headers).await.status().as_u16()
    }
}

#[tokio::test]
async fn without_credentials_this_machine_gets_ordinary_routes_and_containers_nothing() {
    let server = Server::installed(&[]);
    for (peer, what, status) in [
        (GATEWAY, "GET /health", 200),
        (GATEWAY, "POST /hook", 200),
        (GATEWAY, "POST /inbox", 200),
        (GATEWAY, "POST /everybody", 401),
        (CONTAINER, "GET /health", 200),
        (CONTAINER, "POST /hook", 200),
        (CONTAINER, "GET /inbox", 401),
        (CONTAINER, "GET /everybody", 401),
        ("127.0.0.1:1", "GET /inbox", 401),
    ] {
        assert_eq!(server.status(peer, what, &[]).await, status, "{peer} {what}");
    }
}

#[tokio::test]
async fn the_key_and_the_internal_secret_open_everything_from_anywhere() {
    let server = Server::installed(&[("PLUGIN_INTERNAL_SECRET", "between plugins")]);
    let foreign_host = ("host", "plugin.example");
    for credential in [KEY, ("authorization", "Bearer the key"), ("x-api-key", "between plugins")] {
        for what in ["GET /inbox", "POST /everybody"] {
            assert_eq!(server.status(CONTAINER, what, &[credential, foreign_host]).await, 200, "{credential:?} {what}");
        }
    }
    for wrong in [("x-api-key", "the kez"), ("authorization", "Bearer x"), ("x-api-key", "")] {
        assert_eq!(server.status(GATEWAY, "GET /inbox", &[wrong]).await, 401, "{wrong:?}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_variable_and_the_headers() {
    let response = Server::installed(&[]).ask(CONTAINER, "GET /inbox", &[]).await;
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    let body = axum::body::to_bytes(response.into_body(), 4096).await.expect("a body");
    let text = serde_json::from_slice::<serde_json::Value>(&body).expect("JSON")["error"].to_string();
    for part in ["SAMPLE_API_KEY", "X-API-Key", "Authorization: Bearer"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

#[tokio::test]
async fn no_local_caller_is_known_unless_configured() {
    let server = Server::with(&[("SAMPLE_API_KEY", "the key")]);
    assert_eq!(server.status(GATEWAY, "GET /inbox", &[]).await, 401);
    // By hand on all addresses: a loopback peer may be a proxy in front of strangers.
    assert_eq!(server.status("127.0.0.1:1", "GET /inbox", &[]).await, 401);
}

#[tokio::test]
async fn by_hand_on_loopback_this_machine_needs_no_key() {
    let server = Server::with(&[("HOST", "127.0.0.1")]);
    assert_eq!(server.status("127.0.0.1:1", "GET /inbox", &[]).await, 200);
    assert_eq!(server.status("[::ffff:127.0.0.1]:1", "GET /inbox", &[]).await, 200);
    assert_eq!(server.status("10.0.0.3:1", "GET /inbox", &[]).await, 401);
    assert_eq!(server.status("127.0.0.1:1", "POST /everybody", &[]).await, 401);
}

#[tokio::test]
async fn callers_behind_a_proxy_count_by_where_they_are() {
    let server = Server::installed(&[]);
    for (header, value, status) in [
        ("x-forwarded-for", "127.0.0.1", 200),
        ("x-forwarded-for", "::1, ::ffff:127.0.0.1", 200),
        ("x-forwarded-for", "203.0.113.9", 401),
        ("x-forwarded-for", "127.0.0.1, 203.0.113.9", 401),
        ("x-forwarded-for", "unknown", 401),
        ("x-real-ip", "203.0.113.9", 401),
        ("forwarded", "for=127.0.0.1", 401),
    ] {
        assert_eq!(server.status(GATEWAY, "GET /inbox", &[(header, value)]).await, status, "{header}: {value}");
    }
}

#[tokio::test]
async fn production_and_required_keys_leave_probes_and_self_verified_routes_open() {
    for setting in [("ENV", "Production"), ("NSELF_ENV", "staging"), ("SAMPLE_REQUIRE_KEY", "true")] {
        let server = Server::installed(&[setting]);
        assert_eq!(server.status(GATEWAY, "GET /inbox", &[]).await, 401, "{setting:?}");
        assert_eq!(server.status(GATEWAY, "GET /inbox", &[KEY]).await, 200, "{setting:?}");
        assert_eq!(server.status(GATEWAY, "GET /health", &[]).await, 200, "{setting:?}");
        assert_eq!(server.status(CONTAINER, "POST /hook", &[]).await, 200, "{setting:?}");
    }
    let server = Server::installed(&[("ENV", "prod"), ("SAMPLE_REQUIRE_KEY", "false")]);
    assert_eq!(server.status(GATEWAY, "GET /inbox", &[]).await, 200);
}

#[tokio::test]
async fn pages_of_other_origins_can_neither_read_nor_change() {
    let server = Server::installed(&[]);
    let evil = ("origin", "http://evil.example");
    let cross = ("sec-fetch-site", "cross-site");
    for what in ["GET /inbox", "POST /inbox", "POST /everybody", "POST /hook", "GET /link"] {
        for headers in
            [&[evil][..], &[evil, cross], &[("origin", "null"), cross], &[("origin", "http://localhost:3001")]]
        {
            let response = server.ask(GATEWAY, what, headers).await;
            assert_eq!(response.status(), 403, "{what} {headers:?}");
            assert!(!response.headers().contains_key("access-control-allow-origin"), "{what} {headers:?}");
        }
    }
    for what in ["GET /inbox", "POST /inbox"] {
        assert_eq!(server.status(GATEWAY, what, &[cross]).await, 403, "{what}");
        // A key that got into such a page does not help it either.
        assert_eq!(server.status(GATEWAY, what, &[evil, cross, KEY]).await, 403, "{what}");
        assert_eq!(server.status(GATEWAY, what, &[evil, KEY]).await, 200, "{what}");
    }
}

#[tokio::test]
async fn preflights_are_answered_for_allowed_origins_only() {
    let server = Server::installed(&[]);
    let ask = async |origin: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "POST")];
        server.ask(GATEWAY, "OPTIONS /inbox", &headers).await.headers().contains_key("access-control-allow-origin")
    };
    assert!(ask("http://localhost:3000").await);
    assert!(!ask("http://evil.example").await && !ask("null").await);
}

#[tokio::test]
async fn an_allowed_origin_wins_over_the_site() {
    let server = Server::installed(&[]);
    let headers = [("origin", "http://localhost:3000"), ("sec-fetch-site", "cross-site")];
    let response = server.ask(GATEWAY, "POST /inbox", &headers).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["access-control-allow-origin"], "http://localhost:3000");
    assert_eq!(response.headers()["access-control-allow-credentials"], "true");
    assert_eq!(server.status(GATEWAY, "POST /everybody", &headers).await, 401);
    let own = [("origin", "http://jobs.localhost:3105"), ("host", "jobs.localhost:3105")];
    assert_eq!(server.status(GATEWAY, "POST /inbox", &own).await, 200);
}

#[tokio::test]
async fn links_and_images_of_self_verified_routes_work_on_other_sites() {
    let server = Server::installed(&[]);
    for mode in ["navigate", "no-cors"] {
        let headers = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", mode), ("host", "files.example")];
        assert_eq!(server.status(GATEWAY, "GET /link", &headers).await, 200, "{mode}");
        assert_eq!(server.status(GATEWAY, "POST /hook", &headers).await, 403, "{mode}");
    }
    for mode in ["cors", "websocket"] {
        let headers = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", mode)];
        assert_eq!(server.status(GATEWAY, "GET /link", &headers).await, 403, "{mode}");
    }
    // Providers call without any of a browser's headers, under whatever name.
    assert_eq!(server.status(CONTAINER, "POST /hook", &[("host", "hooks.example")]).await, 200);
}

#[tokio::test]
async fn a_rebound_host_gets_nothing_without_a_key() {
    let server = Server::installed(&[("SAMPLE_HOSTS", "queue.example")]);
    for (host, status) in [
        ("rebind.evil.example:3105", 403),
        ("localhost.evil.example", 403),
        ("localhost:3105", 200),
        ("sample.localhost", 200),
        ("plugin-sample:3105", 200),
        ("queue.example", 200),
    ] {
        assert_eq!(server.status(GATEWAY, "GET /inbox", &[("host", host)]).await, status, "{host}");
    }
    let rebound = [("host", "evil.example:3105"), ("origin", "http://evil.example:3105")];
    assert_eq!(server.status(GATEWAY, "POST /inbox", &rebound).await, 403);
    assert_eq!(server.status(GATEWAY, "POST /inbox", &[("host", "evil.example"), KEY]).await, 200);
}

#[tokio::test]
async fn a_star_takes_any_page_with_a_key_and_none_without() {
    let server = Server::installed(&[("SAMPLE_CORS_ORIGIN", "*")]);
    let (evil, cross) = (("origin", "http://evil.example"), ("sec-fetch-site", "cross-site"));
    assert_eq!(server.status(GATEWAY, "GET /inbox", &[evil, cross]).await, 403);
    let response = server.ask(GATEWAY, "GET /inbox", &[evil, cross, KEY]).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert!(!response.headers().contains_key("access-control-allow-credentials"));
}

#[tokio::test]
async fn addresses_of_local_callers_are_checked() {
    let environment = Environment::from_pairs([("SAMPLE_LOCAL_CALLERS", "172.18.0.0/16")]);
    let error = Settings::read(&environment, "sample", 1, 1024).expect_err("a range").to_string();
    assert!(error.contains("`SAMPLE_LOCAL_CALLERS` lists `172.18.0.0/16`"), "{error}");
}

fn token(claims: &serde_json::Value) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let message = [serde_json::json!({"alg": "HS256"}), claims.clone()]
        .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
        .join(".");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("Bearer {message}.{}", URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, message.as_bytes())))
}

const SECRET: &str = "a secret of more than thirty-two bytes";

#[tokio::test]
async fn users_get_in_from_anywhere_and_to_power_as_administrators_only() {
    let server = Server::installed(&[("SAMPLE_JWT_SECRET", SECRET), ("ENV", "production")]);
    let user = token(&serde_json::json!({"sub": "ann", "exp": 4_000_000_000_u64}));
    let admin = token(&serde_json::json!({"sub": "root", "role": "admin", "exp": 4_000_000_000_u64}));
    let expired = token(&serde_json::json!({"sub": "ann", "exp": 1}));
    for (token, what, status) in [
        (&user, "GET /inbox", 200),
        (&user, "POST /everybody", 403),
        (&admin, "POST /everybody", 200),
        (&expired, "GET /inbox", 401),
        (&expired, "POST /hook", 200),
    ] {
        let headers = [("authorization", token.as_str()), ("host", "anything.example")];
        assert_eq!(server.status(CONTAINER, what, &headers).await, status, "{what}");
    }
    let response = server.ask(CONTAINER, "GET /inbox", &[("authorization", &user)]).await;
    let body = axum::body::to_bytes(response.into_body(), 4096).await.expect("a body");
    assert!(String::from_utf8_lossy(&body).contains("ann"), "{body:?}");
    // Nor from a page of another origin.
    let headers =
        [("authorization", user.as_str()), ("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")];
    assert_eq!(server.status(GATEWAY, "GET /inbox", &headers).await, 403);
}
