//! Who may call what: nobody without credentials, users for themselves, servers for all.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Server, Sink, Storage};

const SECRET: &str = "a secret of more than thirty-two bytes";

fn token(user: &str) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(json!({"alg": "HS256"})), part(json!({"sub": user, "exp": 4_000_000_000_u64})));
    let mut code: Hmac<sha2::Sha256> = Hmac::new_from_slice(SECRET.as_bytes()).expect("any key fits");
    code.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(code.finalize().into_bytes()))
}

fn power() -> Vec<(Method, &'static str, Value)> {
    vec![
        (Method::POST, "/broadcast", json!({"channelId": "c", "title": "t", "userIds": ["u"]})),
        (Method::POST, "/templates", json!({"name": "t", "text": "t"})),
        (Method::PUT, "/templates/password_reset", json!({"text": "evil"})),
        (Method::DELETE, "/api/templates/password_reset", json!({})),
        (Method::POST, "/webhooks", json!({"userId": "u", "url": "https://hooks.example/x"})),
        (Method::DELETE, "/webhooks/x", json!({})),
        (Method::POST, "/webhooks/dead-letters/x/replay", json!({})),
    ]
}

fn of_user_v() -> Vec<(Method, &'static str, Value)> {
    vec![
        (Method::POST, "/send", json!({"userId": "v", "title": "t"})),
        (Method::POST, "/api/send", json!({"user_id": "v", "channel": "in-app", "content": {"body": "b"}})),
        (Method::POST, "/send/template", json!({"userId": "v", "templateId": "welcome_email", "channels": ["in-app"]})),
        (Method::GET, "/history/v", Value::Null),
        (Method::GET, "/history?userId=v", Value::Null),
        (Method::GET, "/unread/v", Value::Null),
        (Method::GET, "/unread?userId=v", Value::Null),
        (Method::POST, "/read/x", json!({"userId": "v"})),
        (Method::POST, "/unread/x", json!({"userId": "v"})),
        (Method::POST, "/read-all", json!({"userId": "v"})),
        (Method::POST, "/clear", json!({"userId": "v"})),
        (Method::DELETE, "/x?userId=v", Value::Null),
        (Method::GET, "/preferences/v", Value::Null),
        (Method::PUT, "/preferences/v", json!({"channels": {"email": false}})),
        (Method::GET, "/api/preferences/v", Value::Null),
        (Method::POST, "/api/preferences", json!({"user_id": "v", "channel": "email"})),
        (Method::PUT, "/api/preferences/v", json!({"channel": "email"})),
        (Method::GET, "/webhooks?userId=v", Value::Null),
        (Method::GET, "/webhooks/dead-letters?userId=v", Value::Null),
        (Method::GET, "/api/stats", Value::Null),
        (Method::GET, "/api/stats/delivery", Value::Null),
    ]
}

#[tokio::test]
async fn nothing_but_probes_answers_without_credentials() {
    // As in a container: the peers of loopback are not this machine's.
    let server = Server::new(Storage::Sqlite).await.with("NOTIFICATIONS_HOST", "0.0.0.0").started().await;
    for (method, path, body) in power().into_iter().chain(of_user_v()) {
        let answer = server.ask_as(&[], method, path, &body).await;
        assert!([401, 403].contains(&answer.status), "{path}: {} {}", answer.status, answer.body);
    }
    for path in ["/health", "/ready", "/live", "/metrics"] {
        server.ask_as(&[], Method::GET, path, &Value::Null).await.ok();
    }
    let report = server.ask_as(&[], Method::POST, "/webhooks/notifications", &json!({})).await;
    assert_eq!(report.status, 503, "reports are checked by their signature, not by a key");
}

#[tokio::test]
async fn callers_of_this_machine_do_everyday_work_only_and_no_page_does() {
    let server = Server::new(Storage::Sqlite).await.with("NOTIFICATIONS_LOCAL_CALLERS", "127.0.0.1").started().await;
    server.ask_as(&[], Method::POST, "/send", &json!({"userId": "u", "title": "t"})).await.ok();
    for (method, path, body) in power() {
        let answer = server.ask_as(&[], method, path, &body).await;
        assert!([401, 403].contains(&answer.status), "{path}: {} {}", answer.status, answer.body);
    }
    for (name, value) in
        [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site"), ("host", "rebind.evil.example")]
    {
        let answer = server.ask_as(&[(name, value)], Method::GET, "/history/u", &Value::Null).await;
        assert!([401, 403].contains(&answer.status), "{name}: {} {}", answer.status, answer.body);
        assert_eq!(answer.header("access-control-allow-origin"), "", "{name}");
    }
}

#[tokio::test]
async fn a_users_token_acts_for_that_user_only() {
    let sink = Sink::start();
    let server = Server::new(Storage::Sqlite).await.with_sink(sink.port).with("NOTIFICATIONS_JWT_SECRET", SECRET);
    let server = server.started().await;
    let theirs = server.send(&json!({"userId": "v", "title": "private"})).await;
    let bearer = format!("Bearer {}", token("u"));
    let user = [("authorization", bearer.as_str())];
    for (method, path, body) in power().into_iter().chain(of_user_v()) {
        let answer = server.ask_as(&user, method, path, &body).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.body);
    }
    for path in [format!("/notifications/{theirs}"), format!("/api/notifications/{theirs}")] {
        server.ask_as(&user, Method::GET, &path, &Value::Null).await.refused(404);
    }
    // Anybody's address may stand in a request.
    let mail = json!({"userId": "u", "channels": ["email"], "email": "victim@b.example", "title": "t"});
    server.ask_as(&user, Method::POST, "/send", &mail).await.refused(403);
    let bulk = json!({"notifications": [mail, {"userId": "v", "title": "t"}]});
    server.ask_as(&user, Method::POST, "/send-bulk", &bulk).await.refused(400);
    assert!(sink.mails().is_empty());

    let own = server.ask_as(&user, Method::POST, "/send", &json!({"userId": "u", "title": "t"})).await.ok();
    let id = own["notificationId"].as_str().expect("an id");
    server.ask_as(&user, Method::GET, &format!("/notifications/{id}"), &Value::Null).await.ok();
    assert_eq!(server.ask_as(&user, Method::GET, "/history/u", &Value::Null).await.ok()["total"], 1);
    server.ask_as(&user, Method::PUT, "/preferences/u", &json!({"channels": {"email": false}})).await.ok();
    server.ask_as(&user, Method::POST, "/read-all", &json!({"userId": "u"})).await.ok();
}
