//! What an e-mail looks like when it has arrived, and how the mail server is spoken to.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{SOON, Server, Sink, Smtp, Storage, until};

fn email(address: &str, subject: &str) -> Value {
    json!({"userId": "u", "channels": ["email"], "email": address, "title": subject, "body": "b"})
}

#[tokio::test]
async fn subjects_and_names_arrive_as_they_were_typed() {
    let sink = Sink::start();
    let server = Server::new(Storage::Sqlite).await.with_sink(sink.port).started().await;
    let subjects = [
        "=?utf-8?q?Hi=0D=0ABcc=3A_evil=40x.y?=".to_owned(),
        "w".repeat(1000),
        "Grüße 👋 an alle".to_owned(),
        "many words ".repeat(60).trim().to_owned(),
        "a  b".to_owned(),
        "x=?y?= \"quoted\" <angle>, comma; (comment)".to_owned(),
    ];
    for (place, subject) in subjects.iter().enumerate() {
        let address = format!("s{place}@b.example");
        let mut message = email(&address, subject);
        message["to"] = json!({"email": address, "name": subject.chars().take(30).collect::<String>()});
        server.send(&message).await;
        let mail = sink.mail_to(&address).await;
        assert_eq!(mail["headers"]["subject"], subject.as_str());
        assert_eq!(mail["to_names"][0], subject.chars().take(30).collect::<String>());
        assert!(mail["headers"]["bcc"].is_null(), "{mail}");
    }
}

#[tokio::test]
async fn every_address_that_is_accepted_is_written() {
    let sink = Sink::start();
    let server = Server::new(Storage::Sqlite).await.with_sink(sink.port).started().await;
    // The probe learns whether the server takes other scripts.
    until("the mail server is found", SOON, async || {
        (server.get("/health").await.ok()["dependencies"]["email"]["status"] == "connected").then_some(())
    })
    .await;
    for (given, written) in [
        ("post@müller.example", "post@xn--mller-kva.example"),
        ("\"john doe\"@example.org", "\"john doe\"@example.org"),
        ("Ann <ann@b.example>", "ann@b.example"),
        ("jö@example.org", "jö@example.org"),
    ] {
        let id = server.send(&email(given, "s")).await;
        server.until_status(&id, "sent").await;
        assert_eq!(sink.mails().pop().expect("a mail")["recipients"], json!([written]), "{given}");
    }
    for bad in ["nobody", "a@", "a@b..example", "a b@c.example", "a@b.example\r\nBcc: c@d.example", "\"a@b.example"] {
        server.post("/send", &email(bad, "s")).await.refused(400);
    }
}

#[tokio::test]
async fn an_address_in_another_script_is_refused_where_the_server_does_not_take_it() {
    let smtp = Smtp::start(&["8BITMIME"]).await;
    let server = Server::new(Storage::Sqlite).await.with_sink(smtp.port).started().await;
    let refused = server.post("/send", &email("jö@example.org", "s")).await.refused(400);
    assert_eq!(refused["results"][0]["status"], "invalid_recipient", "{refused}");
}

#[tokio::test]
async fn copies_sender_replies_and_unsubscribing_are_honoured() {
    let sink = Sink::start();
    let server = Server::new(Storage::Sqlite).await.with_sink(sink.port).started().await;
    let mut message = email("a@b.example", "s");
    message["cc"] = json!("C <c@b.example>");
    message["bcc"] = json!(["d@b.example"]);
    message["from"] = json!({"email": "shop@müller.example", "name": "Shop, Ltd"});
    message["replyTo"] = json!("help@b.example");
    message["listUnsubscribe"] = json!(["https://b.example/u?1", "mailto:u@b.example"]);
    server.send(&message).await;
    let mail = sink.mail_to("a@b.example").await;
    assert_eq!(mail["recipients"], json!(["a@b.example", "c@b.example", "d@b.example"]));
    assert_eq!(mail["sender"], "shop@xn--mller-kva.example");
    let headers = &mail["headers"];
    assert_eq!(headers["from"], "\"Shop, Ltd\" <shop@xn--mller-kva.example>");
    assert_eq!((&headers["cc"], &headers["reply-to"]), (&json!("C <c@b.example>"), &json!("help@b.example")));
    assert!(headers["bcc"].is_null(), "{headers}");
    assert_eq!(headers["list-unsubscribe"], "<https://b.example/u?1>, <mailto:u@b.example>");
    assert_eq!(headers["list-unsubscribe-post"], "List-Unsubscribe=One-Click");
    for (field, value) in
        [("cc", json!("nobody")), ("from", json!(["a@b.example", "c@d.example"])), ("listUnsubscribe", json!("x"))]
    {
        let mut bad = email("a@b.example", "s2");
        bad[field] = value;
        let refused = server.post("/send", &bad).await.refused(400);
        assert_eq!(refused["details"][0]["field"], field, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_are_handed_over_without_idle_round_trips() {
    let smtp = Smtp::start(&["PIPELINING", "8BITMIME"]).await;
    let server = Server::new(Storage::Sqlite).await.with_sink(smtp.port).with("NOTIFICATIONS_WORKER_CONCURRENCY", "1");
    let server = server.with("NOTIFICATIONS_RATE_LIMIT_EMAIL", "0").started().await;
    // With Nagle's algorithm each mail waits 40 ms for an acknowledgement that is delayed, in every round.
    let (rounds, mails) = (6, 50);
    let mut fastest = Duration::MAX;
    for round in 0..rounds {
        let all: Vec<Value> = (0..mails).map(|place| email(&format!("m{round}-{place}@b.example"), "s")).collect();
        server.post("/send-bulk", &json!({"notifications": all})).await.ok();
        let arrived = until("all have arrived", SOON, async || {
            let seen = smtp.seen();
            (seen.mails.len() == (round + 1) * mails).then_some(seen.mails)
        })
        .await;
        fastest = fastest.min(arrived[arrived.len() - 1] - arrived[arrived.len() - mails]);
    }
    let seen = smtp.seen();
    assert!(seen.pieces.iter().flatten().all(|word| word != "NOOP"), "the connection is tested before a mail");
    let together = seen.pieces.iter().filter(|piece| **piece == ["MAIL", "RCPT", "DATA"]).count();
    assert_eq!(together, rounds * mails, "commands are sent together where the server takes them so");
    let per_mail = fastest / u32::try_from(mails - 1).expect("few");
    assert!(per_mail < Duration::from_millis(30), "{per_mail:?} a mail in the fastest of {rounds} rounds");
}

#[tokio::test]
async fn a_connection_that_the_server_closed_costs_no_attempt() {
    let mut sink = Sink::start();
    let server = Server::new(Storage::Sqlite)
        .await
        .with_sink(sink.port)
        .with("NOTIFICATIONS_RETRY_DELAY", "30s")
        .started()
        .await;
    let id = server.send(&email("first@b.example", "s")).await;
    server.until_status(&id, "sent").await;
    sink.stop();
    sink.resume();
    let id = server.send(&email("second@b.example", "s")).await;
    server.until_status(&id, "sent").await;
    let shown = server.get(&format!("/notifications/{id}")).await.ok();
    assert_eq!(shown["deliveries"][0]["attempts"], 1);
}
