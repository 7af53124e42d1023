//! Redis away: at the start, in between, frozen.

use std::time::{Duration, Instant};

use serde_json::json;

use super::support::{Redis, Server, slow};

/// Far above what refusing takes, far below what waiting for Redis would.
const AT_ONCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_it_says_so_and_works_as_soon_as_it_comes() {
    let mut redis = Redis::stopped();
    let server = Server::launch(&redis, &[]).await;
    let health = server.until("it was tried", "/health", |_, health| {
        health["error"].as_str().is_some_and(|error| error.contains("does not answer"))
    });
    let health = health.await;
    assert_eq!(
        (&health["status"], &health["dependencies"]["redis"]["status"]),
        (&json!("unhealthy"), &json!("disconnected"))
    );
    assert_eq!(server.ask("GET", "/health", None).await.0, 503);
    assert_eq!(server.ask("GET", "/ready", None).await.0, 503);
    assert_eq!(server.ask("GET", "/live", None).await.0, 200);
    let began = Instant::now();
    for (method, path, body) in [
        ("POST", "/jobs", Some(slow(0))),
        ("GET", "/jobs", None),
        ("GET", "/jobs/x", None),
        ("DELETE", "/jobs/x", None),
        ("GET", "/queues/default", None),
        ("POST", "/queues/default/pause", None),
        ("GET", "/scheduled", None),
        ("GET", "/api/stats", None),
    ] {
        let (status, answer) = server.ask(method, path, body.as_ref()).await;
        assert!(status == 503 && answer["error"].is_string(), "{method} {path}: {status} {answer}");
    }
    assert!(began.elapsed() < AT_ONCE, "it took {:?} to refuse", began.elapsed());
    redis.run();
    server.until("it is healthy", "/health", |status, _| status == 200).await;
    let id = server.add(&slow(0)).await;
    server.until_state(&id, "completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_jobs_survive_a_killed_redis_and_are_run_when_it_is_back() {
    let mut redis = Redis::start();
    let server = Server::start(&redis, &[("JOBS_CONCURRENCY", "1")]).await;
    let running = server.add(&slow(2_500)).await;
    server.until_state(&running, "active").await;
    let mut ids = vec![running];
    for _ in 0..20 {
        ids.push(server.add(&slow(0)).await);
    }
    ids.push(server.add(&json!({"type": "noop", "payload": {}, "options": {"delay": 100}})).await);
    redis.kill();
    server.until("it says so", "/health", |status, _| status == 503).await;
    redis.run();
    server.until("it is healthy", "/health", |status, _| status == 200).await;
    for id in &ids {
        let job = server.until_state(id, "completed").await;
        assert_eq!(job["attempts"], json!(1), "{job}");
    }
    let after = server.add(&slow(0)).await;
    server.until_state(&after, "completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_lets_no_request_hang() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[("JOBS_WORKERS_ENABLED", "false")]).await;
    // All commands but this connection's own wait.
    redis.command::<String>(&["CLIENT", "PAUSE", "6000", "ALL"]).await;
    let began = Instant::now();
    let (status, answer) = server.ask("POST", "/jobs", Some(&slow(0))).await;
    assert!(status == 503, "{status} {answer}");
    assert!(began.elapsed() < AT_ONCE, "it took {:?} to refuse", began.elapsed());
    let (status, _) = server.ask("GET", "/health", None).await;
    assert_eq!(status, 503);
    server.until("it is healthy", "/health", |status, _| status == 200).await;
}
