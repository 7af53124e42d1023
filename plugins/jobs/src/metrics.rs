//! The plugin's own metrics, under the names that its users' dashboards ask for.

use std::time::Duration;

use kit::Metrics;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts};

/// Upper bounds in milliseconds.
const LATENCY_MS: [f64; 12] = [1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1_000.0, 5_000.0, 30_000.0, 300_000.0];

/// What is counted.
#[derive(Clone)]
pub(crate) struct Counters {
    shared: Metrics,
    processed: IntCounterVec,
    begun: IntCounter,
    completed: IntCounter,
    failed: IntCounter,
    retries: IntCounter,
    active: IntGauge,
    waiting: IntGauge,
    latency: Histogram,
}

impl Counters {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let counter = |name, help| metrics.register(IntCounter::new(name, help).expect("the name is legal"));
        let gauge = |name, help| metrics.register(IntGauge::new(name, help).expect("the name is legal"));
        let processed =
            Opts::new("jobs_processed_total", "Attempts that workers here ended, by queue, type and status.");
        let processed = IntCounterVec::new(processed, &["queue", "type", "status"]).expect("the labels are legal");
        let latency = HistogramOpts::new(
            "jobs_latency_ms",
            "Time in milliseconds from when a job was due to when a worker here took it.",
        );
        let latency = Histogram::with_opts(latency.buckets(LATENCY_MS.to_vec()));
        Self {
            shared: metrics.clone(),
            processed: metrics.register(processed),
            begun: counter("jobs_total", "Jobs that workers here took for their first attempt."),
            completed: counter("jobs_completed", "Jobs that workers here completed."),
            failed: counter("jobs_failed", "Jobs whose last attempt failed here."),
            retries: counter("jobs_retry_count", "Attempts after the first that workers here began."),
            active: gauge("jobs_active", "Jobs that run now, in all queues and workers."),
            waiting: gauge("jobs_waiting", "Jobs that wait for a worker, in all queues."),
            latency: metrics.register(latency.expect("the name and the bounds are legal")),
        }
    }

    pub(crate) fn begin(&self, attempts_made: u32, waited: Option<Duration>) {
        if attempts_made == 0 {
            self.begun.inc();
        } else {
            self.retries.inc();
        }
        if let Some(waited) = waited {
            self.latency.observe(waited.as_secs_f64() * 1_000.0);
        }
    }

    /// An attempt's end. The type must be one of a fixed set: labels must not grow with what clients invent.
    pub(crate) fn end(&self, queue: &str, kind: &str, ended: Ended) {
        let status = match ended {
            Ended::Completed => {
                self.completed.inc();
                "completed"
            }
            Ended::Failed => {
                self.failed.inc();
                self.shared.count_error();
                "failed"
            }
            Ended::Retried => {
                self.shared.count_error();
                "retried"
            }
            Ended::Returned => "returned",
        };
        self.processed.with_label_values(&[queue, kind, status]).inc();
    }

    pub(crate) fn show(&self, active: u64, waiting: u64) {
        self.active.set(i64::try_from(active).unwrap_or(i64::MAX));
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Completed,
    /// For the last time.
    Failed,
    /// It failed and is tried again.
    Retried,
    /// It was given back unfinished, because this server stops.
    Returned,
}
