//! What was accepted goes out, whatever ends in between; what was handed over is not handed over again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Postgres, SOON, Server, Sink, Storage, until};

fn email(number: usize) -> Value {
    json!({"userId": format!("u{number}"), "channels": ["email"], "email": format!("s{number}@b.example"), "title": "t", "body": "b"})
}

on_both! {
    async fn what_was_accepted_goes_out_after_a_kill(storage) {
        let mut sink = Sink::stopped(&[]);
        let mut server = Server::new(storage).await.with_sink(sink.port).started().await;
        let mut ids = Vec::new();
        for number in 0..20 {
            ids.push(server.send(&email(number)).await);
        }
        server.kill();
        sink.resume();
        server.start().await;
        for id in &ids {
            server.until_status(id, "sent").await;
        }
        for number in 0..20 {
            assert_eq!(sink.mails_to(&format!("s{number}@b.example")).len(), 1);
        }
    }

    async fn a_kill_in_the_middle_loses_nothing_and_repeats_only_what_was_in_flight(storage) {
        let workers = 4;
        let sink = Sink::with(&["--delay", "0.1"]);
        let mut server = Server::new(storage).await.with_sink(sink.port).with("WORKER_CONCURRENCY", workers.to_string()).started().await;
        let mut ids = Vec::new();
        for number in 0..40 {
            ids.push(server.send(&email(number)).await);
        }
        until("some have left", SOON, async || (sink.mails().len() > 10).then_some(())).await;
        let mut known_as_sent = Vec::new();
        for (number, id) in ids.iter().enumerate() {
            if server.status(id).await == "sent" {
                known_as_sent.push(number);
            }
        }
        assert!(!known_as_sent.is_empty());
        server.kill();
        server.start().await;
        for id in &ids {
            server.until_status(id, "sent").await;
        }
        let mut copies: HashMap<String, Vec<Value>> = HashMap::new();
        for mail in sink.mails() {
            copies.entry(mail["recipients"][0].to_string()).or_default().push(mail["headers"]["message-id"].clone());
        }
        assert_eq!(copies.len(), 40);
        for number in known_as_sent {
            assert_eq!(copies[&format!("\"s{number}@b.example\"")].len(), 1, "{number} was sent again");
        }
        let repeated: Vec<&Vec<Value>> = copies.values().filter(|copies| copies.len() > 1).collect();
        assert!(repeated.len() <= workers, "{} mails came twice", repeated.len());
        // A mail program shows such as one message.
        assert!(repeated.iter().all(|copies| copies.iter().all(|id| *id == copies[0])));
    }

    async fn a_mail_server_that_goes_away_and_returns_is_waited_for(storage) {
        let mut sink = Sink::start();
        let server = Server::new(storage).await.with_sink(sink.port).started().await;
        let first = server.send(&email(0)).await;
        server.until_status(&first, "sent").await;
        sink.stop();
        let second = server.send(&email(1)).await;
        // Longer than three attempts take: an absence is no refusal.
        until("several attempts", SOON, async || {
            let shown = server.get(&format!("/notifications/{second}")).await.ok();
            (shown["deliveries"][0]["error"].is_string()).then_some(())
        }).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(server.status(&second).await, "queued");
        sink.resume();
        server.until_status(&second, "sent").await;
        assert_eq!(sink.mails_to("s1@b.example").len(), 1);
    }

    async fn a_stop_finishes_what_is_under_way(storage) {
        let sink = Sink::with(&["--delay", "0.5"]);
        let mut server = Server::new(storage).await.with_sink(sink.port).started().await;
        let id = server.send(&email(0)).await;
        until("it is under way", SOON, async || (!sink.mails().is_empty()).then_some(())).await;
        let began = Instant::now();
        assert_eq!(server.terminate().await, Some(0));
        assert!(began.elapsed() < Duration::from_secs(30));
        server.start().await;
        assert_eq!(server.status(&id).await, "sent");
        assert_eq!(sink.mails().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_is_named_and_waited_for() {
    let mut database = Postgres::start().await;
    let sink = Sink::with(&["--delay", "1"]);
    let server = Server::new(Storage::Sqlite)
        .await
        .with_sink(sink.port)
        .with("NOTIFICATIONS_DATABASE_URL", database.database().await)
        .started()
        .await;
    let health = server.get("/health").await.ok();
    assert_eq!((&health["status"], &health["storage"]), (&json!("healthy"), &json!("postgres")));
    assert_eq!(health["migrations"]["applied"], health["migrations"]["expected"]);
    // It is away at the moment in which the outcome is to be noted.
    let id = server.send(&email(0)).await;
    until("it is under way", SOON, async || (!sink.mails().is_empty()).then_some(())).await;
    database.stop();
    let health = server.get("/health").await;
    assert_eq!(health.status, 503);
    assert_eq!(
        (&health.body["status"], &health.body["dependencies"]["database"]["status"]),
        (&json!("unhealthy"), &json!("disconnected"))
    );
    let refused = server.post("/send", &email(1)).await.refused(503);
    assert_eq!(refused["dependency"], "database");
    server.get("/live").await.ok();
    assert_eq!(server.get("/ready").await.status, 503);
    tokio::time::sleep(Duration::from_secs(2)).await;
    database.resume().await;
    until("it is healthy again", SOON, async || (server.get("/health").await.status == 200).then_some(())).await;
    server.until_status(&id, "sent").await;
    assert_eq!(sink.mails_to("s0@b.example").len(), 1, "what was handed over was handed over again");
    let id = server.send(&email(2)).await;
    server.until_status(&id, "sent").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_comes_after_us_is_waited_for() {
    let mut database = Postgres::start().await;
    let address = database.database().await;
    database.stop();
    let server = Server::new(Storage::Sqlite).await.with("DATABASE_URL", address).started().await;
    assert_eq!(server.get("/health").await.status, 503);
    server.post("/send", &json!({"userId": "u", "title": "t"})).await.refused(503);
    database.resume().await;
    until("it is healthy", SOON, async || (server.get("/health").await.status == 200).then_some(())).await;
    server.send(&json!({"userId": "u", "title": "t"})).await;
}
