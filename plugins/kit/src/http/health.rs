//! The health contract: what a plugin says of itself, and how it is written out.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::clock;

/// How a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Everything works: 200.
    Healthy,
    /// It works with less than it should have: 200.
    Degraded,
    /// It cannot do its work: 503.
    Unhealthy,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// One thing that a plugin depends on, as `dependencies.<name>` shows it.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// Its name, such as `redis`.
    pub name: &'static str,
    /// Its state in a word: `connected`, `disconnected`, `not configured`, …
    pub status: &'static str,
    /// Why it is so, where that needs saying.
    pub error: Option<String>,
    /// The time of its last answer in milliseconds.
    pub latency: Option<f64>,
}

/// What a plugin says of itself at one moment.
#[derive(Debug, Clone)]
pub struct Health {
    /// The verdict.
    pub status: Status,
    /// Why it is not healthy.
    pub error: Option<String>,
    /// What it depends on.
    pub dependencies: Vec<Dependency>,
    /// Further fields of the plugin's own; those in `dependencies.<name>` are added to that dependency's.
    pub details: Map<String, Value>,
}

impl Health {
    /// Healthy, with nothing else to say.
    pub fn healthy() -> Self {
        Self { status: Status::Healthy, error: None, dependencies: Vec::new(), details: Map::new() }
    }
}

/// Asks a plugin how it is; called for each probe, so it must answer well within a second.
pub type HealthSource = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Health> + Send>> + Send + Sync>;

/// Who answers, and since when.
#[derive(Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) started: Instant,
}

/// `GET /health`.
pub(crate) fn health_answer(who: Identity, health: Health) -> Response {
    let mut body = health.details;
    body.insert("status".to_owned(), json!(health.status.as_str()));
    body.insert("service".to_owned(), json!(who.name));
    body.insert("version".to_owned(), json!(who.version));
    body.insert("uptime".to_owned(), json!(who.started.elapsed().as_secs_f64()));
    body.insert("timestamp".to_owned(), json!(clock::iso(clock::now())));
    let more = body.remove("dependencies");
    body.insert("dependencies".to_owned(), dependencies(&health.dependencies, more.as_ref()));
    if let Some(error) = health.error {
        body.insert("error".to_owned(), Value::String(error));
    }
    (status_code(health.status), Json(Value::Object(body))).into_response()
}

/// `GET /ready`: whether it can take work.
pub(crate) fn ready_answer(who: Identity, health: &Health) -> Response {
    let ready = health.status != Status::Unhealthy;
    let mut body = json!({
        "ready": ready,
        "plugin": who.name,
        "timestamp": clock::iso(clock::now()),
    });
    if let Some(error) = &health.error {
        body["error"] = json!(error);
    }
    (status_code(health.status), Json(body)).into_response()
}

/// `GET /live`: whether the process answers. Asks no dependency, so that a slow database restarts nothing.
pub(crate) fn live_answer(who: Identity) -> Response {
    Json(json!({
        "alive": true,
        "plugin": who.name,
        "version": who.version,
        "uptime": who.started.elapsed().as_secs_f64(),
        "memory": {"rss": resident_bytes()},
        "stats": {},
        "timestamp": clock::iso(clock::now()),
    }))
    .into_response()
}

fn status_code(status: Status) -> StatusCode {
    match status {
        Status::Healthy | Status::Degraded => StatusCode::OK,
        Status::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// What each dependency says of itself; `more` holds fields that a plugin adds to some of them.
fn dependencies(entries: &[Dependency], more: Option<&Value>) -> Value {
    let mut object = Map::new();
    for entry in entries {
        let mut value = json!({"status": entry.status});
        if let Some(error) = &entry.error {
            value["error"] = json!(error);
        }
        if let Some(latency) = entry.latency {
            value["latency"] = json!(latency);
        }
        let own = more.and_then(|more| more[entry.name].as_object());
        for (field, text) in own.into_iter().flatten() {
            value[field] = text.clone();
        }
        object.insert(entry.name.to_owned(), value);
    }
    Value::Object(object)
}

/// The memory that this process occupies, where the kernel says so.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}
