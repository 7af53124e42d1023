//! What every plugin promises: health, metrics, errors that explain themselves, an orderly start and end.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{SOON, Server, Sink, Storage, until};

/// Names that Prometheus's own check dislikes and that are fixed elsewhere: none of this plugin's.
const DISLIKED: &[&str] = &[];

on_both! {
    async fn bad_requests_are_refused_with_reasons_and_do_no_harm(storage) {
        let server = Server::new(storage).await.started().await;
        let refused = server.post_announced("/send", 6 * 1024 * 1024);
        assert!(refused.starts_with("HTTP/1.1 413 ") && refused.contains("\"maxSize\":5242880"), "{refused}");
        for (body, status) in [
            (&b"{"[..], 400), (&b"[]"[..], 400), (&b"null"[..], 400), (&b"{}"[..], 400), (&b""[..], 400),
            (&b"\xff\xfe"[..], 400),
        ] {
            server.post_text("/send", "application/json", body.to_vec()).await.refused(status);
        }
        let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
        server.post_text("/send", "application/json", deep.into_bytes()).await.refused(400);
        server.post_text("/send", "text/plain", b"{}".to_vec()).await.refused(415);
        for body in [
            json!({"userId": "", "title": "t"}), json!({"title": "t"}), json!({"userId": "u", "channels": ["pigeon"], "title": "t"}),
            json!({"userId": "u", "channels": [], "title": "t"}), json!({"userId": 7, "title": "t"}),
            json!({"userId": "u", "title": "t", "variables": {"a": 1}, "body": "{{#if"}),
        ] {
            let refused = server.post("/send", &body).await.refused(400);
            assert!(refused["details"].as_array().is_some_and(|details| details.iter().all(|one| one["field"].is_string() && one["message"].is_string())), "{refused}");
        }
        let nul = json!({"userId": "u", "title": "t", "body": "a\u{0}b"});
        let answer = server.post("/send", &nul).await;
        assert!(answer.status == 200 || answer.status == 400, "{} {}", answer.status, answer.body);
        for path in ["/nothing/here", "/history", "/history?userId=u&limit=-1", "/history?userId=u&read=maybe", "/webhooks", "/api/stats/delivery?days=0"] {
            let answer = server.get(path).await;
            assert!((400..500).contains(&answer.status) && answer.body["error"].is_string(), "{path}: {} {}", answer.status, answer.body);
        }
        assert_eq!(server.get("/health").await.ok()["status"], "healthy");
    }

    async fn health_says_what_there_is(storage) {
        let sink = Sink::start();
        let server = Server::new(storage).await.with_sink(sink.port).started().await;
        let health = server.get("/health").await.ok();
        assert_eq!((&health["status"], &health["service"], &health["version"]), (&json!("healthy"), &json!("notifications"), &json!("1.0.0")));
        assert!(health["uptime"].is_number());
        assert_eq!(health["channels"]["email"], json!({"enabled": true, "provider": "smtp"}));
        assert_eq!(health["channels"]["sms"]["enabled"], false);
        for field in ["pending", "processing", "completed", "failed"] {
            assert!(health["queue"][field].is_number(), "{field}: {health}");
        }
        assert_eq!(health["migrations"]["applied"], health["migrations"]["expected"]);
        assert_eq!(health["dependencies"]["database"]["status"], "connected");
        until("the mail server is found", SOON, async || {
            (server.get("/health").await.ok()["dependencies"]["email"]["status"] == "connected").then_some(())
        }).await;
    }

    async fn metrics_count_and_pass_prometheus_own_check(storage) {
        let sink = Sink::start();
        let server = Server::new(storage).await.with_sink(sink.port).started().await;
        let id = server.send(&json!({"userId": "u", "channels": ["email", "in-app"], "email": "a@b.example", "title": "t"})).await;
        until("it is sent", SOON, async || {
            let shown = server.get(&format!("/notifications/{id}")).await.ok();
            shown["sentAt"].is_string().then_some(())
        }).await;
        sink.mail_to("a@b.example").await;
        let text = until("both are counted", SOON, async || {
            let Value::String(text) = server.get("/metrics").await.ok() else { panic!("metrics are text") };
            text.contains("notifications_sent_total{channel=\"email\",status=\"sent\"} 1").then_some(text)
        }).await;
        for line in [
            "# TYPE notifications_sent_total counter", "notifications_sent_total{channel=\"in-app\",status=\"delivered\"} 1",
            "# TYPE http_request_duration_seconds histogram", "# TYPE notifications_errors_total counter",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
        let mut check = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped())
            .stderr(Stdio::piped()).spawn().expect("these tests need Debian's prometheus");
        check.stdin.take().expect("piped").write_all(text.as_bytes()).expect("written");
        let output = check.wait_with_output().expect("it ends");
        let complaints = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let unknown: Vec<&str> = complaints.lines().filter(|line| !DISLIKED.iter().any(|name| line.starts_with(name))).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

#[tokio::test]
async fn an_unusable_setting_stops_the_start_with_its_name() {
    for (name, value) in [
        ("NOTIFICATIONS_SMTP_PORT", "70000"),
        ("NOTIFICATIONS_DATABASE_URL", "postgres://user:geheim@[/x"),
        ("NOTIFICATIONS_DATA_DIR", "/proc/nowhere"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_notifications"))
            .env_clear()
            .env("NOTIFICATIONS_DATA_DIR", "/proc/nowhere")
            .env("SMTP_HOST", "h")
            .env(name, value)
            .output()
            .expect("the program starts");
        assert_eq!(output.status.code(), Some(1), "{name}");
        let log = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(log.contains(name), "{name}: {log}");
        assert!(!log.contains("geheim"), "{log}");
    }
}

#[tokio::test]
async fn a_mail_server_that_is_away_degrades_and_is_found_again() {
    let mut sink = Sink::stopped(&[]);
    let server = Server::new(Storage::Sqlite).await.with_sink(sink.port).started().await;
    let state = async || {
        let health = server.get("/health").await.ok();
        (
            health["status"].as_str().unwrap_or_default().to_owned(),
            health["error"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let (_, why) = until("it degrades", SOON, async || {
        let (status, why) = state().await;
        (status == "degraded").then_some((status, why))
    })
    .await;
    assert!(why.contains("email") && why.contains(&sink.port.to_string()), "{why}");
    sink.resume();
    until("it is healthy", SOON * 2, async || (state().await.0 == "healthy").then_some(())).await;
}
