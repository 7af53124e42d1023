//! Preferences over HTTP: both dialects, quiet hours, digests.

use serde_json::{Value, json};

use crate::support::{SOON, Server, Sink, Storage, until};

fn email(user: &str, address: &str) -> Value {
    json!({"userId": user, "channels": ["email"], "email": address, "title": address, "body": "b"})
}

/// Quiet hours around now that end in so many seconds.
fn quiet_for(seconds: i64) -> Value {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::get("Asia/Tokyo").expect("a zone"));
    let time = |offset: i64| {
        now.checked_add(jiff::SignedDuration::from_secs(offset)).expect("near").strftime("%H:%M:%S").to_string()
    };
    json!({"quiet_hours": {"enabled": true, "start": time(-3600), "end": time(seconds), "timezone": "Asia/Tokyo"}})
}

on_both! {
    async fn parts_are_merged_and_both_dialects_hold(storage) {
        let sink = Sink::start();
        let server = Server::new(storage).await.with_sink(sink.port).started().await;
        let defaults = server.get("/preferences/u").await.ok();
        assert_eq!(defaults["channels"], json!({"email": true, "push": true, "sms": false, "in-app": true}));
        assert_eq!(defaults["categories"]["marketing"], json!({"email": false, "push": false, "sms": false}));
        let written = server.post("/preferences/u", &json!({"channels": {"email": false}})).await.ok();
        assert_eq!((&written["success"], &written["preferences"]["channels"]["push"]), (&json!(true), &json!(true)));
        server.put("/preferences/u", &json!({"digest": {"frequency": "weekly"}, "theme": "dark"})).await.ok();
        let shown = server.get("/preferences/u").await.ok();
        assert_eq!((&shown["channels"]["email"], &shown["digest"]["frequency"], &shown["theme"]), (&json!(false), &json!("weekly"), &json!("dark")));

        let answer = server.post("/send", &email("u", "no@b.example")).await.ok();
        assert_eq!((&answer["success"], &answer["results"][0]["status"]), (&json!(false), &json!("skipped")));
        let both = json!({"userId": "u", "channels": ["email", "in-app"], "email": "no@b.example", "title": "t"});
        let answer = server.post("/send", &both).await.ok();
        assert_eq!((&answer["success"], &answer["channels"]), (&json!(true), &json!(["in-app"])));
        let mut asked_for = email("u", "yes@b.example");
        asked_for["category"] = json!("transactional");
        server.post("/send", &asked_for).await.ok();
        sink.mail_to("yes@b.example").await;

        server.post("/api/preferences", &json!({"user_id": "v", "preferences": [
            {"channel": "email", "category": "marketing", "enabled": false, "frequency": "immediate"},
        ], "quiet_hours": {"start": "22:00", "end": "08:00", "timezone": "Europe/Berlin"}})).await.ok();
        let rows = server.get("/api/preferences/v").await.ok();
        let row = &rows["preferences"][0];
        assert_eq!((&row["category"], &row["enabled"], &row["user_id"]), (&json!("marketing"), &json!(false), &json!("v")));
        assert_eq!(row["quiet_hours"]["timezone"], "Europe/Berlin");
        let unwanted = json!({"user_id": "v", "channel": "email", "category": "marketing", "to": {"email": "no@b.example"},
            "content": {"subject": "s", "body": "b"}});
        assert_eq!(server.post("/api/notifications/send", &unwanted).await.refused(400)["success"], false);
        assert!(sink.mails_to("no@b.example").is_empty());
        for bad in [json!({"channels": {"fax": true}}), json!({"quiet_hours": {"start": "late"}}), json!([1])] {
            server.post("/preferences/u", &bad).await.refused(400);
        }
    }

    async fn changes_at_the_same_time_are_all_kept(storage) {
        let server = Server::new(storage).await.started().await;
        let changes = (0..12).map(|number| {
            let server = &server;
            async move { server.post("/preferences/u", &json!({"types": {format!("t{number}"): false}})).await.ok() }
        });
        futures_util::future::join_all(changes).await;
        let types = server.get("/preferences/u").await.ok()["types"].clone();
        assert_eq!(types.as_object().map(serde_json::Map::len), Some(12), "{types}");
    }

    async fn quiet_hours_hold_back_until_they_end_even_over_a_restart(storage) {
        let sink = Sink::start();
        let mut server = Server::new(storage).await.with_sink(sink.port).started().await;
        server.post("/preferences/u", &quiet_for(12)).await.ok();
        let both = json!({"userId": "u", "channels": ["email", "in-app"], "email": "held@b.example", "title": "t"});
        let answer = server.post("/send", &both).await.ok();
        assert_eq!((&answer["queued"], &answer["results"][0]["status"]), (&json!(true), &json!("deferred")));
        assert_eq!(answer["results"][1]["status"], "delivered");
        assert_eq!(server.get("/unread/u").await.ok()["unread"], 1);
        let mut urgent = email("u", "urgent@b.example");
        urgent["priority"] = json!("urgent");
        assert_eq!(server.post("/send", &urgent).await.ok()["queued"], Value::Null);
        let mut loud = email("u", "loud@b.example");
        loud["ignoreQuietHours"] = json!(true);
        server.post("/send", &loud).await.ok();
        sink.mail_to("urgent@b.example").await;
        sink.mail_to("loud@b.example").await;
        assert!(sink.mails_to("held@b.example").is_empty());
        let id = answer["notificationId"].as_str().expect("an id").to_owned();
        assert_eq!(server.status(&id).await, "pending");
        server.kill();
        server.start().await;
        sink.mail_to("held@b.example").await;
        server.until_status(&id, "delivered").await;
        assert_eq!(sink.mails_to("held@b.example").len(), 1);
    }

    async fn a_digest_gathers_what_is_due_together(storage) {
        let sink = Sink::start();
        let mut server = Server::new(storage).await.with_sink(sink.port).started().await;
        server.post("/api/preferences", &json!({"user_id": "u", "channel": "email", "category": "system", "frequency": "daily"})).await.ok();
        // The digest is due in a moment.
        let soon = quiet_for(12);
        server.post("/preferences/u", &json!({"digest": {"time": soon["quiet_hours"]["end"], "timezone": "Asia/Tokyo"}})).await.ok();
        let mut ids = Vec::new();
        for title in ["one", "two", "three"] {
            let mut message = email("u", "digest@b.example");
            message["title"] = json!(title);
            let answer = server.post("/send", &message).await.ok();
            assert_eq!(answer["results"][0]["status"], "deferred");
            ids.push(answer["notificationId"].as_str().expect("an id").to_owned());
        }
        server.kill();
        tokio::time::sleep(std::time::Duration::from_secs(12)).await;
        server.start().await;
        let mail = sink.mail_to("digest@b.example").await;
        assert_eq!(mail["headers"]["subject"], "3 notifications");
        for id in &ids {
            server.until_status(id, "sent").await;
        }
        until("one mail for all", SOON, async || (sink.mails().len() == 1).then_some(())).await;
    }
}

#[tokio::test]
async fn marketing_and_sms_wait_until_a_user_wants_them() {
    let sink = Sink::start();
    let server = Server::new(Storage::Sqlite).await.with_sink(sink.port).started().await;
    let mut message = email("u", "news@b.example");
    message["category"] = json!("marketing");
    let answer = server.post("/send", &message).await.ok();
    assert_eq!((&answer["success"], &answer["results"][0]["status"]), (&json!(false), &json!("skipped")));
    server.post("/preferences/u", &json!({"categories": {"marketing": {"email": true}}})).await.ok();
    message["title"] = json!("wanted");
    server.send(&message).await;
    sink.mail_to("news@b.example").await;
    drop(server);
    let server = Server::new(Storage::Sqlite).await.with_sink(sink.port).with("NOTIFICATIONS_DEFAULT_OFF", "none");
    let server = server.started().await;
    message["email"] = json!("all@b.example");
    server.send(&message).await;
    sink.mail_to("all@b.example").await;
}

#[tokio::test]
async fn preferences_that_cannot_be_read_keep_their_opt_outs() {
    let sink = Sink::start();
    let mut server = Server::new(Storage::Sqlite).await.with_sink(sink.port).started().await;
    server.post("/preferences/u", &json!({"channels": {"email": false}})).await.ok();
    server.terminate().await;
    let database = rusqlite::Connection::open(server.database_file()).expect("the file");
    let changed =
        database.execute("UPDATE np_notifications_preferences SET document = '{\"docu'", []).expect("changed");
    assert_eq!(changed, 1);
    drop(database);
    server.start().await;
    let answer = server.post("/send", &email("u", "no@b.example")).await.ok();
    assert_eq!((&answer["success"], &answer["results"][0]["status"]), (&json!(false), &json!("skipped")));
    let mut asked_for = email("u", "yes@b.example");
    asked_for["category"] = json!("transactional");
    server.send(&asked_for).await;
    sink.mail_to("yes@b.example").await;
    server.post("/preferences/u", &json!({"channels": {"email": true}})).await.ok();
    server.send(&email("u", "again@b.example")).await;
    sink.mail_to("again@b.example").await;
    assert!(sink.mails_to("no@b.example").is_empty());
}
