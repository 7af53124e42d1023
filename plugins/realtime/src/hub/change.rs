//! What an instance tells the others of its own part of the state.

use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::members::Face;
use super::presence::SetStatus;
use super::room::Room;
use super::typing::{Place, Spelling};

/// One of several servers that share a Redis; each start is a new one.
pub(crate) type InstanceId = uuid::Uuid;

/// One change of what an instance owns: its sockets, and what their users do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Change {
    /// A user has a first socket there.
    Connected { face: Arc<Face> },
    /// A socket has closed: its user is in these rooms with no other one there, and with `is_gone` has no other one there.
    Disconnected { user_id: Arc<str>, left: Vec<Room>, is_gone: bool },
    /// A user is in a room with a first socket there, which calls the room by this name.
    Joined { face: Arc<Face>, room: Room, name: Arc<str>, at: SystemTime },
    /// A user is in a room with no socket there any more.
    Left { user_id: Arc<str>, room: Room },
    /// A user has set a status, perhaps to be seen in one room.
    Presence { user_id: Arc<str>, set: SetStatus, room: Option<Room> },
    /// Somebody types, or stopped.
    Typing { place: Place, face: Arc<Face>, spelling: Spelling, is_typing: bool },
}

/// All that an instance tells of one user to those who do not know it yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct UserState {
    pub(crate) face: Arc<Face>,
    /// The status, where the face stands for a user and not for an unnamed socket.
    pub(crate) set: Option<SetStatus>,
    /// The rooms, by what name and since when.
    pub(crate) rooms: Vec<(Room, Arc<str>, SystemTime)>,
}

/// Where an instance's changes go.
pub(crate) trait Publisher: Send + Sync {
    /// Whether anybody is told.
    fn is_open(&self) -> bool;
    /// Tells it; never waits.
    fn publish(&self, change: Change);
}
