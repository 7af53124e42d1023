//! What people may do to jobs and queues, with the refusals in words; for the REST routes and the dashboard alike.

use axum::http::StatusCode;
use bullmq::Job;
use bullmq::error::error_code;
use kit::Failure;
use serde_json::json;

use crate::broker::Trouble;
use crate::queue_name::QueueName;
use crate::state::App;
use crate::store::{Found, State};

fn conflict(found: &Found, why: &str) -> Failure {
    Failure::new(StatusCode::CONFLICT, why).with("jobId", json!(found.id))
}

async fn load(app: &App, found: &Found) -> Result<Job, Failure> {
    let job = app.queues.broker().ask(found.queue.get_job(&found.id)).await?;
    job.ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, "the job has just gone").with("jobId", json!(found.id)))
}

/// Removes a job that does not run. The next job of a schedule goes with its schedule.
pub(crate) async fn remove(app: &App, found: &Found) -> Result<(), Failure> {
    match app.queues.broker().ask(found.queue.remove(&found.id)).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(conflict(found, "the job is running and cannot be removed")),
        Err(Trouble::Refused(bullmq::Error::Script { code, .. }))
            if code == error_code::JOB_BELONGS_TO_JOB_SCHEDULER =>
        {
            let name = schedule_of(&found.id).unwrap_or_default();
            app.schedules.remove(name).await?;
            Ok(())
        }
        Err(trouble) => Err(trouble.into()),
    }
}

/// The schedule's name in the id of its job: `repeat:NAME:TIME`.
fn schedule_of(id: &str) -> Option<&str> {
    Some(id.strip_prefix("repeat:")?.rsplit_once(':')?.0)
}

/// Lets a failed job run again.
pub(crate) async fn retry(app: &App, found: &Found) -> Result<(), Failure> {
    let state = app.queues.state_of(found).await?;
    if state != Some(State::Failed) {
        let word = state.map_or("unknown", State::plain);
        let why = format!("only a failed job can be tried again; this one is {word}");
        return Err(conflict(found, &why).with("state", json!(word)));
    }
    let mut job = load(app, found).await?;
    app.queues.broker().ask(job.retry("failed", None)).await?;
    Ok(app.queues.settle(&found.name).await.map(drop)?)
}

/// Lets a delayed job run now.
pub(crate) async fn promote(app: &App, found: &Found) -> Result<(), Failure> {
    let state = app.queues.state_of(found).await?;
    if state != Some(State::Delayed) {
        let word = state.map_or("unknown", State::plain);
        return Err(conflict(found, &format!("only a delayed job can be promoted; this one is {word}")));
    }
    let job = load(app, found).await?;
    app.queues.broker().ask(job.promote()).await?;
    Ok(app.queues.settle(&found.name).await.map(drop)?)
}

/// Removes jobs of one state that are older than `grace` milliseconds, at most `limit`; gives their ids.
pub(crate) async fn clean(
    app: &App,
    name: &QueueName,
    state: State,
    (grace, limit): (u64, u32),
) -> Result<Vec<String>, Failure> {
    let queue = app.queues.open(name).await?;
    Ok(app.queues.broker().ask(queue.clean(grace, limit, state.word())).await?)
}

/// Removes all that waits; with `delayed`, also what is still to come.
pub(crate) async fn drain(app: &App, name: &QueueName, delayed: bool) -> Result<(), Failure> {
    let queue = app.queues.open(name).await?;
    Ok(app.queues.broker().ask(queue.drain(delayed)).await?)
}

/// How many keys one step of a queue's removal deletes.
const REMOVED_AT_ONCE: usize = 1_000;

/// Removes a queue with all of its jobs and schedules. One that settings name comes back with the next start, and one
/// whose jobs run would lose them: neither is removed.
pub(crate) async fn remove_queue(app: &App, name: &QueueName) -> Result<(), Failure> {
    let refuse = |why: &str| Failure::new(StatusCode::CONFLICT, why).with("queue", json!(name.as_str()));
    if app.queues.is_configured(name) {
        return Err(refuse("the queue is one of the settings: take it out of JOBS_QUEUES, and restart the plugin"));
    }
    app.queues.pause(name).await?;
    if app.queues.counts_of(name).await?.of(State::Active) > 0 {
        app.queues.resume(name).await?;
        return Err(refuse("the queue has running jobs: pause it, wait for their end, and try again"));
    }
    app.crew.close(name).await;
    let queue = app.queues.open(name).await?;
    app.queues.broker().ask(queue.obliterate(false, REMOVED_AT_ONCE)).await?;
    Ok(app.queues.forget(name).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedules_name_is_found_in_its_jobs_ids() {
        assert_eq!(schedule_of("repeat:daily:1700000000000"), Some("daily"));
        assert_eq!(schedule_of("repeat:a:b:1700000000000"), Some("a:b"));
        assert_eq!(schedule_of("17"), None);
    }
}
