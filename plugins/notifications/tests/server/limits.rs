//! What is asked twice, too often, too much at a time.

use serde_json::{Value, json};

use crate::support::{Server, Sink, Storage};

fn email(user: &str, address: &str, title: &str) -> Value {
    json!({"userId": user, "channels": ["email"], "email": address, "title": title, "body": "b"})
}

on_both! {
    async fn a_repeated_request_is_answered_and_not_repeated(storage) {
        let sink = Sink::start();
        let server = Server::new(storage).await.with_sink(sink.port).started().await;
        let body = email("u", "once@b.example", "t");
        let first = server.post_with("/send", ("idempotency-key", "k1"), &body).await.ok();
        let again = server.post_with("/send", ("idempotency-key", "k1"), &body).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.ok()["notificationId"], first["notificationId"]);
        let other = email("u", "once@b.example", "other");
        server.post_with("/send", ("idempotency-key", "k1"), &other).await.refused(422);

        let mut field = email("u", "field@b.example", "t");
        field["idempotencyKey"] = json!("k2");
        let at_once = (0..10).map(|_| server.post("/send", &field));
        let ids: Vec<Value> = futures_util::future::join_all(at_once).await.into_iter().map(|answer| answer.ok()["notificationId"].clone()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");

        // No key: the same content within seconds is the same request, as when a client lost the answer.
        let plain = email("u", "same@b.example", "t");
        assert_eq!(server.send(&plain).await, server.send(&plain).await);
        // Under two keys it is two.
        for key in ["k3", "k4"] {
            server.post_with("/send", ("idempotency-key", key), &email("u", "twice@b.example", "t")).await.ok();
        }
        for (address, count) in [("once@b.example", 1), ("field@b.example", 1), ("same@b.example", 1), ("twice@b.example", 2)] {
            crate::support::until(address, crate::support::SOON, async || (sink.mails_to(address).len() == count).then_some(())).await;
        }
        assert_eq!(sink.mails().len(), 5);
    }

    async fn a_users_limit_holds_on_its_channel_and_not_for_what_was_asked_for(storage) {
        let sink = Sink::start();
        let server = Server::new(storage).await.with_sink(sink.port).with("NOTIFICATIONS_RATE_LIMIT_EMAIL", "3").started().await;
        let sends = (0..10).map(|number| {
            let body = email("u", &format!("r{number}@b.example"), "t");
            let server = &server;
            async move { server.post("/send", &body).await }
        });
        let answers = futures_util::future::join_all(sends).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 3);
        let limited = answers.into_iter().find(|answer| answer.status == 429).expect("one over the limit");
        let number = |name: &str| limited.header(name).parse::<u64>().unwrap_or_else(|_| panic!("no {name}"));
        assert!((1..=3600).contains(&number("retry-after")));
        assert_eq!((number("x-ratelimit-limit"), number("x-ratelimit-remaining")), (3, 0));
        assert!(number("x-ratelimit-reset") > 1_700_000_000);
        limited.refused(429);
        // The other channel takes it, and the answer says what became of the first.
        let both = json!({"userId": "u", "channels": ["email", "in-app"], "email": "r@b.example", "title": "t"});
        let answer = server.post("/send", &both).await.ok();
        assert_eq!((&answer["channels"], &answer["results"][0]["status"]), (&json!(["in-app"]), &json!("rate_limited")));
        let mut asked_for = email("u", "needed@b.example", "t");
        asked_for["category"] = json!("transactional");
        server.post("/send", &asked_for).await.ok();
        server.post("/send", &email("another", "another@b.example", "t")).await.ok();
        sink.mail_to("needed@b.example").await;
    }

    async fn a_full_queue_refuses_and_says_how_full_it_is(storage) {
        let mut sink = Sink::stopped(&[]);
        let server = Server::new(storage).await.with_sink(sink.port).with("NOTIFICATIONS_QUEUE_MAX", "5").started().await;
        let mut refused = None;
        for number in 0..8 {
            let answer = server.post("/send", &email("u", &format!("q{number}@b.example"), "t")).await;
            if answer.status == 503 {
                refused = Some(answer);
            }
        }
        let refused = refused.expect("the queue is full").refused(503);
        assert_eq!((&refused["queue"], &refused["current"], &refused["max"]), (&json!("deliveries"), &json!(5), &json!(5)));
        // In-app messages need no place in it.
        server.send(&json!({"userId": "u", "title": "t"})).await;
        sink.resume();
        for number in 0..5 {
            sink.mail_to(&format!("q{number}@b.example")).await;
        }
        crate::support::until("there is room again", crate::support::SOON, async || {
            (server.post("/send", &email("u", "room@b.example", "t")).await.status == 200).then_some(())
        }).await;
        sink.mail_to("room@b.example").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_requests_wait_for_one_another_and_memory_stays_small() {
    let sink = Sink::start();
    let server = Server::new(Storage::Sqlite).await.with_sink(sink.port).started().await;
    let content = "QUJD".repeat(1_200_000);
    let sends = (0..8).map(|number| {
        let mut body = email("u", &format!("large{number}@b.example"), &number.to_string());
        body["attachments"] = json!([{"filename": "a.bin", "content": content, "contentType": "application/pdf"}]);
        let server = &server;
        async move { server.post_large("/send", &body).await }
    });
    let statuses = futures_util::future::join_all(sends).await;
    let taken = statuses.iter().filter(|status| **status == Some(200)).count();
    // Whoever waited too long is told so, or finds the connection closed while it still sends.
    assert!(taken >= 4 && statuses.iter().all(|status| matches!(status, None | Some(200 | 408 | 503))), "{statuses:?}");
    crate::support::until("all arrive", crate::support::SOON * 3, async || (sink.mails().len() == taken).then_some(()))
        .await;
    let resident = server.resident_bytes().await;
    assert!(resident < 128 * 1024 * 1024, "{resident} bytes are held after large requests");
}
