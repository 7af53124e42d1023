//! Sends events to rooms. The only place that knows how a room is called in the Socket.IO adapter.
//!
//! Every send is handed to the adapter of this process, which queues at once: order is kept, and
//! nobody waits for a slow reader. Only sockets of this instance are reached; the others are told by `cluster`.

use std::sync::Arc;

use futures_util::FutureExt;
use kit::Metrics;
use serde_json::Value;
use socketioxide::SendError;
use socketioxide::SocketError;
use socketioxide::socket::Sid;
use tokio::sync::mpsc::UnboundedSender;

use crate::adapter::{SocketIo, SocketRef};
use crate::hub::Room;

/// Which events a socket hears: those of rooms (`message:new`, `user:joined`), those of channels (`message`,
/// `channel:joined`), or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vocabulary {
    Rooms,
    Channels,
    Both,
}

impl Vocabulary {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "rooms" => Some(Self::Rooms),
            "channels" => Some(Self::Channels),
            "both" => Some(Self::Both),
            _ => None,
        }
    }

    /// Whether it holds the words of the other.
    pub(crate) fn has(self, other: Self) -> bool {
        self == Self::Both || self == other
    }

    /// What the adapter's names of its rooms begin with.
    fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::Rooms => &["r:"],
            Self::Channels => &["c:"],
            Self::Both => &["r:", "c:"],
        }
    }
}

/// Who does not get an event.
#[derive(Clone, Copy, Default)]
pub(crate) struct Except<'a> {
    /// The socket that caused it.
    pub(crate) socket: Option<&'a SocketRef>,
    /// The user who caused it, with all sockets.
    pub(crate) user_id: Option<&'a str>,
}

impl<'a> Except<'a> {
    /// Everybody but the socket that caused it.
    pub(crate) fn socket(socket: &'a SocketRef) -> Self {
        Self { socket: Some(socket), user_id: None }
    }
}

/// The way out to all sockets.
pub(crate) struct Delivery {
    io: SocketIo,
    metrics: Metrics,
    slow: UnboundedSender<Sid>,
}

/// What the adapter's name of those who watch a user's presence goes on with; no room's name begins like that.
const WATCHERS: &str = "watchers:";

/// The adapter's names of a room for those who speak a vocabulary.
fn room_names(room: &Room, words: Vocabulary) -> impl Iterator<Item = String> {
    words.prefixes().iter().map(move |prefix| format!("{prefix}{room}"))
}

fn watchers_names(user_id: &str, words: Vocabulary) -> impl Iterator<Item = String> {
    words.prefixes().iter().map(move |prefix| format!("{prefix}{WATCHERS}{user_id}"))
}

impl Delivery {
    /// Reports sockets that read too slowly to `slow`, as the adapter does.
    pub(crate) fn new(io: SocketIo, metrics: Metrics, slow: UnboundedSender<Sid>) -> Self {
        Self { io, metrics, slow }
    }

    pub(crate) fn join(socket: &SocketRef, room: &Room, words: Vocabulary) {
        socket.join(room_names(room, words).collect::<Vec<_>>());
    }

    pub(crate) fn leave(socket: &SocketRef, room: &Room) {
        socket.leave(room_names(room, Vocabulary::Both).collect::<Vec<_>>());
    }

    /// Lets a socket hear of a user's presence.
    pub(crate) fn watch(socket: &SocketRef, user_id: &str, words: Vocabulary) {
        socket.join(watchers_names(user_id, words).collect::<Vec<_>>());
    }

    pub(crate) fn unwatch(socket: &SocketRef, user_id: &str) {
        socket.leave(watchers_names(user_id, Vocabulary::Both).collect::<Vec<_>>());
    }

    /// How many users a socket watches.
    pub(crate) fn watched(socket: &SocketRef, words: Vocabulary) -> usize {
        let rooms = socket.rooms();
        let watchers = rooms.iter().filter(|name| name.get(2..).is_some_and(|name| name.starts_with(WATCHERS)));
        watchers.count() / words.prefixes().len()
    }

    /// Lets a socket hear the words of another vocabulary in all its rooms.
    pub(crate) fn switch(socket: &SocketRef, words: Vocabulary) {
        let names = socket.rooms();
        let places = names.iter().filter_map(|name| name.get(2..));
        let joined: Vec<String> = places
            .flat_map(|place| words.prefixes().iter().map(move |prefix| format!("{prefix}{place}")))
            .filter(|name| !names.iter().any(|known| known == name))
            .collect();
        let is_spoken = |name: &str| words.prefixes().iter().any(|prefix| name.starts_with(prefix));
        let left: Vec<_> = names.iter().filter(|name| !is_spoken(name)).cloned().collect();
        socket.join(joined);
        socket.leave(left);
    }

    /// Sends to everybody in at least one of the rooms who speaks the vocabulary, once each.
    pub(crate) fn to_rooms(&self, rooms: &[Room], except: Except<'_>, words: Vocabulary, (event, payload): Event<'_>) {
        let names = rooms.iter().flat_map(|room| room_names(room, words)).collect();
        self.send(names, except, event, payload);
    }

    /// Sends to those who watch a user's presence and to everybody in the rooms, once each.
    pub(crate) fn to_watchers(
        &self,
        user_id: &Arc<str>,
        rooms: &[Room],
        words: Vocabulary,
        (event, payload): Event<'_>,
    ) {
        let mut names: Vec<String> = rooms.iter().flat_map(|room| room_names(room, words)).collect();
        names.extend(watchers_names(user_id, words));
        names.extend(room_names(&Room::of_user(user_id), words));
        self.send(names, Except::default(), event, payload);
    }

    /// Sends to one socket.
    pub(crate) fn to_socket(&self, socket: &SocketRef, event: &str, payload: &Value) {
        if let Err(error) = socket.emit(event, payload) {
            if matches!(error, SendError::Socket(SocketError::InternalChannelFull)) {
                // The receiver lives as long as the server.
                let _ = self.slow.send(socket.id);
            }
            self.note_loss(event, &error);
        }
    }

    /// The socket with this id, while it is there.
    pub(crate) fn socket(&self, id: Sid) -> Option<SocketRef> {
        self.io.get_socket(id)
    }

    /// Ends all connections; long polls are answered.
    pub(crate) async fn close(&self) {
        self.io.close().await;
    }

    fn send(&self, rooms: Vec<String>, except: Except<'_>, event: &str, payload: &Value) {
        let mut target = match except.socket {
            Some(socket) => socket.to(rooms),
            None => self.io.to(rooms),
        };
        if let Some(user_id) = except.user_id {
            target = target.except(room_names(&Room::of_user(user_id), Vocabulary::Both).collect::<Vec<_>>());
        }
        if let Some(Err(error)) = target.emit(event, payload).now_or_never() {
            self.note_loss(event, &error);
        }
    }

    /// A reader whose queue is full, or who has just gone, misses an event.
    fn note_loss(&self, event: &str, error: &dyn std::error::Error) {
        tracing::debug!(event, %error, "an event did not reach every socket");
        self.metrics.count_error();
    }
}

/// An event's name and payload.
pub(crate) type Event<'a> = (&'a str, &'a Value);
