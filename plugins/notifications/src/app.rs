//! Puts the plugin together: settings, database, channels, HTTP routes, workers; and says how it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kit::{ConfigurationError, Dependency, Environment, Health, Metrics, Plugin, Status};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts};
use serde_json::{Map, Value, json};

use crate::channel::{Channel, State};
use crate::channels::{Channels, Presence};
use crate::config::Config;
use crate::database::{Database, EXPECTED_MIGRATIONS};
use crate::engine::{self, Worker};
use crate::http;
use crate::store::Store;
use crate::templates::Templates;

/// A database that has not answered by then counts as away, for `/health`.
const PING_WITHIN: Duration = Duration::from_millis(700);
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Upper bounds in seconds, from the moment a message may go out to its hand-over.
const DELIVERY_SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0];

/// The plugin's own metrics.
pub(crate) struct Counters {
    sent: IntCounterVec,
    pub(crate) retries: IntCounter,
    pub(crate) delivery_seconds: Histogram,
}

/// What the last probes saw.
#[derive(Debug, Clone, Default)]
struct Observed {
    realtime: Option<Presence>,
    email: Option<Result<(), String>>,
}

/// What every part works with.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) channels: Channels,
    pub(crate) templates: Templates,
    pub(crate) worker: Worker,
    pub(crate) counters: Counters,
    pub(crate) client: reqwest::Client,
    observed: Mutex<Observed>,
    is_migrated: AtomicBool,
}

/// Builds the plugin from its environment.
pub(crate) async fn build(environment: Environment) -> Result<Plugin, ConfigurationError> {
    let config = Config::read(&environment)?;
    let metrics = Metrics::new("notifications");
    let app = Arc::new(App::open(config, &metrics)?);
    // At once where it can be, so that the first request finds the tables.
    match tokio::time::timeout(CONNECT_WITHIN, app.store.database.migrate()).await {
        Ok(Ok(())) => app.set_migrated(),
        _ => drop(tokio::spawn(engine::migrate_until_done(app.clone()))),
    }
    app.tell_what_is_off();
    tokio::spawn(engine::run_worker(app.clone()));
    tokio::spawn(engine::run_webhooks(app.clone()));
    tokio::spawn(engine::run_upkeep(app.clone()));
    let (observed, stopped) = (app.clone(), app.clone());
    Ok(Plugin {
        name: "notifications",
        version: env!("CARGO_PKG_VERSION"),
        settings: app.config.server.clone(),
        metrics,
        health: Arc::new(move || {
            let app = observed.clone();
            Box::pin(async move { app.health().await })
        }),
        open: http::open_routes(app.clone()),
        guarded: http::routes(app),
        on_stop: Box::pin(async move { stopped.worker.stop().await }),
    })
}

impl Counters {
    fn register(metrics: &Metrics) -> Self {
        let sent = Opts::new("notifications_sent_total", "Deliveries that came to an end, by channel and state.");
        let sent = IntCounterVec::new(sent, &["channel", "status"]).expect("the names are legal");
        let retries = IntCounter::new("notifications_retries_total", "Attempts that were put off to a later time.");
        let seconds = HistogramOpts::new(
            "notifications_delivery_seconds",
            "Time from the moment a message may go out to its hand-over.",
        );
        let seconds = Histogram::with_opts(seconds.buckets(DELIVERY_SECONDS.to_vec()));
        let counters = Self {
            sent: metrics.register(sent),
            retries: metrics.register(retries.expect("the name is legal")),
            delivery_seconds: metrics.register(seconds.expect("the name and the bounds are legal")),
        };
        // A series that is there from the start reads 0, not nothing.
        for (channel, state) in [
            (Channel::InApp, State::Delivered),
            (Channel::Email, State::Sent),
            (Channel::Email, State::Failed),
            (Channel::Sms, State::Sent),
            (Channel::Sms, State::Failed),
        ] {
            counters.sent.with_label_values(&[channel.as_str(), state.as_str()]);
        }
        counters
    }

    pub(crate) fn count(&self, channel: Channel, state: State) {
        self.sent.with_label_values(&[channel.as_str(), state.as_str()]).inc();
    }
}

impl App {
    fn open(config: Config, metrics: &Metrics) -> Result<Self, ConfigurationError> {
        // Fails only where one is installed already, as in tests that start several.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .user_agent(concat!("nself-notifications/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ConfigurationError::new(format!("no HTTP client can be made: {error}")))?;
        Ok(Self {
            store: Store::new(Database::open(&config.location)?),
            channels: Channels::open(&config, &client)?,
            templates: Templates::load(config.templates_folder.as_deref())?,
            worker: Worker::new(instance(config.server.address.port()), config.queue_limit),
            counters: Counters::register(metrics),
            client,
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

    pub(crate) fn set_observed(&self, realtime: Presence, email: Option<Result<(), String>>) {
        let mut observed = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        *observed = Observed { realtime: Some(realtime), email };
    }

    fn tell_what_is_off(&self) {
        for channel in Channel::ALL {
            if let Some(why) = self.channels.off(channel) {
                tracing::info!(%channel, why, "a channel is off");
            }
        }
        if self.channels.dry_run {
            tracing::warn!("dry run: nothing leaves; deliveries end as `simulated`");
        }
        if self.config.server.api_key.is_none() {
            tracing::warn!("no `NOTIFICATIONS_API_KEY`: whoever reaches the port may send to anybody");
        }
        tracing::info!(database = self.store.database.kind(), instance = self.worker.instance, "storage");
    }

    async fn health(&self) -> Health {
        let began = std::time::Instant::now();
        let applied = tokio::time::timeout(PING_WITHIN, self.store.database.applied_migrations()).await;
        let applied = match applied {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err(format!("the database is away: no answer within {} ms", PING_WITHIN.as_millis())),
        };
        let latency = began.elapsed().as_secs_f64() * 1000.0;
        let observed = self.observed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let database_error = match &applied {
            Ok(count) if *count != EXPECTED_MIGRATIONS || !self.is_migrated() => {
                Some("migrations are not done".to_owned())
            }
            Ok(_) => None,
            Err(why) => Some(why.clone()),
        };
        let database = Dependency {
            name: "database",
            status: if database_error.is_none() { "connected" } else { "disconnected" },
            error: database_error.clone(),
            latency: applied.is_ok().then_some(latency),
        };
        let dependencies = vec![database, self.email_dependency(&observed), realtime_dependency(&observed)];
        let degraded = dependencies[1..]
            .iter()
            .filter(|dependency| dependency.status == "disconnected")
            .map(|dependency| format!("{}: {}", dependency.name, dependency.error.as_deref().unwrap_or("away")))
            .collect::<Vec<_>>();
        let error = database_error.clone().or_else(|| (!degraded.is_empty()).then(|| degraded.join("; ")));
        let status = match (&database_error, degraded.is_empty()) {
            (Some(_), _) => Status::Unhealthy,
            (None, false) => Status::Degraded,
            (None, true) => Status::Healthy,
        };
        Health { status, error, dependencies, details: self.details(applied.unwrap_or_default(), &observed) }
    }

    fn email_dependency(&self, observed: &Observed) -> Dependency {
        let (status, error) = match (&self.channels.email, &observed.email) {
            (Err(why), _) => ("not configured", Some(why.clone())),
            (Ok(_), Some(Err(why))) => ("disconnected", Some(why.clone())),
            (Ok(_), Some(Ok(()))) => ("connected", None),
            (Ok(_), None) if self.channels.dry_run => ("not used", Some("dry run".to_owned())),
            (Ok(_), None) => ("not probed yet", None),
        };
        Dependency { name: "email", status, error, latency: None }
    }

    fn details(&self, applied: usize, observed: &Observed) -> Map<String, Value> {
        let (waiting, pending, processing) = self.worker.counts();
        let channel = |channel: Channel| match self.channels.off(channel) {
            None => json!({"enabled": true, "provider": self.channels.provider(channel)}),
            Some(why) => json!({"enabled": false, "reason": why}),
        };
        let provider = |channel: Channel| match (self.channels.off(channel), channel, &observed.email) {
            (Some(_), ..) => json!({"status": "disabled"}),
            (None, Channel::Email, Some(Err(_))) => json!({"status": "unhealthy"}),
            (None, ..) => json!({"status": "healthy"}),
        };
        let details = json!({
            "channels": {
                "email": channel(Channel::Email),
                "push": channel(Channel::Push),
                "sms": channel(Channel::Sms),
                "in-app": channel(Channel::InApp),
            },
            "providers": {
                "email": provider(Channel::Email),
                "fcm": provider(Channel::Push),
                "sms": provider(Channel::Sms),
            },
            "queue": {
                "pending": waiting + pending,
                "scheduled": pending,
                "processing": processing,
                "completed": self.worker.completed.load(Ordering::Relaxed),
                "failed": self.worker.failed.load(Ordering::Relaxed),
                "max": self.config.queue_limit,
            },
            "storage": self.store.database.kind(),
            "migrations": {"applied": applied, "expected": EXPECTED_MIGRATIONS},
            "realtimeEventsDropped": self.channels.realtime.dropped(),
            "dryRun": self.channels.dry_run,
        });
        match details {
            Value::Object(details) => details,
            _ => Map::new(),
        }
    }
}

fn realtime_dependency(observed: &Observed) -> Dependency {
    let (status, error) = match &observed.realtime {
        None => ("not probed yet", None),
        Some(Presence::Off) => ("not configured", None),
        Some(Presence::Connected) => ("connected", None),
        Some(Presence::Absent) => {
            ("not installed", Some("in-app messages are stored, and told to nobody at once".to_owned()))
        }
        Some(Presence::Away(why)) => ("disconnected", Some(why.clone())),
    };
    Dependency { name: "realtime", status, error, latency: None }
}

/// A name that a restart of the same container keeps and that no other running instance has.
fn instance(port: u16) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{port}", host.trim())
}
