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
async fn a_stop_leaves_no_lease_behind() {
    let sink = Sink::start();
    let mut server = Server::new(Storage::Sqlite).await.with_sink(sink.port).started().await;
    for number in 0..12 {
        let id = server.send(&email(number)).await;
        // At any moment of taking and handing over.
        tokio::time::sleep(Duration::from_millis(number as u64)).await;
        assert_eq!(server.terminate().await, Some(0));
        let database = rusqlite::Connection::open(server.database_file()).expect("the file");
        let sql = "SELECT status, lease_until, attempts FROM np_notifications_deliveries WHERE message_id = ?1";
        let row =
            |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
        let (status, lease, attempts) = database.query_row(sql, [&id], row).expect("the delivery");
        assert_eq!(lease, 0, "{status} after {attempts} attempts");
        assert!(status == "sent" || attempts == 0, "{status} after {attempts} attempts");
        drop(database);
        server.start().await;
        server.until_status(&id, "sent").await;
        assert_eq!(sink.mails_to(&format!("s{number}@b.example")).len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recreated_instance_takes_up_its_own_leases_at_once() {
    for storage in [Storage::Sqlite, Storage::Postgres] {
        let sink = Sink::with(&["--delay", "1"]);
        let mut server = Server::new(storage).await.with_sink(sink.port).started().await;
        let id = server.send(&email(0)).await;
        until("it is under way", SOON, async || (!sink.mails().is_empty()).then_some(())).await;
        server.kill();
        // Everything that could name it is another one, but for its volume.
        server.move_to_another_port();
        server.start().await;
        // A lease of another instance would last two minutes.
        server.until_status(&id, "sent").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_of_a_later_version_is_healthy() {
    let mut server = Server::new(Storage::Sqlite).await.started().await;
    server.terminate().await;
    let database = rusqlite::Connection::open(server.database_file()).expect("the file");
    database.execute("INSERT INTO np_notifications_migrations (version) VALUES (99)", []).expect("stored");
    drop(database);
    server.start().await;
    assert_eq!(server.get("/health").await.ok()["status"], "healthy");
    server.send(&json!({"userId": "u", "title": "t"})).await;
}

/// A sample; `NSELF_SOAK_MAIL_KILLS=60` does the full count.
#[expect(clippy::disallowed_methods, reason = "the soak run asks for more than the sample")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_while_mails_arrive_lose_nothing_that_was_acknowledged() {
    let kills = std::env::var("NSELF_SOAK_MAIL_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let workers = 5;
    let sink = Sink::start();
    let mut server =
        Server::new(Storage::Sqlite).await.with_sink(sink.port).with("WORKER_CONCURRENCY", workers.to_string());
    server.start().await;
    let mut acknowledged: Vec<usize> = Vec::new();
    let mut number = 0;
    for _ in 0..kills {
        let (server_ref, began) = (&server, Instant::now());
        // About a hundred a second, for a second after it answers again.
        while began.elapsed() < Duration::from_secs(1) {
            let batch: Vec<usize> = (number..number + 10).collect();
            number += 10;
            let sends = batch.iter().map(|number| async move { server_ref.post("/send", &email(*number)).await.ok() });
            futures_util::future::join_all(sends).await;
            acknowledged.extend(batch);
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        server.kill();
        server.start().await;
    }
    let arrived = until("all that was acknowledged has arrived", SOON * 2, async || {
        let mut copies: HashMap<String, Vec<String>> = HashMap::new();
        for mail in sink.mails() {
            let id = mail["headers"]["message-id"].to_string();
            copies.entry(mail["recipients"][0].to_string()).or_default().push(id);
        }
        acknowledged.iter().all(|number| copies.contains_key(&format!("\"s{number}@b.example\""))).then_some(copies)
    })
    .await;
    let doubled: Vec<&Vec<String>> = arrived.values().filter(|ids| ids.len() > 1).collect();
    assert!(doubled.len() <= kills * workers, "{} of {number} mails came twice", doubled.len());
    assert!(doubled.iter().all(|ids| ids.iter().all(|id| *id == ids[0])), "a copy has another Message-ID");
    eprintln!("{kills} kills: {} acknowledged, {} doubled", acknowledged.len(), doubled.len());
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
