//! Workers: limits, panics of time, and the orderly end.

use std::time::Duration;

use serde_json::json;

use super::support::{Redis, Server, slow};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_short_jobs_end_and_gives_long_ones_to_another_worker() {
    let redis = Redis::start();
    let first = Server::start(&redis, &[]).await;
    let short = first.add(&slow(4_000)).await;
    let long = first.add(&json!({"type": "noop", "payload": {"durationMs": 60_000}, "options": {"attempts": 1}})).await;
    first.until_state(&short, "active").await;
    first.until_state(&long, "active").await;
    let watching = Server::start(&redis, &[("JOBS_WORKERS_ENABLED", "false")]).await;
    let waiting = watching.add(&json!({"type": "noop", "payload": {}, "options": {"delay": 60_000}})).await;
    first.stop().await;
    assert_eq!(watching.get(&format!("/jobs/{short}")).await["state"], "completed");
    assert_eq!(watching.get(&format!("/jobs/{waiting}")).await["state"], "delayed");
    let returned = watching.until_state(&long, "waiting").await;
    // Given back it is no failed attempt.
    assert_eq!((&returned["state"], &returned["attempts"]), (&json!("waiting"), &json!(0)), "{returned}");
    let second = Server::start(&redis, &[]).await;
    second.until_state(&long, "active").await;
    let left = watching.add(&slow(0)).await;
    second.until_state(&left, "completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_any_more_once_a_stop_began() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[("JOBS_CONCURRENCY", "1")]).await;
    let watching = Server::start(&redis, &[("JOBS_WORKERS_ENABLED", "false")]).await;
    let running = server.add(&slow(4_000)).await;
    server.until_state(&running, "active").await;
    let stopping = tokio::spawn(server.stop());
    tokio::time::sleep(Duration::from_millis(50)).await;
    let late = watching.add(&slow(0)).await;
    stopping.await.expect("the stop does not panic");
    assert_eq!(watching.get(&format!("/jobs/{running}")).await["state"], "completed");
    assert_eq!(watching.get(&format!("/jobs/{late}")).await["state"], "waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_takes_too_long_fails_and_frees_its_place() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[("JOBS_JOB_TIMEOUT", "100"), ("JOBS_CONCURRENCY", "1")]).await;
    let body = json!({"type": "noop", "payload": {"durationMs": 60_000}, "options": {"attempts": 1}});
    let stuck = server.add(&body).await;
    let job = server.until_state(&stuck, "failed").await;
    assert!(job["failedReason"].as_str().is_some_and(|why| why.contains("100 ms (JOBS_JOB_TIMEOUT)")), "{job}");
    let after = server.add(&slow(0)).await;
    server.until_state(&after, "completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_jobs_run_at_a_time_than_allowed() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[("JOBS_CONCURRENCY", "2")]).await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(server.add(&slow(1_000)).await);
    }
    let mut most = 0;
    loop {
        let stats = server.get("/queues/default/stats").await;
        most = most.max(stats["active"].as_u64().unwrap_or(0));
        if stats["completed"] == 6 {
            break;
        }
    }
    assert_eq!(most, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_left_to_others_where_workers_are_off() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[("JOBS_WORKERS_ENABLED", "false")]).await;
    let id = server.add(&slow(0)).await;
    let health = server.get("/health").await;
    assert_eq!(health["workers"], json!({"active": 0, "total": 0}));
    assert!(health["features"]["workers"].as_str().is_some_and(|text| text.starts_with("off")));
    assert_eq!(server.get(&format!("/jobs/{id}")).await["state"], "waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_the_names_that_were_asked_for_and_promtool_knows_why_it_frowns() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[]).await;
    let done = server.add(&slow(0)).await;
    let failed = server.add(&json!({"type": "invented-by-a-client", "payload": {}, "options": {"attempts": 2}})).await;
    server.until_state(&done, "completed").await;
    server.until_state(&failed, "failed").await;
    let (_, text) = server.ask_text("GET", "/metrics", None).await;
    for line in [
        "jobs_processed_total{queue=\"default\",status=\"completed\",type=\"noop\"} 1",
        "jobs_processed_total{queue=\"default\",status=\"retried\",type=\"other\"} 1",
        "jobs_processed_total{queue=\"default\",status=\"failed\",type=\"other\"} 1",
        "# TYPE jobs_total counter",
        "jobs_total 2",
        "jobs_completed 1",
        "jobs_failed 1",
        "jobs_retry_count 1",
        "# TYPE jobs_active gauge",
        "# TYPE jobs_waiting gauge",
        "# TYPE jobs_latency_ms histogram",
        "# TYPE jobs_errors_total counter",
        "# TYPE http_request_duration_seconds histogram",
    ] {
        assert!(text.lines().any(|known| known == line), "`{line}` is not in\n{text}");
    }
    assert_eq!(
        frowned_at(&text),
        [
            // The founding document fixes these names; counters would end in `_total`, times be in seconds.
            "jobs_completed",
            "jobs_failed",
            "jobs_latency_ms",
            "jobs_retry_count",
        ]
    );
}

/// The metrics that `promtool check metrics` complains of, once each.
fn frowned_at(text: &str) -> Vec<String> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is there: install Debian's package prometheus");
    promtool.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("promtool reads");
    let output = promtool.wait_with_output().expect("promtool ends");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("error while linting"), "{said}");
    let mut names: Vec<String> = said
        .lines()
        .filter_map(|line| Some(line.split_whitespace().next()?.trim_end_matches(':').to_owned()))
        .collect();
    names.sort();
    names.dedup();
    names
}
