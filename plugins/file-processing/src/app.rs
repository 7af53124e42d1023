//! Puts the plugin together: settings, storage, jobs, HTTP routes, the clock's work, health.

use std::sync::Arc;

use kit::{ConfigurationError, Dependency, Environment, Health, Metrics, Plugin, Status};
use serde_json::{Map, json};

use crate::config::Config;
use crate::runner::{FINISH_WITHIN, run_jobs, stop_jobs};
use crate::state::App;
use crate::{http, upkeep};

/// Builds the plugin from its environment.
pub(crate) async fn build(environment: Environment) -> Result<Plugin, ConfigurationError> {
    let metrics = Metrics::new("file-processing");
    let app = Arc::new(App::new(Config::read(&environment)?, &metrics)?);
    warn_of_open_doors(&app.config);
    if let Err(problem) = app.storage.check().await {
        // Not fatal: a bucket may start after this server.
        app.storage_error.send_replace(Some(problem.to_string()));
    }
    tokio::spawn(upkeep::watch_storage(app.clone()));
    tokio::spawn(upkeep::tidy(app.clone()));
    tokio::spawn(run_jobs(app.clone()));
    let (observed, stopped) = (app.clone(), app.clone());
    Ok(Plugin {
        name: "file-processing",
        version: env!("CARGO_PKG_VERSION"),
        settings: app.config.server.clone(),
        metrics,
        health: Arc::new(move || {
            let health = health(&observed);
            Box::pin(async move { health })
        }),
        routes: http::routes(app),
        on_stop: Box::pin(async move { stop_jobs(&stopped, FINISH_WITHIN).await }),
    })
}

fn health(app: &App) -> Health {
    let error = app.storage_error.borrow().clone();
    let word = if error.is_some() { "disconnected" } else { "connected" };
    let scan_missing = app.config.virus_scan_wanted;
    let status = match (&error, scan_missing) {
        (Some(_), _) => Status::Unhealthy,
        (None, true) => Status::Degraded,
        (None, false) => Status::Healthy,
    };
    let scan_error = || "`FILE_PROCESSING_VIRUS_SCAN_ENABLED` is on, but this version has no scanner".to_owned();
    let mut dependencies = vec![Dependency { name: "storage", status: word, error: error.clone(), latency: None }];
    let s3 = if app.config.bucket.is_some() { word } else { "not configured" };
    let s3_error = error.clone().filter(|_| app.config.bucket.is_some());
    dependencies.push(Dependency { name: "s3", status: s3, error: s3_error, latency: None });
    Health {
        status,
        error: error.clone().or_else(|| scan_missing.then(scan_error)),
        dependencies,
        details: details(app, error.is_none()),
    }
}

fn details(app: &App, storage: bool) -> Map<String, serde_json::Value> {
    let counts = app.desk.counts();
    let state = |up| if up { "up" } else { "down" };
    let details = json!({
        "healthy": storage,
        "capabilities": {
            "images": true,
            "videos": false,
            "documents": false,
            "text": true,
            "avif": false,
            "virusScan": false,
            "formats": {"read": ["jpeg", "png", "webp", "gif", "bmp", "tiff"], "write": ["jpeg", "png", "webp", "tiff"]},
        },
        "dependencies": {
            "storage": {"provider": app.storage.provider},
            "s3": {"bucket": app.config.bucket.as_ref().map(|bucket| &bucket.name)},
        },
        "queue": {
            "waiting": counts.pending,
            "processing": counts.processing.max(app.works.running()),
            "completed": counts.completed,
            "failed": counts.failed,
        },
        "memory": memory(app),
        "services": {"server": "up", "worker": "up", "redis": "not configured", "storage": state(storage)},
    });
    match details {
        serde_json::Value::Object(details) => details,
        _ => Map::new(),
    }
}

/// What this process occupies of what its works may.
fn memory(app: &App) -> serde_json::Value {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    let used = kibibytes.unwrap_or_default() * 1024;
    let max = cgroup_limit().unwrap_or(app.config.memory_bytes);
    json!({"used": used, "max": max, "percentage": used * 100 / max.max(1)})
}

/// The memory limit of this container.
fn cgroup_limit() -> Option<u64> {
    let files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = files.iter().find_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok());
    // Version 1 writes a number beyond any machine where there is no limit.
    limit.filter(|limit| *limit < 1 << 50)
}

fn warn_of_open_doors(config: &Config) {
    if config.virus_scan_wanted {
        tracing::warn!("`FILE_PROCESSING_VIRUS_SCAN_ENABLED` is on, but this version has no scanner");
    }
}
