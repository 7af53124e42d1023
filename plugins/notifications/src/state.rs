//! What handlers, workers and probes share: settings, database, channels, templates, the queue's state.
//!
//! Decides nothing and knows neither HTTP nor the engine.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kit::outbound::Client;
use kit::{ConfigurationError, Metrics};

use crate::backlog::Backlog;
use crate::channel::Channel;
use crate::channels::{Channels, Presence};
use crate::config::Config;
use crate::counters::Counters;
use crate::database::Database;
use crate::instance::Instance;
use crate::store::Store;
use crate::templates::Templates;

const AGENT: &str = concat!("nself-notifications/", env!("CARGO_PKG_VERSION"));
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// What the last probes saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    pub(crate) realtime: Option<Presence>,
    pub(crate) email: Option<Result<(), String>>,
}

/// What every part works with.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) channels: Channels,
    pub(crate) templates: Templates,
    pub(crate) backlog: Backlog,
    pub(crate) counters: Counters,
    /// Asks addresses that requests name.
    pub(crate) outside: Client,
    observed: Mutex<Observed>,
    is_migrated: AtomicBool,
}

impl App {
    pub(crate) fn open(config: Config, metrics: &Metrics) -> Result<Self, ConfigurationError> {
        // Fails only where one is installed already, as in tests that start several.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .user_agent(AGENT)
            .build()
            .map_err(|error| ConfigurationError::new(format!("no HTTP client can be made: {error}")))?;
        Ok(Self {
            store: Store::new(Database::open(&config.location)?),
            channels: Channels::open(&config, &client)?,
            templates: Templates::load(config.templates_folder.as_deref())?,
            backlog: Backlog::new(
                Instance::claim(&config.data_folder, config.server.address.port()),
                config.queue_limit,
            ),
            counters: Counters::register(metrics),
            outside: Client::guarded(AGENT, config.addresses.clone())?,
            observed: Mutex::default(),
            is_migrated: AtomicBool::new(false),
            config,
        })
    }

    /// Whether the tables are there.
    pub(crate) fn is_migrated(&self) -> bool {
        self.is_migrated.load(Ordering::Acquire)
    }

    pub(crate) fn set_migrated(&self) {
        self.is_migrated.store(true, Ordering::Release);
    }

    /// What the last probes saw.
    pub(crate) fn observed(&self) -> Observed {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_observed(&self, realtime: Presence, email: Option<Result<(), String>>) {
        let mut observed = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        *observed = Observed { realtime: Some(realtime), email };
    }

    pub(crate) fn report_what_is_off(&self) {
        for channel in Channel::ALL {
            if let Some(why) = self.channels.off(channel) {
                tracing::info!(%channel, why, "a channel is off");
            }
        }
        if self.channels.dry_run {
            tracing::warn!("dry run: nothing leaves; deliveries end as `simulated`");
        }
        tracing::info!(database = self.store.database.kind(), instance = self.backlog.instance(), "storage");
    }
}
