//! What is known of the other instances: their users and the rooms these are in.
//!
//! A replica that its owners keep up to date; it must not decide what others hear.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::change::{Change, InstanceId, UserState};
use super::members::Face;
use super::room::Room;

struct Stay {
    name: Arc<str>,
    at: SystemTime,
}

struct PeerUser {
    face: Arc<Face>,
    /// Whether a presence of the user was counted for this instance.
    is_present: bool,
    rooms: HashMap<Room, Stay>,
}

struct Peer {
    heard: Instant,
    users: HashMap<Arc<str>, PeerUser>,
    rooms: HashMap<Room, HashSet<Arc<str>>>,
    /// The users that the account of the state which is coming in has named so far.
    named: HashSet<Arc<str>>,
}

/// All other instances.
#[derive(Default)]
pub(crate) struct Peers {
    peers: HashMap<InstanceId, Peer>,
}

impl Peers {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.peers.len()
    }

    /// Notes a sign of life; `false` where the instance is not known.
    pub(crate) fn hear(&mut self, id: InstanceId, now: Instant) -> bool {
        let peer = self.peers.get_mut(&id);
        peer.map(|peer| peer.heard = now).is_some()
    }

    /// Begins an account of an instance's whole state.
    pub(crate) fn begin(&mut self, id: InstanceId, now: Instant) {
        let new = || Peer { heard: now, users: HashMap::new(), rooms: HashMap::new(), named: HashSet::new() };
        self.peers.entry(id).or_insert_with(new).named.clear();
    }

    /// What differs between what is known of a user and what their instance says.
    pub(crate) fn differences(&mut self, id: InstanceId, state: UserState) -> Vec<Change> {
        let Some(peer) = self.peers.get_mut(&id) else {
            return Vec::new();
        };
        let UserState { face, set, rooms } = state;
        let user_id = face.user_id.clone();
        peer.named.insert(user_id.clone());
        let known = peer.users.get(&user_id);
        let mut changes = Vec::new();
        if set.is_some() && !known.is_some_and(|user| user.is_present) {
            changes.push(Change::Connected { face: face.clone() });
        }
        changes.extend(set.map(|set| Change::Presence { user_id: user_id.clone(), set, room: None }));
        for room in known.into_iter().flat_map(|user| user.rooms.keys()) {
            if !rooms.iter().any(|(named, ..)| named == room) {
                changes.push(Change::Left { user_id: user_id.clone(), room: room.clone() });
            }
        }
        let is_known = |room: &Room| known.is_some_and(|user| user.rooms.contains_key(room));
        for (room, name, at) in rooms {
            if !is_known(&room) {
                changes.push(Change::Joined { face: face.clone(), room, name, at });
            }
        }
        changes
    }

    /// Ends the account: whoever was not named has gone.
    pub(crate) fn end(&mut self, id: InstanceId) -> Vec<Change> {
        let Some(peer) = self.peers.get_mut(&id) else {
            return Vec::new();
        };
        let named = std::mem::take(&mut peer.named);
        peer.users.iter().filter(|(user_id, _)| !named.contains(*user_id)).map(PeerUser::gone).collect()
    }

    /// What it means that an instance has gone with all its users; [`Peers::forget`] follows.
    pub(crate) fn farewell(&self, id: InstanceId) -> Vec<Change> {
        self.peers.get(&id).map(|peer| peer.users.iter().map(PeerUser::gone).collect()).unwrap_or_default()
    }

    pub(crate) fn forget(&mut self, id: InstanceId) {
        self.peers.remove(&id);
    }

    /// The instances of which nothing was heard for so long.
    pub(crate) fn silent(&self, now: Instant, timeout: Duration) -> Vec<InstanceId> {
        let silent = self.peers.iter().filter(|(_, peer)| now.saturating_duration_since(peer.heard) >= timeout);
        silent.map(|(id, _)| *id).collect()
    }

    /// Gives every instance its full time again, after nothing could be heard of any.
    pub(crate) fn wait_anew(&mut self, now: Instant) {
        self.peers.values_mut().for_each(|peer| peer.heard = now);
    }

    /// Notes that a user has sockets on an instance; `true` where that is new.
    pub(crate) fn appear(&mut self, id: InstanceId, face: &Arc<Face>) -> bool {
        let Some(peer) = self.peers.get_mut(&id) else {
            return false;
        };
        !std::mem::replace(&mut peer.user(face).is_present, true)
    }

    /// Notes that a user has no socket on an instance any more; `true` where that is new.
    pub(crate) fn vanish(&mut self, id: InstanceId, user_id: &str) -> bool {
        let Some(peer) = self.peers.get_mut(&id) else {
            return false;
        };
        let was_present =
            peer.users.get_mut(user_id).is_some_and(|user| std::mem::replace(&mut user.is_present, false));
        peer.tidy(user_id);
        was_present
    }

    /// Notes that a user is in a room on an instance; `true` where that is new.
    pub(crate) fn join(
        &mut self,
        id: InstanceId,
        face: &Arc<Face>,
        room: &Room,
        (name, at): (Arc<str>, SystemTime),
    ) -> bool {
        let Some(peer) = self.peers.get_mut(&id) else {
            return false;
        };
        let is_new = peer.user(face).rooms.insert(room.clone(), Stay { name, at }).is_none();
        peer.rooms.entry(room.clone()).or_default().insert(face.user_id.clone());
        is_new
    }

    /// Takes a user out of a room on an instance; gives who it was and the room's name for them.
    pub(crate) fn leave(&mut self, id: InstanceId, user_id: &str, room: &Room) -> Option<(Arc<Face>, Arc<str>)> {
        let peer = self.peers.get_mut(&id)?;
        let user = peer.users.get_mut(user_id)?;
        let stay = user.rooms.remove(room)?;
        let face = user.face.clone();
        if let Some(users) = peer.rooms.get_mut(room) {
            users.remove(user_id);
            if users.is_empty() {
                peer.rooms.remove(room);
            }
        }
        peer.tidy(user_id);
        Some((face, stay.name))
    }

    /// Whether a user is in a room on any instance.
    pub(crate) fn has(&self, room: &Room, user_id: &str) -> bool {
        self.peers.values().any(|peer| peer.rooms.get(room).is_some_and(|users| users.contains(user_id)))
    }

    /// How many users of a room the instances hold together.
    pub(crate) fn count_in(&self, room: &Room) -> usize {
        self.peers.values().filter_map(|peer| peer.rooms.get(room)).map(HashSet::len).sum()
    }

    /// The users of a room, once each.
    pub(crate) fn user_ids(&self, room: &Room) -> HashSet<&Arc<str>> {
        self.peers.values().filter_map(|peer| peer.rooms.get(room)).flatten().collect()
    }

    /// A user of a room as the wire shows them.
    pub(crate) fn member(&self, room: &Room, user_id: &str) -> Option<Value> {
        self.peers.values().find_map(|peer| {
            let user = peer.users.get(user_id)?;
            Some(user.face.as_member(user.rooms.get(room)?.at))
        })
    }

    /// The rooms that a user is in on any instance.
    pub(crate) fn rooms_of<'a>(&'a self, user_id: &'a str) -> impl Iterator<Item = &'a Room> {
        self.peers.values().filter_map(move |peer| peer.users.get(user_id)).flat_map(|user| user.rooms.keys())
    }

    /// The rooms with anybody in them, with repetitions.
    pub(crate) fn rooms(&self) -> impl Iterator<Item = &Room> {
        self.peers.values().flat_map(|peer| peer.rooms.keys())
    }

    /// How many users the rooms reach, counted once for each instance that they are on.
    pub(crate) fn count_reached(&self, rooms: &[Room]) -> usize {
        let reached = |peer: &Peer| {
            let members = rooms.iter().filter_map(|room| peer.rooms.get(room)).flatten().map(|user_id| &**user_id);
            let own = rooms.iter().filter(|room| room.kind() == "user").map(Room::id);
            let own = own.filter(|user_id| peer.users.get(*user_id).is_some_and(|user| user.is_present));
            members.chain(own).collect::<HashSet<_>>().len()
        };
        self.peers.values().map(reached).sum()
    }
}

impl Peer {
    fn user(&mut self, face: &Arc<Face>) -> &mut PeerUser {
        let new = || PeerUser { face: face.clone(), is_present: false, rooms: HashMap::new() };
        self.users.entry(face.user_id.clone()).or_insert_with(new)
    }

    /// Forgets a user of whom nothing is left.
    fn tidy(&mut self, user_id: &str) {
        if self.users.get(user_id).is_some_and(|user| !user.is_present && user.rooms.is_empty()) {
            self.users.remove(user_id);
        }
    }
}

impl PeerUser {
    fn gone((user_id, user): (&Arc<str>, &Self)) -> Change {
        let left = user.rooms.keys().cloned().collect();
        Change::Disconnected { user_id: user_id.clone(), left, is_gone: user.is_present }
    }
}
