//! Adding, looking at and handling jobs.

use serde_json::json;

use super::support::{Redis, Server, slow};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_run_and_its_result_is_found_under_all_its_addresses() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[]).await;
    for path in ["/schedule", "/jobs", "/api/jobs"] {
        let answer = server.post(path, &json!({"type": "noop", "payload": {"steps": 4}, "tags": ["t"]})).await;
        assert_eq!(
            (&answer["success"], &answer["queue"], &answer["status"]),
            (&json!(true), &json!("default"), &json!("waiting"))
        );
        let id = answer["jobId"].as_str().expect("an id");
        let job = server.until_state(id, "completed").await;
        assert_eq!(
            (&job["result"], &job["progress"], &job["attempts"]),
            (&json!({"done": true}), &json!(100), &json!(1))
        );
        assert_eq!((&job["payload"], &job["data"]["tags"]), (&json!({"steps": 4}), &json!(["t"])));
        assert!(job["completedAt"].is_string() && job["startedAt"].is_string());
        assert_eq!(server.get(&format!("/status/{id}")).await["status"], "completed");
        assert_eq!(server.get(&format!("/api/jobs/{id}")).await["jobId"], json!(id));
        assert_eq!(server.get(&format!("/progress/{id}")).await["progress"], json!(100));
    }
    let list = server.get("/jobs?queue=default&status=completed&type=noop&limit=2&offset=1").await;
    assert_eq!((list["total"].as_u64(), list["jobs"].as_array().map(Vec::len)), (Some(3), Some(2)));
    let types = server.get("/stats/by-type").await;
    assert_eq!(types["types"]["noop"]["completed"], json!(3));
    assert_eq!(server.get("/stats/metrics").await["successRate"], json!(100.0));
    assert_eq!(server.get("/api/stats").await["total"]["completed"], json!(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_job_is_refused_with_the_fields_or_the_reason() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[("JOBS_WORKERS_ENABLED", "false")]).await;
    let (status, body) = server.ask("POST", "/jobs", Some(&json!({"payload": {}}))).await;
    assert_eq!((status, &body["details"][0]["field"]), (400, &json!("type")));
    let bad = json!({"type": "t", "payload": {}, "schedule": "invalid-cron"});
    let (status, body) = server.ask("POST", "/schedule", Some(&bad)).await;
    assert!(status == 400 && body["reason"].is_string() && body["error"].is_string(), "{body}");
    assert_eq!(server.ask("POST", "/jobs", None).await.0, 415);
    for path in ["/jobs/none", "/status/none", "/progress/none", "/jobs/meta", "/jobs/events", "/jobs/%00"] {
        let (status, body) = server.ask("GET", path, None).await;
        assert!(status == 404 && body["jobId"].is_string(), "{path}: {status} {body}");
    }
    for path in ["/queues/none", "/queues/none/stats", "/scheduled/none", "/nowhere"] {
        let (status, body) = server.ask("GET", path, None).await;
        assert!(status == 404 && body["error"].is_string(), "{path}: {status} {body}");
    }
    assert_eq!(server.ask("GET", "/jobs?limit=many", None).await.0, 400);
    assert_eq!(server.ask("GET", "/jobs?status=odd", None).await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_takes_no_further_job_and_says_how_full_it_is() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[("JOBS_WORKERS_ENABLED", "false"), ("JOBS_MAX_JOBS_PER_QUEUE", "3")]).await;
    for options in [json!({}), json!({"delay": 60_000}), json!({"priority": "high"})] {
        server.add(&json!({"type": "t", "payload": {}, "options": options})).await;
    }
    let (status, body) = server.ask("POST", "/jobs", Some(&json!({"type": "t", "payload": {}}))).await;
    assert_eq!(status, 503);
    assert_eq!(body, json!({"error": "Queue full", "queue": "default", "current": 3, "max": 3}));
    server.add(&json!({"type": "t", "payload": {}, "queue": "high-priority"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_job_is_tried_again_and_keeps_its_reasons() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[]).await;
    let options = json!({"attempts": 3, "backoff": {"type": "exponential", "delay": 10}});
    let id = server.add(&json!({"type": "failing-job", "payload": {}, "options": options})).await;
    let job = server.until_state(&id, "failed").await;
    assert_eq!(job["attempts"], json!(3));
    let reason = job["failedReason"].as_str().expect("a reason");
    assert!(reason.contains("no processor for type `failing-job`") && reason.contains("JOBS_CALLBACK_URL"), "{reason}");
    assert_eq!(job["stacktrace"].as_array().map(Vec::len), Some(3), "{job}");
    let (status, _) = server.ask("POST", &format!("/jobs/{id}/retry"), None).await;
    assert_eq!(status, 200);
    let job = server.until("it failed again", &format!("/jobs/{id}"), |_, job| job["attempts"] == 4).await;
    assert_eq!(job["state"], "failed");
    let done = server.add(&slow(0)).await;
    server.until_state(&done, "completed").await;
    let (status, body) = server.ask("POST", &format!("/api/jobs/{done}/retry"), None).await;
    assert_eq!((status, &body["state"]), (409, &json!("completed")));
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_removed_and_cancelled_in_every_state() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[]).await;
    let delayed = server.add(&json!({"type": "noop", "payload": {}, "options": {"delay": 60_000}})).await;
    let active = server.add(&slow(60_000)).await;
    let cancelled = server.add(&slow(60_000)).await;
    let done = server.add(&slow(0)).await;
    server.until_state(&active, "active").await;
    server.until_state(&cancelled, "active").await;
    server.until_state(&done, "completed").await;
    for (method, path) in [
        ("DELETE", format!("/jobs/{delayed}")),
        ("DELETE", format!("/jobs/{active}")),
        ("POST", format!("/jobs/{cancelled}/cancel")),
        ("POST", format!("/api/jobs/{done}/cancel")),
        ("DELETE", format!("/api/jobs/{done}")),
    ] {
        let (status, body) = server.ask(method, &path, None).await;
        assert!(status == 200 && body["success"] == true, "{method} {path}: {status} {body}");
    }
    for gone in [&delayed, &active, &done] {
        assert_eq!(server.ask("GET", &format!("/jobs/{gone}"), None).await.0, 404);
        assert_eq!(server.ask("DELETE", &format!("/jobs/{gone}"), None).await.0, 404);
    }
    assert_eq!(server.get(&format!("/jobs/{cancelled}")).await["state"], "failed");
    assert_eq!(server.get("/health").await["workers"]["active"], json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_into_redis_breaks_nothing() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[]).await;
    let add = |id: &'static str, fields: &'static [&'static str]| {
        let redis = &redis;
        async move {
            let key = format!("bull:default:{id}");
            let mut words = vec!["HSET", &key];
            words.extend(fields);
            redis.command::<i64>(&words).await;
            redis.command::<i64>(&["LPUSH", "bull:default:wait", id]).await;
        }
    };
    add("garbage", &["name", "noop", "data", "{no json", "opts", "nor this", "timestamp", "never"]).await;
    add("numbers", &["name", "noop", "data", "17", "opts", "[]", "timestamp", "99999999999999999999"]).await;
    add("bare", &["foo", "bar"]).await;
    redis.command::<i64>(&["LPUSH", "bull:default:wait", "nothing"]).await;
    redis.command::<i64>(&["ZADD", "bull:default:marker", "0", "0"]).await;
    server.until_state("garbage", "completed").await;
    server.until_state("numbers", "completed").await;
    let after = server.add(&slow(0)).await;
    server.until_state(&after, "completed").await;
    server.get("/jobs").await;
    server.get("/api/stats").await;
    assert_eq!(server.ask("GET", "/jobs/bare", None).await.0, 404);
}
