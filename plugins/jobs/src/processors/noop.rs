//! `noop`: does nothing, for as long as `durationMs` says and in as many steps as `steps`. For trying out and measuring.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Fault, Task};

/// The most steps that progress is told in.
const MOST_STEPS: u64 = 100;

pub(super) async fn run(task: &mut Task) -> Result<Value, Fault> {
    let duration = Duration::from_millis(task.payload["durationMs"].as_u64().unwrap_or(0));
    let steps = u32::try_from(task.payload["steps"].as_u64().unwrap_or(0).min(MOST_STEPS)).unwrap_or(0);
    if steps == 0 && !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
    for step in 1..=steps {
        tokio::time::sleep(duration / steps).await;
        task.progress(step * 100 / steps).await;
    }
    Ok(json!({"done": true}))
}
