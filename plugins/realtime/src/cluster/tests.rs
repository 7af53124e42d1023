//! With a real redis-server: what is written, what is refused, what comes back.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use kit::{Environment, Health, Plugin, Status, router};
use redis::aio::MultiplexedConnection;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::history::{Shared, make_space, prepare, read, write};
use super::replay;
use super::wire::Message;
use crate::hub::{InstanceId, MOST_BYTES, MOST_IN_ROOM, Room};
use crate::wiring;

/// Debian has the server under this name, in the package redis-tools.
const PROGRAM: &str = "/usr/bin/redis-check-rdb";
/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

const KEY: &str = "the key of the tests";

struct Redis {
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
}

impl Redis {
    fn stopped() -> Self {
        assert!(Path::new(PROGRAM).is_file(), "{PROGRAM} is missing: install Debian's package redis-tools");
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::os::unix::fs::symlink(PROGRAM, folder.path().join("redis-server")).expect("a link");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        Self { folder, port: listener.local_addr().expect("an address").port(), process: None }
    }

    fn start() -> Self {
        let mut redis = Self::stopped();
        redis.run();
        redis
    }

    fn run(&mut self) {
        let process = Command::new(self.folder.path().join("redis-server"))
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(self.folder.path())
            .stdout(Stdio::null())
            .spawn();
        self.process = Some(process.expect("redis-server starts"));
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(began.elapsed() < PATIENCE, "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    async fn connect(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url()).expect("a legal address");
        // The client itself waits half a second for an answer, which a busy machine may take for 40 MB.
        let patient = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        client.get_multiplexed_async_connection_with_config(&patient).await.expect("redis-server answers")
    }

    async fn command(&self, words: &[&str]) {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async::<()>(&mut self.connect().await).await.expect("redis-server obeys");
    }

    async fn plugin(&self) -> Plugin {
        let url = self.url();
        let settings =
            [("REALTIME_ALLOW_ANONYMOUS", "true"), ("REALTIME_REDIS_URL", url.as_str()), ("REALTIME_API_KEY", KEY)];
        let environment = Environment::from_pairs(settings);
        wiring::build(environment).await.expect("legal settings")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

async fn until(plugin: &Plugin, what: &str, fits: impl Fn(&Health) -> bool) {
    let began = Instant::now();
    loop {
        let health = (plugin.health)().await;
        if fits(&health) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{what} did not come: {health:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn redis_is(word: &'static str) -> impl Fn(&Health) -> bool {
    move |health| health.dependencies[0].status == word
}

async fn ask(plugin: &Plugin, request: Request<Body>) -> (StatusCode, Value) {
    ask_router(router(plugin), request).await
}

async fn ask_router(router: axum::Router, request: Request<Body>) -> (StatusCode, Value) {
    let answer = router.oneshot(request).await.expect("an answer");
    let status = answer.status();
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
    (status, serde_json::from_slice(&body).expect("JSON"))
}

async fn post_message(plugin: &Plugin, content: &str) -> StatusCode {
    let body = json!({"channelId": "general", "userId": "alice", "content": content}).to_string();
    let request = Request::post("/messages").header("content-type", "application/json").header("x-api-key", KEY);
    ask(plugin, request.body(Body::from(body)).expect("a legal request")).await.0
}

async fn poll(plugin: &Plugin) -> Vec<String> {
    let request = Request::get("/poll?channelId=general&since=0")
        .header("x-api-key", KEY)
        .body(Body::empty())
        .expect("a legal request");
    let (_, answer) = ask(plugin, request).await;
    let messages = answer["messages"].as_array().cloned().unwrap_or_default();
    messages.iter().filter_map(|message| message["content"].as_str().map(str::to_owned)).collect()
}

/// Waits until an instance that did not hear it has the message, from Redis alone.
async fn until_stored(redis: &Redis, content: &str) {
    let began = Instant::now();
    loop {
        let room = room("general");
        let stored = texts(read(&mut redis.connect().await, &room, None, 9).await);
        if stored.iter().any(|message| message.contains(content)) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{content} was not stored: {stored:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn room(name: &str) -> Room {
    Room::parse(name, None).expect("a legal name")
}

/// The texts of an answer.
fn texts(answer: redis::RedisResult<Shared>) -> Vec<String> {
    answer.expect("redis-server answers").entries.into_iter().map(|(_, text)| text).collect()
}

fn message(room: Room, at: u64, text: &str) -> Message {
    let text = RawValue::from_string(json!(text).to_string()).expect("JSON");
    Message { room, further: Vec::new(), at, text }
}

fn milliseconds_ago(milliseconds: u64) -> u64 {
    kit::clock::milliseconds(kit::clock::now()) - milliseconds
}

/// Stores messages one after another, making space as the link does.
async fn store(commands: &mut MultiplexedConnection, from: InstanceId, messages: &[(u64, Message)]) {
    for (number, message) in messages {
        let mut pipeline = redis::pipe();
        write(&mut pipeline, from, *number, message);
        let full: Vec<String> = pipeline.query_async(commands).await.expect("redis-server obeys");
        for room in full {
            make_space(commands, room).await.expect("redis-server obeys");
        }
    }
}

#[tokio::test]
async fn a_room_keeps_its_last_thousand_in_order_and_a_repetition_changes_nothing() {
    let redis = Redis::start();
    let mut commands = redis.connect().await;
    prepare(&mut commands).await.expect("the script is legal");
    let (from, at) = (InstanceId::new_v4(), milliseconds_ago(5_000));
    let most = MOST_IN_ROOM as u64;
    let mut messages: Vec<_> =
        (1..=most + 5).map(|number| (number, message(room("a"), at + number % 2, &number.to_string()))).collect();
    messages.push((most + 5, message(room("a"), at, &(most + 5).to_string())));
    store(&mut commands, from, &messages).await;
    let all = texts(read(&mut commands, &room("a"), Some(0), 2_000).await);
    let expected: Vec<_> = (6..=most + 5).map(|number| format!("\"{number}\"")).collect();
    assert_eq!(all, expected);
    assert_eq!(texts(read(&mut commands, &room("a"), None, 2).await), ["\"1004\"", "\"1005\""]);
    let mut cursor = 0;
    let mut paged = Vec::new();
    loop {
        let page = read(&mut commands, &room("a"), Some(cursor), 300).await.expect("messages");
        if page.entries.is_empty() {
            break;
        }
        cursor = page.cursor;
        paged.extend(page.entries.into_iter().map(|(_, text)| text));
    }
    assert_eq!(paged, expected, "page by page");
}

#[tokio::test]
async fn the_largest_room_pays_for_what_does_not_fit_and_a_day_ends_a_message() {
    let redis = Redis::start();
    let mut commands = redis.connect().await;
    prepare(&mut commands).await.expect("the script is legal");
    let from = InstanceId::new_v4();
    let small =
        (1..=20).map(|number| (number, message(room(&format!("room-{number}")), milliseconds_ago(50), "small")));
    store(&mut commands, from, &small.collect::<Vec<_>>()).await;
    let text = "x".repeat(1_000_000);
    let large = (21..=60).map(|number| (number, message(room("large"), milliseconds_ago(40), &text)));
    store(&mut commands, from, &large.collect::<Vec<_>>()).await;
    let bytes: usize = redis::cmd("GET").arg("{nself:realtime}:total").query_async(&mut commands).await.unwrap_or(0);
    assert!(bytes <= MOST_BYTES && bytes > MOST_BYTES - 1_100_000, "{bytes} bytes");
    for number in 1..=20 {
        let name = format!("room-{number}");
        assert_eq!(texts(read(&mut commands, &room(&name), None, 9).await).len(), 1, "{name}");
    }
    assert_eq!(texts(read(&mut commands, &room("large"), None, 99).await).len(), 33);
    // A room whose only message is a day old gives it up when the next message comes, of whatever room.
    let day_ago = milliseconds_ago(24 * 3600 * 1000 + 5_000);
    for (key, value) in [("messages:channel:old", "1:a \"old\""), ("used", "channel:old"), ("sizes", "channel:old")] {
        let at = if key == "sizes" { 9 } else { day_ago };
        redis.command(&["ZADD", &format!("{{nself:realtime}}:{key}"), &at.to_string(), value]).await;
    }
    redis.command(&["INCRBY", "{nself:realtime}:total", "9"]).await;
    redis.command(&["DEL", "{nself:realtime}:messages:channel:large"]).await;
    store(&mut commands, from, &[(61, message(room("room-1"), milliseconds_ago(0), "next"))]).await;
    store(&mut commands, from, &[(62, message(room("room-1"), milliseconds_ago(0), "next"))]).await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut commands).await.expect("keys");
    assert!(!keys.iter().any(|key| key.ends_with(":old")), "{keys:?}");
    // What remains for ever is one time.
    for key in keys.iter().filter(|key| !key.ends_with(":began")) {
        let lives: i64 = redis::cmd("PTTL").arg(key).query_async(&mut commands).await.unwrap_or(0);
        assert!(lives > 0, "{key} never ends");
    }
}

/// Asks again and again with the cursor of the last answer until every message has come, and returns them all.
async fn poll_all(router: axum::Router, expected: usize) -> Vec<String> {
    let mut cursor = 0;
    let mut all = Vec::new();
    let began = Instant::now();
    while all.len() < expected && began.elapsed() < PATIENCE {
        let path = format!("/poll?channelId=general&since={cursor}");
        let (_, answer) = ask_router(
            router.clone(),
            Request::get(path).header("x-api-key", KEY).body(Body::empty()).expect("a legal request"),
        )
        .await;
        cursor = answer["timestamp"].as_u64().expect("a cursor");
        let messages = answer["messages"].as_array().cloned().unwrap_or_default();
        all.extend(messages.iter().filter_map(|message| message["content"].as_str().map(str::to_owned)));
    }
    all
}

/// Lets four users send as fast as they can through the instances, while a tight poller follows on each; every poller
/// must get each message once.
async fn assert_that_pollers_miss_nothing(plugins: &[&Plugin]) {
    const MESSAGES: usize = 400;
    let routers: Vec<_> = plugins.iter().map(|plugin| router(plugin)).collect();
    let pollers: Vec<_> = routers.iter().map(|router| tokio::spawn(poll_all(router.clone(), MESSAGES))).collect();
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let router = routers[sender % routers.len()].clone();
            tokio::spawn(async move {
                for number in 0..MESSAGES / 4 {
                    let body = json!({"channelId": "general", "userId": format!("u{sender}"), "content": format!("{sender}-{number}")});
                    let request = Request::post("/messages").header("content-type", "application/json").header("x-api-key", KEY);
                    let request = request.body(Body::from(body.to_string())).expect("a legal request");
                    assert_eq!(ask_router(router.clone(), request).await.0, StatusCode::CREATED);
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.expect("every message is accepted");
    }
    for poller in pollers {
        let mut got = poller.await.expect("the poller ends");
        let count = got.len();
        got.sort();
        got.dedup();
        assert_eq!((count, got.len()), (MESSAGES, MESSAGES), "messages polled, and how many of them were different");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tight_poller_misses_nothing_of_one_instance() {
    let environment = Environment::from_pairs([("REALTIME_ALLOW_ANONYMOUS", "true"), ("REALTIME_API_KEY", KEY)]);
    let plugin = wiring::build(environment).await.expect("legal settings");
    assert_that_pollers_miss_nothing(&[&plugin]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tight_poller_misses_nothing_of_two_instances_over_redis() {
    let redis = Redis::start();
    let (one, two) = (redis.plugin().await, redis.plugin().await);
    for plugin in [&one, &two] {
        until(plugin, "the connection", redis_is("connected")).await;
    }
    assert_that_pollers_miss_nothing(&[&one, &two]).await;
}

#[tokio::test]
async fn who_was_away_reads_what_was_said_meanwhile_and_no_more_than_the_limit_is_kept() {
    let redis = Redis::start();
    let mut commands = redis.connect().await;
    replay::prepare(&mut commands).await.expect("the script is legal");
    let say = async |texts: &[String]| {
        let mut pipeline = redis::pipe();
        for text in texts {
            replay::append(&mut pipeline, text);
        }
        pipeline.query_async::<()>(&mut redis.connect().await).await.expect("redis-server obeys");
    };
    let mut early = replay::Mark::now();
    tokio::time::sleep(Duration::from_millis(20)).await;
    say(&["one".to_owned()]).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut late = replay::Mark::now();
    assert!(late.read(&mut commands).await.expect("an answer").is_empty(), "who has just come has missed nothing");
    say(&["two".to_owned(), "three".to_owned()]).await;
    assert_eq!(early.read(&mut commands).await.expect("an answer"), [&b"one"[..], b"two", b"three"]);
    assert_eq!(late.read(&mut commands).await.expect("an answer"), [&b"two"[..], b"three"]);
    assert!(late.read(&mut commands).await.expect("an answer").is_empty());
    say(&(0..20).map(|number| format!("{number:07}").repeat(143_000)).collect::<Vec<_>>()).await;
    let kept = early.read(&mut commands).await.expect("an answer");
    assert_eq!((kept.len(), &kept[15][..7]), (16, &b"0000019"[..]), "the last 16 MB");
    for key in ["{nself:realtime}:replay", "{nself:realtime}:replay-bytes"] {
        let lives: i64 = redis::cmd("PTTL").arg(key).query_async(&mut commands).await.unwrap_or(0);
        assert!(lives > 0, "{key} never ends");
    }
}

#[tokio::test]
async fn without_redis_the_server_is_degraded_and_what_it_accepts_comes_to_redis_later() {
    let mut redis = Redis::stopped();
    let plugin = redis.plugin().await;
    let health = (plugin.health)().await;
    assert_eq!((health.status, health.dependencies[0].status), (Status::Degraded, "disconnected"));
    assert!(health.error.is_some_and(|error| error.contains(&redis.port.to_string())));
    assert_eq!(post_message(&plugin, "kept").await, StatusCode::CREATED);
    assert_eq!(poll(&plugin).await, ["kept"]);
    redis.run();
    until(&plugin, "the connection", redis_is("connected")).await;
    until_stored(&redis, "kept").await;
    assert_eq!(poll(&plugin).await, ["kept"]);
    let other = redis.plugin().await;
    until(&other, "the connection", redis_is("connected")).await;
    assert_eq!(poll(&other).await, ["kept"]);
}

#[tokio::test]
async fn a_full_redis_is_told_and_a_forgotten_script_is_mended() {
    let redis = Redis::start();
    let plugin = redis.plugin().await;
    until(&plugin, "the connection", redis_is("connected")).await;
    redis.command(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(post_message(&plugin, "after the flush").await, StatusCode::CREATED);
    until_stored(&redis, "after the flush").await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert_eq!(post_message(&plugin, "too much").await, StatusCode::CREATED);
    until(&plugin, "the refusal", redis_is("refusing")).await;
    assert_eq!((plugin.health)().await.status, Status::Degraded);
    assert_eq!(poll(&plugin).await, ["after the flush", "too much"]);
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(post_message(&plugin, "again").await, StatusCode::CREATED);
    until(&plugin, "the recovery", redis_is("connected")).await;
    until_stored(&redis, "again").await;
}
