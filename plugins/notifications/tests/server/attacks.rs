//! What an attacker sends so that the server stops: it answers, and everybody else is served meanwhile.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Server, Storage};

/// What `/health` has to answer within. A second on a machine of its own; tests share theirs.
const HEALTH_WITHIN: Duration = Duration::from_secs(4);

fn crashing() -> Vec<String> {
    let recursive = "{{#*inline \"a\"}}{{> a}}{{/inline}}{{> a}}";
    let mutual = "{{#*inline \"a\"}}{{> b}}{{/inline}}{{#*inline \"b\"}}{{> a}}{{/inline}}{{> a}}";
    vec![
        recursive.to_owned(),
        mutual.to_owned(),
        format!("{}{}", "{{#if a}}".repeat(2000), "{{/if}}".repeat(2000)),
        "{{#if a}}".repeat(50_000),
        format!("{{{{x {}", "(a ".repeat(100_000)),
        format!("{{{{x {}", "[".repeat(200_000)),
        format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if b}}".repeat(10_000)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_template_of_a_request_or_the_store_crashes_the_server() {
    let server = Server::new(Storage::Sqlite).await.started().await;
    let uptime = server.get("/live").await.ok()["uptime"].as_f64().expect("a number");
    for text in crashing() {
        let message = json!({"userId": "u", "channels": ["in-app"], "title": "t", "variables": {"a": 1}, "body": text});
        let refused = server.post("/send", &message).await.refused(400);
        assert_eq!(refused["details"][0]["field"], "content", "{refused}");
        let template = json!({"subject": "s", "text": text});
        server.put("/templates/welcome_email", &template).await.refused(400);
    }
    assert!(server.get("/live").await.ok()["uptime"].as_f64().expect("a number") >= uptime, "it was started anew");
    let ordinary = json!({"userId": "u", "channels": ["in-app"], "title": "t", "body": "{{a}}", "variables": {"a": 1}});
    server.post("/send", &ordinary).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_template_of_an_earlier_version_crashes_nothing() {
    let mut server = Server::new(Storage::Sqlite).await.started().await;
    server.terminate().await;
    for (place, text) in crashing().iter().enumerate() {
        let document = json!({"name": format!("bad{place}"), "text": text, "subject": "s"}).to_string();
        let database = rusqlite::Connection::open(server.database_file()).expect("the file");
        let sql =
            "INSERT INTO np_notifications_templates (name, document, created_at, updated_at) VALUES (?1, ?2, 0, 0)";
        database.execute(sql, [format!("bad{place}"), document]).expect("stored");
    }
    server.start().await;
    for place in 0..crashing().len() {
        let message =
            json!({"userId": "u", "channels": ["in-app"], "templateId": format!("bad{place}"), "variables": {"a": 1}});
        let refused = server.post("/send/template", &message).await.refused(400);
        assert_eq!(refused["details"][0]["field"], "variables", "{refused}");
    }
    server.get("/templates").await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn templates_that_take_long_hold_up_nobody() {
    let server = Server::new(Storage::Sqlite).await.started().await;
    let list: Vec<u32> = (0..400).collect();
    let body = "{{#each l}}{{#each ../l}}{{#each ../../l}}{{/each}}{{/each}}{{/each}}";
    let heavy = |place: usize| json!({"userId": format!("u{place}"), "channels": ["in-app"], "title": "t", "body": body, "variables": {"l": list}});
    let bodies: Vec<Value> = (0..6).map(heavy).collect();
    let sends = futures_util::future::join_all(bodies.iter().map(|body| server.post("/send", body)));
    let healthy = async {
        for _ in 0..10 {
            let asked = Instant::now();
            server.get("/health").await.ok();
            assert!(asked.elapsed() < HEALTH_WITHIN, "/health took {:?}", asked.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (answers, ()) = tokio::join!(sends, healthy);
    for answer in answers {
        let refused = answer.refused(400);
        assert!(refused["details"][0]["message"].as_str().is_some_and(|why| why.contains("it takes")), "{refused}");
    }
}
