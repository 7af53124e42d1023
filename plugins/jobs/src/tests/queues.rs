//! Queues: pausing in npm's layout, emptying, numbers, names that requests bring.

use kit::clock;
use serde_json::{Value, json};

use super::support::{Redis, Server, slow};

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_keeps_its_jobs_where_npm_looks_for_them_and_in_their_order() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[("JOBS_CONCURRENCY", "1")]).await;
    let (status, _) = server.ask("POST", "/queues/default/pause", None).await;
    assert_eq!(status, 200);
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(server.add(&slow(0)).await);
    }
    let waiting: Vec<String> = redis.command(&["LRANGE", "bull:default:wait", "0", "-1"]).await;
    let paused: Vec<String> = redis.command(&["LRANGE", "bull:default:paused", "0", "-1"]).await;
    assert!(waiting.is_empty(), "npm's resume would lose {waiting:?}");
    assert!(paused.iter().rev().eq(&ids), "{paused:?} are not {ids:?}");
    let queue = server.get("/queues/default").await;
    assert_eq!((&queue["isPaused"], &queue["counts"]["paused"]), (&json!(true), &json!(3)));
    // One that came into `wait` all the same, as bullmq-official's scripts do, is moved and not lost.
    redis.command::<i64>(&["RPUSH", "bull:default:wait", "late"]).await;
    redis
        .command::<i64>(&["HSET", "bull:default:late", "name", "noop", "timestamp", "1", "data", "{}", "opts", "{}"])
        .await;
    server.until("it was moved", "/queues/default", |_, queue| queue["counts"]["paused"] == 4).await;
    server.ask("POST", "/queues/default/resume", None).await;
    let mut ended = Vec::new();
    for id in ids.iter().map(String::as_str).chain(["late"]) {
        ended.push(server.until_state(id, "completed").await["completedAt"].clone());
    }
    let times: Vec<&str> = ended.iter().filter_map(Value::as_str).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(server.get("/queues/default").await["isPaused"], json!(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_emptied_and_cleaned_of_what_was_named_only() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[("JOBS_WORKERS_ENABLED", "false")]).await;
    for options in [json!({}), json!({}), json!({"delay": 60_000})] {
        server.add(&json!({"type": "t", "payload": {}, "options": options})).await;
    }
    server.ask("POST", "/queues/default/drain", None).await;
    let stats = server.get("/queues/default/stats").await;
    assert_eq!((&stats["waiting"], &stats["delayed"], &stats["total"]), (&json!(0), &json!(1), &json!(1)));
    let cleaned = server.post("/queues/default/clean", &json!({"grace": 0, "status": "delayed", "limit": 10})).await;
    assert_eq!(cleaned["cleaned"], json!(1));
    for body in [json!({"status": "active"}), json!({"status": "odd"}), json!({"grace": -1})] {
        assert_eq!(server.ask("POST", "/queues/default/clean", Some(&body)).await.0, 400, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_a_request_names_is_worked_on_and_known_after_a_restart() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[("JOBS_QUEUES", "reports")]).await;
    let id = server.add(&json!({"type": "noop", "payload": {}, "options": {"queue": "brand-new"}})).await;
    assert_eq!(server.until_state(&id, "completed").await["queue"], "brand-new");
    let id = server.add(&json!({"type": "noop", "payload": {}, "queue": "reports"})).await;
    server.until_state(&id, "completed").await;
    server.stop().await;
    let server = Server::start(&redis, &[]).await;
    server.until("the name is known", "/queues/brand-new", |status, _| status == 200).await;
    let health = server.get("/health").await;
    let names: Vec<&str> =
        health["queues"].as_array().expect("a list").iter().filter_map(|q| q["name"].as_str()).collect();
    assert!(names.starts_with(&["default", "high-priority", "low-priority", "scheduled"]), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_cannot_bring_queues_without_end() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[("JOBS_WORKERS_ENABLED", "false")]).await;
    let mut refused = None;
    for number in 0..70 {
        let body = json!({"type": "t", "payload": {}, "queue": format!("q{number}")});
        let (status, answer) = server.ask("POST", "/jobs", Some(&body)).await;
        if status != 201 {
            refused = Some((status, answer, number));
            break;
        }
    }
    let (status, answer, number) = refused.expect("an end");
    assert_eq!((status, &answer["details"][0]["field"], number), (400, &json!("queue"), 60));
}

#[tokio::test(flavor = "multi_thread")]
async fn urgent_jobs_come_first_and_delayed_ones_not_before_their_time() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[("JOBS_CONCURRENCY", "1")]).await;
    let blocker = server.add(&slow(5_000)).await;
    server.until_state(&blocker, "active").await;
    let mut ids = Vec::new();
    for priority in ["low", "critical", "normal"] {
        ids.push(server.add(&json!({"type": "noop", "payload": {}, "options": {"priority": priority}})).await);
    }
    let answer = server.post("/jobs", &json!({"type": "noop", "payload": {}, "options": {"delay": 700}})).await;
    assert_eq!(answer["status"], "delayed");
    let mut started = Vec::new();
    for index in [1, 2, 0] {
        started.push(server.until_state(&ids[index], "completed").await["startedAt"].as_str().map(str::to_owned));
    }
    assert!(started.is_sorted(), "{started:?}");
    let late = server.until_state(answer["jobId"].as_str().expect("an id"), "completed").await;
    assert_eq!(late["createdAt"], answer["createdAt"]);
    let time =
        |value: &Value| clock::milliseconds(clock::parse_iso(value.as_str().expect("a time")).expect("RFC 3339"));
    assert_eq!(time(&answer["runAt"]), time(&late["createdAt"]) + 700);
    assert!(time(&late["startedAt"]) >= time(&answer["runAt"]), "{answer}\n{late}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_cannot_pass_the_limit_of_queues() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[("JOBS_WORKERS_ENABLED", "false")]).await;
    let requests = (0..90).map(|number| {
        let body = json!({"type": "t", "payload": {}, "queue": format!("q{number}")});
        let server = &server;
        async move { server.ask("POST", "/jobs", Some(&body)).await.0 }
    });
    let statuses = futures_util::future::join_all(requests).await;
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 60, "{statuses:?}");
    assert_eq!(redis.command::<usize>(&["SCARD", "nself-jobs:queues"]).await, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_removed_with_its_jobs_and_makes_room() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[]).await;
    let done = server.add(&json!({"type": "noop", "payload": {}, "queue": "extra"})).await;
    server.until_state(&done, "completed").await;
    let waiting = json!({"type": "noop", "payload": {}, "queue": "extra", "options": {"delay": 600_000}});
    server.add(&waiting).await;
    let running = server.add(&json!({"type": "noop", "payload": {"durationMs": 600_000}, "queue": "extra"})).await;
    server.until_state(&running, "active").await;
    let (status, answer) = server.ask("DELETE", "/queues/extra", None).await;
    assert_eq!(status, 409, "{answer}");
    server.post(&format!("/jobs/{running}/cancel"), &json!({})).await;
    let (status, answer) = server.ask("DELETE", "/queues/extra", None).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(server.ask("GET", "/queues/extra", None).await.0, 404);
    assert_eq!(redis.command::<Vec<String>>(&["KEYS", "bull:extra:*"]).await, Vec::<String>::new());
    for name in ["default", "nowhere"] {
        let expected = if name == "default" { 409 } else { 404 };
        assert_eq!(server.ask("DELETE", &format!("/queues/{name}"), None).await.0, expected, "{name}");
    }
    // It can come back.
    let again = server.add(&json!({"type": "noop", "payload": {}, "queue": "extra"})).await;
    server.until_state(&again, "completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_refused_before_redis_is_full() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[("JOBS_WORKERS_ENABLED", "false")]).await;
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", "60mb"]).await;
    let body = json!({"type": "noop", "payload": {"text": "x".repeat(250_000)}});
    let mut refused = None;
    for _ in 0..400 {
        let (status, answer) = server.ask("POST", "/jobs", Some(&body)).await;
        if status != 201 {
            refused = Some((status, answer));
            break;
        }
    }
    let (status, answer) = refused.expect("an end");
    assert_eq!((status, answer["hint"].is_string()), (503, true), "{answer}");
    // What runs can still write.
    assert_eq!(redis.command::<String>(&["SET", "room", &"x".repeat(1_000_000)]).await, "OK");
    let large = json!({"type": "noop", "payload": {"text": "x".repeat(300_000)}});
    let (status, answer) = server.ask("POST", "/jobs", Some(&large)).await;
    assert_eq!((status, &answer["details"][0]["field"]), (400, &json!("payload")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_by_type_says_whether_it_saw_all_jobs() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[("JOBS_WORKERS_ENABLED", "false")]).await;
    server.add(&json!({"type": "rare", "payload": {}})).await;
    let found = server.get("/jobs?type=rare").await;
    assert_eq!((&found["total"], &found["complete"]), (&json!(1), &json!(true)));
    let body = slow(1);
    let adding = (0..600).map(|_| server.add(&body));
    futures_util::future::join_all(adding).await;
    assert_eq!(server.get("/jobs?type=rare").await["complete"], json!(false));
}
