//! Schedules: their life, and that they survive what breaks them.

use kit::clock;
use serde_json::json;

use super::support::{Redis, Server};

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_made_shown_changed_switched_off_and_removed() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[]).await;
    let body = json!({"name": "digest", "type": "noop", "schedule": "0 9 * * *", "payload": {"a": 1}, "enabled": true, "timezone": "Asia/Tokyo"});
    let made = server.post("/scheduled", &body).await;
    assert!(made["jobId"].as_str().is_some_and(|id| id.starts_with("repeat:digest:")), "{made}");
    let shown = server.get("/scheduled/digest").await;
    assert_eq!(
        (&shown["type"], &shown["schedule"], &shown["payload"]),
        (&json!("noop"), &json!("0 9 * * *"), &json!({"a": 1}))
    );
    assert_eq!((&shown["timezone"], &shown["enabled"]), (&json!("Asia/Tokyo"), &json!(true)));
    assert!(shown["nextRun"].as_str().is_some_and(|time| time.contains("T00:00:00")), "{shown}");
    let (_, changed) = server.ask("PUT", "/scheduled/digest", Some(&json!({"schedule": "30 * * * *"}))).await;
    assert_eq!((&changed["schedule"], &changed["payload"]), (&json!("30 * * * *"), &json!({"a": 1})));
    let (_, off) = server.ask("PUT", "/api/schedules/digest", Some(&json!({"enabled": false}))).await;
    assert_eq!((&off["enabled"], &off["schedule"]), (&json!(false), &json!("30 * * * *")));
    assert_eq!(server.get("/queues/default/stats").await["delayed"], json!(0));
    assert_eq!(server.get("/api/schedules").await["jobs"][0]["enabled"], json!(false));
    let (_, on) = server.ask("PUT", "/scheduled/digest", Some(&json!({"enabled": true}))).await;
    assert_eq!((&on["enabled"], &on["timezone"]), (&json!(true), &json!("Asia/Tokyo")));
    assert_eq!(server.get("/scheduled").await["total"], json!(1));
    assert_eq!(server.ask("DELETE", "/scheduled/digest", None).await.0, 200);
    assert_eq!(server.ask("DELETE", "/scheduled/digest", None).await.0, 404);
    assert_eq!(server.get("/queues/default/stats").await["delayed"], json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_that_cannot_be_are_refused() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[]).await;
    let bad = json!({"name": "bad", "type": "t", "schedule": "invalid", "payload": {}});
    let (status, body) = server.ask("POST", "/scheduled", Some(&bad)).await;
    assert!(status == 400 && body["reason"].is_string(), "{body}");
    for (body, field) in [
        (json!({"type": "t", "schedule": "* * * * *", "payload": {}}), "name"),
        (json!({"name": "a:b", "type": "t", "schedule": "* * * * *", "payload": {}}), "name"),
        (json!({"name": "a", "type": "t", "payload": {}}), "schedule"),
        (json!({"name": "a", "type": "t", "schedule": "* * * * *", "payload": {}, "enabled": "yes"}), "enabled"),
    ] {
        let (status, answer) = server.ask("POST", "/scheduled", Some(&body)).await;
        assert_eq!((status, &answer["details"][0]["field"]), (400, &json!(field)), "{body}");
    }
    assert_eq!(server.ask("PUT", "/scheduled/none", Some(&json!({"enabled": false}))).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeating_job_comes_again_and_is_ended_by_its_id() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[]).await;
    let body = json!({"type": "noop", "payload": {}, "options": {"repeat": {"every": 200}}});
    let answer = server.post("/jobs", &body).await;
    assert_eq!(answer["repeat"], json!(true));
    server
        .until("it came three times", "/queues/default/stats", |_, stats| stats["completed"].as_u64() >= Some(3))
        .await;
    let schedule = answer["scheduleId"].as_str().expect("a name");
    assert_eq!(server.ask("DELETE", &format!("/jobs/{schedule}"), None).await.0, 200);
    server
        .until("nothing is to come", "/queues/default/stats", |_, stats| stats["delayed"] == 0 && stats["active"] == 0)
        .await;
    assert_eq!(server.get("/scheduled").await["total"], json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_lost_its_next_job_is_set_going_again() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[("JOBS_WORKERS_ENABLED", "false")]).await;
    server
        .post("/scheduled", &json!({"name": "n", "type": "noop", "schedule": "0 * * * *", "payload": {"a": 1}}))
        .await;
    let ids: Vec<String> = redis.command(&["ZRANGE", "bull:default:delayed", "0", "-1"]).await;
    // As if a process had died between a job's end and the planning of the next.
    redis.command::<i64>(&["DEL", &format!("bull:default:{}", ids[0]), "bull:default:delayed"]).await;
    redis.command::<i64>(&["ZADD", "bull:default:repeat", "1000", "n"]).await;
    let broker = std::sync::Arc::new(crate::broker::Broker::new(kit::RedisAddress {
        database: 0,
        url: redis.url(),
        shown: "the test's".to_owned(),
    }));
    let name = crate::queue_name::QueueName::parse("default").expect("a legal name");
    let queues = std::sync::Arc::new(crate::store::Queues::new(broker.clone(), vec![name.clone()]));
    tokio::spawn(async move { broker.watch().await });
    queues.broker().connected().await;
    crate::schedules::Schedules::new(queues).repair(&name).await.expect("Redis answers");
    assert_eq!(server.get("/queues/default/stats").await["delayed"], json!(1));
    let shown = server.get("/scheduled/n").await;
    assert_eq!((&shown["payload"], &shown["schedule"]), (&json!({"a": 1}), &json!("0 * * * *")));
    assert!(shown["nextRun"].as_str() > Some("2020"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_the_application_are_scheduled_only_while_it_can_be_called() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[("JOBS_CALLBACK_URL", "http://127.0.0.1:1/")]).await;
    let is_there = |_: u16, list: &serde_json::Value| list["jobs"][0]["name"] == "system-cleanup-old-messages";
    server.until("it is scheduled", "/scheduled", is_there).await;
    server.stop().await;
    let server = Server::start(&redis, &[]).await;
    server.until("it is gone", "/scheduled", |_, list| list["total"] == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_after_a_schedules_end() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[]).await;
    // A second after a run, whenever the test begins.
    let end = clock::milliseconds(clock::now()) / 2_000 * 2_000 + 5_000;
    let repeat = json!({"pattern": "*/2 * * * * *", "endDate": end});
    let body = json!({"type": "noop", "payload": {}, "options": {"repeat": repeat, "jobId": "short"}});
    server.post("/jobs", &body).await;
    server.until("the schedule is gone", "/scheduled/short", |status, _| status == 404).await;
    let jobs = server.get("/jobs?queue=default&limit=100").await;
    let jobs = jobs["jobs"].as_array().expect("a list");
    assert!(jobs.len() >= 2, "{jobs:?}");
    for job in jobs {
        let id = job["jobId"].as_str().expect("an id");
        let planned: u64 = id.rsplit(':').next().and_then(|time| time.parse().ok()).expect("a time");
        let job = server.get(&format!("/jobs/{id}")).await;
        assert_eq!(job["result"]["done"] == json!(true), planned <= end, "{job}");
    }
    let never = json!({"type": "noop", "payload": {}, "options": {"repeat": {"pattern": "0 0 1 1 *", "endDate": clock::milliseconds(clock::now()) + 1_000}}});
    let (status, answer) = server.ask("POST", "/jobs", Some(&never)).await;
    assert!(
        status == 400 && answer["reason"].as_str().is_some_and(|reason| reason.contains("ends before")),
        "{answer}"
    );
}
