//! The last messages of each room, for clients that poll or come back. In memory, bounded.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::room::Room;

/// The most messages of one room.
pub(crate) const MOST_IN_ROOM: usize = 1_000;
/// How long a message is kept.
pub(crate) const KEPT_FOR: Duration = Duration::from_hours(24);
/// The most bytes of messages in all.
pub(crate) const MOST_BYTES: usize = 32 * 1024 * 1024;

struct Entry {
    number: u64,
    at: u64,
    message: Arc<str>,
}

/// Messages as the wire shows them, oldest first in each room.
pub(crate) struct History {
    most_bytes: usize,
    rooms: HashMap<Room, VecDeque<Entry>>,
    /// Every kept message by number, so that the oldest of all is found at once.
    order: BTreeMap<u64, Room>,
    next: u64,
    bytes: usize,
}

impl History {
    /// Keeps at most so many bytes of messages in all.
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self { most_bytes, rooms: HashMap::new(), order: BTreeMap::new(), next: 0, bytes: 0 }
    }

    /// Keeps a message sent at a time in milliseconds since 1970.
    ///
    /// As text: a tree of values takes several times the memory.
    pub(crate) fn push(&mut self, room: &Room, at: u64, message: &str) {
        self.bytes += message.len();
        let number = self.next;
        self.next += 1;
        let entries = self.rooms.entry(room.clone()).or_default();
        entries.push_back(Entry { number, at, message: Arc::from(message) });
        let is_full = entries.len() > MOST_IN_ROOM;
        self.order.insert(number, room.clone());
        if is_full {
            self.drop_oldest_of(room);
        }
        while self.bytes > self.most_bytes {
            self.drop_oldest();
        }
    }

    /// At most `most` messages of a room after a time: the oldest of them first.
    pub(crate) fn since(&self, room: &Room, after: u64, most: usize) -> Vec<Arc<str>> {
        let entries = self.rooms.get(room).into_iter().flatten();
        entries.filter(|entry| entry.at > after).take(most).map(|entry| entry.message.clone()).collect()
    }

    /// The last `most` messages of a room, oldest first.
    pub(crate) fn last(&self, room: &Room, most: usize) -> Vec<Arc<str>> {
        let Some(entries) = self.rooms.get(room) else {
            return Vec::new();
        };
        let skipped = entries.len().saturating_sub(most);
        entries.iter().skip(skipped).map(|entry| entry.message.clone()).collect()
    }

    /// Forgets what is older than a day.
    pub(crate) fn expire(&mut self, now: u64) {
        let kept_for = u64::try_from(KEPT_FOR.as_millis()).unwrap_or(u64::MAX);
        let limit = now.saturating_sub(kept_for);
        while let Some((number, room)) = self.order.first_key_value() {
            let oldest = self.rooms.get(room).and_then(VecDeque::front);
            if oldest.is_some_and(|entry| entry.number == *number && entry.at > limit) {
                return;
            }
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        match self.order.first_key_value() {
            Some((_, room)) => self.drop_oldest_of(&room.clone()),
            None => self.bytes = 0,
        }
    }

    fn drop_oldest_of(&mut self, room: &Room) {
        let Some(entries) = self.rooms.get_mut(room) else {
            return;
        };
        if let Some(entry) = entries.pop_front() {
            self.order.remove(&entry.number);
            self.bytes -= entry.message.len();
        }
        if entries.is_empty() {
            self.rooms.remove(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> Room {
        Room::parse(name, None).expect("a legal name")
    }

    fn texts(messages: &[Arc<str>]) -> Vec<&str> {
        messages.iter().map(|message| &**message).collect()
    }

    #[test]
    fn only_newer_messages_of_the_room_come_back_in_order() {
        let mut history = History::new(100);
        for at in 1..=4 {
            history.push(&room("a"), at, &at.to_string());
        }
        history.push(&room("b"), 9, "b");
        assert_eq!(texts(&history.since(&room("a"), 2, 10)), ["3", "4"]);
        assert_eq!(texts(&history.since(&room("channel:a"), 0, 2)), ["1", "2"]);
        assert_eq!(texts(&history.last(&room("a"), 2)), ["3", "4"]);
        assert!(history.since(&room("c"), 0, 10).is_empty());
    }

    #[test]
    fn a_room_keeps_its_last_thousand() {
        let mut history = History::new(1_000_000);
        for at in 1..=MOST_IN_ROOM as u64 + 5 {
            history.push(&room("a"), at, &at.to_string());
        }
        assert_eq!(history.order.len(), MOST_IN_ROOM);
        assert_eq!(texts(&history.since(&room("a"), 0, 1)), ["6"]);
    }

    #[test]
    fn all_rooms_together_stay_below_the_limit_of_bytes() {
        let mut history = History::new(100);
        for at in 1..=50 {
            history.push(&room(&format!("room-{at}")), at, &"x".repeat(10));
        }
        assert_eq!((history.bytes, history.rooms.len(), history.order.len()), (100, 10, 10));
        assert!(history.last(&room("room-40"), 1).is_empty());
        assert_eq!(history.last(&room("room-41"), 1).len(), 1);
    }

    #[test]
    fn a_message_larger_than_the_limit_leaves_nothing_behind() {
        let mut history = History::new(4);
        history.push(&room("a"), 1, "too long");
        assert_eq!((history.bytes, history.rooms.len(), history.order.len()), (0, 0, 0));
    }

    #[test]
    fn a_day_later_nothing_is_left() {
        let mut history = History::new(100);
        history.push(&room("a"), 1_000, "old");
        let day = 24 * 3600 * 1000;
        history.push(&room("a"), day, "new");
        history.expire(day + 1_000);
        assert_eq!(texts(&history.last(&room("a"), 9)), ["new"]);
        history.expire(day * 3);
        assert_eq!((history.rooms.len(), history.order.len(), history.bytes), (0, 0, 0));
    }
}
