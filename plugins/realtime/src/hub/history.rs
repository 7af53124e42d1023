//! The last messages of each room, for clients that poll or come back. In memory, bounded.
//!
//! Every message has a position: milliseconds since 1970, made unique and rising within its room. A position is the
//! cursor of `/poll` and `sync:messages`: what is stored after an answer always has a greater one.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
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
    position: u64,
    message: Arc<str>,
}

/// One room's messages, oldest first, and their size.
#[derive(Default)]
struct Log {
    entries: VecDeque<Entry>,
    bytes: usize,
}

/// Messages as the wire shows them.
pub(crate) struct History {
    most_bytes: usize,
    rooms: HashMap<Room, Log>,
    /// Every kept message by number, so that the oldest of all is found at once.
    order: BTreeMap<u64, Room>,
    /// The rooms by size, so that the largest is found at once.
    sizes: BTreeSet<(usize, Room)>,
    next: u64,
    /// Rooms without messages begin above this: positions of messages that were dropped, and promised cursors.
    floor: u64,
    bytes: usize,
}

/// Messages of a room with their positions, oldest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) entries: Vec<(u64, Arc<str>)>,
    /// The cursor to go on from.
    pub(crate) cursor: u64,
}

impl History {
    /// Keeps at most so many bytes of messages in all.
    pub(crate) fn new(most_bytes: usize) -> Self {
        let (rooms, order, sizes) = (HashMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { most_bytes, rooms, order, sizes, next: 0, floor: 0, bytes: 0 }
    }

    /// The position of a room's next message, at a time in milliseconds since 1970; greater than every one before.
    pub(crate) fn next_position(&self, room: &Room, now: u64) -> u64 {
        let last = self.rooms.get(room).and_then(|log| log.entries.back());
        let last = last.map_or(self.floor, |entry| entry.position);
        now.max(last + 1)
    }

    /// Keeps a message at a position from [`History::next_position`].
    ///
    /// As text: a tree of values takes several times the memory.
    pub(crate) fn push(&mut self, room: &Room, position: u64, message: Arc<str>) {
        let number = self.next;
        self.next += 1;
        self.order.insert(number, room.clone());
        let log = self.rooms.entry(room.clone()).or_default();
        let (before, size) = (log.bytes, message.len());
        log.entries.push_back(Entry { number, position, message });
        let is_full = log.entries.len() > MOST_IN_ROOM;
        log.bytes += size;
        self.bytes += size;
        self.resize(room, before);
        if is_full {
            self.drop_oldest_of(room);
        }
        // The largest room pays: one that fills the memory must not empty the others.
        while self.bytes > self.most_bytes {
            let Some((_, largest)) = self.sizes.last() else {
                return;
            };
            self.drop_oldest_of(&largest.clone());
        }
    }

    /// At most `most` messages of a room after a position: the oldest of them first.
    pub(crate) fn since(&self, room: &Room, after: u64, most: usize) -> Page {
        let log = self.rooms.get(room);
        // Positions rise, so that the first one is found by halving.
        let entries = log.map(|log| (log, log.entries.partition_point(|entry| entry.position <= after)));
        let entries = entries.into_iter().flat_map(|(log, first)| log.entries.range(first..));
        let entries: Vec<_> = entries.take(most).map(Entry::placed).collect();
        let cursor = entries.last().map_or(after, |(position, _)| *position);
        Page { entries, cursor }
    }

    /// The last `most` messages of a room, oldest first, at a time in milliseconds since 1970.
    pub(crate) fn last(&mut self, room: &Room, most: usize, now: u64) -> Page {
        let log = self.rooms.get(room);
        let skipped = log.map_or(0, |log| log.entries.len().saturating_sub(most));
        let entries = log.into_iter().flat_map(|log| log.entries.range(skipped..));
        let entries: Vec<_> = entries.map(Entry::placed).collect();
        let newest = log.and_then(|log| log.entries.back()).map(|entry| entry.position);
        // Of an empty room nothing can come at or before this any more, whatever the clock does.
        let cursor = newest.unwrap_or_else(|| {
            self.floor = self.floor.max(now.saturating_sub(1));
            self.floor
        });
        Page { entries, cursor }
    }

    /// Forgets what is older than a day.
    pub(crate) fn expire(&mut self, now: u64) {
        let kept_for = u64::try_from(KEPT_FOR.as_millis()).unwrap_or(u64::MAX);
        let limit = now.saturating_sub(kept_for);
        while let Some((number, room)) = self.order.first_key_value() {
            let oldest = self.rooms.get(room).and_then(|log| log.entries.front());
            if oldest.is_some_and(|entry| entry.number == *number && entry.position > limit) {
                return;
            }
            self.drop_oldest_of(&room.clone());
        }
    }

    fn drop_oldest_of(&mut self, room: &Room) {
        let Some(log) = self.rooms.get_mut(room) else {
            return;
        };
        let before = log.bytes;
        if let Some(entry) = log.entries.pop_front() {
            log.bytes -= entry.message.len();
            self.bytes -= entry.message.len();
            self.floor = self.floor.max(entry.position);
            self.order.remove(&entry.number);
        }
        self.resize(room, before);
    }

    /// Notes that a room's size was another before; forgets a room without messages.
    fn resize(&mut self, room: &Room, before: usize) {
        self.sizes.remove(&(before, room.clone()));
        match self.rooms.get(room) {
            Some(log) if !log.entries.is_empty() => {
                self.sizes.insert((log.bytes, room.clone()));
            }
            _ => {
                self.rooms.remove(room);
            }
        }
    }
}

impl Entry {
    fn placed(&self) -> (u64, Arc<str>) {
        (self.position, self.message.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> Room {
        Room::parse(name, None).expect("a legal name")
    }

    fn texts(page: &Page) -> Vec<&str> {
        page.entries.iter().map(|(_, message)| &**message).collect()
    }

    fn say(history: &mut History, name: &str, now: u64, message: &str) -> u64 {
        let position = history.next_position(&room(name), now);
        history.push(&room(name), position, Arc::from(message));
        position
    }

    #[test]
    fn only_newer_messages_of_the_room_come_back_in_order() {
        let mut history = History::new(100);
        for at in 1..=4 {
            say(&mut history, "a", at, &at.to_string());
        }
        say(&mut history, "b", 9, "b");
        assert_eq!(texts(&history.since(&room("a"), 2, 10)), ["3", "4"]);
        assert_eq!(texts(&history.since(&room("channel:a"), 0, 2)), ["1", "2"]);
        assert_eq!(texts(&history.last(&room("a"), 2, 9)), ["3", "4"]);
        assert!(history.since(&room("c"), 0, 10).entries.is_empty());
    }

    #[test]
    fn positions_rise_within_a_millisecond_and_when_the_clock_goes_back() {
        let mut history = History::new(100);
        let positions = [5, 5, 3, 9].map(|now| say(&mut history, "a", now, "x"));
        assert_eq!(positions, [5, 6, 7, 9]);
        let nothing = history.last(&room("b"), 9, 20);
        assert_eq!((nothing.entries.len(), nothing.cursor), (0, 19));
        assert!(say(&mut history, "b", 4, "late") > nothing.cursor);
    }

    #[test]
    fn a_page_says_where_to_go_on_and_an_empty_one_repeats_the_question() {
        let mut history = History::new(100);
        for at in 1..=4 {
            say(&mut history, "a", at, &at.to_string());
        }
        let first = history.since(&room("a"), 0, 3);
        let rest = history.since(&room("a"), first.cursor, 3);
        assert_eq!((texts(&first).len(), texts(&rest), rest.cursor), (3, vec!["4"], 4));
        assert_eq!(history.since(&room("a"), rest.cursor, 3), Page { entries: Vec::new(), cursor: 4 });
    }

    #[test]
    fn a_room_keeps_its_last_thousand() {
        let mut history = History::new(1_000_000);
        for at in 1..=MOST_IN_ROOM as u64 + 5 {
            say(&mut history, "a", at, &at.to_string());
        }
        assert_eq!(history.order.len(), MOST_IN_ROOM);
        assert_eq!(texts(&history.since(&room("a"), 0, 1)), ["6"]);
    }

    #[test]
    fn the_largest_room_pays_for_what_does_not_fit() {
        let mut history = History::new(100);
        for name in 0..8 {
            say(&mut history, &format!("small-{name}"), 1, &"s".repeat(10));
        }
        for at in 2..50 {
            say(&mut history, "large", at, &"l".repeat(10));
        }
        assert_eq!((history.bytes, history.rooms.len(), history.sizes.len(), history.order.len()), (100, 9, 9, 10));
        assert!((0..8).all(|name| history.last(&room(&format!("small-{name}")), 1, 0).entries.len() == 1));
        assert_eq!(history.last(&room("large"), 9, 0).entries.last().map(|(at, _)| *at), Some(49));
    }

    #[test]
    fn a_message_larger_than_the_limit_leaves_nothing_behind() {
        let mut history = History::new(4);
        say(&mut history, "a", 1, "too long");
        assert_eq!((history.bytes, history.rooms.len(), history.order.len(), history.sizes.len()), (0, 0, 0, 0));
    }

    #[test]
    fn a_day_later_nothing_is_left() {
        let mut history = History::new(100);
        say(&mut history, "a", 1_000, "old");
        let day = 24 * 3600 * 1000;
        say(&mut history, "a", day, "new");
        history.expire(day + 1_000);
        assert_eq!(texts(&history.last(&room("a"), 9, day)), ["new"]);
        history.expire(day * 3);
        assert_eq!((history.rooms.len(), history.order.len(), history.sizes.len(), history.bytes), (0, 0, 0, 0));
    }
}
