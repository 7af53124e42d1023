//! Subscribed addresses: each with a lane of its own, none within our networks, nothing secret shown.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{SOON, Server, Storage, Web, until};

async fn subscribe(server: &Server, user: &str, url: &str) -> String {
    let made = server.post("/webhooks", &json!({"userId": user, "url": url})).await.ok();
    made["webhookId"].as_str().expect("an id").to_owned()
}

on_both! {
    async fn a_dead_subscriber_delays_no_other(storage) {
        let hanging = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = hanging.local_addr().expect("bound");
        let _held = tokio::spawn(async move {
            let mut streams = Vec::new();
            while let Ok((stream, _)) = hanging.accept().await {
                streams.push(stream);
            }
        });
        let receiver = Web::start(&[(200, json!({}))]).await;
        let server = Server::new(storage).await.with("NOTIFICATIONS_ALLOWED_HOSTS", "127.0.0.1").started().await;
        subscribe(&server, "dead", &format!("http://{address}/hook")).await;
        subscribe(&server, "alive", &format!("{}/hook", receiver.url)).await;
        for number in 0..24 {
            server.send(&json!({"userId": "dead", "title": format!("t{number}")})).await;
        }
        // The dead one's attempts are under way.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let began = Instant::now();
        server.send(&json!({"userId": "alive", "title": "t"})).await;
        until("the other is called", SOON, async || receiver.asked("/hook").pop()).await;
        // An attempt at the dead one alone takes ten seconds.
        assert!(began.elapsed() < Duration::from_secs(6), "it took {:?}", began.elapsed());
    }

    async fn what_is_given_up_is_listed_and_can_be_replayed(storage) {
        let receiver = Web::start(&[(500, json!({}))]).await;
        let mut server = Server::new(storage).await.with("NOTIFICATIONS_ALLOWED_HOSTS", "127.0.0.1").started().await;
        subscribe(&server, "u", &format!("{}/hook", receiver.url)).await;
        let id = server.send(&json!({"userId": "u", "title": "t"})).await;
        until("it was tried", SOON, async || receiver.asked("/hook").pop()).await;
        server.terminate().await;
        // As after a day of attempts.
        server.execute("UPDATE np_notifications_webhook_calls SET attempts = 7, due_at = 0").await;
        server.start().await;
        let letter = until("it is given up", SOON, async || {
            let listed = server.get("/webhooks/dead-letters?userId=u").await.ok();
            listed["deadLetters"].as_array().and_then(|letters| letters.first().cloned())
        }).await;
        assert_eq!((&letter["payload"]["notificationId"], &letter["event"]), (&json!(id), &json!("notification.sent")));
        assert!(letter["error"].as_str().is_some_and(|error| error.contains("500")), "{letter}");
        assert_eq!(server.get("/webhooks/dead-letters?userId=other").await.ok()["deadLetters"], json!([]));
        let before = receiver.asked("/hook").len();
        let path = format!("/webhooks/dead-letters/{}/replay", letter["id"].as_str().expect("an id"));
        server.post(&path, &json!({})).await.ok();
        until("it is tried again", SOON, async || (receiver.asked("/hook").len() > before).then_some(())).await;
        assert_eq!(server.get("/webhooks/dead-letters?userId=u").await.ok()["deadLetters"], json!([]));
        server.post(&path, &json!({})).await.refused(404);
    }
}

#[tokio::test]
async fn addresses_of_our_networks_are_refused() {
    let server = Server::new(Storage::Sqlite).await.started().await;
    for url in [
        "http://127.0.0.1:9/x",
        "http://localhost/x",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
        "http://172.17.0.1:8080/",
        "http://192.168.1.1/",
        "http://[::1]/",
        "http://[fd00::1]/",
        "http://0.0.0.0/",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",
        "ftp://x.example/",
    ] {
        let refused = server.post("/webhooks", &json!({"userId": "u", "url": url})).await.refused(400);
        assert_eq!(refused["details"][0]["field"], "url", "{url}: {refused}");
    }
    server.post("/webhooks", &json!({"userId": "u", "url": "https://hooks.example/x"})).await.ok();
}

#[tokio::test]
async fn secrets_of_an_address_are_neither_logged_nor_listed() {
    let receiver = Web::start(&[(500, json!({}))]).await;
    let server = Server::new(Storage::Sqlite).await.with("NOTIFICATIONS_ALLOWED_HOSTS", "127.0.0.1").started().await;
    let url = receiver.url.replace("http://", "http://user:CANARYPW@");
    let made =
        server.post("/webhooks", &json!({"userId": "u", "url": format!("{url}/hook?token=CANARYTOKEN")})).await.ok();
    server.send(&json!({"userId": "u", "title": "t"})).await;
    until("it was tried twice", SOON, async || (receiver.asked("/hook").len() > 1).then_some(())).await;
    let listed: Value = server.get("/webhooks?userId=u").await.ok();
    for text in [made.to_string(), listed.to_string(), server.log()] {
        assert!(!text.contains("CANARY"), "{text}");
    }
    assert!(server.log().contains("a webhook is tried again"), "{}", server.log());
}
