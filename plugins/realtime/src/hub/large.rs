//! Rooms with so many users that not each one of them is told of each other.

use serde_json::Value;

use super::{Hub, Room};

/// Rooms with more users than this are large.
const LARGE: usize = 100;

impl Hub {
    /// How many users a room has, and at most `most` of them as the wire shows them; of a large room none, since each
    /// newcomer would get the whole list.
    pub(crate) fn members(&self, room: &Room, most: usize) -> (usize, Vec<Value>) {
        let state = self.state();
        if state.size(room) > LARGE {
            return (state.size(room), Vec::new());
        }
        state.members_anywhere(room, most)
    }

    /// Whether a room has so many users that not each one of them is told of each other.
    pub(crate) fn is_large(&self, room: &Room) -> bool {
        self.state().size(room) > LARGE
    }

    /// The same, and notes that the members of such a room have changed.
    pub(crate) fn note_if_large(&self, room: &Room) -> bool {
        let mut state = self.state();
        let is_large = state.size(room) > LARGE;
        if is_large {
            state.changed_sizes.insert(room.clone());
        }
        is_large
    }

    /// The large rooms whose members have changed since the last call, and how many they are.
    pub(crate) fn take_changed_sizes(&self) -> Vec<(Room, usize)> {
        let mut state = self.state();
        let changed = std::mem::take(&mut state.changed_sizes);
        changed.into_iter().map(|room| (room.clone(), state.size(&room))).collect()
    }
}
