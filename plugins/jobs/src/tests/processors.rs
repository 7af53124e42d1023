//! Job types with processors, against servers that answer well, badly, or not at all.

use serde_json::{Value, json};

use super::support::{Peer, Redis, Seen, Server};

fn header(seen: &Seen, name: &str) -> String {
    seen.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_sent_signed_and_its_answer_is_the_result() {
    let redis = Redis::start();
    let peer = Peer::start(|_, _| (200, json!({"got": "it"}))).await;
    let server = Server::start(&redis, &[]).await;
    let payload = json!({"url": format!("{}/hook?token=secret", peer.url()), "method": "PUT", "headers": {"X-Own": "1"}, "body": {"a": 1}, "secret": "s"});
    let id = server.add(&json!({"type": "http-webhook", "payload": payload})).await;
    let job = server.until_state(&id, "completed").await;
    assert_eq!((&job["result"]["status"], &job["result"]["body"]), (&json!(200), &json!({"got": "it"})));
    assert!(job["result"]["duration"].is_u64());
    let seen = peer.seen();
    assert_eq!((seen[0].path.as_str(), seen[0].text.as_str()), ("/hook", r#"{"a":1}"#));
    assert_eq!(header(&seen[0], "x-own"), "1");
    // printf '{"a":1}' | openssl dgst -sha256 -hmac s
    assert_eq!(header(&seen[0], "x-signature"), "37beaf650f70b40ec9706929c2e9d835cbd63729988f48781e6383a147215f07");
    let logs = server.get(&format!("/jobs/{id}/logs")).await;
    assert!(logs["logs"][0].as_str().is_some_and(|row| row.contains("200") && !row.contains("secret")), "{logs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_tried_again_where_that_may_help() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[]).await;
    let attempts = async |statuses: [u16; 3], retried: Value| {
        let peer = Peer::start(move |before, _| (statuses[before.min(2)], json!({"error": "no"}))).await;
        let payload = json!({"url": peer.url(), "retryOnStatus": retried});
        let id = server.add(&json!({"type": "http-request", "payload": payload})).await;
        let ended = |_: u16, job: &Value| job["state"] == "completed" || job["state"] == "failed";
        let job = server.until("it ended", &format!("/jobs/{id}"), ended).await;
        (job["state"].as_str().map(str::to_owned), peer.seen().len())
    };
    let completed = |number| (Some("completed".to_owned()), number);
    let failed = |number| (Some("failed".to_owned()), number);
    assert_eq!(attempts([500, 429, 200], Value::Null).await, completed(3));
    assert_eq!(attempts([404, 200, 200], Value::Null).await, failed(1));
    assert_eq!(attempts([404, 200, 200], json!([404])).await, completed(2));
    assert_eq!(attempts([500, 200, 200], json!([404])).await, failed(1));
    assert_eq!(attempts([302, 200, 200], Value::Null).await, failed(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_addresses_neither_hang_nor_fill_the_memory() {
    let redis = Redis::start();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent = silent.local_addr().map(|address| (silent, address)).expect("an address");
    let large = Peer::start(|_, _| (200, json!("x".repeat(3_000_000)))).await;
    let server = Server::start(&redis, &[]).await;
    let run = async |payload: Value| {
        let id = server.add(&json!({"type": "http-request", "payload": payload, "options": {"attempts": 1}})).await;
        let ended = |_: u16, job: &Value| job["state"] == "completed" || job["state"] == "failed";
        server.until("it ended", &format!("/jobs/{id}"), ended).await
    };
    let hung = run(json!({"url": format!("http://{}/?key=secret", silent.1), "timeout": 200})).await;
    let why = hung["failedReason"].as_str().expect("a reason");
    assert!(why.contains("did not end within 200 ms") && !why.contains("secret"), "{why}");
    let refused = run(json!({"url": "http://127.0.0.1:1/"})).await;
    assert!(refused["failedReason"].as_str().is_some_and(|why| why.contains("refused")), "{refused}");
    let cut = run(json!({"url": large.url()})).await;
    assert_eq!(cut["result"]["bodyCut"], json!(true));
    assert!(cut["result"]["body"].as_str().is_some_and(|body| body.len() <= 256 * 1024));
    for payload in [json!({"url": "file:///etc/passwd"}), json!({"url": 7}), json!([]), json!("x")] {
        let body = json!({"type": "http-request", "payload": payload, "options": {"attempts": 1}});
        match server.ask("POST", "/jobs", Some(&body)).await {
            (400, _) => {}
            (_, accepted) => {
                let id = accepted["jobId"].as_str().unwrap_or_else(|| panic!("{payload}: {accepted}"));
                server.until_state(id, "failed").await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_that_is_tried_again_carries_the_same_key_and_the_projects_secret() {
    let redis = Redis::start();
    let peer = Peer::start(|before, _| match before {
        0 => (503, json!({"error": "not now"})),
        1 => (200, json!({"success": false, "error": "the mail server is away"})),
        number => (200, json!({"success": true, "notificationId": format!("n{number}")})),
    });
    let peer = peer.await;
    let settings = [("NOTIFICATIONS_URL", peer.url()), ("PLUGIN_INTERNAL_SECRET", "between-plugins".to_owned())];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let server = Server::start(&redis, &settings).await;
    let payload =
        json!({"to": ["a@example.org", "b@example.org"], "subject": "Hi", "body": "text", "html": "<b>text</b>"});
    let id = server.add(&json!({"type": "send-email", "payload": payload})).await;
    let job = server.until_state(&id, "completed").await;
    assert_eq!(job["queue"], "high-priority");
    assert_eq!(
        job["result"],
        json!({"messageId": "n2", "messageIds": ["n2", "n3"], "accepted": [], "queued": ["a@example.org", "b@example.org"], "rejected": []})
    );
    let seen = peer.seen();
    let keys: Vec<String> = seen.iter().map(|seen| header(seen, "idempotency-key")).collect();
    assert_eq!(keys, [id.clone(), id.clone(), id.clone(), format!("{id}-1")]);
    assert!(seen.iter().all(|seen| seen.path == "/send" && header(seen, "x-api-key") == "between-plugins"));
    assert_eq!(seen[2].body["to"], json!({"email": "a@example.org"}));
    assert_eq!(seen[2].body["content"], json!({"subject": "Hi", "body": "text", "html": "<b>text</b>"}));
    assert_eq!((&seen[2].body["channel"], &seen[2].body["idempotencyKey"]), (&json!("email"), &json!(id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_messages_and_files_go_to_the_plugins_that_do_them() {
    let redis = Redis::start();
    let peer =
        Peer::start(|_, _| (200, json!({"success": true, "notificationId": "n", "messageId": "m", "jobId": "j"})))
            .await;
    let url = peer.url();
    let settings = [("NOTIFICATIONS_URL", url.as_str()), ("REALTIME_URL", &url), ("FILE_PROCESSING_URL", &url)];
    let server = Server::start(&redis, &settings).await;
    let run = async |kind: &str, payload: Value| {
        let id = server.add(&json!({"type": kind, "payload": payload})).await;
        let job = server.until_state(&id, "completed").await;
        (id, job["result"].clone(), peer.seen().pop().expect("a request"))
    };
    let (_, result, _) = run(
        "send-notification",
        json!({"notificationType": "push", "userIds": ["u1", "u2"], "title": "T", "body": "B", "url": "/x"}),
    )
    .await;
    assert_eq!(result["sent"], json!(2));
    let first = peer.seen()[0].body.clone();
    assert_eq!(
        (&first["userId"], &first["channels"], &first["data"]["url"]),
        (&json!("u1"), &json!(["push"]), &json!("/x"))
    );
    let (_, _, seen) =
        run("send-notification", json!({"userId": "u", "channel": "in-app", "to": {}, "content": {"body": "B"}})).await;
    assert_eq!((&seen.body["channel"], &seen.body["content"]["body"]), (&json!("in-app"), &json!("B")));
    let (id, result, seen) = run(
        "scheduled-message",
        json!({"channelId": "c", "userId": "u", "content": "hello", "scheduledMessageId": "s"}),
    )
    .await;
    assert_eq!(
        (seen.path.as_str(), &seen.body["id"], &seen.body["content"]),
        ("/messages", &json!(id), &json!("hello"))
    );
    assert_eq!(result, json!({"messageId": "m", "scheduledMessageId": "s"}));
    let (_, result, seen) =
        run("process-file", json!({"fileId": "f", "fileUrl": "/f.png", "operations": ["thumbnail"]})).await;
    assert_eq!(
        (seen.path.as_str(), &seen.body["filePath"], &result["jobId"]),
        ("/api/jobs", &json!("/f.png"), &json!("j"))
    );
    for (kind, payload) in [
        ("send-email", json!({})),
        ("send-notification", json!([])),
        ("scheduled-message", json!({"channelId": "c"})),
        ("process-file", json!("f")),
    ] {
        let id = server.add(&json!({"type": kind, "payload": payload})).await;
        let job = server.until_state(&id, "failed").await;
        assert!(
            job["attempts"] == 1 && job["failedReason"].as_str().is_some_and(|why| why.contains("payload.")),
            "{job}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_types_are_posted_to_the_application_signed() {
    let redis = Redis::start();
    let peer =
        Peer::start(
            |_, seen| {
                if seen.body["type"] == "odd" { (422, json!({"error": "no"})) } else { (200, json!({"done": 1})) }
            },
        );
    let peer = peer.await;
    let url = peer.url();
    let server = Server::start(&redis, &[("JOBS_CALLBACK_URL", &url), ("JOBS_CALLBACK_SECRET", "k")]).await;
    let id = server.add(&json!({"type": "index-search", "payload": {"entityIds": [1]}})).await;
    let job = server.until_state(&id, "completed").await;
    assert_eq!((&job["result"], &job["queue"]), (&json!({"done": 1}), &json!("low-priority")));
    let seen = peer.seen().pop().expect("a request");
    assert_eq!(
        (&seen.body["jobId"], &seen.body["payload"], &seen.body["attempt"]),
        (&json!(id), &json!({"entityIds": [1]}), &json!(1))
    );
    assert_eq!(header(&seen, "x-signature").len(), 64);
    let odd = server.add(&json!({"type": "odd", "payload": {}})).await;
    assert_eq!(server.until_state(&odd, "failed").await["failedReason"], "the application answered 422: no");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_up_removes_old_results_and_a_dry_run_none() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[]).await;
    for _ in 0..3 {
        let id = server.add(&json!({"type": "noop", "payload": {}})).await;
        server.until_state(&id, "completed").await;
    }
    let run = async |payload: Value| {
        let id = server.add(&json!({"type": "cleanup-expired", "payload": payload})).await;
        server.until_state(&id, "completed").await["result"].clone()
    };
    let dry = run(json!({"targetType": "job_results", "olderThanHours": 0, "dryRun": true})).await;
    assert_eq!((&dry["matched"], &dry["deleted"]), (&json!(3), &json!(0)));
    let none = run(json!({"targetType": "job_results", "olderThanDays": 1})).await;
    assert_eq!(none["deleted"], json!(0));
    let all = run(json!({"targetType": "job_results", "olderThanHours": 0, "batchSize": 2})).await;
    assert_eq!(all["deleted"], json!(5), "three jobs and two clean-ups");
    assert_eq!(server.get("/queues/default/stats").await["completed"], json!(0));
    let others = server.add(&json!({"type": "cleanup-expired", "payload": {"targetType": "messages"}})).await;
    server.until_state(&others, "failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_reach_nothing_on_this_machine_or_its_networks() {
    let redis = Redis::start();
    let peer = Peer::start(|_, _| (200, json!({}))).await;
    let server = Server::start(&redis, &[("JOBS_ALLOWED_HOSTS", "allowed.example"), ("JOBS_MAX_RETRIES", "1")]).await;
    let port = peer.address.port();
    for host in ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254", "0x7f000001", "[::ffff:127.0.0.1]"] {
        let body = json!({"type": "http-request", "payload": {"url": format!("http://{host}:{port}/")}});
        let (status, answer) = server.ask("POST", "/jobs", Some(&body)).await;
        assert_eq!((status, &answer["details"][0]["field"]), (400, &json!("payload.url")), "{host}: {answer}");
    }
    // One that a producer of npm put into the queue fails for good.
    let id = "from-npm";
    let data = json!({"url": format!("http://127.0.0.1:{port}/")}).to_string();
    let key = format!("bull:default:{id}");
    let fields = ["HSET", &key, "name", "http-request", "data", &data, "opts", "{}", "timestamp", "1", "delay", "0"];
    redis.command::<i64>(&fields).await;
    redis.command::<i64>(&["LPUSH", "bull:default:wait", id]).await;
    redis.command::<i64>(&["ZADD", "bull:default:marker", "0", "0"]).await;
    let job = server.until_state(id, "failed").await;
    assert!(job["failedReason"].as_str().is_some_and(|reason| reason.contains("JOBS_ALLOWED_HOSTS")), "{job}");
    assert!(peer.seen().is_empty());
}
