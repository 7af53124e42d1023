//! The dashboard's port: its door, its page, and the routes behind it.

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

use super::support::{Redis, Server, slow};

const PASSWORD: (&str, &str) = ("JOBS_DASHBOARD_PASSWORD", "sesame");

struct Browser {
    client: Client,
    base: String,
}

impl Browser {
    fn new(server: &Server) -> Self {
        Self { client: Client::new(), base: server.dashboard.clone() }
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("the dashboard answers")
    }

    /// As the page asks.
    async fn ask(&self, method: Method, path: &str) -> (u16, Value) {
        let headers = [("authorization", "Basic YWRtaW46c2VzYW1l"), ("x-nself-dashboard", "1")];
        let response = self.send(method, path, &headers).await;
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.expect("a body")).unwrap_or(Value::Null))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_knows_the_password_comes_in_and_only_the_page_itself_changes_anything() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[PASSWORD]).await;
    let browser = Browser::new(&server);
    let login = ("authorization", "Basic YWRtaW46c2VzYW1l");
    let own = ("x-nself-dashboard", "1");
    for path in ["/", "/page.js", "/api/queues", "/nowhere"] {
        let response = browser.send(Method::GET, path, &[]).await;
        assert_eq!(response.status(), 401, "{path}");
        assert!(response.headers()["www-authenticate"].to_str().is_ok_and(|value| value.starts_with("Basic")));
        let wrong = [("authorization", "Basic YWRtaW46b3Blbg==")];
        assert_eq!(browser.send(Method::GET, path, &wrong).await.status(), 401, "{path}");
        assert_eq!(browser.send(Method::GET, path, &[login, ("host", "evil.example")]).await.status(), 403, "{path}");
    }
    let page = browser.send(Method::GET, "/", &[login]).await;
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let text = page.text().await.expect("a page");
    assert!(!text.contains("style=") && !text.contains("onclick="), "the policy would refuse these");
    let pause = "/api/queues/default/pause";
    for headers in [
        vec![login],
        vec![login, own, ("origin", "http://evil.example")],
        vec![login, own, ("origin", "null")],
        vec![login, ("origin", &server.dashboard)],
    ] {
        let status = browser.send(Method::POST, pause, &headers).await.status();
        assert_eq!(status, 403, "{headers:?}");
    }
    assert_eq!(server.get("/queues/default").await["isPaused"], json!(false));
    let headers = [login, own, ("origin", server.dashboard.as_str())];
    assert_eq!(browser.send(Method::POST, pause, &headers).await.status(), 200);
    assert_eq!(server.get("/queues/default").await["isPaused"], json!(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_password_it_stays_closed_unless_it_is_to_be_open() {
    let redis = Redis::start();
    let closed = Server::start(&redis, &[]).await;
    let response = Browser::new(&closed).send(Method::GET, "/", &[("authorization", "Basic YWRtaW46")]).await;
    assert_eq!(response.status(), 403);
    assert!(response.text().await.is_ok_and(|text| text.contains("JOBS_DASHBOARD_PASSWORD")));
    let open = Server::start(&redis, &[("JOBS_DASHBOARD_AUTH_ENABLED", "false")]).await;
    assert_eq!(Browser::new(&open).send(Method::GET, "/", &[]).await.status(), 200);
    assert_eq!(Browser::new(&open).send(Method::POST, "/api/queues/default/pause", &[]).await.status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_by_state_opened_and_handled() {
    let redis = Redis::start();
    let server = Server::start(&redis, &[PASSWORD]).await;
    let browser = Browser::new(&server);
    let get = async |path: &str| browser.ask(Method::GET, path).await;
    let failed = server.add(&json!({"type": "odd", "payload": {"<script>": 1}, "options": {"attempts": 1}})).await;
    let delayed = server.add(&json!({"type": "noop", "payload": {}, "options": {"delay": 60_000}})).await;
    server.until_state(&failed, "failed").await;
    let (status, queues) = get("/api/queues").await;
    assert_eq!((status, &queues["queues"][0]["counts"]["failed"]), (200, &json!(1)));
    let (_, listing) = get("/api/queues/default?state=failed&limit=5").await;
    assert_eq!((&listing["total"], &listing["jobs"][0]["id"]), (&json!(1), &json!(failed)));
    let (_, job) = get(&format!("/api/queues/default/{failed}")).await;
    assert_eq!((&job["payload"], &job["list"]), (&json!({"<script>": 1}), &json!("failed")));
    assert!(job["logs"].is_array() && job["stacktrace"].is_array());
    for (method, path, expected) in [
        (Method::POST, format!("/api/queues/default/{delayed}/promote"), 200),
        (Method::POST, format!("/api/queues/default/{failed}/promote"), 409),
        (Method::PUT, format!("/api/queues/default/{failed}/retry"), 200),
        (Method::DELETE, "/api/queues/default/none".to_owned(), 404),
        (Method::GET, "/api/queues/none".to_owned(), 404),
        (Method::GET, "/api/queues/default?state=odd".to_owned(), 400),
        (Method::POST, "/api/queues/default/clean/active".to_owned(), 400),
        (Method::PUT, "/api/queues/default/pause".to_owned(), 200),
        (Method::PUT, "/api/queues/default/resume".to_owned(), 200),
        (Method::GET, "/api/schedules".to_owned(), 200),
        (Method::GET, "/api/redis/stats".to_owned(), 200),
        (Method::GET, "/nowhere".to_owned(), 404),
        (Method::PATCH, "/api/queues".to_owned(), 405),
    ] {
        let (status, body) = browser.ask(method.clone(), &path).await;
        assert_eq!(status, expected, "{method} {path}: {body}");
        assert!(status < 400 || body["error"].is_string(), "{method} {path}: {body}");
    }
    server.until_state(&delayed, "completed").await;
    server.until("it failed again", &format!("/jobs/{failed}"), |_, job| job["attempts"] == 2).await;
    let (status, body) = browser.ask(Method::POST, "/api/queues/default/clean/completed").await;
    assert_eq!((status, &body["cleaned"]), (200, &json!(1)));
    let (status, _) = browser.ask(Method::DELETE, &format!("/api/queues/default/{failed}")).await;
    assert_eq!(status, 200);
    assert_eq!(server.ask("GET", &format!("/jobs/{failed}"), None).await.0, 404);
    let id = server.add(&slow(0)).await;
    server.until_state(&id, "completed").await;
}
