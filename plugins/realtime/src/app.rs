//! Puts the plugin together: settings, state, Socket.IO server, HTTP routes, the clock's work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use nself_plugin_server::{ConfigurationError, Dependency, Environment, Health, Metrics, Plugin, Status};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge};
use serde_json::{Map, json};
use socketioxide::SocketIo;

use crate::auth::Gate;
use crate::config::{Config, PACKET_BYTES};
use crate::delivery::Delivery;
use crate::hub::{Hub, Moment};
use crate::{events, handshake, http};

/// How often things that run out are looked for; the error of every timeout.
const TICK: Duration = Duration::from_millis(200);
/// How many ticks lie between two rounds of tidying.
const TIDY_TICKS: u32 = 150;
/// Events that wait for one slow reader before any is lost.
const QUEUE_EVENTS: usize = 1024;
/// Read buffer of a socket in bytes: most packets are smaller, and thousands of sockets idle.
const READ_BUFFER_BYTES: usize = 1024;
/// A connection that has not introduced itself by then is closed.
const INTRODUCTION: Duration = Duration::from_secs(20);
/// Upper bounds in milliseconds.
const LATENCY_MS: [f64; 11] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0];

/// The plugin's own metrics.
pub(crate) struct Counters {
    pub(crate) connections: IntGauge,
    pub(crate) messages: IntCounter,
    pub(crate) presence_updates: IntCounter,
    pub(crate) latency: Histogram,
}

/// What every handler works with.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) gate: Gate,
    pub(crate) hub: Hub,
    pub(crate) delivery: Delivery,
    pub(crate) metrics: Metrics,
    pub(crate) counters: Counters,
}

/// Builds the plugin from its environment.
pub(crate) async fn build(environment: Environment) -> Result<Plugin, ConfigurationError> {
    let config = Config::read(&environment)?;
    warn_of_open_doors(&config);
    let settings = config.server.clone();
    let metrics = Metrics::new("realtime");
    let (sockets, io) = SocketIo::builder()
        .ping_interval(config.ping_interval)
        .ping_timeout(config.ping_timeout)
        .connect_timeout(INTRODUCTION)
        .max_payload(PACKET_BYTES as u64)
        .ws_max_message_size(PACKET_BYTES)
        .ws_max_frame_size(PACKET_BYTES)
        .ws_read_buffer_size(READ_BUFFER_BYTES)
        .max_buffer_size(QUEUE_EVENTS)
        .build_svc();
    let app = Arc::new(App {
        gate: Gate::new(config.jwt_secret.as_deref(), config.allow_anonymous),
        hub: Hub::new(&config),
        delivery: Delivery::new(io.clone(), metrics.clone()),
        counters: Counters::register(&metrics),
        metrics: metrics.clone(),
        config,
    });
    events::attach(&io, &app);
    tokio::spawn(run_clock(app.clone()));
    let open = Router::new()
        .route_service("/socket.io", sockets.clone())
        .route_service("/socket.io/", sockets)
        .layer(axum::middleware::map_request(handshake::slim));
    let (observed, stopped) = (app.clone(), app.clone());
    Ok(Plugin {
        name: "realtime",
        version: env!("CARGO_PKG_VERSION"),
        settings,
        metrics,
        health: Arc::new(move || {
            let health = health(&observed);
            Box::pin(async move { health })
        }),
        guarded: http::routes(app),
        open,
        on_stop: Box::pin(async move { stopped.delivery.close().await }),
    })
}

impl Counters {
    fn register(metrics: &Metrics) -> Self {
        let gauge = |name, help| IntGauge::new(name, help).expect("the name is legal");
        let counter = |name, help| IntCounter::new(name, help).expect("the name is legal");
        let latency = HistogramOpts::new(
            "realtime_latency_ms",
            "Time from an event's arrival to its hand-over to every recipient's queue.",
        );
        let latency = Histogram::with_opts(latency.buckets(LATENCY_MS.to_vec()));
        Self {
            connections: metrics.register(gauge("realtime_connections_total", "Sockets that are connected now.")),
            messages: metrics
                .register(counter("realtime_messages_total", "Messages that were accepted, by socket or over HTTP.")),
            presence_updates: metrics
                .register(counter("realtime_presence_updates_total", "Changes of presence that others were told of.")),
            latency: metrics.register(latency.expect("the name and the bounds are legal")),
        }
    }
}

/// Announces what ends by itself: typing, presence, history, rate windows.
async fn run_clock(app: Arc<App>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut count: u32 = 0;
    loop {
        ticks.tick().await;
        let now = Moment::now();
        // Whatever one round meets, the next must come.
        let _ = catch_unwind(AssertUnwindSafe(|| announce_expired(&app, now)));
        count = count.wrapping_add(1);
        if count.is_multiple_of(TIDY_TICKS) {
            app.hub.tidy(now);
        }
    }
}

fn announce_expired(app: &App, now: Moment) {
    let expired = app.hub.expire(now);
    for change in &expired.typing {
        events::typing::announce(app, change, None);
    }
    for ended in &expired.presence {
        events::presence::announce(app, &ended.view, &ended.rooms);
    }
}

fn health(app: &App) -> Health {
    let connections = app.hub.connections();
    let is_full = connections >= app.config.max_connections;
    let mut details = Map::new();
    details.insert("websocket".to_owned(), json!({"running": true, "connections": connections}));
    details.insert("connections".to_owned(), json!(connections));
    details.insert("maxConnections".to_owned(), json!(app.config.max_connections));
    let redis = app.config.redis_configured;
    let reasons = [is_full.then_some("the limit of connections is reached"), redis.then_some(REDIS_UNSUPPORTED)];
    let reasons: Vec<&str> = reasons.into_iter().flatten().collect();
    Health {
        status: if reasons.is_empty() { Status::Healthy } else { Status::Degraded },
        error: (!reasons.is_empty()).then(|| reasons.join("; ")),
        dependencies: vec![Dependency {
            name: "redis",
            status: if redis { "unsupported" } else { "not configured" },
            error: redis.then(|| REDIS_UNSUPPORTED.to_owned()),
            latency: None,
        }],
        details,
    }
}

const REDIS_UNSUPPORTED: &str = "Redis is configured, but this version keeps its state in memory: run one instance";

fn warn_of_open_doors(config: &Config) {
    if config.allow_anonymous {
        tracing::warn!("`REALTIME_ALLOW_ANONYMOUS` is on: anybody may connect as anybody");
    }
    if config.server.api_key.is_none() {
        tracing::warn!("no `REALTIME_API_KEY`: whoever reaches the port may use the HTTP routes");
    }
    if config.redis_configured {
        tracing::warn!("{REDIS_UNSUPPORTED}");
    }
}
