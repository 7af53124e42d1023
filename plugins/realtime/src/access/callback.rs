//! Asks the backend over HTTP: `POST {userId, room, type, id, action}` is answered with `{"allowed": true}` or `false`.

use std::future::Future;
use std::pin::Pin;

use serde_json::{Value, json};

use super::{ANSWER_WITHIN, Judge, Question};

/// The longest answer that is read, in bytes.
const ANSWER_BYTES: usize = 64 * 1024;

/// The backend's URL.
pub(crate) struct Callback {
    client: reqwest::Client,
    url: reqwest::Url,
    secret: Option<String>,
}

impl Callback {
    /// Sends the secret as a bearer token where there is one.
    pub(crate) fn new(url: reqwest::Url, secret: Option<String>) -> Result<Self, reqwest::Error> {
        // Fails only where it is installed already, as in tests.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(ANSWER_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { client, url, secret })
    }

    async fn ask(&self, question: &Question) -> Result<bool, String> {
        let room = &question.room;
        let body = json!({
            "userId": question.user_id.as_deref(),
            "room": room.as_str(),
            "type": room.kind(),
            "id": room.id(),
            "action": question.action,
        });
        let request = self.client.post(self.url.clone()).header("content-type", "application/json");
        let request = match &self.secret {
            Some(secret) => request.bearer_auth(secret),
            None => request,
        };
        // An address can hold a password: it stays out of the log.
        let told = |error: reqwest::Error| error.without_url().to_string();
        let mut response = request.body(body.to_string()).send().await.map_err(told)?;
        let status = response.status();
        if status == reqwest::StatusCode::FORBIDDEN {
            return Ok(false);
        }
        if !status.is_success() {
            return Err(format!("it answered {status}"));
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(told)? {
            if answer.len() + chunk.len() > ANSWER_BYTES {
                return Err("its answer is too long".to_owned());
            }
            answer.extend_from_slice(&chunk);
        }
        let answer: Option<Value> = serde_json::from_slice(&answer).ok();
        let allowed = answer.as_ref().and_then(|answer| answer.get("allowed")?.as_bool());
        allowed.ok_or_else(|| "its answer is not `{\"allowed\": true}` or `false`".to_owned())
    }
}

impl Judge for Callback {
    fn decide<'a>(&'a self, question: &'a Question) -> Pin<Box<dyn Future<Output = Result<bool, String>> + Send + 'a>> {
        Box::pin(self.ask(question))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;

    use super::*;
    use crate::access::Action;
    use crate::hub::Room;

    /// A backend that gives this answer and notes what it was asked.
    async fn backend(status: StatusCode, answer: &'static str) -> (reqwest::Url, Arc<Mutex<Vec<String>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        let handler = move |headers: HeaderMap, body: String| {
            let secret = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("none");
            noted.lock().expect("it is whole").push(format!("{secret} {body}"));
            std::future::ready((status, answer))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/access", listener.local_addr().expect("an address"));
        let router = axum::Router::new().route("/access", post(handler));
        tokio::spawn(async { axum::serve(listener, router).await });
        (url.parse().expect("a URL"), asked)
    }

    fn question() -> Question {
        let room = Room::parse("dm:7", None).expect("a legal name");
        Question { user_id: Some(Arc::from("alice")), room, action: Action::Send }
    }

    #[tokio::test]
    async fn only_a_clear_yes_opens_a_room() {
        for (status, answer, expected) in [
            (StatusCode::OK, r#"{"allowed":true}"#, Some(true)),
            (StatusCode::OK, r#"{"allowed":false}"#, Some(false)),
            (StatusCode::FORBIDDEN, "", Some(false)),
            (StatusCode::OK, r#"{"allowed":"yes"}"#, None),
            (StatusCode::OK, "", None),
            (StatusCode::INTERNAL_SERVER_ERROR, r#"{"allowed":true}"#, None),
            (StatusCode::FOUND, r#"{"allowed":true}"#, None),
        ] {
            let (url, _) = backend(status, answer).await;
            let callback = Callback::new(url, None).expect("a client");
            assert_eq!(callback.decide(&question()).await.ok(), expected, "{status} {answer}");
        }
    }

    #[tokio::test]
    async fn the_backend_is_told_who_what_and_where_with_the_secret() {
        let (url, asked) = backend(StatusCode::OK, r#"{"allowed":true}"#).await;
        let callback = Callback::new(url, Some("s3cret".to_owned())).expect("a client");
        assert_eq!(callback.decide(&question()).await, Ok(true));
        let asked = asked.lock().expect("it is whole").join("");
        let (secret, body) = asked.split_once(" {").expect("a body");
        assert_eq!(secret, "Bearer s3cret");
        let body: Value = serde_json::from_str(&format!("{{{body}")).expect("JSON");
        assert_eq!(body, json!({"userId": "alice", "room": "dm:7", "type": "dm", "id": "7", "action": "send"}));
    }
}
