//! What every handler works with: settings, state, the ways out. It wires nothing; that is `wiring`'s.

use std::sync::Arc;

use kit::Metrics;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge};
use serde_json::Value;
use serde_json::value::to_raw_value;

use crate::access::Access;
use crate::auth::Gate;
use crate::cluster::{Cluster, Event, Outbox, Saying};
use crate::config::Config;
use crate::delivery::{Delivery, Except, Vocabulary};
use crate::hub::{Hub, Room};
use crate::turns::Turns;

/// Upper bounds in milliseconds.
const LATENCY_MS: [f64; 11] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0];

/// The plugin's own metrics.
pub(crate) struct Counters {
    pub(crate) connections: IntGauge,
    pub(crate) messages: IntCounter,
    pub(crate) presence_updates: IntCounter,
    pub(crate) latency: Histogram,
    pub(crate) slow_readers: IntCounter,
}

/// What every handler works with.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) gate: Gate,
    pub(crate) hub: Hub,
    pub(crate) delivery: Delivery,
    pub(crate) metrics: Metrics,
    pub(crate) counters: Counters,
    /// The other instances, where there can be any.
    pub(crate) cluster: Option<Arc<Cluster>>,
    pub(crate) outbox: Outbox,
    pub(crate) turns: Turns,
    pub(crate) access: Access,
}

impl App {
    /// Sends an event to rooms, on every instance.
    pub(crate) fn pass(&self, rooms: &[Room], except: Except<'_>, event: &str, payload: &Value) {
        self.delivery.to_rooms(rooms, except, Vocabulary::Both, (event, payload));
        if let (true, Ok(payload)) = (self.outbox.is_used(), to_raw_value(payload)) {
            self.outbox.put(Saying::Event(Event { rooms: rooms.to_vec(), name: event.to_owned(), payload }));
        }
    }
}

impl Counters {
    pub(crate) fn register(metrics: &Metrics) -> Self {
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
            slow_readers: metrics.register(counter(
                "realtime_slow_readers_total",
                "Sockets that were disconnected because they read too slowly.",
            )),
            latency: metrics.register(latency.expect("the name and the bounds are legal")),
        }
    }
}
