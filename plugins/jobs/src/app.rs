//! Puts the plugin together: settings, Redis, queues, workers, HTTP routes, the dashboard, the orderly stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kit::outbound::Client;
use kit::{ConfigurationError, Dependency, Environment, Health, Metrics, Plugin, Status, serve_beside};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::broker::{Broker, State};
use crate::config::{Access, Config, Dashboard};
use crate::metrics::Counters;
use crate::processors::Workshop;
use crate::schedules::Schedules;
use crate::state::App;
use crate::store::{Queues, State as JobState};
use crate::workers::Crew;
use crate::{dashboard, http};

/// How long running jobs have to end once a stop was asked for; the shared server waits for a little longer.
const FINISH_WITHIN: Duration = Duration::from_secs(5);
/// How outgoing requests name this server.
const AGENT: &str = concat!("nself-jobs/", env!("CARGO_PKG_VERSION"));
const GAUGES_EVERY: Duration = Duration::from_secs(5);
const SETUP_RETRY: Duration = Duration::from_secs(5);
/// Health must answer within a second, whatever Redis does.
const HEALTH_WITHIN: Duration = Duration::from_millis(800);

/// Builds the plugin from its environment.
pub(crate) async fn build(environment: Environment) -> Result<Plugin, ConfigurationError> {
    let config = Config::read(&environment)?;
    // Refused only where one was chosen already, as in tests that start a server twice.
    let _ = rustls::crypto::ring::default_provider().install_default();
    warn(&config);
    let (settings, metrics) = (config.server.clone(), Metrics::new("jobs"));
    let app = assemble(config, &metrics)?;
    let broker = app.queues.broker_handle();
    tokio::spawn(async move { broker.watch().await });
    tokio::spawn(app.clone().prepare());
    tokio::spawn(app.clone().show_gauges());
    tokio::spawn(app.crew.clone().follow_queues());
    tokio::spawn(app.schedules.clone().keep_going());
    if app.config.workers {
        tokio::spawn(app.crew.clone().open_all());
    }
    let stop_dashboard = open_dashboard(&app).await?;
    let (observed, stopped) = (app.clone(), app.clone());
    Ok(Plugin {
        name: "jobs",
        version: env!("CARGO_PKG_VERSION"),
        settings,
        metrics,
        health: Arc::new(move || {
            let app = observed.clone();
            Box::pin(async move { app.health().await })
        }),
        routes: http::routes(app),
        on_stop: Box::pin(async move {
            stop_dashboard.send_replace(true);
            stopped.crew.stop(FINISH_WITHIN).await;
        }),
    })
}

fn assemble(config: Config, metrics: &Metrics) -> Result<Arc<App>, ConfigurationError> {
    let broker = Arc::new(Broker::new(config.redis.clone()));
    let queues = Arc::new(Queues::new(broker, config.queues.clone()));
    let guarded = Client::guarded(AGENT, config.policy.clone())?;
    let workshop = Workshop {
        guarded: guarded.clone(),
        trusted: Client::trusted(AGENT)?,
        peers: config.peers.clone(),
        queues: queues.clone(),
        timeout: config.defaults.timeout,
    };
    let counters = Counters::register(metrics);
    let crew = Crew::new(workshop, counters.clone(), config.defaults.clone(), config.concurrency);
    let schedules = Arc::new(Schedules::new(queues.clone()));
    Ok(Arc::new(App { config, queues, schedules, crew: Arc::new(crew), guarded, counters }))
}

/// Opens the dashboard's own port; it closes when the value becomes true.
async fn open_dashboard(app: &Arc<App>) -> Result<watch::Sender<bool>, ConfigurationError> {
    let stop = watch::Sender::new(false);
    let Some(Dashboard { port, .. }) = &app.config.dashboard else {
        return Ok(stop);
    };
    let address = SocketAddr::new(app.config.server.address.ip(), *port);
    let listener = TcpListener::bind(address).await.map_err(|error| {
        ConfigurationError::new(format!("`JOBS_DASHBOARD_PORT`: listening on {address} failed: {error}"))
    })?;
    tracing::info!(%address, "the dashboard is listening");
    let mut stopping = stop.subscribe();
    let stopped = async move {
        let _ = stopping.wait_for(|is_wanted| *is_wanted).await;
    };
    tokio::spawn(serve_beside(listener, dashboard::router(app.clone()), stopped));
    Ok(stop)
}

impl App {
    /// What is to be done once Redis answers.
    async fn prepare(self: Arc<Self>) {
        loop {
            self.queues.broker().connected().await;
            let arranged = self.schedules.arrange_system_jobs(&self.config.system_jobs, &self.config.defaults).await;
            match arranged {
                Ok(()) => break,
                Err(trouble) => tracing::warn!(%trouble, "the plugin's own schedules could not be arranged yet"),
            }
            tokio::time::sleep(SETUP_RETRY).await;
        }
        if let Ok(Some(policy)) = self.queues.broker().evicting_policy().await {
            tracing::warn!(policy, "Redis may drop jobs when its memory is full: set maxmemory-policy to noeviction");
        }
    }

    async fn show_gauges(self: Arc<Self>) {
        loop {
            self.queues.broker().connected().await;
            if let Ok(counts) = self.queues.counts(&self.queues.names()).await {
                let active = counts.iter().map(|counts| counts.of(JobState::Active)).sum();
                let waiting = counts.iter().map(|counts| counts.waiting() + counts.of(JobState::Paused)).sum();
                self.counters.show(active, waiting);
            }
            tokio::time::sleep(GAUGES_EVERY).await;
        }
    }

    async fn health(&self) -> Health {
        let names = self.queues.names();
        let counts = tokio::time::timeout(HEALTH_WITHIN, self.queues.counts(&names)).await;
        let counts = match counts {
            Ok(counts) => counts.map_err(|trouble| trouble.to_string()),
            Err(_) => Err("Redis did not answer in time".to_owned()),
        };
        let latency = match self.queues.broker().state() {
            State::Connected(latency) => Some(latency.as_secs_f64() * 1_000.0),
            State::Away(_) => None,
        };
        let mut details = Map::new();
        let shown = counts.as_deref().unwrap_or_default();
        let queues = names.iter().zip(shown).map(|(name, counts)| {
            let mut queue = counts.json();
            queue["name"] = json!(name.as_str());
            queue["isPaused"] = json!(counts.is_paused);
            queue
        });
        details.insert("queues".to_owned(), Value::Array(queues.collect()));
        let workers = self.crew.len().await;
        details.insert("workers".to_owned(), json!({"active": self.crew.running(), "total": workers}));
        details.insert("features".to_owned(), self.features());
        let error = counts.err();
        Health {
            status: if error.is_some() { Status::Unhealthy } else { Status::Healthy },
            dependencies: vec![Dependency {
                name: "redis",
                status: if error.is_some() { "disconnected" } else { "connected" },
                error: error.clone(),
                latency: if error.is_some() { None } else { latency },
            }],
            error,
            details,
        }
    }

    /// What is on and off, and what would change it.
    fn features(&self) -> Value {
        let dashboard = match &self.config.dashboard {
            None => "off: JOBS_DASHBOARD_ENABLED is false",
            Some(Dashboard { access: Access::Closed, .. }) => "off: JOBS_DASHBOARD_PASSWORD is not set",
            Some(_) => "on",
        };
        let callback = match &self.config.peers.callback {
            None => "off: JOBS_CALLBACK_URL is not set, so jobs of the application's own types fail",
            Some(_) => "on",
        };
        let workers = if self.config.workers { "on" } else { "off: JOBS_WORKERS_ENABLED is false" };
        json!({"workers": workers, "callback": callback, "dashboard": dashboard})
    }
}

fn warn(config: &Config) {
    match config.dashboard.as_ref().map(|dashboard| &dashboard.access) {
        Some(Access::Closed) => tracing::warn!("no `JOBS_DASHBOARD_PASSWORD`: the dashboard is closed"),
        Some(Access::Open) => {
            tracing::warn!("`JOBS_DASHBOARD_AUTH_ENABLED` is false: whoever reaches its port may use the dashboard");
        }
        _ => {}
    }
}
