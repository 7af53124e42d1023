//! Works jobs off: takes the next when a place is free, notes its end, has it told.

mod webhook;
mod work;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kit::clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::jobs::{Job, State};
use crate::problem::Problem;
use crate::state::App;

pub(crate) use work::{savings_percent, store_thumbnail, thumbnails};

use work::Yield;

/// How long the runner sleeps where nothing wakes it: jobs that wait for the storage are looked at then.
const LOOK: Duration = Duration::from_secs(1);
/// How long a job waits for a storage that is away, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long running jobs have to end once a stop was asked for; the engine kills five seconds later.
pub(crate) const FINISH_WITHIN: Duration = Duration::from_secs(5);
const FINISH_LOOK: Duration = Duration::from_millis(50);

/// How often a job is begun that takes too long: a machine may be busy for a while.
const MOST_SLOW_ATTEMPTS: u32 = 3;

/// When jobs that met a storage that was away are tried again.
#[derive(Default)]
struct Pauses(Mutex<HashMap<String, (Instant, Duration)>>);

impl Pauses {
    fn is_paused(&self, id: &str) -> bool {
        let pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pauses.get(id).is_some_and(|(until, _)| Instant::now() < *until)
    }

    fn pause(&self, id: &str) {
        let mut pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = pauses.get(id).map_or(FIRST_PAUSE, |(_, pause)| (*pause * 2).min(LONGEST_PAUSE));
        pauses.insert(id.to_owned(), (Instant::now() + pause, pause));
    }

    fn forget(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// Works jobs off until a stop is asked for.
pub(crate) async fn run_jobs(app: Arc<App>) {
    let places = Arc::new(Semaphore::new(app.config.concurrency));
    let pauses = Arc::new(Pauses::default());
    let mut stopping = app.stopping.subscribe();
    for job in app.desk.untold() {
        webhook::tell(&app, job);
    }
    loop {
        let job = tokio::select! {
            biased;
            _ = stopping.wait_for(|is_stopping| *is_stopping) => return,
            next = next(&app, &pauses, places.clone()) => next,
        };
        let Some((job, place)) = job else { return };
        let (app, pauses) = (app.clone(), pauses.clone());
        tokio::spawn(async move {
            let _place = place;
            run(&app, &job, &pauses).await;
        });
    }
}

/// Takes no further job, lets running ones end within a time, and puts the rest back without counting the attempt.
pub(crate) async fn stop_jobs(app: &App, within: Duration) {
    app.stopping.send_replace(true);
    let deadline = Instant::now() + within;
    while app.desk.counts().processing > 0 && Instant::now() < deadline {
        tokio::time::sleep(FINISH_LOOK).await;
    }
    match app.desk.put_back_all().await {
        Ok(0) => (),
        Ok(jobs) => tracing::info!(jobs, "jobs that still ran were put back"),
        Err(problem) => tracing::error!("running jobs cannot be put back: {problem}"),
    }
}

/// Waits for a place, then for a job.
async fn next(app: &App, pauses: &Pauses, places: Arc<Semaphore>) -> Option<(Job, OwnedSemaphorePermit)> {
    let place = places.acquire_owned().await.ok()?;
    loop {
        match app.desk.begin_next(|id| pauses.is_paused(id)).await {
            Ok(Some(job)) => return Some((job, place)),
            Ok(None) => (),
            Err(problem) => tracing::error!("the next job cannot be begun: {problem}"),
        }
        let _ = tokio::time::timeout(LOOK, app.desk.news.notified()).await;
    }
}

async fn run(app: &Arc<App>, job: &Job, pauses: &Pauses) {
    let began = Instant::now();
    let result = work::perform(app, job).await;
    if let Err(problem) = &result
        && (problem.is_passing() || (job.attempts < MOST_SLOW_ATTEMPTS && matches!(problem, Problem::TimedOut(..))))
    {
        tracing::warn!(job = job.id, "put off: {problem}");
        pauses.pause(&job.id);
        // An attempt that met a storage that was away does not count.
        if let Err(problem) = app.desk.put_back(&job.id, problem.is_passing()).await {
            tracing::error!(job = job.id, "cannot be put back: {problem}");
        }
        return;
    }
    pauses.forget(&job.id);
    app.counters.count("job", result.is_ok(), began.elapsed());
    if let Err(problem) = &result {
        tracing::info!(job = job.id, file = job.file_id, "failed: {problem}");
        app.counters.count_error();
    }
    if let Some(job) = end(app, &job.id, result).await {
        webhook::tell(app, job);
    }
}

/// Notes a job's end, unless it was cancelled meanwhile; gives it back where its end is to be told. A journal that
/// cannot be written is tried again: the end of a job must not get lost while the process lives.
async fn end(app: &App, id: &str, result: Result<Yield, Problem>) -> Option<Job> {
    loop {
        let mut ended = false;
        let change = app.desk.change(id, |job| {
            if job.state == State::Processing {
                ended = true;
                note(job, &result);
                job.webhook_due = job.webhook_url.is_some();
            }
            ended
        });
        match change.await {
            Ok(job) => return job.filter(|job| ended && job.webhook_due),
            Err(problem) => {
                tracing::error!(job = id, "its end cannot be noted: {problem}");
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

fn note(job: &mut Job, result: &Result<Yield, Problem>) {
    job.ended_at = Some(clock::milliseconds(clock::now()));
    match result {
        Ok(made) => {
            job.state = State::Completed;
            job.thumbnails.clone_from(&made.thumbnails);
            job.metadata.clone_from(&made.metadata);
            job.optimization.clone_from(&made.optimization);
            job.scan.clone_from(&made.scan);
            job.result_path.clone_from(&made.result_path);
        }
        Err(problem) => {
            job.state = State::Failed;
            job.error = Some(problem.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use kit::{Environment, Metrics};

    use super::*;
    use crate::config::Config;

    fn app(folder: &Path) -> Arc<App> {
        let folder = folder.to_str().expect("a path of letters");
        let pairs = [("FILE_PROCESSING_DATA_DIR", folder), ("FILE_PROCESSING_FETCH_ALLOWED_HOSTS", "127.0.0.1")];
        let config = Config::read(&Environment::from_pairs(pairs)).expect("legal settings");
        Arc::new(App::new(config, &Metrics::new("file-processing")).expect("an app"))
    }

    #[test]
    fn three_orderly_stops_fail_no_job() {
        let folder = tempfile::tempdir().expect("a folder");
        // It accepts connections, and never answers.
        let mute = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = mute.local_addr().expect("an address");
        let job = Job { file_url: Some(format!("http://{address}/a.png")), ..Job::new("a".into(), "f".into(), 1) };
        let mut job = Some(job);
        for stop in 1..=4 {
            // A runtime each, as each process has: what still runs ends with it.
            tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
                let app = app(folder.path());
                if let Some(job) = job.take() {
                    app.desk.accept(job).await.expect("accepted");
                }
                let runner = tokio::spawn(run_jobs(app.clone()));
                while app.desk.counts().processing == 0 {
                    tokio::task::yield_now().await;
                }
                stop_jobs(&app, Duration::from_millis(100)).await;
                runner.await.expect("it ended");
                let job = app.desk.get("a").expect("a job");
                assert_eq!((job.state, job.attempts), (State::Pending, 0), "after stop {stop}");
            });
        }
    }

    #[tokio::test]
    async fn no_job_is_begun_once_a_stop_was_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let app = app(folder.path());
        stop_jobs(&app, Duration::from_millis(100)).await;
        app.desk.accept(Job::new("a".into(), "f".into(), 1)).await.expect("accepted");
        run_jobs(app.clone()).await;
        assert_eq!(app.desk.get("a").map(|job| job.state), Some(State::Pending));
    }
}
