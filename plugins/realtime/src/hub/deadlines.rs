//! What ends when, so that nothing must be walked to find what has ended.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A thing and when to look at it.
struct Deadline<T, K> {
    at: T,
    key: K,
}

impl<T: Ord, K> PartialEq for Deadline<T, K> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<T: Ord, K> Eq for Deadline<T, K> {}

impl<T: Ord, K> PartialOrd for Deadline<T, K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord, K> Ord for Deadline<T, K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

/// Things by the time when they may have ended. Whether one has is for its owner to say, who adds it again if not.
///
/// An owner whose times change remembers the earliest one that it has added and ignores the others, so that a thing
/// which changes often is not here often.
pub(super) struct Deadlines<K, T = std::time::Instant>(BinaryHeap<Reverse<Deadline<T, K>>>);

impl<K, T: Ord> Default for Deadlines<K, T> {
    fn default() -> Self {
        Self(BinaryHeap::new())
    }
}

impl<K, T: Ord + Copy> Deadlines<K, T> {
    pub(super) fn add(&mut self, at: T, key: K) {
        self.0.push(Reverse(Deadline { at, key }));
    }

    /// Takes the first thing whose time is not after `now`, with that time.
    pub(super) fn next_until(&mut self, now: T) -> Option<(T, K)> {
        let is_due = self.0.peek().is_some_and(|Reverse(deadline)| deadline.at <= now);
        is_due.then(|| self.0.pop()).flatten().map(|Reverse(deadline)| (deadline.at, deadline.key))
    }

    /// Adds a thing unless it will be looked at by then anyway.
    pub(super) fn add_if_earlier(&mut self, added: &mut Option<T>, at: T, key: K) {
        if added.is_none_or(|added| at < added) {
            *added = Some(at);
            self.add(at, key);
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
