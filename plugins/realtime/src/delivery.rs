//! Sends events to rooms. The only place that knows how a room is called in the Socket.IO adapter.
//!
//! Every send is handed to the adapter of this process, which queues at once: order is kept, and
//! nobody waits for a slow reader. Only sockets of this instance are reached; the others are told by `cluster`.

use std::sync::Arc;

use futures_util::FutureExt;
use kit::Metrics;
use serde_json::Value;
use socketioxide::SocketIo;
use socketioxide::extract::SocketRef;
use socketioxide::socket::Sid;

use crate::hub::Room;

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
}

/// The adapter's name of a room.
fn room_name(room: &Room) -> String {
    format!("room:{room}")
}

/// The adapter's name of those who watch a user's presence; no client can name it.
fn watchers_name(user_id: &str) -> String {
    format!("watchers:{user_id}")
}

impl Delivery {
    pub(crate) fn new(io: SocketIo, metrics: Metrics) -> Self {
        Self { io, metrics }
    }

    pub(crate) fn join(socket: &SocketRef, room: &Room) {
        socket.join(room_name(room));
    }

    pub(crate) fn leave(socket: &SocketRef, room: &Room) {
        socket.leave(room_name(room));
    }

    /// Lets a socket hear of a user's presence.
    pub(crate) fn watch(socket: &SocketRef, user_id: &str) {
        socket.join(watchers_name(user_id));
    }

    pub(crate) fn unwatch(socket: &SocketRef, user_id: &str) {
        socket.leave(watchers_name(user_id));
    }

    /// Sends to everybody in at least one of the rooms, once each.
    pub(crate) fn to_rooms(&self, rooms: &[Room], except: Except<'_>, event: &str, payload: &Value) {
        self.send(rooms.iter().map(room_name).collect(), except, event, payload);
    }

    /// Sends to those who watch a user's presence and to everybody in the rooms, once each.
    pub(crate) fn to_watchers(&self, user_id: &Arc<str>, rooms: &[Room], event: &str, payload: &Value) {
        let mut names: Vec<String> = rooms.iter().map(room_name).collect();
        names.push(watchers_name(user_id));
        names.push(room_name(&Room::of_user(user_id)));
        self.send(names, Except::default(), event, payload);
    }

    /// Sends to one socket.
    pub(crate) fn to_socket(&self, socket: &SocketRef, event: &str, payload: &Value) {
        if let Err(error) = socket.emit(event, payload) {
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
            target = target.except(room_name(&Room::of_user(user_id)));
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
