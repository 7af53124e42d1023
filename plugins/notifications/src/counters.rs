//! The plugin's own metrics.

use kit::Metrics;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts};

use crate::channel::{Channel, State};

/// Upper bounds in seconds, from the moment a message may go out to its hand-over.
const DELIVERY_SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0];

/// What is counted and measured.
pub(crate) struct Counters {
    sent: IntCounterVec,
    pub(crate) retries: IntCounter,
    pub(crate) delivery_seconds: Histogram,
}

impl Counters {
    pub(crate) fn register(metrics: &Metrics) -> Self {
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
