//! Delivers webhooks out of a durable outbox, in a lane for each endpoint: a dead subscriber holds up itself alone.
//!
//! The outbox belongs to the plugin (a table, a journal); this module claims from it, sends, retries on a schedule, gives
//! up, and switches off endpoints that have taken nothing for long.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use url::Url;

use super::client::{Call, Client};
use crate::clock;

/// The pauses after each attempt that failed; after the last attempt a delivery is a dead letter.
const PAUSES: [Duration; 7] = [
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(6),
];
/// Attempts that run at a time to one endpoint, and to all of them.
const IN_A_LANE: usize = 4;
const AT_ONCE: usize = 64;
/// Dead letters in a row after which an endpoint is switched off.
const DEAD_IN_A_ROW: u32 = 5;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// One message to one endpoint.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The same for each attempt; goes out as `webhook-id`.
    pub id: String,
    /// What names the lane: the endpoint's id or address.
    pub endpoint: String,
    pub url: String,
    pub event: String,
    /// JSON.
    pub body: String,
    /// Signs it, where there is one.
    pub secret: Option<String>,
    /// Attempts that failed before this one.
    pub failures: u32,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint took it.
    Delivered,
    /// It is tried again at this time.
    Retry { at: SystemTime, error: String },
    /// It is given up and kept as a dead letter; `disables` where the endpoint is to be switched off with it.
    Dead { error: String, disables: bool },
}

/// The durable list of deliveries.
pub trait Outbox: Send + Sync + 'static {
    /// Claims at most `most` deliveries that are due, at most `a_lane` of one endpoint and none of the `busy` ones. What is
    /// claimed is given to no other instance for a while that is longer than an attempt.
    fn claim(
        &self,
        busy: &[String],
        a_lane: usize,
        most: usize,
    ) -> impl Future<Output = Result<Vec<Delivery>, String>> + Send;

    /// Notes what became of a claimed delivery.
    fn settle(&self, delivery: &Delivery, outcome: Outcome) -> impl Future<Output = Result<(), String>> + Send;
}

#[derive(Default)]
struct Lane {
    running: usize,
    dead_in_a_row: u32,
}

/// Sends what is due.
pub struct Sender {
    client: Client,
    /// How long to wait for new deliveries when none is due.
    idle: Duration,
    lanes: Mutex<HashMap<String, Lane>>,
    /// Told of each attempt that ends, and of [`Sender::wake`].
    changed: Notify,
}

impl Sender {
    /// A sender that asks through this client and looks for due deliveries this often.
    pub fn new(client: Client, idle: Duration) -> Arc<Self> {
        Arc::new(Self { client, idle, lanes: Mutex::default(), changed: Notify::new() })
    }

    /// Lets it look at once, such as after a delivery was stored.
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    /// Sends until `stop` completes, then waits for the attempts that run.
    pub async fn run<O: Outbox>(self: Arc<Self>, outbox: Arc<O>, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            // A claim must not be cut in the middle, so the stop is looked at between two of them.
            let is_stopping = tokio::select! {
                biased;
                () = &mut stop => true,
                () = std::future::ready(()) => false,
            };
            if is_stopping {
                break;
            }
            if self.start_due(&outbox).await > 0 {
                continue;
            }
            tokio::select! {
                () = &mut stop => break,
                () = self.changed.notified() => (),
                () = tokio::time::sleep(self.idle) => (),
            }
        }
        while self.running() > 0 {
            self.changed.notified().await;
        }
    }

    /// Starts an attempt for each delivery that is due and fits; their number.
    async fn start_due<O: Outbox>(self: &Arc<Self>, outbox: &Arc<O>) -> usize {
        let (busy, room) = self.busy();
        if room == 0 {
            return 0;
        }
        let claimed = match outbox.claim(&busy, IN_A_LANE, room).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::debug!("could not look for due webhooks: {error}");
                return 0;
            }
        };
        let count = claimed.len();
        for delivery in claimed {
            self.lane(&delivery.endpoint, |lane| lane.running += 1);
            let (sender, outbox) = (self.clone(), outbox.clone());
            tokio::spawn(async move { sender.attempt(&*outbox, &delivery).await });
        }
        count
    }

    async fn attempt<O: Outbox>(&self, outbox: &O, delivery: &Delivery) {
        let result = self.post(delivery).await;
        let outcome = self.outcome(delivery, result);
        if let Err(error) = outbox.settle(delivery, outcome).await {
            tracing::warn!("could not note the end of a webhook, which may be called again: {error}");
        }
        self.lane(&delivery.endpoint, |lane| lane.running -= 1);
        self.changed.notify_one();
    }

    async fn post(&self, delivery: &Delivery) -> Result<(), String> {
        let url = Url::parse(&delivery.url).map_err(|error| format!("its address cannot be used: {error}"))?;
        let call = Call::post_text(url, delivery.body.clone(), ANSWER_WITHIN)
            .with("x-webhook-event", &delivery.event)
            .with("x-webhook-id", &delivery.id)
            .with("x-webhook-timestamp", &clock::iso(clock::now()));
        let call = match &delivery.secret {
            Some(secret) => call.signed(secret, &delivery.id),
            None => call,
        };
        let answer = self.client.send(call).await?;
        if answer.is_success() { Ok(()) } else { Err(format!("the answer was {}", answer.status)) }
    }

    fn outcome(&self, delivery: &Delivery, result: Result<(), String>) -> Outcome {
        let Err(error) = result else {
            self.lane(&delivery.endpoint, |lane| lane.dead_in_a_row = 0);
            return Outcome::Delivered;
        };
        let pause = PAUSES.get(usize::try_from(delivery.failures).unwrap_or(usize::MAX));
        if let Some(pause) = pause {
            tracing::info!(id = delivery.id, error, "a webhook is tried again");
            return Outcome::Retry { at: clock::now() + *pause, error };
        }
        let disables = self.lane(&delivery.endpoint, |lane| {
            lane.dead_in_a_row += 1;
            lane.dead_in_a_row >= DEAD_IN_A_ROW
        });
        tracing::warn!(id = delivery.id, error, disables, "a webhook is given up");
        Outcome::Dead { error, disables }
    }

    /// The endpoints that take no more now, and how many further attempts fit.
    fn busy(&self) -> (Vec<String>, usize) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|_, lane| lane.running > 0 || lane.dead_in_a_row > 0);
        // A lane that is in use is left to its own attempts, so that one claim never overfills it.
        let busy = lanes.iter().filter(|(_, lane)| lane.running > 0).map(|(endpoint, _)| endpoint.clone()).collect();
        let running: usize = lanes.values().map(|lane| lane.running).sum();
        (busy, AT_ONCE.saturating_sub(running))
    }

    fn running(&self) -> usize {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.values().map(|lane| lane.running).sum()
    }

    fn lane<T>(&self, endpoint: &str, change: impl FnOnce(&mut Lane) -> T) -> T {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        change(lanes.entry(endpoint.to_owned()).or_default())
    }
}

#[cfg(test)]
#[path = "sender_tests.rs"]
mod tests;
