//! What every handler holds. Wiring is in `app`; nothing here knows HTTP.

use kit::{ConfigurationError, Metrics};
use tokio::sync::watch;

use crate::config::Config;
use crate::content::Kind;
use crate::counters::Counters;
use crate::images::{Limits, Source};
use crate::jobs::{Desk, Journal};
use crate::links::{Links, stored_key};
use crate::outbound::Outbound;
use crate::problem::Problem;
use crate::storage::Storage;
use crate::upload::{Intake, Upload};
use crate::works::Works;

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

impl App {
    /// Everything but what runs by itself.
    pub(crate) fn new(config: Config, metrics: &Metrics) -> Result<Self, ConfigurationError> {
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
            outbound: Outbound::new(config.policies.clone(), config.webhook_url.clone())?,
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
