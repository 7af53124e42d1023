//! What leaves as e-mail: content, templates, attachments, addresses, refusals.

use serde_json::{Value, json};

use crate::support::{Server, Sink, text_of};

fn email(user: &str, address: &str, title: &str) -> Value {
    json!({"userId": user, "channels": ["email"], "email": address, "title": title, "body": "text"})
}

on_both! {
    async fn an_email_arrives_with_both_parts_its_letters_and_its_file(storage) {
        let sink = Sink::start();
        let server = Server::new(storage).await.with_sink(sink.port).with("NOTIFICATIONS_FROM_NAME", "Größe")
            .with("NOTIFICATIONS_FROM_EMAIL", "n@sender.example").started().await;
        let id = server.send(&json!({
            "userId": "u1", "channel": "email", "to": {"email": "ann@b.example", "name": "Ann Ö"},
            "content": {"subject": "Grüße 👋", "body": "Schöne Worte", "html": "<p>Schöne <b>Worte</b></p>"},
            "category": "transactional", "priority": "high",
            "attachments": [{"filename": "größe.bin", "content": "AAEC/w==", "contentType": "application/octet-stream"}],
        })).await;
        let mail = sink.mail_to("ann@b.example").await;
        assert_eq!(mail["sender"], "n@sender.example");
        let headers = &mail["headers"];
        assert_eq!((&headers["subject"], &headers["to"]), (&json!("Grüße 👋"), &json!("Ann Ö <ann@b.example>")));
        assert_eq!(headers["from"], "Größe <n@sender.example>");
        assert_eq!(headers["message-id"], format!("<{id}.email@sender.example>"));
        assert_eq!(headers["auto-submitted"], "auto-generated");
        assert_eq!(mail["structure"], json!([
            "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "application/octet-stream",
        ]));
        assert_eq!(text_of(&mail, "text/plain").trim(), "Schöne Worte");
        assert_eq!(text_of(&mail, "text/html").trim(), "<p>Schöne <b>Worte</b></p>");
        let file = &mail["parts"][2];
        assert_eq!((&file["filename"], &file["base64"]), (&json!("größe.bin"), &json!("AAEC/w==")));
        server.until_status(&id, "sent").await;
        let shown = server.get(&format!("/notifications/{id}")).await.ok();
        for field in ["sentAt", "createdAt"] {
            assert!(shown[field].as_str().is_some_and(|time| time.ends_with('Z')), "{field}: {shown}");
        }
        assert_eq!((&shown["userId"], &shown["channel"], &shown["deliveredAt"]), (&json!("u1"), &json!("email"), &Value::Null));
    }

    async fn templates_fill_in_escape_and_can_be_replaced(storage) {
        let sink = Sink::start();
        let server = Server::new(storage).await.with_sink(sink.port).started().await;
        let with = |to: &str, template: &str| json!({
            "userId": "u", "templateId": template, "channels": ["email"], "email": to,
            "variables": {"actor_name": "<Bob & Co>", "channel_name": "general", "message_preview": "a < b",
                "action_url": "https://app.example/?a=1&b=2"},
        });
        server.post("/send/template", &with("one@b.example", "nchat_mention")).await.ok();
        let mail = sink.mail_to("one@b.example").await;
        assert_eq!(mail["headers"]["subject"], "<Bob & Co> mentioned you in #general");
        assert!(text_of(&mail, "text/html").contains("&lt;Bob &amp; Co&gt; mentioned you"), "{mail}");
        assert!(text_of(&mail, "text/plain").contains("a < b"), "{mail}");
        server.post("/send/template", &with("x@b.example", "nothing")).await.refused(404);
        server.post("/send", &with("x@b.example", "nothing")).await.refused(400);

        let own = json!({"name": "nchat_mention", "subject": "Mine: {{upper actor_name}}", "text": "{{message_preview}}"});
        server.post("/api/templates", &own).await.ok();
        server.post("/send/template", &with("two@b.example", "nchat_mention")).await.ok();
        let mail = sink.mail_to("two@b.example").await;
        assert_eq!((&mail["headers"]["subject"], &mail["structure"]), (&json!("Mine: <BOB & CO>"), &json!(["text/plain"])));
        let bad = server.put("/api/templates/nchat_mention", &json!({"text": "{{#if a}}"})).await.refused(400);
        assert_eq!(bad["details"][0]["field"], "text");
        let listed = server.get("/templates").await.ok();
        let of = |name: &str| listed["templates"].as_array().expect("a list").iter().find(|one| one["name"] == name).cloned();
        assert_eq!(of("nchat_mention").expect("listed")["source"], "stored");
        assert_eq!(of("welcome_email").expect("listed")["source"], "seed");
        server.delete("/api/templates/nchat_mention", None).await.ok();
        assert_eq!(server.get("/api/templates/nchat_mention").await.ok()["template"]["source"], "seed");
        server.get("/api/templates/nothing").await.refused(404);
    }

    async fn nothing_that_was_sent_becomes_a_header(storage) {
        let sink = Sink::start();
        let server = Server::new(storage).await.with_sink(sink.port).started().await;
        let evil = "a\r\nBcc: evil@c.example";
        server.post("/send", &email("u", "a@b.example", evil)).await.refused(400);
        server.post("/send", &email("u", "a@b.example\r\nBcc: evil@c.example", "t")).await.refused(400);
        let variables = json!({"userId": "u", "templateId": "nchat_mention", "channels": ["email"], "email": "a@b.example",
            "variables": {"actor_name": evil}});
        let refused = server.post("/send", &variables).await.refused(400);
        assert_eq!(refused["details"][0]["field"], "subject");
        assert!(sink.mails().is_empty());
    }

    async fn both_dialects_speak_of_the_same_message(storage) {
        let sink = Sink::start();
        let server = Server::new(storage).await.with_sink(sink.port).started().await;
        let sent = server.post("/api/notifications/send", &json!({
            "user_id": "u", "channel": "email", "category": "system", "to": {"email": "api@b.example"},
            "content": {"subject": "S", "html": "<p>only</p>"}, "priority": 2, "metadata": {"digest": true}, "tags": ["x"],
        })).await.ok();
        let id = sent["notification_id"].as_str().expect("an id");
        let mail = sink.mail_to("api@b.example").await;
        assert_eq!(mail["structure"], json!(["text/html"]));
        server.until_status(id, "sent").await;
        let row = server.get(&format!("/api/notifications/{id}")).await.ok();
        let row = &row["notification"];
        assert_eq!((&row["user_id"], &row["status"], &row["tags"]), (&json!("u"), &json!("sent"), &json!(["x"])));
        assert_eq!(row["metadata"]["digest"], true);
        server.get("/api/notifications/nothing").await.refused(404);
        let stats = server.get("/api/stats/delivery?days=1").await.ok();
        assert_eq!((&stats["stats"][0]["channel"], &stats["stats"][0]["sent"]), (&json!("email"), &json!(1)));
        for bad in [
            json!({"user_id": "u", "channel": "email", "content": {"subject": "s"}}),
            json!({"user_id": "u", "channel": "email", "to": {"email": "a@b.example"}}),
            json!({"user_id": "u", "to": {"email": "a@b.example"}, "content": {"subject": "s"}}),
        ] {
            assert_eq!(server.post("/api/notifications/send", &bad).await.refused(400)["success"], false, "{bad}");
        }
    }

    async fn refusals_of_the_mail_server_end_as_they_are_meant(storage) {
        let sink = Sink::start();
        let server = Server::new(storage).await.with_sink(sink.port).started().await;
        let mut ids = Vec::new();
        for (address, ending) in [
            ("later2-a@b.example", "sent"), ("never-a@b.example", "failed"), ("unknown-a@b.example", "bounced"),
            ("refused-a@b.example", "failed"),
        ] {
            ids.push((server.send(&email("u", address, address)).await, ending));
        }
        for (id, ending) in &ids {
            server.until_status(id, ending).await;
        }
        let deliveries = |shown: &Value| shown["deliveries"][0].clone();
        let later = deliveries(&server.get(&format!("/notifications/{}", ids[0].0)).await.ok());
        assert_eq!((&later["attempts"], &later["error"]), (&json!(3), &Value::Null));
        let never = deliveries(&server.get(&format!("/notifications/{}", ids[1].0)).await.ok());
        assert_eq!(never["attempts"], 3);
        assert!(never["error"].as_str().is_some_and(|why| why.contains("451")), "{never}");
        assert_eq!(sink.mails().len(), 1);
    }

    async fn fifty_at_a_time_all_arrive_once(storage) {
        let sink = Sink::start();
        let server = Server::new(storage).await.with_sink(sink.port).started().await;
        let sends = (0..50).map(|number| {
            let body = email(&format!("u{number}"), &format!("m{number}@b.example"), "same");
            let server = &server;
            async move { server.post("/send", &body).await.ok() }
        });
        futures_util::future::join_all(sends).await;
        for number in 0..50 {
            sink.mail_to(&format!("m{number}@b.example")).await;
        }
        assert_eq!(sink.mails().len(), 50);
    }

    async fn many_in_one_request_stand_or_fall_alone(storage) {
        let sink = Sink::start();
        let server = Server::new(storage).await.with_sink(sink.port).started().await;
        let mut list: Vec<Value> = (0..5).map(|number| json!({"userId": format!("b{number}"), "title": "t", "body": "b",
            "email": format!("bulk{number}@b.example")})).collect();
        list.push(json!({"title": "nobody"}));
        let answer = server.post("/send-bulk", &json!({"notifications": list, "channels": ["email", "in-app"]})).await.ok();
        assert_eq!((&answer["sent"], &answer["failed"], &answer["success"]), (&json!(5), &json!(1), &json!(false)));
        assert_eq!(answer["results"][5]["details"][0]["field"], "userId");
        assert_eq!(answer["results"][0]["channels"], json!(["email", "in-app"]));
        for number in 0..5 {
            sink.mail_to(&format!("bulk{number}@b.example")).await;
        }
        server.post("/batch/send", &json!({"notifications": []})).await.refused(400);
        server.post("/batch/send", &json!({"notifications": [{"title": "nobody"}]})).await.refused(400);
    }
}

#[tokio::test]
async fn a_connection_is_encrypted_and_a_password_given_where_the_server_asks_for_it() {
    let key = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("cert"), key.cert.pem()).expect("written");
    std::fs::write(path("key"), key.signing_key.serialize_pem()).expect("written");
    let (certificate, private) = (path("cert"), path("key"));
    for implicit in [false, true] {
        let mut arguments = vec!["--certificate", &certificate, "--key", &private, "--auth", "user:pass word"];
        if implicit {
            arguments.push("--implicit");
        }
        let sink = Sink::with(&arguments);
        let settings = |password: &str| {
            let (certificate, password) = (certificate.clone(), password.to_owned());
            async move {
                Server::new(crate::support::Storage::Sqlite)
                    .await
                    .with_sink(sink.port)
                    .with("NOTIFICATIONS_SMTP_USER", "user")
                    .with("NOTIFICATIONS_SMTP_PASSWORD", password)
                    .with("NOTIFICATIONS_SMTP_SECURE", if implicit { "true" } else { "false" })
                    .with("NOTIFICATIONS_SMTP_CA_FILE", certificate)
                    .started()
                    .await
            }
        };
        let server = settings("pass word").await;
        server.send(&email("u", "safe@b.example", "t")).await;
        let mail = sink.mail_to("safe@b.example").await;
        assert_eq!((&mail["encrypted"], &mail["authenticated"]), (&json!(true), &json!(true)), "implicit: {implicit}");
        // A wrong password is the operator's fault: the message waits until it is mended.
        let server = settings("wrong").await;
        let id = server.send(&email("u", "waits@b.example", "t")).await;
        crate::support::until("the refusal is noted", crate::support::SOON, async || {
            let shown = server.get(&format!("/notifications/{id}")).await.ok();
            shown["deliveries"][0]["error"].as_str().filter(|why| why.contains("535")).map(str::to_owned)
        })
        .await;
        assert_eq!(server.status(&id).await, "queued");
        assert!(!server.log().contains("pass word"));
    }
}
