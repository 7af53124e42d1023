//! The plugin's own metrics, under the names that were asked for.

use std::time::Duration;

use kit::Metrics;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts};

/// Upper bounds in milliseconds; from a small thumbnail to the longest timeout.
const DURATION_MS: [f64; 11] = [5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 10_000.0, 30_000.0];

/// What is counted.
#[derive(Clone)]
pub(crate) struct Counters {
    processed: IntCounterVec,
    duration: HistogramVec,
    pub(crate) jobs: IntCounter,
    /// Works and jobs that wait.
    pub(crate) queue: IntGauge,
    metrics: Metrics,
}

impl Counters {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let processed =
            Opts::new("files_processed_total", "Files that were processed, by operation and whether it succeeded.");
        let duration =
            HistogramOpts::new("file_processing_duration_ms", "Time from an operation's turn to its stored result.");
        let jobs = IntCounter::new("file_processing_jobs_total", "Jobs that were accepted.");
        let queue = IntGauge::new("file_processing_queue_size", "Works and jobs that wait for their turn.");
        Self {
            processed: metrics.register(
                IntCounterVec::new(processed, &["operation", "status"]).expect("the names and labels are legal"),
            ),
            duration: metrics.register(
                HistogramVec::new(duration.buckets(DURATION_MS.to_vec()), &["operation"])
                    .expect("the names and bounds are legal"),
            ),
            jobs: metrics.register(jobs.expect("the name is legal")),
            queue: metrics.register(queue.expect("the name is legal")),
            metrics: metrics.clone(),
        }
    }

    /// Counts an operation that came to its end.
    pub(crate) fn count(&self, operation: &str, succeeded: bool, took: Duration) {
        let status = if succeeded { "success" } else { "error" };
        self.processed.with_label_values(&[operation, status]).inc();
        self.duration.with_label_values(&[operation]).observe(took.as_secs_f64() * 1000.0);
    }

    /// Counts a failure that no HTTP answer carries.
    pub(crate) fn count_error(&self) {
        self.metrics.count_error();
    }
}
