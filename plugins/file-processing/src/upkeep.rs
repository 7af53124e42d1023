//! What happens by the clock: looks at the storage, removes what has outlived its time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kit::clock;
use object_store::path::Path;

use crate::app::App;
use crate::keys;
use crate::problem::Problem;

/// How often the storage is looked at.
const LOOK: Duration = Duration::from_secs(3);
/// How often old files and jobs are looked for.
const TIDY: Duration = Duration::from_mins(10);

/// Looks at the storage for as long as the process lives, so that health answers at once.
pub(crate) async fn watch_storage(app: Arc<App>) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let state = app.storage.check().await.err().map(|problem| problem.to_string());
        let was = app.storage_error.send_replace(state.clone());
        match (was, state) {
            (None, Some(error)) => tracing::error!("{error}"),
            (Some(_), None) => tracing::info!("the storage answers again"),
            _ => (),
        }
    }
}

/// Removes old results and jobs for as long as the process lives.
pub(crate) async fn tidy(app: Arc<App>) {
    let mut ticks = tokio::time::interval(TIDY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(problem) = tidy_once(&app, clock::now()).await {
            tracing::warn!("tidying was not finished: {problem}");
        }
    }
}

/// Removes what has outlived its time at a moment.
pub(crate) async fn tidy_once(app: &App, now: SystemTime) -> Result<(), Problem> {
    let before = now.checked_sub(app.config.job_retention).unwrap_or(SystemTime::UNIX_EPOCH);
    app.desk.forget_before(clock::milliseconds(before)).await?;
    if let Some(retention) = app.config.result_retention {
        let before = clock::milliseconds(now.checked_sub(retention).unwrap_or(SystemTime::UNIX_EPOCH));
        for file in app.storage.list(&Path::from(keys::RESULTS)).await? {
            if u64::try_from(file.last_modified.timestamp_millis()).unwrap_or_default() < before {
                app.storage.delete(&file.location).await?;
            }
        }
    }
    app.storage.measure().await
}
