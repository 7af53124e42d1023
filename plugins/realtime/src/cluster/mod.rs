//! Several instances over one Redis: each tells the others what changes with its own sockets, on one channel.
//!
//! Nobody waits for Redis: what is told goes through a bounded [`Outbox`] into one task. While Redis is away, every
//! instance goes on with what it knows; when it is back, instances tell each other their whole state, and messages and
//! events that waited; who comes back later reads them in [`replay`]. It must not know what sockets hear: that is the
//! [`Receiver`]'s.

mod history;
mod link;
mod listener;
mod outbox;
mod replay;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kit::{Metrics, RedisAddress, clock};
use redis::aio::MultiplexedConnection;
use tokio::sync::mpsc;

use crate::hub::{Heard, Hub, InstanceId, Moment, Room};

pub(crate) use history::Shared;
pub(crate) use link::run;
pub(crate) use outbox::Outbox;
pub(crate) use wire::{Event, Message, Saying};

/// How long somebody who asks for old messages waits for Redis.
const HISTORY_WITHIN: Duration = Duration::from_secs(2);
/// How long a reader waits for what was accepted before.
const STORED_WITHIN: Duration = Duration::from_millis(250);
/// How long the last words of a server that stops may take.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(3);
const LAST_WORDS_CHECKED: Duration = Duration::from_millis(10);

/// What this instance does with what the others say.
pub(crate) trait Receiver: Send + Sync + 'static {
    fn hub(&self) -> &Hub;
    fn metrics(&self) -> &Metrics;
    /// Tells this instance's sockets what has changed.
    fn changed(&self, heard: &Heard, now: Moment);
    fn message(&self, message: &Message);
    fn event(&self, event: &Event);
}

/// Whether Redis answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum State {
    /// It does; how long a word to oneself last took.
    Connected(Duration),
    /// It does, but refuses some commands.
    Refusing(String),
    /// It does not, and why.
    Away(String),
}

/// This instance among the others.
pub(crate) struct Cluster {
    id: InstanceId,
    address: RedisAddress,
    /// After how long a silence another instance counts as gone.
    timeout: Duration,
    outbox: Outbox,
    /// Taken once, by the task that empties it.
    queue: Mutex<Option<mpsc::Receiver<Saying>>>,
    state: Mutex<State>,
    interrupted_at: Mutex<Option<u64>>,
    commands: Mutex<Option<MultiplexedConnection>>,
    is_leaving: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Only whole values are put in.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    pub(crate) fn new(address: RedisAddress, timeout: Duration, metrics: Metrics) -> Self {
        let (outbox, queue) = Outbox::open(metrics);
        let state = State::Away(format!("Redis at {} was not reached yet", address.shown));
        Self {
            id: InstanceId::new_v4(),
            address,
            timeout,
            outbox,
            queue: Mutex::new(Some(queue)),
            state: Mutex::new(state),
            interrupted_at: Mutex::new(None),
            commands: Mutex::new(None),
            is_leaving: AtomicBool::new(false),
        }
    }

    pub(crate) fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }

    pub(crate) fn state(&self) -> State {
        lock(&self.state).clone()
    }

    /// Whether Redis answers and takes what it is told.
    pub(crate) fn is_connected(&self) -> bool {
        matches!(self.state(), State::Connected(_))
    }

    /// When Redis last ceased to answer or to store, in milliseconds since 1970.
    pub(crate) fn interrupted_at(&self) -> Option<u64> {
        *lock(&self.interrupted_at)
    }

    /// What Redis knows of a room's messages; `None` where it cannot be asked. What this instance has accepted by now
    /// is among them, unless it takes long to get there.
    pub(crate) async fn messages(&self, room: &Room, after: Option<u64>, most: usize) -> Option<Shared> {
        let mut commands = lock(&self.commands).clone()?;
        if self.is_connected() {
            // Too late is no loss: those messages come with the next answer.
            let _ = tokio::time::timeout(STORED_WITHIN, self.outbox.settled()).await;
        }
        let reading = history::read(&mut commands, room, after, most);
        match tokio::time::timeout(HISTORY_WITHIN, reading).await {
            Ok(Ok(messages)) => Some(messages),
            Ok(Err(error)) => {
                tracing::warn!(%error, "Redis did not give the messages of a room");
                None
            }
            Err(_) => None,
        }
    }

    /// Says what is still to be said, and good-bye.
    pub(crate) async fn leave(&self) {
        self.is_leaving.store(true, Ordering::Release);
        if matches!(self.state(), State::Away(_)) {
            return;
        }
        self.outbox.put(Saying::Bye);
        let said = async {
            while !self.outbox.is_empty() {
                tokio::time::sleep(LAST_WORDS_CHECKED).await;
            }
        };
        if tokio::time::timeout(LAST_WORDS_WITHIN, said).await.is_err() {
            tracing::warn!("stopped before everything was told to the other instances");
        }
    }

    fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Acquire)
    }

    fn enter(&self, next: State) {
        let before = std::mem::replace(&mut *lock(&self.state), next.clone());
        if matches!(before, State::Connected(_)) && !matches!(next, State::Connected(_)) {
            *lock(&self.interrupted_at) = Some(clock::milliseconds(clock::now()));
        }
        let redis = &self.address.shown;
        match (before, next) {
            (State::Away(_), State::Connected(_)) => tracing::info!(redis, "Redis is connected"),
            (State::Connected(_) | State::Refusing(_), State::Away(why)) => tracing::error!("{why}"),
            (before, State::Refusing(why)) if before != State::Refusing(why.clone()) => tracing::error!("{why}"),
            (State::Away(before), State::Away(why)) if before != why => tracing::warn!("{why}"),
            _ => {}
        }
    }
}
