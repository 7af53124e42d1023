//! A small web server that remembers what it was asked and answers as it is told.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A request that came in: method, path, headers and body.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

struct Script {
    asked: Mutex<Vec<Asked>>,
    /// Answers in their order; the last is given for ever.
    answers: Mutex<Vec<(u16, Value)>>,
}

pub(crate) struct Web {
    pub(crate) url: String,
    script: Arc<Script>,
    server: tokio::task::JoinHandle<()>,
}

impl Web {
    pub(crate) async fn start(answers: &[(u16, Value)]) -> Self {
        let script = Arc::new(Script { asked: Mutex::default(), answers: Mutex::new(answers.to_vec()) });
        let router = Router::new().fallback(answer).with_state(script.clone());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { url, script, server }
    }

    pub(crate) fn json_of(asked: &Asked) -> Value {
        asked.json()
    }

    /// Every request so far that was asked of paths that begin so.
    pub(crate) fn asked(&self, prefix: &str) -> Vec<Asked> {
        let asked = self.script.asked.lock().expect("no test panics holding it");
        asked.iter().filter(|asked| asked.path.starts_with(prefix)).cloned().collect()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(script): State<Arc<Script>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let headers = request.headers().clone();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap_or_default();
    let asked = Asked { path: path.clone(), headers, body: String::from_utf8_lossy(&body).into_owned() };
    script.asked.lock().expect("no test panics holding it").push(asked);
    // The probe is none of the script's lines.
    if path == "/live" {
        return axum::Json(json!({"alive": true})).into_response();
    }
    let mut answers = script.answers.lock().expect("no test panics holding it");
    let (status, body) = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
    (StatusCode::from_u16(status).expect("a status"), axum::Json(body)).into_response()
}
