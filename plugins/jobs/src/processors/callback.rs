//! Types that are the application's own: posted to its address, signed, and its answer is the result.

use kit::outbound::Call;
use serde_json::{Value, json};

use super::{Fault, Task, Workshop};

pub(super) async fn run(workshop: &Workshop, task: &Task) -> Result<Value, Fault> {
    let Some(url) = workshop.peers.callback.clone() else {
        return Err(Fault::Passing(format!(
            "no processor for type `{}`: set JOBS_CALLBACK_URL to an address of your application, or run a BullMQ worker \
             of your own with JOBS_WORKERS_ENABLED=false here",
            task.kind
        )));
    };
    let body = json!({
        "jobId": task.job.id(),
        "queue": task.queue.as_str(),
        "type": task.kind,
        "payload": task.payload,
        "data": task.job.data(),
        "attempt": task.job.attempts_made() + 1,
        "timestamp": task.job.timestamp(),
    });
    let call = Call::post(url, &body, workshop.timeout)
        .with("x-job-id", &task.unique_id())
        .with("idempotency-key", &task.unique_id());
    let call = match &workshop.peers.callback_secret {
        Some(secret) => call.signed(secret, &task.unique_id()),
        None => call,
    };
    let answer = workshop.trusted.send(call).await.map_err(Fault::Passing)?;
    task.log(&format!("the application answered {} in {} ms", answer.status, answer.took.as_millis())).await;
    if answer.is_success() { Ok(answer.body) } else { Err(Fault::of("the application", &answer)) }
}
