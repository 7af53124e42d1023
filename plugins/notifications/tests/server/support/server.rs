//! The real program as a process of its own, with its settings and its data.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{Postgres, SOON, free_port, until};

/// Which kind of database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    Sqlite,
    Postgres,
}

/// What the server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.body);
        self.body
    }

    /// The body of a refusal, which must name what is wrong.
    #[track_caller]
    pub(crate) fn refused(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        assert!(self.body["error"].as_str().is_some_and(|error| !error.is_empty()), "no `error` in {}", self.body);
        self.body
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// The API key of the server under test.
const KEY: &str = "the key of the tests";

/// The server, and what it is started with.
pub(crate) struct Server {
    pub(crate) port: u16,
    folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
    process: Option<Child>,
    client: reqwest::Client,
}

impl Server {
    /// A server on a database of its own, not started.
    pub(crate) async fn new(storage: Storage) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let server = Self { port, environment: BTreeMap::new(), process: None, client: client(), folder };
        let data = server.folder.path().join("data").display().to_string();
        let mut server = server
            .with("NOTIFICATIONS_PORT", port.to_string())
            .with("NOTIFICATIONS_HOST", "127.0.0.1")
            .with("NOTIFICATIONS_API_KEY", KEY)
            .with("NOTIFICATIONS_DATA_DIR", data)
            .with("REALTIME_URL", "off")
            .with("NOTIFICATIONS_WORKER_POLL_INTERVAL", "100ms")
            .with("NOTIFICATIONS_RETRY_DELAY", "100ms");
        if storage == Storage::Postgres {
            server = server.with("DATABASE_URL", Postgres::shared().await.database().await);
        }
        server
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Sends e-mail to a sink on this port.
    pub(crate) fn with_sink(self, port: u16) -> Self {
        self.with("NOTIFICATIONS_SMTP_HOST", "127.0.0.1").with("NOTIFICATIONS_SMTP_PORT", port.to_string())
    }

    /// Starts it and waits until it answers.
    pub(crate) async fn started(mut self) -> Self {
        self.start().await;
        self
    }

    pub(crate) async fn start(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_path()).expect("a log");
        let process = Command::new(env!("CARGO_BIN_EXE_notifications"))
            .env_clear()
            .envs(&self.environment)
            .envs(allocator())
            .stdout(log)
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the program starts");
        let process = self.process.insert(process);
        let url = format!("http://127.0.0.1:{}/live", self.port);
        let client = &self.client;
        until("the server answers", SOON, async || {
            assert!(process.try_wait().expect("it is our child").is_none(), "the server has ended");
            client.get(&url).send().await.ok()
        })
        .await;
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The SQLite file.
    pub(crate) fn database_file(&self) -> PathBuf {
        self.folder.path().join("data/notifications.db")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Gives it another port, as another container has another name.
    pub(crate) fn move_to_another_port(&mut self) {
        self.port = free_port();
        self.environment.insert("NOTIFICATIONS_PORT".to_owned(), self.port.to_string());
    }

    /// Ends it without a word, as kill -9 does.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("it can be killed");
        process.wait().expect("it ends");
    }

    /// Asks it to stop, and gives its exit code.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        let mut process = self.process.take().expect("it runs");
        let asked = Command::new("kill").arg(process.id().to_string()).status().expect("kill is there");
        assert!(asked.success());
        until("the server stops", std::time::Duration::from_secs(10), async || {
            process.try_wait().expect("it is our child")
        })
        .await
        .code()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(self.client.get(self.url(path))).await
    }

    pub(crate) async fn get_with(&self, path: &str, (name, value): (&str, &str)) -> Answer {
        self.ask(self.client.get(self.url(path)).header(name, value)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(self.client.post(self.url(path)).json(body)).await
    }

    /// The answer to a request that only announces its body, as its text.
    pub(crate) fn post_announced(&self, path: &str, bytes: usize) -> String {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {bytes}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("a whole answer");
        answer
    }

    /// The status of an answer that may be given before all was sent; `None` where the connection was closed.
    pub(crate) async fn post_large(&self, path: &str, body: &Value) -> Option<u16> {
        let request = self.client.post(self.url(path)).timeout(SOON * 3).json(body);
        request.send().await.ok().map(|response| response.status().as_u16())
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.ask(self.client.put(self.url(path)).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str, body: Option<&Value>) -> Answer {
        let request = self.client.delete(self.url(path));
        self.ask(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    pub(crate) async fn post_with(&self, path: &str, (name, value): (&str, &str), body: &Value) -> Answer {
        self.ask(self.client.post(self.url(path)).header(name, value).json(body)).await
    }

    pub(crate) async fn post_text(&self, path: &str, kind: &str, body: Vec<u8>) -> Answer {
        self.ask(self.client.post(self.url(path)).header("content-type", kind).body(body)).await
    }

    /// Asks with these headers alone, without the server's key; no body where it is null.
    pub(crate) async fn ask_as(
        &self,
        headers: &[(&str, &str)],
        method: reqwest::Method,
        path: &str,
        body: &Value,
    ) -> Answer {
        let client = reqwest::Client::builder().no_proxy().timeout(SOON).build().expect("a client");
        let mut request = client.request(method, self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.ask(if body.is_null() { request } else { request.json(body) }).await
    }

    /// Changes the database of a server that does not run.
    pub(crate) async fn execute(&self, sql: &str) {
        let changed = if let Some(address) = self.environment.get("DATABASE_URL") {
            let connected = tokio_postgres::connect(address, tokio_postgres::NoTls).await;
            let (client, connection) = connected.expect("it is there");
            tokio::spawn(connection);
            client.execute(sql, &[]).await.expect("executed")
        } else {
            let database = rusqlite::Connection::open(self.database_file()).expect("the file");
            database.execute(sql, []).expect("executed") as u64
        };
        assert!(changed > 0, "nothing changed: {sql}");
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap_or_else(|error| panic!("no answer: {error}\n{}", self.log()));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a text");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status, headers, body }
    }

    /// Sends a message by `/send` and gives its id.
    pub(crate) async fn send(&self, body: &Value) -> String {
        let body = self.post("/send", body).await.ok();
        body["notificationId"].as_str().unwrap_or_else(|| panic!("no id in {body}")).to_owned()
    }

    /// The state of a message.
    pub(crate) async fn status(&self, id: &str) -> String {
        let body = self.get(&format!("/notifications/{id}")).await.ok();
        body["status"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) async fn until_status(&self, id: &str, wanted: &str) {
        let what = format!("{id} is {wanted}");
        until(&what, SOON, async || (self.status(id).await == wanted).then_some(())).await;
    }

    /// The memory that the process occupies, in bytes.
    pub(crate) async fn resident_bytes(&self) -> u64 {
        self.get("/live").await.ok()["memory"]["rss"].as_u64().expect("a number")
    }
}

/// A client that sends the server's key, unless a request carries another.
fn client() -> reqwest::Client {
    let headers = [("x-api-key".parse().expect("a name"), KEY.parse().expect("a value"))];
    let client = reqwest::Client::builder().no_proxy().timeout(SOON).default_headers(headers.into_iter().collect());
    client.build().expect("a client")
}

/// The allocator's settings of the image.
fn allocator() -> Vec<(String, String)> {
    let recipe = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Dockerfile")).expect("the recipe");
    let settings = recipe.lines().filter_map(|line| line.strip_prefix("ENV ")?.split_once('='));
    settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the server's log\n{}", self.log());
        }
    }
}
