//! What is told to others and by others: webhooks, SMS, reports, channels that are off, dry runs.

use serde_json::{Value, json};

use crate::support::{SOON, Server, Sink, Storage, Web, until};

fn signature(secret: &str, body: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut code: Hmac<sha2::Sha256> = Hmac::new_from_slice(secret.as_bytes()).expect("any key fits");
    code.update(body.as_bytes());
    code.finalize().into_bytes().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

on_both! {
    async fn subscribers_are_told_signed_and_again_until_they_answer(storage) {
        let sink = Sink::start();
        let receiver = Web::start(&[(500, json!({})), (200, json!({}))]).await;
        let server = Server::new(storage).await.with_sink(sink.port).with("NOTIFICATIONS_ALLOWED_HOSTS", "127.0.0.1");
        let server = server.started().await;
        let made = server.post("/webhooks", &json!({"userId": "u", "url": format!("{}/hook", receiver.url),
            "events": ["notification.sent", "notification.failed"]})).await.ok();
        let secret = made["secret"].as_str().expect("shown once");
        let listed = server.get("/webhooks?userId=u").await.ok();
        assert_eq!((&listed["webhooks"][0]["webhookId"], &listed["webhooks"][0]["secret"]), (&made["webhookId"], &Value::Null));
        let sent = server.send(&json!({"userId": "u", "title": "t"})).await;
        let failed = server.send(&json!({"userId": "u", "channels": ["email"], "email": "refused-x@b.example", "title": "t"})).await;
        server.send(&json!({"userId": "another", "title": "t"})).await;
        until("both are told, one of them twice", SOON, async || (receiver.asked("/hook").len() >= 3).then_some(())).await;
        let asked = receiver.asked("/hook");
        assert_eq!(asked.len(), 3);
        for call in &asked {
            assert_eq!(call.header("x-signature"), signature(secret, &call.body));
        }
        let told = |id: &str| asked.iter().map(crate::support::Web::json_of).find(|body| body["notificationId"] == id).expect("told");
        assert_eq!((&told(&sent)["event"], &told(&sent)["channel"]), (&json!("notification.sent"), &json!("in-app")));
        assert_eq!((&told(&failed)["event"], &told(&failed)["status"]), (&json!("notification.failed"), &json!("failed")));
        server.delete(&format!("/webhooks/{}", made["webhookId"].as_str().expect("an id")), None).await.ok();
        server.delete("/webhooks/nothing", None).await.refused(404);
        for bad in [json!({"userId": "u", "url": "ftp://x"}), json!({"userId": "u", "url": "http://x", "events": ["all"]}), json!({})] {
            server.post("/webhooks", &bad).await.refused(400);
        }
    }

    async fn channels_that_are_off_are_named_and_never_pretended(storage) {
        let server = Server::new(storage).await.started().await;
        for (channel, names) in [
            ("email", "NOTIFICATIONS_SMTP_HOST"), ("sms", "NOTIFICATIONS_TWILIO_ACCOUNT_SID"), ("push", "NOTIFICATIONS_FCM_SERVER_KEY"),
        ] {
            let message = json!({"userId": "u", "channels": [channel], "title": "t", "email": "a@b.example", "phone": "+1", "pushToken": "p"});
            let refused = server.post("/send", &message).await.refused(400);
            assert!(refused["error"].as_str().is_some_and(|error| error.contains(names)), "{refused}");
            assert_eq!((&refused["success"], &refused["results"][0]["status"]), (&json!(false), &json!("not_configured")));
        }
        let message = json!({"userId": "u", "channels": ["in-app", "push", "sms"], "title": "t", "pushToken": "p"});
        let answer = server.post("/send", &message).await.ok();
        assert_eq!(answer["channels"], json!(["in-app"]));
        let statuses: Vec<&str> = answer["results"].as_array().expect("a list").iter().filter_map(|one| one["status"].as_str()).collect();
        assert_eq!(statuses, ["delivered", "not_configured", "not_configured"]);
        let shown = server.get(&format!("/notifications/{}", answer["notificationId"].as_str().expect("an id"))).await.ok();
        let of = |channel: &str| shown["deliveries"].as_array().expect("a list").iter().find(|one| one["channel"] == channel).expect("there").clone();
        assert_eq!((&of("push")["status"], &of("in-app")["status"]), (&json!("failed"), &json!("delivered")));
        let health = server.get("/health").await.ok();
        assert_eq!((&health["status"], &health["channels"]["email"]["enabled"], &health["channels"]["push"]["enabled"]), (&json!("healthy"), &json!(false), &json!(false)));
        let subscription = json!({"user_id": "u", "subscription": {"endpoint": "https://push.example/1", "expirationTime": null,
            "keys": {"p256dh": "p", "auth": "a"}}, "platform": "web"});
        assert!(server.post("/api/push/subscribe", &subscription).await.ok()["warning"].is_string());
        server.post("/api/push/subscribe", &subscription).await.ok();
        server.post("/api/push/subscribe", &json!({"user_id": "u", "subscription": {"endpoint": "x"}})).await.refused(400);
        server.delete("/api/push/unsubscribe", Some(&json!({"endpoint": "https://push.example/1"}))).await.ok();
        server.delete("/api/push/unsubscribe", Some(&json!({"endpoint": "https://push.example/1"}))).await.refused(404);
    }

    async fn a_dry_run_does_everything_but_the_hand_over_and_says_so(storage) {
        let sink = Sink::start();
        let server = Server::new(storage).await.with_sink(sink.port).with("NOTIFICATIONS_DRY_RUN", "true").started().await;
        let message = json!({"userId": "u", "channels": ["email", "sms", "push"], "title": "t", "email": "a@b.example", "phone": "+1", "pushToken": "p"});
        let answer = server.post("/send", &message).await.ok();
        assert_eq!(answer["dryRun"], true);
        server.until_status(answer["notificationId"].as_str().expect("an id"), "simulated").await;
        assert!(sink.mails().is_empty());
        assert_eq!(server.get("/health").await.ok()["dryRun"], true);
    }

    async fn reports_are_believed_only_when_signed(storage) {
        let sink = Sink::start();
        let server = Server::new(storage).await.with_sink(sink.port).with("NOTIFICATIONS_WEBHOOK_SECRET", "s")
            .with("NOTIFICATIONS_API_KEY", "key").with("PLUGIN_INTERNAL_SECRET", "inside").started().await;
        let message = json!({"userId": "u", "channels": ["email"], "email": "a@b.example", "title": "t", "category": "news"});
        server.post("/send", &message).await.refused(401);
        let id = server.post_with("/send", ("x-api-key", "inside"), &message).await.ok()["notificationId"].as_str().expect("an id").to_owned();
        sink.mail_to("a@b.example").await;
        let state = async || {
            let shown = server.get_with(&format!("/notifications/{id}"), ("authorization", "Bearer key")).await.ok();
            shown["status"].as_str().unwrap_or_default().to_owned()
        };
        until("it is sent", SOON, async || (state().await == "sent").then_some(())).await;
        let report = |event: &str| json!({"event": event, "notification_id": id});
        server.post_with("/webhooks/notifications", ("x-signature", "00"), &report("bounce")).await.refused(401);
        for (event, ending) in [("delivery.succeeded", "delivered"), ("open", "delivered"), ("bounce", "bounced")] {
            let body = report(event);
            let signed = signature("s", &body.to_string());
            assert_eq!(server.post_with("/webhooks/notifications", ("x-signature", &signed), &body).await.ok()["changed"], true);
            assert_eq!(state().await, ending, "{event}");
        }
        let body = report("unsubscribe");
        server.post_with("/webhooks/notifications", ("x-signature", &signature("s", &body.to_string())), &body).await.ok();
        let shown = server.get_with("/preferences/u", ("x-api-key", "key")).await.ok();
        assert_eq!(shown["categories"]["news"]["email"], false);
    }
}

#[tokio::test]
async fn an_sms_goes_to_an_interface_of_twilios_shape() {
    let twilio = Web::start(&[
        (503, json!({"message": "busy"})),
        (201, json!({"sid": "SM1"})),
        (400, json!({"message": "no such number"})),
    ])
    .await;
    let server = Server::new(Storage::Sqlite)
        .await
        .with("NOTIFICATIONS_TWILIO_ACCOUNT_SID", "AC1")
        .with("NOTIFICATIONS_TWILIO_AUTH_TOKEN", "token")
        .with("NOTIFICATIONS_TWILIO_FROM_NUMBER", "+15550001")
        .with("NOTIFICATIONS_TWILIO_BASE_URL", &twilio.url)
        .started()
        .await;
    let message = |phone: &str| json!({"userId": "u", "channel": "sms", "category": "transactional", "to": {"phone_number": phone}, "content": {"body": "Hallo & Grüße"}});
    let id = server.send(&message("+15550002")).await;
    server.until_status(&id, "sent").await;
    let asked = twilio.asked("/2010-04-01/Accounts/AC1/Messages.json");
    assert_eq!(asked.len(), 2, "a busy provider is asked again");
    assert_eq!(asked[1].body, "To=%2B15550002&From=%2B15550001&Body=Hallo+%26+Gr%C3%BC%C3%9Fe");
    assert_eq!(asked[1].header("authorization"), "Basic QUMxOnRva2Vu");
    let shown = server.get(&format!("/notifications/{id}")).await.ok();
    assert_eq!(shown["deliveries"][0]["providerMessageId"], "SM1");
    let id = server.send(&message("+1")).await;
    server.until_status(&id, "failed").await;
}
