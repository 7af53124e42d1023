//! Clean-ups of what this plugin owns: the results of jobs. Others' data is cleaned by their owners.

use std::time::Duration;

use kit::clock;
use serde_json::{Value, json};

use super::{Fault, Task, Workshop};
use crate::broker::Trouble;
use crate::queue_name::QueueName;
use crate::store::{State, keys};

const HOUR: u64 = 3_600_000;
/// The age of results that are removed where the job names none.
const USUAL_AGE: u64 = 7 * 24 * HOUR;
/// How many jobs one step removes.
const USUAL_BATCH: u64 = 1_000;
const LARGEST_BATCH: u64 = 10_000;
/// A pause between two steps, so that other commands get their turn.
const BREATH: Duration = Duration::from_millis(5);

/// Whether a clean-up is for the results of jobs.
pub(super) fn is_ours(task: &Task) -> bool {
    matches!(task.text("targetType"), Some("job_results" | "jobs" | "job-results"))
}

pub(super) async fn run(workshop: &Workshop, task: &mut Task) -> Result<Value, Fault> {
    let number = |field: &str| task.payload[field].as_u64();
    let days = number("olderThanDays").map(|days| days.saturating_mul(24 * HOUR));
    let hours = number("olderThanHours").map(|hours| hours.saturating_mul(HOUR));
    let age = days.or(hours).unwrap_or(USUAL_AGE);
    let batch = number("batchSize").unwrap_or(USUAL_BATCH).clamp(1, LARGEST_BATCH);
    let is_dry = task.payload["dryRun"].as_bool().unwrap_or(false);
    let names = workshop.queues.names();
    let mut removed = 0;
    for (index, name) in names.iter().enumerate() {
        for state in [State::Completed, State::Failed] {
            let count =
                if is_dry { count(workshop, name, state, age) } else { clean(workshop, (name, state), age, batch) };
            removed += count.await.map_err(|trouble| Fault::Passing(trouble.to_string()))?;
        }
        let percent = (index + 1) * 100 / names.len();
        task.progress(u32::try_from(percent).unwrap_or(100)).await;
    }
    Ok(
        json!({"targetType": "job_results", "deleted": if is_dry { 0 } else { removed }, "matched": removed, "dryRun": is_dry}),
    )
}

type Counting<'a> = std::pin::Pin<Box<dyn Future<Output = Result<u64, Trouble>> + Send + 'a>>;

fn clean<'a>(workshop: &'a Workshop, (name, state): (&'a QueueName, State), age: u64, batch: u64) -> Counting<'a> {
    Box::pin(async move {
        let queue = workshop.queues.open(name).await?;
        let limit = u32::try_from(batch).unwrap_or(u32::MAX);
        let mut removed = 0;
        loop {
            let gone = workshop.queues.broker().ask(queue.clean(age, limit, state.word())).await?;
            removed += gone.len() as u64;
            if (gone.len() as u64) < batch {
                return Ok(removed);
            }
            tokio::time::sleep(BREATH).await;
        }
    })
}

fn count<'a>(workshop: &'a Workshop, name: &'a QueueName, state: State, age: u64) -> Counting<'a> {
    Box::pin(async move {
        let broker = workshop.queues.broker();
        let mut commands = broker.commands()?;
        let until = clock::milliseconds(clock::now()).saturating_sub(age);
        let mut command = redis::cmd("ZCOUNT");
        command.arg(keys(name).get(state.word())).arg("-inf").arg(until);
        broker.ask(async { Ok(command.query_async(&mut commands).await?) }).await
    })
}
