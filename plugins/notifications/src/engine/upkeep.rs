//! What goes on beside the messages: migrations until they are done, probes of what we depend on, forgetting.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::time::{now, span};

const BETWEEN_PROBES: Duration = Duration::from_secs(15);
const BETWEEN_MIGRATIONS: Duration = Duration::from_secs(2);
/// Rounds of probes between two rounds of forgetting: an hour.
const ROUNDS_TO_FORGET: u32 = 240;

/// Tries until the tables are what this version expects.
pub(crate) async fn migrate_until_done(app: Arc<App>) {
    while !app.worker.is_stopping() {
        match app.store.database.migrate().await {
            Ok(()) => return app.set_migrated(),
            Err(error) => tracing::warn!(%error, "the tables could not be brought up to date; trying again"),
        }
        tokio::time::sleep(BETWEEN_MIGRATIONS).await;
    }
}

/// Probes and forgets until a stop is asked for.
pub(crate) async fn run(app: Arc<App>) {
    let mut round: u32 = 0;
    while !app.worker.is_stopping() {
        probe(&app).await;
        if app.is_migrated() && round.is_multiple_of(ROUNDS_TO_FORGET) {
            forget(&app).await;
        }
        round = round.wrapping_add(1);
        tokio::time::sleep(BETWEEN_PROBES).await;
    }
}

async fn probe(app: &App) {
    let realtime = app.channels.realtime.probe().await;
    let email = match &app.channels.email {
        Ok(email) if !app.channels.dry_run => Some(email.probe().await),
        _ => None,
    };
    app.set_observed(realtime, email);
}

async fn forget(app: &App) {
    let now = now();
    let forgotten = app.store.forget(now, now - span(app.config.rates.window), now - span(app.config.retention)).await;
    match forgotten {
        Ok(0) => {}
        Ok(messages) => tracing::info!(messages, "old messages were removed"),
        Err(error) => tracing::warn!(%error, "removing old messages failed"),
    }
}
