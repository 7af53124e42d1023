//! A Redis of the test's own, the plugin in this process, and servers that answer as a test wants.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use kit::{Environment, Plugin, router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::app;

/// Debian has the server under this name, in the package redis-tools.
const PROGRAM: &str = "/usr/bin/redis-check-rdb";
/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The API key of the plugin under test.
const KEY: &str = "the key of the tests";

pub(super) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// A redis-server that keeps what it acknowledged.
pub(super) struct Redis {
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
}

impl Redis {
    /// One that runs.
    pub(super) fn start() -> Self {
        let mut redis = Self::stopped();
        redis.run();
        redis
    }

    /// One that does not run yet.
    pub(super) fn stopped() -> Self {
        assert!(Path::new(PROGRAM).is_file(), "{PROGRAM} is missing: install Debian's package redis-tools");
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::os::unix::fs::symlink(PROGRAM, folder.path().join("redis-server")).expect("a link");
        Self { folder, port: free_port(), process: None }
    }

    pub(super) fn run(&mut self) {
        let process = Command::new(self.folder.path().join("redis-server"))
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
            .arg(self.folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        self.process = Some(process);
        let began = Instant::now();
        while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(began.elapsed() < PATIENCE, "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it without a warning.
    pub(super) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("redis-server is ours");
            process.wait().expect("redis-server ends");
        }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Carries out a command.
    pub(super) async fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let client = redis::Client::open(self.url()).expect("a legal address");
        // The client itself waits half a second for an answer, which may be too short on a busy machine.
        let patient = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let mut connection =
            client.get_multiplexed_async_connection_with_config(&patient).await.expect("Redis answers");
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut connection).await.expect("a legal command")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The plugin, without its main port.
pub(super) struct Server {
    router: Router,
    on_stop: Option<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>,
    pub(super) dashboard: String,
}

impl Server {
    /// Starts it on this Redis with further settings, and waits until it is healthy.
    pub(super) async fn start(redis: &Redis, settings: &[(&str, &str)]) -> Self {
        let server = Self::launch(redis, settings).await;
        server.until("it is healthy", "/health", |_, health| health["status"] == "healthy").await;
        server
    }

    /// Starts it without waiting for anything.
    pub(super) async fn launch(redis: &Redis, settings: &[(&str, &str)]) -> Self {
        let port = free_port();
        let mut all = vec![
            ("JOBS_REDIS_URL".to_owned(), redis.url()),
            ("JOBS_DASHBOARD_PORT".to_owned(), port.to_string()),
            ("JOBS_BACKOFF_DELAY".to_owned(), "20".to_owned()),
            ("JOBS_ALLOWED_HOSTS".to_owned(), "127.0.0.1".to_owned()),
            ("JOBS_API_KEY".to_owned(), KEY.to_owned()),
        ];
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let plugin: Plugin = app::build(Environment::from_pairs(all)).await.expect("legal settings");
        let router = router(&plugin);
        Self { router, on_stop: Some(plugin.on_stop), dashboard: format!("http://127.0.0.1:{port}") }
    }

    /// Does what a signal makes it do.
    pub(super) async fn stop(mut self) {
        if let Some(on_stop) = self.on_stop.take() {
            on_stop.await;
        }
    }

    pub(super) async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let (status, text) = self.ask_text(method, path, body).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub(super) async fn ask_text(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, String) {
        let mut request = Request::builder().method(method).uri(path).header("x-api-key", KEY);
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = request.body(body).expect("a legal request");
        let response = self.router.clone().oneshot(request).await.expect("routers do not fail");
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a whole body");
        (status, String::from_utf8(bytes.to_vec()).expect("text"))
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, None).await;
        assert_eq!(status, 200, "GET {path} answered {body}");
        body
    }

    /// Sends a body and expects success.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask("POST", path, Some(body)).await;
        assert!(status < 300, "POST {path} {body} answered {status} {answer}");
        answer
    }

    /// Adds a job and gives its id.
    pub(super) async fn add(&self, body: &Value) -> String {
        let answer = self.post("/jobs", body).await;
        answer["jobId"].as_str().expect("an id").to_owned()
    }

    /// Asks again and again until the answer is as wanted.
    pub(super) async fn until(&self, what: &str, path: &str, is_so: impl Fn(u16, &Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let (status, body) = self.ask("GET", path, None).await;
            if is_so(status, &body) {
                return body;
            }
            assert!(began.elapsed() < PATIENCE, "{what}: not so after {PATIENCE:?}: {status} {body}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a job is in a state.
    pub(super) async fn until_state(&self, id: &str, state: &str) -> Value {
        let path = format!("/jobs/{id}");
        self.until(&format!("job {id} is {state}"), &path, |_, job| job["state"] == state).await
    }
}

/// A request that a test's server got.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
    pub(super) text: String,
}

type Script = Arc<dyn Fn(usize, &Seen) -> (u16, Value) + Send + Sync>;

/// A server that answers as it is told and remembers what it was asked.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Script,
}

impl Peer {
    /// The function gets the number of requests before this one, and the request.
    pub(super) async fn start(script: impl Fn(usize, &Seen) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let peer = Self { address, seen: Arc::default(), script: Arc::new(script) };
        let router = Router::new().fallback(answer).with_state(peer.clone());
        tokio::spawn(kit::serve_beside(listener, router, std::future::pending()));
        peer
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test panicked").clone()
    }
}

async fn answer(State(peer): State<Peer>, request: Request<Body>) -> (StatusCode, axum::Json<Value>) {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a whole body");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    let seen = Seen { path: parts.uri.path().to_owned(), headers: parts.headers, body, text };
    let before = {
        let mut all = peer.seen.lock().expect("no test panicked");
        all.push(seen.clone());
        all.len() - 1
    };
    let (status, body) = (peer.script)(before, &seen);
    (StatusCode::from_u16(status).expect("a status"), axum::Json(body))
}

/// A job that takes so long.
pub(super) fn slow(milliseconds: u64) -> Value {
    json!({"type": "noop", "payload": {"durationMs": milliseconds}})
}
