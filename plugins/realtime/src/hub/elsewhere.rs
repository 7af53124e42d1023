//! How what other instances tell becomes part of this one's state, and what this one tells them.
//!
//! Every instance comes to the same conclusions from the same changes, and each tells its own sockets only.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::change::{Change, InstanceId, UserState};
use super::members::Face;
use super::presence::Ended;
use super::room::Room;
use super::typing::TypingChange;
use super::{Hub, Moment, State};

/// What others must hear because of another instance.
#[derive(Default)]
pub(crate) struct Heard {
    /// Who came into a room, and the name that they know it by.
    pub(crate) joined: Vec<(Arc<Face>, Room, Arc<str>)>,
    /// Who left one.
    pub(crate) left: Vec<(Arc<Face>, Room, Arc<str>)>,
    pub(crate) presence: Vec<Ended>,
    pub(crate) typing: Vec<TypingChange>,
}

/// An instance's whole state, in parts.
pub(crate) struct Part {
    pub(crate) users: Vec<UserState>,
    pub(crate) is_first: bool,
    pub(crate) is_last: bool,
}

impl Hub {
    /// How many other instances are known.
    pub(crate) fn peers(&self) -> usize {
        self.state().peers.count()
    }

    /// Notes a sign of life of another instance; `false` where its state is not known.
    pub(crate) fn hear(&self, from: InstanceId, now: Moment) -> bool {
        self.state().peers.hear(from, now.monotonic)
    }

    /// Takes a change over. What an unknown instance changes comes with its whole state later.
    pub(crate) fn apply(&self, from: InstanceId, change: Change, now: Moment) -> Heard {
        let mut heard = Heard::default();
        let mut state = self.state();
        if state.peers.hear(from, now.monotonic) {
            state.apply(from, change, now, &mut heard);
        }
        heard
    }

    /// Takes over a part of an instance's whole state.
    pub(crate) fn apply_part(&self, from: InstanceId, part: Part, now: Moment) -> Heard {
        let mut heard = Heard::default();
        let mut state = self.state();
        if part.is_first {
            state.peers.begin(from, now.monotonic);
        }
        state.peers.hear(from, now.monotonic);
        for user in part.users {
            for change in state.peers.differences(from, user) {
                state.apply(from, change, now, &mut heard);
            }
        }
        if part.is_last {
            for change in state.peers.end(from) {
                state.apply(from, change, now, &mut heard);
            }
        }
        heard
    }

    /// Forgets an instance, and with it the sockets that it held.
    pub(crate) fn forget(&self, id: InstanceId, now: Moment) -> Heard {
        let mut heard = Heard::default();
        let mut state = self.state();
        for change in state.peers.farewell(id) {
            state.apply(id, change, now, &mut heard);
        }
        state.peers.forget(id);
        heard
    }

    /// The instances of which nothing was heard for so long.
    pub(crate) fn silent_peers(&self, now: Moment, timeout: Duration) -> Vec<InstanceId> {
        self.state().peers.silent(now.monotonic, timeout)
    }

    /// Gives every instance its full time again.
    pub(crate) fn wait_anew(&self, now: Moment) {
        self.state().peers.wait_anew(now.monotonic);
    }

    /// All that other instances must know of this one's users.
    pub(crate) fn whole_state(&self) -> Vec<UserState> {
        let state = self.state();
        let mut users: HashMap<&Arc<str>, UserState> = HashMap::new();
        for connection in state.connections.values() {
            let user_id = &connection.face.user_id;
            let user = users.entry(user_id).or_insert_with(|| UserState {
                face: connection.face.clone(),
                set: connection.is_user.then(|| state.presence.stamped(user_id)).flatten(),
                rooms: Vec::new(),
            });
            for (room, name) in connection.rooms.iter().filter(|(room, _)| room.is_shared()) {
                let at = state.members.joined_at(room, user_id);
                if !user.rooms.iter().any(|(known, ..)| known == room) {
                    user.rooms.extend(at.map(|at| (room.clone(), name.clone(), at)));
                }
            }
        }
        users.into_values().collect()
    }
}

impl State {
    fn apply(&mut self, from: InstanceId, change: Change, now: Moment, heard: &mut Heard) {
        match change {
            Change::Connected { face } => {
                if self.peers.appear(from, &face) {
                    let view = self.presence.connect_elsewhere(&face.user_id, now);
                    heard.presence.extend(view.map(|view| Ended { view, rooms: Vec::new() }));
                }
            }
            Change::Disconnected { user_id, left, is_gone } => {
                for room in &left {
                    self.leave_elsewhere(from, &user_id, room, heard);
                }
                let is_gone = is_gone && self.peers.vanish(from, &user_id);
                self.presence.disconnect_elsewhere(&user_id, left.iter(), is_gone, now);
            }
            Change::Joined { face, room, name, at } => {
                let was_in = self.is_anywhere_in(&room, &face.user_id);
                if self.peers.join(from, &face, &room, (name.clone(), at)) && !was_in {
                    heard.joined.push((face, room, name));
                }
            }
            Change::Left { user_id, room } => self.leave_elsewhere(from, &user_id, &room, heard),
            Change::Presence { user_id, set, room } => {
                let view = self.presence.adopt(&user_id, &set, now);
                if let Some(room) = &room {
                    self.presence.visit(&user_id, room);
                }
                heard.presence.extend(view.map(|view| Ended { view, rooms: room.into_iter().collect() }));
            }
            Change::Typing { place, face, spelling, is_typing: true } => {
                heard.typing.push(self.typing.start(place, &face, spelling, now));
            }
            Change::Typing { place, face, is_typing: false, .. } => {
                heard.typing.extend(self.typing.stop(&place, &face.user_id));
            }
        }
    }

    fn leave_elsewhere(&mut self, from: InstanceId, user_id: &str, room: &Room, heard: &mut Heard) {
        let Some((face, name)) = self.peers.leave(from, user_id, room) else {
            return;
        };
        if !self.is_anywhere_in(room, user_id) {
            heard.typing.extend(self.typing.stop_user(user_id, Some(room)));
            heard.left.push((face, room.clone(), name));
        }
    }

    /// Whether a user is in a room with any socket of any instance.
    pub(super) fn is_anywhere_in(&self, room: &Room, user_id: &str) -> bool {
        self.members.has(room, user_id) || self.peers.has(room, user_id)
    }

    /// How many users a room has, those with sockets on several instances counted for each.
    pub(super) fn size(&self, room: &Room) -> usize {
        self.members.count(room) + self.peers.count_in(room)
    }

    /// How many users a room has anywhere, and at most `most` of them as the wire shows them.
    pub(super) fn members_anywhere(&self, room: &Room, most: usize) -> (usize, Vec<Value>) {
        let mut further = self.peers.user_ids(room);
        further.retain(|user_id| !self.members.has(room, user_id));
        let mut list = self.members.list(room, most);
        let free = most.saturating_sub(list.len());
        list.extend(further.iter().take(free).filter_map(|user_id| self.peers.member(room, user_id)));
        (self.members.count(room) + further.len(), list)
    }

    /// Every room that exists, with the number of its users anywhere; at most `most` of them.
    pub(super) fn rooms_anywhere(&self, most: usize) -> Vec<(Room, usize)> {
        let rooms: HashSet<&Room> = self.members.rooms().chain(self.peers.rooms()).collect();
        let mut rooms: Vec<&Room> = rooms.into_iter().filter(|room| room.is_shared()).collect();
        rooms.sort();
        rooms.into_iter().take(most).map(|room| (room.clone(), self.members_anywhere(room, 0).0)).collect()
    }
}
