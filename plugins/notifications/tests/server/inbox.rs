//! In-app messages: stored at once, listed, counted, read, removed.

use serde_json::{Value, json};

use crate::support::{SOON, Server, Storage, Web, until};

fn in_app(user: &str, title: &str) -> Value {
    json!({"userId": user, "type": "mention", "title": title, "body": "b", "channels": ["in-app"], "data": {"n": 1}})
}

on_both! {
    async fn a_message_is_listed_counted_read_and_removed(storage) {
        let server = Server::new(storage).await.started().await;
        let first = server.send(&in_app("u", "one")).await;
        let second = server.send(&in_app("u", "two")).await;
        server.send(&json!({"userId": "u", "type": "news", "category": "marketing", "title": "three"})).await;
        server.send(&in_app("other", "one")).await;

        let list = server.get("/history?userId=u&limit=2").await.ok();
        assert_eq!((&list["total"], &list["unread"], &list["limit"]), (&json!(3), &json!(3), &json!(2)));
        let newest = &list["notifications"][0];
        assert_eq!((&newest["title"], &newest["channel"], &newest["status"]), (&json!("three"), &json!("in-app"), &json!("delivered")));
        assert_eq!((&newest["read"], &newest["category"]), (&json!(false), &json!("marketing")));
        assert_eq!(server.get("/history/u?limit=2&offset=2").await.ok()["notifications"][0]["data"]["n"], 1);
        for (query, total) in [("type=mention", 2), ("category=marketing", 1), ("channel=email", 0), ("read=true", 0), ("status=delivered", 3)] {
            assert_eq!(server.get(&format!("/history/u?{query}")).await.ok()["total"], total, "{query}");
        }

        server.post(&format!("/read/{first}"), &json!({"userId": "other"})).await.refused(404);
        assert_eq!(server.post(&format!("/read/{first}"), &json!({"userId": "u"})).await.ok()["unread"], 2);
        assert_eq!(server.get("/unread/u").await.ok()["unread"], 2);
        assert_eq!(server.get("/history/u?read=true").await.ok()["notifications"][0]["id"], first.as_str());
        server.post(&format!("/unread/{first}"), &json!({"userId": "u"})).await.ok();
        assert_eq!(server.post("/read-all", &json!({"userId": "u"})).await.ok()["markedCount"], 3);
        assert_eq!(server.post("/read-all", &json!({"userId": "u"})).await.ok()["markedCount"], 0);

        server.delete(&format!("/{second}"), Some(&json!({"userId": "other"}))).await.refused(404);
        server.delete(&format!("/{second}"), Some(&json!({"userId": "u"}))).await.ok();
        server.delete(&format!("/{second}"), Some(&json!({"userId": "u"}))).await.refused(404);
        server.get(&format!("/notifications/{second}")).await.refused(404);
        server.delete(&format!("/{first}?userId=u"), None).await.ok();
        assert_eq!(server.post("/clear", &json!({"userId": "u"})).await.ok()["deletedCount"], 1);
        assert_eq!(server.get("/history/u").await.ok()["total"], 0);
        assert_eq!(server.get("/history/other").await.ok()["total"], 1);
    }

    async fn a_scheduled_message_is_seen_when_its_time_has_come(storage) {
        let server = Server::new(storage).await.started().await;
        let mut message = in_app("u", "later");
        let at = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_secs(8)).expect("soon");
        message["scheduledAt"] = json!(at.to_string());
        let answer = server.post("/send", &message).await.ok();
        assert_eq!(answer["results"][0]["status"], "scheduled");
        assert_eq!(server.get("/history/u").await.ok()["total"], 0);
        until("it is seen", SOON, async || (server.get("/history/u").await.ok()["unread"] == 1).then_some(())).await;
        server.until_status(answer["notificationId"].as_str().expect("an id"), "delivered").await;
    }
}

#[tokio::test]
async fn realtime_is_told_and_its_absence_changes_nothing() {
    let realtime = Web::start(&[(200, json!({"success": true}))]).await;
    let server = Server::new(Storage::Sqlite)
        .await
        .with("REALTIME_URL", &realtime.url)
        .with("PLUGIN_INTERNAL_SECRET", "between us")
        .started()
        .await;
    let id = server.send(&in_app("u", "one")).await;
    let asked = until("realtime is told", SOON, async || realtime.asked("/api/broadcast").pop()).await;
    assert_eq!(asked.header("x-api-key"), "between us");
    let event = asked.json();
    assert_eq!((&event["eventType"], &event["rooms"]), (&json!("notification"), &json!(["user:u"])));
    assert_eq!((&event["payload"]["id"], &event["payload"]["title"]), (&json!(id), &json!("one")));
    drop(realtime);
    server.send(&in_app("u", "two")).await;
    assert_eq!(server.get("/unread?userId=u").await.ok()["unread"], 2);
}

#[tokio::test]
async fn a_broadcast_reaches_whom_it_names_or_whom_realtime_sees() {
    let present = json!({"users": [{"userId": "a", "status": "online"}, {"userId": "b", "status": "away"}]});
    let realtime = Web::start(&[(200, present)]).await;
    let server = Server::new(Storage::Sqlite).await.with("REALTIME_URL", &realtime.url).started().await;
    let message =
        json!({"channelId": "general", "type": "announcement", "title": "All", "body": "b", "channels": ["in-app"]});
    let answer = server.post("/broadcast", &message).await.ok();
    assert_eq!(
        (&answer["success"], &answer["recipients"], &answer["source"]),
        (&json!(true), &json!(2), &json!("realtime"))
    );
    assert_eq!(realtime.asked("/presence/general").len(), 1);
    assert_eq!(server.get("/history/a").await.ok()["notifications"][0]["data"]["channelId"], "general");
    let mut named = message.clone();
    named["userIds"] = json!(["c", "d", "e"]);
    assert_eq!(server.post("/broadcast", &named).await.ok()["recipients"], 3);
    let alone = Server::new(Storage::Sqlite).await.started().await;
    let answer = alone.post("/broadcast", &message).await.ok();
    assert_eq!(answer["recipients"], 0);
    assert!(answer["message"].as_str().is_some_and(|text| text.contains("userIds")), "{answer}");
    alone.post("/broadcast", &json!({"title": "x"})).await.refused(400);
}
