//! Works jobs off: takes the next when a place is free, notes its end, has it told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kit::clock;
use tokio::sync::Semaphore;

use crate::app::App;
use crate::jobs::work::{self, Yield};
use crate::jobs::{Job, State, webhook};
use crate::problem::Problem;

/// How long the runner sleeps where nothing wakes it: jobs that wait for the storage are looked at then.
const LOOK: Duration = Duration::from_secs(1);
/// How long a job waits for a storage that is away, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

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

/// Works jobs off for as long as the process lives.
pub(crate) async fn run_jobs(app: Arc<App>) {
    let places = Arc::new(Semaphore::new(app.config.concurrency));
    let pauses = Arc::new(Pauses::default());
    for job in app.desk.untold() {
        webhook::tell(&app, job);
    }
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let job = next(&app, &pauses).await;
        let (app, pauses) = (app.clone(), pauses.clone());
        tokio::spawn(async move {
            let _place = place;
            run(&app, &job, &pauses).await;
        });
    }
}

async fn next(app: &App, pauses: &Pauses) -> Job {
    loop {
        match app.desk.begin_next(|id| pauses.is_paused(id)).await {
            Ok(Some(job)) => return job,
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
        put_back(app, &job.id, problem.is_passing()).await;
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

/// The job waits again; an attempt that met a storage that was away does not count.
async fn put_back(app: &App, id: &str, uncounted: bool) {
    let change = app.desk.change(id, |job| {
        let is_ours = job.state == State::Processing;
        if is_ours {
            job.state = State::Pending;
            job.attempts = job.attempts.saturating_sub(u32::from(uncounted));
        }
        is_ours
    });
    if let Err(problem) = change.await {
        tracing::error!(job = id, "cannot be put back: {problem}");
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
