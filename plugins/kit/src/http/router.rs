//! Puts a plugin's routes and the shared ones into one router, with the layers in their order.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_request, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::{Value, json};
use tower_http::catch_panic::CatchPanicLayer;

use super::deadline::timed;
use super::error::Failure;
use super::fields::BodyLimit;
use super::fields::with_ignored;
use super::health::{HealthSource, Identity, health_answer, live_answer, ready_answer};
use super::linger::lingering;
use super::request_log::measure;
use super::routes::{Class, Routes};
use crate::settings::Settings;
use crate::telemetry::Metrics;

/// The longest text of a framework's error that is passed on, in bytes.
const ERROR_TEXT_BYTES: usize = 4096;

/// The largest answer to a request with fields that had no effect, in bytes; such requests are small themselves.
const ANSWER_BYTES: usize = 8 << 20;

/// What a plugin hands over to be served.
pub struct Plugin {
    /// Its name, as in `realtime`.
    pub name: &'static str,
    /// Its version, three numbers.
    pub version: &'static str,
    /// Where and how to serve.
    pub settings: Settings,
    /// The shared metrics and its own.
    pub metrics: Metrics,
    /// Tells how it is.
    pub health: HealthSource,
    /// Its routes, each with its class.
    pub routes: Routes,
    /// Runs once a stop was asked for, before open requests are waited for.
    pub on_stop: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// The router of a plugin with everything that is shared.
pub fn router(plugin: &Plugin) -> Router {
    let who = Identity { name: plugin.name, version: plugin.version, started: Instant::now() };
    let limit = BodyLimit(plugin.settings.body_limit);
    let probes = probes(who, plugin.health.clone(), plugin.metrics.clone());
    let routes = plugin.routes.clone().merge(Routes::new().group(Class::Probe, probes));
    routes
        .into_router()
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(Extension(limit))
        .layer(Extension(Arc::new(plugin.settings.access.clone())))
        .layer(map_request(lingering))
        .layer(map_request(timed))
        .layer(from_fn(report_ignored))
        .layer(map_response(errors_in_json))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(plugin.metrics.clone(), measure))
        .layer(plugin.settings.access.origins().layer())
}

fn probes(who: Identity, source: HealthSource, metrics: Metrics) -> Router {
    let (health, ready) = (source.clone(), source);
    Router::new()
        .route("/health", get(async move || health_answer(who, health().await)))
        .route("/ready", get(async move || ready_answer(who, &ready().await)))
        .route("/live", get(async move || live_answer(who)))
        .route("/metrics", get(async move || metrics.answer()))
}

async fn not_found(request: Request) -> Failure {
    let message = format!("there is no `{}` here", request.uri().path());
    Failure::new(StatusCode::NOT_FOUND, message)
}

async fn method_not_allowed(request: Request) -> Failure {
    let (method, path) = (request.method(), request.uri().path());
    let message = format!("`{path}` does not answer to {method}");
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, message)
}

/// What the web framework refuses by itself, such as a path that is no UTF-8, it refuses in plain
/// text; the contract wants JSON.
async fn errors_in_json(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || kind.is_some_and(|kind| kind.starts_with(b"application/json")) {
        return response;
    }
    let body = axum::body::to_bytes(response.into_body(), ERROR_TEXT_BYTES).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let reason = status.canonical_reason().unwrap_or("error");
    Failure::new(status, if text.is_empty() { reason } else { &text }).into_response()
}

/// Adds `ignored` to a JSON answer: the fields of the request that had no effect.
async fn report_ignored(request: Request, next: Next) -> Response {
    let (response, ignored) = with_ignored(next.run(request)).await;
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if ignored.is_empty() || kind != Some(b"application/json".as_slice()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, ANSWER_BYTES).await else {
        return Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer is too large").into_response();
    };
    let mut value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let Some(object) = value.as_object_mut() else { return Response::from_parts(parts, bytes.into()) };
    object.entry("ignored").or_insert_with(|| json!(ignored));
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, value.to_string().into())
}

fn panicked(cause: Box<dyn Any + Send>) -> Response {
    drop(cause); // The panic hook has logged it.
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::JsonObject;
    use crate::http::{Dependency, Health, Status};
    use crate::settings::Environment;
    use axum::body::Body;
    use axum::routing::{post, put};
    use std::sync::Arc;
    use tower::ServiceExt;

    const BODY_LIMIT: usize = 64;

    fn plugin(health: Health) -> Plugin {
        let environment = Environment::from_pairs([("SAMPLE_API_KEY", "right")]);
        let settings = Settings::read(&environment, "sample", 1, BODY_LIMIT);
        Plugin {
            name: "sample",
            version: "1.2.3",
            settings: settings.expect("defaults are legal"),
            metrics: Metrics::new("sample"),
            health: Arc::new(move || {
                let health = health.clone();
                Box::pin(async move { health })
            }),
            routes: Routes::new()
                .group(
                    Class::Ordinary,
                    Router::new()
                        .route("/echo", post(async |JsonObject(mut fields): JsonObject| fields.text("word")))
                        .route("/said", post(said))
                        .route("/panic", get(async || -> () { panic!("on purpose") }))
                        .route("/text/{number}", get(async |_: axum::extract::Path<u8>| ())),
                )
                .group(Class::Power, Router::new().route("/echo", put(async || "power")))
                .group(
                    Class::SelfVerified,
                    Router::new()
                        .route("/open", get(async || "open"))
                        .route("/open/panic", get(async || -> () { panic!("on purpose") })),
                ),
            on_stop: Box::pin(async {}),
        }
    }

    async fn said(JsonObject(mut fields): JsonObject) -> Result<axum::Json<Value>, Failure> {
        let word = fields.text("word");
        fields.finish().map_err(|details| Failure::invalid(&details))?;
        Ok(axum::Json(json!({"word": word})))
    }

    #[tokio::test]
    async fn fields_without_effect_are_reported_in_the_answer() {
        let plugin = plugin(Health::healthy());
        let (response, body) = ask(&plugin, request("POST", "/said"), r#"{"word": "a", "wrod": "b", "x": null}"#).await;
        assert_eq!(response.status(), 200);
        assert_eq!(body, json!({"word": "a", "ignored": ["wrod", "x"]}));
        let (_, body) = ask(&plugin, request("POST", "/said"), r#"{"word": "a"}"#).await;
        assert_eq!(body, json!({"word": "a"}));
        let (response, body) = ask(&plugin, request("POST", "/said"), r#"{"wrod": "b"}"#).await;
        assert_eq!((response.status().as_u16(), &body["ignored"][0]), (400, &json!("wrod")));
    }

    #[tokio::test]
    async fn requests_keep_their_id_or_get_one() {
        let plugin = plugin(Health::healthy());
        let id = |response: &Response| response.headers()["x-request-id"].to_str().expect("text").to_owned();
        let (response, _) = ask(&plugin, request("GET", "/health").header("x-request-id", "abc-1"), "").await;
        assert_eq!(id(&response), "abc-1");
        let (first, _) = ask(&plugin, request("GET", "/health").header("x-request-id", "a b"), "").await;
        let (second, _) = ask(&plugin, request("GET", "/nowhere"), "").await;
        assert!(id(&first).len() > 8 && id(&first) != id(&second));
    }

    async fn ask(plugin: &Plugin, request: axum::http::request::Builder, body: &str) -> (Response, Value) {
        let router = router(plugin);
        let request = request.body(Body::from(body.to_owned())).expect("a legal request");
        let mut response = router.oneshot(request).await.expect("routers do not fail");
        let body = std::mem::take(response.body_mut());
        let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a whole body");
        (response, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    fn request(method: &str, path: &str) -> axum::http::request::Builder {
        let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
        request.header("x-api-key", "right")
    }

    #[tokio::test]
    async fn every_error_is_json_with_an_error_text() {
        let plugin = plugin(Health::healthy());
        let cases = [
            ("GET", "/nowhere", "", 404),
            ("DELETE", "/echo", "", 405),
            ("POST", "/health", "", 405),
            ("POST", "/echo", "{", 400),
            ("GET", "/panic", "", 500),
            ("GET", "/text/many", "", 400),
            ("GET", "/open/panic", "", 500),
            ("POST", "/echo", &format!("\"{}\"", "x".repeat(BODY_LIMIT)), 413),
        ];
        for (method, path, body, status) in cases {
            let (response, body) = ask(&plugin, request(method, path), body).await;
            assert_eq!(response.status(), status, "{method} {path}");
            assert!(body["error"].is_string(), "{method} {path} answered {body}");
        }
    }

    #[tokio::test]
    async fn a_body_without_a_json_type_is_refused() {
        let request = Request::builder().method("POST").uri("/echo").header(CONTENT_TYPE, "text/plain");
        let request = request.header("x-api-key", "right");
        let (response, body) = ask(&plugin(Health::healthy()), request, "{}").await;
        assert_eq!((response.status().as_u16(), &body["mimeType"]), (415, &Value::from("text/plain")));
    }

    #[tokio::test]
    async fn health_tells_the_state_and_its_reason() {
        let dependency =
            Dependency { name: "postgres", status: "disconnected", error: Some("refused".to_owned()), latency: None };
        for (status, code, word, ready) in [
            (Status::Healthy, 200, "healthy", true),
            (Status::Degraded, 200, "degraded", true),
            (Status::Unhealthy, 503, "unhealthy", false),
        ] {
            let dependencies = vec![dependency.clone()];
            let error = Some("why".to_owned());
            let details = serde_json::json!({"dependencies": {"postgres": {"pool": 5}}});
            let details = details.as_object().cloned().unwrap_or_default();
            let plugin = plugin(Health { status, error, dependencies, details });
            let (response, body) = ask(&plugin, request("GET", "/health"), "").await;
            assert_eq!((response.status().as_u16(), body["status"].as_str()), (code, Some(word)));
            assert_eq!((body["service"].as_str(), body["version"].as_str()), (Some("sample"), Some("1.2.3")));
            assert_eq!(body["dependencies"]["postgres"]["error"], "refused");
            assert_eq!(body["dependencies"]["postgres"]["pool"], 5);
            assert!(body["uptime"].is_f64());
            let (response, body) = ask(&plugin, request("GET", "/ready"), "").await;
            assert_eq!((response.status().as_u16(), body["ready"].as_bool()), (code, Some(ready)));
            assert_eq!(ask(&plugin, request("GET", "/live"), "").await.0.status(), 200);
        }
    }

    #[tokio::test]
    async fn metrics_name_the_pattern_of_a_route_and_count_errors() {
        let plugin = plugin(Health::healthy());
        ask(&plugin, request("GET", "/text/7"), "").await;
        ask(&plugin, request("GET", "/open"), "").await;
        ask(&plugin, request("GET", "/some/invented/path"), "").await;
        let text = axum::body::to_bytes(plugin.metrics.answer().into_body(), usize::MAX).await;
        let text = String::from_utf8(text.expect("a whole body").to_vec()).expect("text");
        let line = "http_request_duration_seconds_count{method=\"GET\",route=\"/text/{number}\",status=\"200\"} 1";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("route=\"/open\",status=\"200\""), "{text}");
        assert!(text.contains("route=\"unmatched\",status=\"404\""), "{text}");
        assert!(text.contains("\nsample_errors_total 1\n"), "{text}");
    }
}
