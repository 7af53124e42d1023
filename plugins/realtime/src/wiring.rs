//! Puts the plugin together: settings, state, Socket.IO server, HTTP routes, the clock's work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use kit::{Class, ConfigurationError, Environment, Metrics, Plugin};

use crate::access::{self, Access};
use crate::adapter::Watched;
use crate::auth::Gate;
use crate::cluster::{self, Cluster};
use crate::config::{Config, PACKET_BYTES};
use crate::delivery::Delivery;
use crate::hub::{Hub, Moment};
use crate::state::{App, Counters};
use crate::turns::Turns;
use crate::{events, handshake, http, slow, state_report};

/// How often things that run out are looked for; the error of every timeout.
const TICK: Duration = Duration::from_millis(200);
/// How many ticks lie between two looks at the sockets' tokens.
const TOKEN_TICKS: u32 = 5;
/// How many ticks lie between two notices of a large room's size.
const SIZE_TICKS: u32 = 10;
/// How many ticks lie between two rounds of tidying.
const TIDY_TICKS: u32 = 150;
/// Events that wait for one slow reader before it is disconnected.
const QUEUE_EVENTS: usize = 1024;
/// Read buffer of a socket in bytes: most packets are smaller, and thousands of sockets idle.
const READ_BUFFER_BYTES: usize = 1024;
/// A connection that has not introduced itself by then is closed.
const INTRODUCTION: Duration = Duration::from_secs(20);

/// Builds the plugin from its environment.
pub(crate) async fn build(environment: Environment) -> Result<Plugin, ConfigurationError> {
    let config = Config::read(&environment)?;
    warn_of_open_doors(&config);
    let settings = config.server.clone();
    let metrics = Metrics::new("realtime");
    let (slow, reported) = tokio::sync::mpsc::unbounded_channel();
    let (sockets, io) = socketioxide::SocketIo::builder()
        .ping_interval(config.ping_interval)
        .ping_timeout(config.ping_timeout)
        .connect_timeout(INTRODUCTION)
        .max_payload(PACKET_BYTES as u64)
        .ws_max_message_size(PACKET_BYTES)
        .ws_max_frame_size(PACKET_BYTES)
        .ws_read_buffer_size(READ_BUFFER_BYTES)
        .max_buffer_size(QUEUE_EVENTS)
        .with_adapter::<Watched>(slow.clone())
        .build_svc();
    let access = Access::new(access::judge(&environment)?, config.access_ttl);
    let cluster = config.redis.clone();
    let cluster = cluster.map(|address| Arc::new(Cluster::new(address, config.instance_timeout, metrics.clone())));
    let outbox = cluster.as_ref().map(|cluster| cluster.outbox()).unwrap_or_default();
    let app = Arc::new(App {
        gate: Gate::new(settings.access.tokens().cloned(), config.allow_anonymous),
        hub: Hub::new(&config, outbox.clone()),
        delivery: Delivery::new(io.clone(), metrics.clone(), slow),
        counters: Counters::register(&metrics),
        metrics: metrics.clone(),
        config,
        cluster: cluster.clone(),
        outbox,
        turns: Turns::new(),
        access,
    });
    events::attach(&io, &app);
    tokio::spawn(run_clock(app.clone()));
    tokio::spawn(slow::run(app.clone(), reported));
    if let Some(cluster) = cluster {
        tokio::spawn(cluster::run(app.clone(), cluster));
    }
    // A socket shows its token in the handshake.
    let sockets = Router::new()
        .route_service("/socket.io", sockets.clone())
        .route_service("/socket.io/", sockets)
        .layer(axum::middleware::map_request(handshake::slim))
        .layer(axum::middleware::map_response(handshake::number_code));
    let (observed, stopped) = (app.clone(), app.clone());
    Ok(Plugin {
        name: "realtime",
        version: env!("CARGO_PKG_VERSION"),
        settings,
        metrics,
        health: Arc::new(move || {
            let health = state_report::health(&observed);
            Box::pin(async move { health })
        }),
        routes: http::routes(app.clone()).merge(state_report::routes(app)).group(Class::SelfVerified, sockets),
        on_stop: Box::pin(stop(stopped)),
    })
}

async fn stop(app: Arc<App>) {
    app.delivery.close().await;
    if let Some(cluster) = &app.cluster {
        cluster.leave().await;
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
        if count.is_multiple_of(TOKEN_TICKS) {
            events::connection::end_tokens(&app, &app.hub.ended_tokens(now));
        }
        if count.is_multiple_of(SIZE_TICKS) {
            events::rooms::announce_sizes(&app);
        }
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

fn warn_of_open_doors(config: &Config) {
    if config.allow_anonymous {
        tracing::warn!("`REALTIME_ALLOW_ANONYMOUS` is on: anybody may connect as anybody");
    }
}
