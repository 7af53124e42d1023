//! Metrics in the Prometheus text format 0.0.4, under exactly the names that were asked for.

use std::time::Duration;

use super::process::Process;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, Opts, Registry, TextEncoder};

/// Upper bounds in seconds; from a cached answer to a client's patience.
const REQUEST_SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// A plugin's metrics: the two that every plugin has, and those it registers.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    request_seconds: HistogramVec,
    errors: IntCounter,
}

impl Metrics {
    /// The shared metrics of the plugin of this name.
    ///
    /// # Panics
    /// Where the name makes no metric name; it is written in the plugin's source.
    pub fn new(plugin: &str) -> Self {
        let options = HistogramOpts::new(
            "http_request_duration_seconds",
            "Time from a request's arrival to its answer, without the transfer of bodies.",
        );
        let request_seconds =
            HistogramVec::new(options.buckets(REQUEST_SECONDS.to_vec()), &["method", "route", "status"])
                .expect("the labels are legal");
        let name = format!("{}_errors_total", plugin.replace('-', "_"));
        let help = "Requests and events that were answered with an error.";
        let errors = IntCounter::with_opts(Opts::new(name, help)).expect("the name is legal");
        let metrics = Self { registry: Registry::new(), request_seconds, errors };
        metrics.register(metrics.request_seconds.clone());
        metrics.register(metrics.errors.clone());
        metrics.register(Process::new());
        metrics
    }

    /// Adds a metric of the plugin's own and gives it back.
    ///
    /// # Panics
    /// Where its name is taken; names are written in the plugin's source.
    pub fn register<C: Collector + Clone + 'static>(&self, metric: C) -> C {
        self.registry.register(Box::new(metric.clone())).expect("each metric is registered once");
        metric
    }

    /// Counts an error that no HTTP answer carries, such as a refused event.
    pub fn count_error(&self) {
        self.errors.inc();
    }

    pub(crate) fn count_request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let code = status.to_string();
        let labels = [method, route, code.as_str()];
        self.request_seconds.with_label_values(&labels).observe(took.as_secs_f64());
        if status >= 400 {
            self.errors.inc();
        }
    }

    /// `GET /metrics`.
    pub(crate) fn answer(&self) -> Response {
        let text = TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default();
        ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
    }
}
