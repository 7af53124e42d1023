//! What happens by the clock: looks at the storage, removes what has outlived its time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kit::clock;
use object_store::path::Path;

use crate::keys;
use crate::problem::Problem;
use crate::state::App;

/// How often the storage is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Every so many rounds of tidying, a day apart, the stored bytes are counted.
const COUNT_ROUNDS: u64 = 144;
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
    for round in 0_u64.. {
        ticks.tick().await;
        if let Err(problem) = tidy_once(&app, clock::now()).await {
            tracing::warn!("tidying was not finished: {problem}");
        }
        // In between, what is written and removed is added up.
        if round.is_multiple_of(COUNT_ROUNDS)
            && let Err(problem) = app.storage.measure(&keys::FOLDERS).await
        {
            tracing::warn!("stored files were not counted: {problem}");
        }
    }
}

/// Removes what has outlived its time at a moment.
pub(crate) async fn tidy_once(app: &App, now: SystemTime) -> Result<(), Problem> {
    let before = now.checked_sub(app.config.job_retention).unwrap_or(SystemTime::UNIX_EPOCH);
    app.desk.forget_before(clock::milliseconds(before)).await?;
    let retention = app.config.retention;
    for (folder, kept) in [
        (keys::RESULTS, retention.results),
        (keys::ORIGINALS, retention.originals),
        (keys::THUMBNAILS, retention.thumbnails),
        (keys::OPTIMIZED, retention.thumbnails),
    ] {
        let Some(kept) = kept else { continue };
        let before = clock::milliseconds(now.checked_sub(kept).unwrap_or(SystemTime::UNIX_EPOCH));
        for file in app.storage.list(&Path::from(folder)).await? {
            if u64::try_from(file.last_modified.timestamp_millis()).unwrap_or_default() < before {
                app.storage.delete(&file.location, file.size).await?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kit::{Environment, Metrics};

    use super::*;
    use crate::config::Config;

    fn app(folder: &std::path::Path, settings: &[(&str, &str)]) -> App {
        let mut pairs = vec![("FILE_PROCESSING_DATA_DIR", folder.to_str().expect("a path of letters"))];
        pairs.extend(settings);
        let config = Config::read(&Environment::from_pairs(pairs)).expect("legal settings");
        App::new(config, &Metrics::new("file-processing")).expect("an app")
    }

    #[tokio::test]
    async fn each_kind_of_file_goes_after_its_own_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let app = app(folder.path(), &[("FILE_PROCESSING_ORIGINAL_RETENTION", "2h")]);
        let places = ["results/a.png", "originals/a/b.png", "thumbnails/a/100.png"].map(Path::from);
        for place in &places {
            app.storage.put(place, bytes::Bytes::from_static(b"123")).await.expect("stored");
        }
        assert_eq!(app.storage.used(), 9);
        let hours = |hours| clock::now() + Duration::from_hours(hours);
        for (later, left) in [(1, [true, true, true]), (3, [true, false, true]), (25, [false, false, true])] {
            tidy_once(&app, hours(later)).await.expect("tidied");
            for (place, is_there) in places.iter().zip(left) {
                assert_eq!(app.storage.get(place).await.is_ok(), is_there, "{place} after {later} hours");
            }
        }
        assert_eq!(app.storage.used(), 3);
        app.storage.measure(&keys::FOLDERS).await.expect("counted");
        assert_eq!(app.storage.used(), 3);
    }

    #[tokio::test]
    async fn what_would_pass_the_quota_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let app = app(folder.path(), &[("FILE_PROCESSING_STORAGE_QUOTA", "10")]);
        let place = |name: &str| Path::from(format!("results/{name}"));
        let eight = bytes::Bytes::from_static(b"12345678");
        app.storage.put(&place("a"), eight.clone()).await.expect("stored");
        let refused = app.storage.put(&place("b"), eight.clone()).await;
        assert!(matches!(refused, Err(Problem::Full(_))), "{refused:?}");
        app.storage.delete(&place("a"), 8).await.expect("removed");
        assert!(app.storage.put(&place("b"), eight).await.is_ok());
    }
}
