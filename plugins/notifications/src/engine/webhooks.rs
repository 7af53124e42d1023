//! Tells subscribed addresses what became of deliveries: signed, tried again while they do not answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use kit::signature;

use crate::chain::chain;
use crate::state::App;
use crate::store::WebhookCall;
use crate::time::{iso, now, span};

const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// No other instance repeats a call within this time.
const LEASE: Duration = Duration::from_secs(30);
const AT_ONCE: i64 = 8;
const ATTEMPTS: i64 = 6;
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// Calls until a stop is asked for.
pub(crate) async fn run(app: Arc<App>) {
    while !app.backlog.is_stopping() {
        let called = if app.is_migrated() { call_due(&app).await } else { 0 };
        if called == 0 {
            app.backlog.sleep(app.config.poll_interval).await;
        }
    }
}

async fn call_due(app: &App) -> usize {
    let now = now();
    match app.store.due_webhook_calls(AT_ONCE, now, now + span(LEASE)).await {
        Ok(calls) => {
            join_all(calls.iter().map(|call| settle(app, call))).await;
            calls.len()
        }
        Err(error) => {
            tracing::debug!(%error, "looking for webhooks failed");
            0
        }
    }
}

async fn settle(app: &App, call: &WebhookCall) {
    let result = post(app, call).await;
    let noted = match result {
        Ok(()) => app.store.drop_webhook_call(&call.id).await,
        Err(why) if call.attempts < ATTEMPTS => {
            let doublings = u32::try_from((call.attempts - 1).clamp(0, 10)).unwrap_or_default();
            tracing::info!(url = call.url, why, "a webhook is tried again");
            app.store.put_back_webhook_call(&call.id, now() + span(FIRST_PAUSE * 4_u32.pow(doublings))).await
        }
        Err(why) => {
            tracing::warn!(url = call.url, why, attempts = call.attempts, "a webhook is given up");
            app.store.drop_webhook_call(&call.id).await
        }
    };
    if let Err(error) = noted {
        tracing::warn!(%error, "a webhook may be called again");
    }
}

async fn post(app: &App, call: &WebhookCall) -> Result<(), String> {
    let request = app
        .client
        .post(&call.url)
        .header("content-type", "application/json")
        .header("x-signature", signature(&call.secret, call.payload.as_bytes()))
        .header("x-webhook-event", &call.event)
        .header("x-webhook-id", &call.id)
        .header("x-webhook-timestamp", iso(now()))
        .body(call.payload.clone())
        .timeout(ANSWER_WITHIN);
    let response = request.send().await.map_err(|error| chain(&error.without_url()))?;
    if response.status().is_success() { Ok(()) } else { Err(format!("it answered {}", response.status())) }
}
