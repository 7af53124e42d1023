//! Puts the plugin together: settings, storage, jobs, HTTP routes, the clock's work, health.

use std::sync::Arc;

use kit::{ConfigurationError, Dependency, Environment, Health, Metrics, Plugin, Status};
use serde_json::{Map, json};
use tokio::sync::watch;

use crate::config::Config;
use crate::content::Kind;
use crate::counters::Counters;
use crate::images::{Limits, Source};
use crate::jobs::{Desk, FINISH_WITHIN, Journal, run_jobs, stop_jobs};
use crate::links::{Links, stored_key};
use crate::outbound::{Outbound, choose_cryptography};
use crate::problem::Problem;
use crate::storage::Storage;
use crate::upload::{Intake, Upload};
use crate::works::Works;
use crate::{http, upkeep};

/// What every handler works with.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) limits: Limits,
    pub(crate) works: Works,
    pub(crate) intake: Intake,
    pub(crate) storage: Storage,
    /// Why the storage could not be used when it was last looked at.
    pub(crate) storage_error: watch::Sender<Option<String>>,
    pub(crate) desk: Desk,
    /// Becomes true when the server is told to stop.
    pub(crate) stopping: watch::Sender<bool>,
    pub(crate) links: Links,
    pub(crate) outbound: Outbound,
    pub(crate) counters: Counters,
}

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

impl App {
    /// Everything but what runs by itself.
    pub(crate) fn new(config: Config, metrics: &Metrics) -> Result<Self, ConfigurationError> {
        choose_cryptography();
        let storage = match &config.bucket {
            Some(bucket) => Storage::bucket(bucket)?,
            None => Storage::local(&config.data.join("files"))?,
        }
        .with_quota(config.quota);
        let incoming = config.data.join("incoming");
        let intake = Intake::new(incoming.clone(), config.uploads).map_err(|error| {
            let folder = incoming.display();
            ConfigurationError::new(format!(
                "the folder `{folder}` cannot be used for uploads: {error}; mount a volume there that this user may \
                 write, or set `FILE_PROCESSING_DATA_DIR`"
            ))
        })?;
        let counters = Counters::register(metrics);
        let journal = Journal::open(&config.data.join("jobs.redb"))?;
        let waiting = counters.queue.clone();
        Ok(Self {
            limits: Limits { pixels: config.max_pixels, confined: true },
            works: Works::new(config.concurrency, config.queue, config.memory_bytes, config.timeout, waiting.clone()),
            intake,
            storage,
            storage_error: watch::Sender::new(None),
            desk: Desk::open(journal, config.queue.max(1), waiting)?,
            stopping: watch::Sender::new(false),
            links: Links::new(config.public_url.clone(), link_key(&config)?, config.link_lifetime),
            outbound: Outbound::new(config.fetch_hosts.clone())?,
            counters,
            config,
        })
    }

    /// The file as an image, or why it is none.
    pub(crate) fn source(&self, upload: &Upload) -> Result<Source, Problem> {
        let mime = upload.kind.mime();
        let format = match upload.kind {
            Kind::Empty => return Err(Problem::Broken("it is empty".to_owned())),
            Kind::Image(format) => format,
            _ => return Err(Problem::Unsupported(mime.to_owned())),
        };
        if let Some(allowed) = &self.config.allowed_types
            && !allowed.iter().any(|entry| is_type(entry, mime))
        {
            return Err(Problem::Unsupported(mime.to_owned()));
        }
        Ok(Source { path: upload.path.to_path_buf(), size: upload.size, format, limits: self.limits })
    }

    /// The address of a stored file for those who did not ask by HTTP; only where one is configured.
    pub(crate) fn public_link(&self, key: &str) -> Option<String> {
        Some(self.links.url(self.links.public_base()?, &format!("/{key}")))
    }
}

fn link_key(config: &Config) -> Result<String, ConfigurationError> {
    if let Some(secret) = &config.link_secret {
        return Ok(secret.clone());
    }
    let path = config.data.join("links.key");
    stored_key(&path).map_err(|error| {
        let path = path.display();
        ConfigurationError::new(format!("the key of links, `{path}`, cannot be kept: {error}"))
    })
}

/// Whether `image/png`, `image/*`, `png` or `.png` names this MIME type.
fn is_type(entry: &str, mime: &str) -> bool {
    let entry = entry.trim_start_matches('.').to_ascii_lowercase();
    let entry = if entry == "jpg" { "jpeg" } else { &entry };
    match entry.strip_suffix("/*") {
        Some(class) => mime.split('/').next() == Some(class),
        None => mime == entry || mime.rsplit('/').next() == Some(entry) || entry == "*",
    }
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
