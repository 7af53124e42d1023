//! What goes on beside the messages: migrations until they are done, probes of what we depend on, forgetting.

use std::sync::Arc;
use std::time::Duration;

use crate::state::App;
use crate::store::Before;
use crate::time::{now, span};

const BETWEEN_PROBES: Duration = Duration::from_secs(15);
const BETWEEN_MIGRATIONS: Duration = Duration::from_secs(2);
const BETWEEN_STEPS: Duration = Duration::from_millis(20);
/// Rounds of probes between two rounds of forgetting: an hour.
const ROUNDS_TO_FORGET: u32 = 240;

/// Tries until the tables are what this version expects.
pub(crate) async fn migrate_until_done(app: Arc<App>) {
    while !app.backlog.is_stopping() {
        match app.store.database.migrate().await {
            Ok(()) => return app.set_migrated(),
            Err(error) => tracing::warn!(%error, "the tables could not be brought up to date; trying again"),
        }
        app.backlog.sleep(BETWEEN_MIGRATIONS).await;
    }
}

/// Probes and forgets until a stop is asked for.
pub(crate) async fn run(app: Arc<App>) {
    let mut round: u32 = 0;
    while !app.backlog.is_stopping() {
        probe(&app).await;
        if app.is_migrated() && round.is_multiple_of(ROUNDS_TO_FORGET) {
            forget(&app).await;
        }
        round = round.wrapping_add(1);
        app.backlog.sleep(BETWEEN_PROBES).await;
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

/// Forgets in small steps, each with a pause in which others get at the database.
async fn forget(app: &App) {
    let now = now();
    let before = Before {
        requests: now,
        rates: now - span(app.config.rates.window),
        messages: now - span(app.config.retention),
    };
    let mut total = 0;
    while !app.backlog.is_stopping() {
        match app.store.forget_some(&before).await {
            Ok(0) => break,
            Ok(removed) => total += removed,
            Err(error) => {
                tracing::warn!(%error, "could not remove what is old");
                break;
            }
        }
        app.backlog.sleep(BETWEEN_STEPS).await;
    }
    if total > 0 {
        tracing::info!(rows = total, "old rows were removed");
    }
}
