//! Tells of a job's end: signed, and again after a while where nobody takes it.

use std::sync::Arc;
use std::time::Duration;

use crate::jobs::Job;
use crate::state::App;

/// The pauses after each attempt that failed; then it is given up.
const PAUSES: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_mins(30),
];

/// Tells of a job's end in the background. What is not told when the process ends is told by the next.
pub(super) fn tell(app: &Arc<App>, job: Job) {
    let app = app.clone();
    tokio::spawn(async move {
        let mut attempts = job.webhook_attempts;
        loop {
            let told = deliver(&app, &job).await;
            attempts += 1;
            let pause = PAUSES.get(usize::try_from(attempts).unwrap_or(usize::MAX) - 1);
            let is_over = told || pause.is_none();
            note(&app, &job.id, attempts, !is_over).await;
            match pause {
                Some(pause) if !told => tokio::time::sleep(*pause).await,
                _ => return,
            }
        }
    });
}

async fn deliver(app: &App, job: &Job) -> bool {
    let Some(url) = &job.webhook_url else { return true };
    let thumbnails = job.thumbnails.iter().map(|thumbnail| thumbnail.view(app.public_link(&thumbnail.path)));
    let thumbnails: Vec<_> = thumbnails.collect();
    let body = job.report(&thumbnails).to_string();
    match app.outbound.post(&job.id, url, body, job.webhook_secret.as_deref()).await {
        Ok(()) => true,
        Err(reason) => {
            tracing::warn!(job = job.id, "its webhook was not taken: {reason}");
            app.counters.count_error();
            false
        }
    }
}

async fn note(app: &App, id: &str, attempts: u32, due: bool) {
    let change = app.desk.change(id, |job| {
        job.webhook_attempts = attempts;
        job.webhook_due = due;
        true
    });
    if let Err(problem) = change.await {
        tracing::error!(job = id, "its webhook cannot be noted: {problem}");
    }
}
