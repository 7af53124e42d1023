//! Tells subscribed addresses what became of deliveries. Each address has a lane of its own, so that a dead one delays no
//! other; what is given up is kept and can be replayed.

use std::sync::Arc;
use std::time::Duration;

use kit::clock;
use kit::outbound::{Delivery, Outbox, Outcome, Sender};

use crate::state::App;
use crate::store::{Settlement, WebhookCall};
use crate::time::{now, span};

/// No other instance repeats a call within this time: longer than an attempt takes.
const LEASE: Duration = Duration::from_mins(1);

/// Calls until a stop is asked for.
pub(crate) async fn run(app: Arc<App>) {
    let sender = Sender::new(app.outside.clone(), app.config.poll_interval);
    let stopped = app.clone();
    sender.run(Arc::new(Calls(app)), async move { stopped.backlog.stopped().await }).await;
}

/// The calls that are stored.
struct Calls(Arc<App>);

impl Outbox for Calls {
    async fn claim(&self, busy: &[String], a_lane: usize, most: usize) -> Result<Vec<Delivery>, String> {
        if !self.0.is_migrated() {
            return Ok(Vec::new());
        }
        let now = now();
        let calls = self.0.store.claim_webhook_calls((busy, a_lane, most), now, now + span(LEASE)).await;
        Ok(calls.map_err(|error| error.to_string())?.into_iter().map(delivery).collect())
    }

    async fn settle(&self, delivery: &Delivery, outcome: Outcome) -> Result<(), String> {
        let settlement = match outcome {
            Outcome::Delivered => Settlement::Delivered,
            Outcome::Retry { at, error } => {
                let due_at = i64::try_from(clock::milliseconds(at)).unwrap_or(i64::MAX);
                Settlement::Later { due_at, error }
            }
            Outcome::Dead { error, disables } => Settlement::Dead { error, disables },
        };
        let settled = self.0.store.settle_webhook_call(&delivery.id, &delivery.endpoint, settlement, now()).await;
        settled.map_err(|error| error.to_string())
    }
}

fn delivery(call: WebhookCall) -> Delivery {
    Delivery {
        id: call.id,
        endpoint: call.webhook_id,
        url: call.url,
        event: call.event,
        body: call.payload,
        secret: Some(call.secret),
        failures: u32::try_from(call.attempts - 1).unwrap_or_default(),
    }
}
