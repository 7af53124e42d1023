//! The connection to Redis: whether it is there, and commands that never wait for longer than a caller would.
//!
//! Reconnecting is the connection's own affair; this module watches it, tells its state, and refuses work at once while
//! it is away. It must not know what the commands mean.

use std::future::Future;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use bullmq::options::RedisConnectionOptions;
use bullmq::redis_connection::{AnyConnection, RedisConnection};
use kit::{Failure, RedisAddress};
use tokio::sync::watch;

/// How long a command may take before its caller hears that Redis does not answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How long a sign of life may take.
const PING_WITHIN: Duration = Duration::from_secs(2);
/// How long one attempt to connect may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Between two signs of life.
const PING_EVERY: Duration = Duration::from_secs(1);
/// Between two of them while there is none.
const RETRY_EVERY: Duration = Duration::from_millis(250);

/// After so many added bytes, and so much time, Redis's memory is looked at.
const LOOK_AFTER_BYTES: u64 = 4 << 20;
const LOOK_AFTER: Duration = Duration::from_secs(5);
/// How much of its memory Redis may use before no further job is taken.
const MOST_USED_PERCENT: u64 = 85;

/// Whether Redis answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum State {
    /// It does; the time of its last sign of life.
    Connected(Duration),
    /// It does not, and why.
    Away(String),
}

/// Why a command was not carried out.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Redis is away or too slow.
    Away(String),
    /// Redis answered with an error.
    Refused(bullmq::Error),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Away(why) => formatter.write_str(why),
            Self::Refused(error) => error.fmt(formatter),
        }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Away(why) => Self::new(StatusCode::SERVICE_UNAVAILABLE, why),
            Trouble::Refused(error) => {
                tracing::error!(%error, "Redis refused a command");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, format!("Redis refused a command: {error}"))
            }
        }
    }
}

/// The connection that all requests share.
pub(crate) struct Broker {
    address: RedisAddress,
    connection: OnceLock<RedisConnection>,
    state: watch::Sender<State>,
    memory: Mutex<MemoryLook>,
}

/// What was last seen of Redis's memory.
#[derive(Default)]
struct MemoryLook {
    /// Bytes that were added since.
    added: u64,
    at: Option<Instant>,
    is_full: bool,
}

impl Broker {
    pub(crate) fn new(address: RedisAddress) -> Self {
        let state = State::Away(format!("Redis at {} was not reached yet", address.shown));
        Self { address, connection: OnceLock::new(), state: watch::Sender::new(state), memory: Mutex::default() }
    }

    /// How others connect to the same place.
    pub(crate) fn options(&self) -> RedisConnectionOptions {
        RedisConnectionOptions::new().url(self.address.url.clone())
    }

    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits until Redis answers.
    pub(crate) async fn connected(&self) {
        let mut state = self.state.subscribe();
        // The sender lives as long as `self`.
        let _ = state.wait_for(|state| matches!(state, State::Connected(_))).await;
    }

    /// A handle for commands.
    pub(crate) fn commands(&self) -> Result<AnyConnection, Trouble> {
        Ok(self.connection()?.connection())
    }

    /// The connection, which queues are opened on.
    pub(crate) fn connection(&self) -> Result<&RedisConnection, Trouble> {
        if let State::Away(why) = &*self.state.borrow() {
            return Err(Trouble::Away(why.clone()));
        }
        self.connection.get().ok_or_else(|| Trouble::Away(self.not_answering("it was never reached")))
    }

    /// Carries out commands, with an end to the waiting.
    pub(crate) async fn ask<T>(&self, commands: impl Future<Output = bullmq::Result<T>>) -> Result<T, Trouble> {
        if let State::Away(why) = self.state() {
            return Err(Trouble::Away(why));
        }
        match tokio::time::timeout(ANSWER_WITHIN, commands).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if is_away(&error) => Err(Trouble::Away(self.not_answering(&error.to_string()))),
            Ok(Err(error)) => Err(Trouble::Refused(error)),
            Err(_) => Err(Trouble::Away(self.not_answering("it took too long"))),
        }
    }

    fn not_answering(&self, why: &str) -> String {
        format!("Redis at {} does not answer: {why}; it is tried again all the time", self.address.shown)
    }

    /// Redis's rule for full memory, where it drops keys by it.
    pub(crate) async fn evicting_policy(&self) -> Result<Option<String>, Trouble> {
        let mut commands = self.commands()?;
        let mut command = redis::cmd("INFO");
        command.arg("memory");
        let text: String = self.ask(async { Ok(command.query_async(&mut commands).await?) }).await?;
        let field =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
        let has_limit = field("maxmemory:").is_some_and(|bytes| bytes != "0");
        Ok(field("maxmemory_policy:").filter(|policy| has_limit && policy != "noeviction"))
    }

    /// Whether Redis has memory for so many further bytes. Jobs are refused before its limit is reached, since what runs
    /// must still be able to end.
    pub(crate) async fn has_memory(&self, bytes: u64) -> Result<bool, Trouble> {
        let is_due = {
            let mut look = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            look.added = look.added.saturating_add(bytes);
            let is_due = look.added > LOOK_AFTER_BYTES || look.at.is_none_or(|at| at.elapsed() > LOOK_AFTER);
            if is_due {
                *look = MemoryLook { added: 0, at: Some(Instant::now()), is_full: look.is_full };
            }
            is_due
        };
        if is_due {
            let mut commands = self.commands()?;
            let mut command = redis::cmd("INFO");
            command.arg("memory");
            let text: String = self.ask(async { Ok(command.query_async(&mut commands).await?) }).await?;
            let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
            let (used, most) = (field("used_memory:").unwrap_or(0), field("maxmemory:").unwrap_or(0));
            let is_full = most > 0 && used.saturating_add(LOOK_AFTER_BYTES) > most / 100 * MOST_USED_PERCENT;
            self.memory.lock().unwrap_or_else(PoisonError::into_inner).is_full = is_full;
        }
        Ok(!self.memory.lock().unwrap_or_else(PoisonError::into_inner).is_full)
    }

    /// Connects, and then looks after the connection for ever.
    pub(crate) async fn watch(&self) {
        loop {
            let began = Instant::now();
            let state = match self.sign_of_life().await {
                Ok(()) => State::Connected(began.elapsed()),
                Err(why) => State::Away(self.not_answering(&why)),
            };
            let is_connected = matches!(state, State::Connected(_));
            self.enter(state);
            tokio::time::sleep(if is_connected { PING_EVERY } else { RETRY_EVERY }).await;
        }
    }

    async fn sign_of_life(&self) -> Result<(), String> {
        let Some(connection) = self.connection.get() else {
            let options = self.options();
            let connecting = RedisConnection::new_managed_only(&options);
            let connection = tokio::time::timeout(CONNECT_WITHIN, connecting).await;
            let connection = connection.map_err(|_| "connecting took too long".to_owned())?;
            let connection = connection.map_err(|error| error.to_string())?;
            // Nobody else sets it.
            let _ = self.connection.set(connection);
            return Ok(());
        };
        match tokio::time::timeout(PING_WITHIN, connection.ping()).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err("it took too long".to_owned()),
        }
    }

    fn enter(&self, next: State) {
        let before = self.state.send_replace(next.clone());
        match (before, next) {
            (State::Away(_), State::Connected(_)) => tracing::info!(redis = self.address.shown, "Redis is connected"),
            (State::Connected(_), State::Away(why)) => tracing::error!("{why}"),
            (State::Away(before), State::Away(why)) if before != why => tracing::warn!("{why}"),
            _ => {}
        }
    }
}

/// Whether an error means that Redis cannot be reached, rather than that it refuses.
pub(crate) fn is_away(error: &bullmq::Error) -> bool {
    match error {
        bullmq::Error::Redis(error) => {
            error.is_io_error()
                || error.is_connection_dropped()
                || error.is_connection_refusal()
                || error.is_timeout()
                || error.kind() == redis::ErrorKind::Server(redis::ServerErrorKind::BusyLoading)
        }
        bullmq::Error::ConnectionClosed => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_refused_at_once_while_redis_is_away() {
        let address =
            RedisAddress { url: "redis://127.0.0.1:1".to_owned(), database: 0, shown: "127.0.0.1:1".to_owned() };
        let broker = Broker::new(address);
        let asked = broker.ask(std::future::pending::<bullmq::Result<()>>()).await;
        assert!(matches!(asked, Err(Trouble::Away(why)) if why.contains("127.0.0.1:1")));
        assert!(broker.commands().is_err());
    }
}
