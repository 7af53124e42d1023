//! Who is in which room: users with their sockets.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use kit::clock;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use socketioxide::socket::Sid;

use super::room::Room;

/// How a user is shown to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Face {
    pub(crate) user_id: Arc<str>,
    pub(crate) name: Option<String>,
    pub(crate) avatar: Option<String>,
}

impl Face {
    /// `userId` and, where known, `userName` and `userAvatar`.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("userId".to_owned(), json!(&*self.user_id));
        if let Some(name) = &self.name {
            fields.insert("userName".to_owned(), json!(name));
        }
        if let Some(avatar) = &self.avatar {
            fields.insert("userAvatar".to_owned(), json!(avatar));
        }
        fields
    }

    /// The same with the time since when the user is in a room.
    pub(crate) fn as_member(&self, joined_at: SystemTime) -> Value {
        let mut fields = self.fields();
        fields.insert("joinedAt".to_owned(), json!(clock::iso(joined_at)));
        Value::Object(fields)
    }
}

struct Member {
    face: Arc<Face>,
    joined_at: SystemTime,
    sockets: Vec<Sid>,
}

/// All rooms with somebody in them; empty rooms do not exist.
#[derive(Default)]
pub(crate) struct Members {
    rooms: HashMap<Room, HashMap<Arc<str>, Member>>,
}

impl Members {
    /// Adds a socket; `true` where it is the user's first in the room.
    pub(crate) fn join(&mut self, room: &Room, face: &Arc<Face>, socket: Sid, at: SystemTime) -> bool {
        let members = self.rooms.entry(room.clone()).or_default();
        let member = members.entry(face.user_id.clone()).or_insert_with(|| Member {
            face: face.clone(),
            joined_at: at,
            sockets: Vec::with_capacity(1),
        });
        if !member.sockets.contains(&socket) {
            member.sockets.push(socket);
        }
        member.sockets.len() == 1
    }

    /// Takes a socket out; `true` where the user has none left in the room.
    pub(crate) fn leave(&mut self, room: &Room, user_id: &str, socket: Sid) -> bool {
        let Some(members) = self.rooms.get_mut(room) else {
            return false;
        };
        let Some(member) = members.get_mut(user_id) else {
            return false;
        };
        member.sockets.retain(|other| *other != socket);
        let gone = member.sockets.is_empty();
        if gone {
            members.remove(user_id);
        }
        if members.is_empty() {
            self.rooms.remove(room);
        }
        gone
    }

    /// Whether a user is in a room with any socket.
    pub(crate) fn has(&self, room: &Room, user_id: &str) -> bool {
        self.rooms.get(room).is_some_and(|members| members.contains_key(user_id))
    }

    /// When a user joined a room.
    pub(crate) fn joined_at(&self, room: &Room, user_id: &str) -> Option<SystemTime> {
        Some(self.rooms.get(room)?.get(user_id)?.joined_at)
    }

    /// How many users a room holds.
    pub(crate) fn count(&self, room: &Room) -> usize {
        self.rooms.get(room).map_or(0, HashMap::len)
    }

    /// The ids of at most `most` users of a room.
    pub(crate) fn user_ids(&self, room: &Room, most: usize) -> Vec<Arc<str>> {
        let members = self.rooms.get(room);
        members.into_iter().flat_map(HashMap::keys).take(most).cloned().collect()
    }

    /// At most `most` users of a room as the wire shows them.
    pub(crate) fn list(&self, room: &Room, most: usize) -> Vec<Value> {
        let members = self.rooms.get(room);
        let members = members.into_iter().flat_map(HashMap::values).take(most);
        members.map(|member| member.face.as_member(member.joined_at)).collect()
    }

    /// The rooms with anybody in them.
    pub(crate) fn rooms(&self) -> impl Iterator<Item = &Room> {
        self.rooms.keys()
    }

    /// The sockets that a user has in a room.
    pub(crate) fn sockets(&self, room: &Room, user_id: &str) -> &[Sid] {
        let member = self.rooms.get(room).and_then(|members| members.get(user_id));
        member.map_or(&[], |member| &member.sockets)
    }

    /// How many sockets are in at least one of the rooms.
    pub(crate) fn count_sockets(&self, rooms: &[Room]) -> usize {
        let members = rooms.iter().filter_map(|room| self.rooms.get(room)).flat_map(HashMap::values);
        members.flat_map(|member| &member.sockets).collect::<HashSet<_>>().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn face(id: &str) -> Arc<Face> {
        Arc::new(Face { user_id: Arc::from(id), name: None, avatar: None })
    }

    #[test]
    fn a_user_is_in_a_room_until_the_last_socket_left() {
        let room = Room::parse("a", None).expect("a legal name");
        let (first, second) = (Sid::new(), Sid::new());
        let mut members = Members::default();
        assert!(members.join(&room, &face("alice"), first, UNIX_EPOCH));
        assert!(!members.join(&room, &face("alice"), second, UNIX_EPOCH));
        assert_eq!((members.count(&room), members.count_sockets(std::slice::from_ref(&room))), (1, 2));
        assert!(!members.leave(&room, "alice", first));
        assert!(members.leave(&room, "alice", second));
        assert!(!members.leave(&room, "alice", second));
        assert!(members.rooms.is_empty());
    }
}
