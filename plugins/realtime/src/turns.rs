//! One sender at a time in each room: messages reach the history, the sockets and the other instances in one order.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::hub::Room;

/// Rooms share locks: more locks than cores are enough for them not to wait for each other.
const LOCKS: usize = 64;

/// The locks of all rooms.
pub(crate) struct Turns {
    hasher: RandomState,
    locks: [Mutex<()>; LOCKS],
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self { hasher: RandomState::new(), locks: std::array::from_fn(|_| Mutex::new(())) }
    }

    /// Waits for the room's turn, which ends when the guard is dropped; never held while anything is awaited.
    pub(crate) fn take(&self, room: &Room) -> MutexGuard<'_, ()> {
        let index = self.hasher.hash_one(room) % LOCKS as u64;
        let lock = &self.locks[usize::try_from(index).unwrap_or(0)];
        lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
