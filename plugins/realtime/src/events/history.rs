//! The old messages of a room: one cursor for `/poll` and `sync:messages`, whichever instance is asked.

use std::collections::HashSet;

use serde_json::Value;

use crate::cluster::Shared;
use crate::hub::{Moment, Page, Room};
use crate::state::App;

/// Positions that this instance gave while Redis could not say differ from those of Redis by less than this.
const OVERLAP_MS: u64 = 2_000;

/// Messages of a room, oldest first, and the cursor to go on from.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) messages: Vec<Value>,
    pub(crate) cursor: u64,
}

/// At most `most` messages of a room, oldest first: the first after a cursor, or the last.
///
/// Asked again with the cursor of its answer, it omits none; where Redis fails in between, some may come twice.
pub(crate) async fn page(app: &App, room: &Room, after: Option<u64>, most: usize) -> Answer {
    let Some(cluster) = &app.cluster else {
        return own_page(app, room, after, most);
    };
    let shared = cluster.messages(room, after, most).await;
    let complete = shared.as_ref().filter(|_| cluster.is_connected());
    // Of what Redis has for certain, nothing is taken from here: positions would differ.
    let until = complete.map_or(u64::MAX, |shared| shared.began);
    let from = match (after, cluster.interrupted_at()) {
        (Some(after), Some(interrupted)) if until == u64::MAX && after <= interrupted + OVERLAP_MS => {
            Some(after.saturating_sub(OVERLAP_MS))
        }
        (after, _) => after,
    };
    let mut own = app.hub.messages(room, from, most, Moment::now());
    own.entries.retain(|(position, _)| *position < until);
    merge(&own, shared, after, most)
}

/// The same from this instance alone.
pub(crate) fn own_page(app: &App, room: &Room, after: Option<u64>, most: usize) -> Answer {
    merge(&app.hub.messages(room, after, most, Moment::now()), None, after, most)
}

/// Joins two accounts of one room, each message once and in the order of positions; those of Redis hold.
fn merge(own: &Page, shared: Option<Shared>, after: Option<u64>, most: usize) -> Answer {
    let nothing = shared.as_ref().map_or(own.cursor, |shared| shared.cursor);
    let read = |(position, text): (u64, &str)| Some((position, serde_json::from_str::<Value>(text).ok()?));
    let shared = shared.map(|shared| shared.entries).unwrap_or_default();
    let mut messages: Vec<_> = shared.iter().filter_map(|(at, text)| read((*at, text))).collect();
    let known: HashSet<String> = messages.iter().filter_map(|(_, message)| event_id(message)).collect();
    let is_new = |message: &Value| event_id(message).is_none_or(|id| !known.contains(&id));
    let own = own.entries.iter().filter_map(|(at, text)| read((*at, text)));
    messages.extend(own.filter(|(_, message)| is_new(message)));
    messages.sort_by_key(|(position, _)| *position);
    if after.is_some() {
        messages.truncate(most);
    } else {
        messages.drain(..messages.len().saturating_sub(most));
    }
    let last = messages.last().map(|(position, _)| *position);
    // Repeated messages from before the cursor must not take it back.
    let cursor = last.max(after).unwrap_or(nothing);
    Answer { messages: messages.into_iter().map(|(_, message)| message).collect(), cursor }
}

/// What tells one sending from another; a caller may use a message's id twice.
fn event_id(message: &Value) -> Option<String> {
    Some(message["meta"]["eventId"].as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn message(id: &str) -> String {
        format!(r#"{{"id":"{id}","meta":{{"eventId":"{id}"}}}}"#)
    }

    fn merged(own: &[(&str, u64)], shared: Option<&[(&str, u64)]>, after: Option<u64>, most: usize) -> (String, u64) {
        let entries = own.iter().map(|(id, at)| (*at, Arc::from(message(id)))).collect();
        let shared = shared.map(|entries| Shared {
            entries: entries.iter().map(|(id, at)| (*at, message(id))).collect(),
            began: 0,
            cursor: 70,
        });
        let answer = merge(&Page { entries, cursor: 60 }, shared, after, most);
        (answer.messages.iter().filter_map(|message| message["id"].as_str()).collect(), answer.cursor)
    }

    #[test]
    fn each_message_comes_once_in_the_order_of_positions_and_redis_knows_them_best() {
        let (own, shared) = ([("b", 9), ("c", 3), ("d", 4)], [("a", 1), ("b", 2), ("d", 4)]);
        assert_eq!(merged(&own, Some(&shared), Some(0), 9), ("abcd".to_owned(), 4));
        assert_eq!(merged(&[("c", 3), ("d", 4)], None, Some(0), 9), ("cd".to_owned(), 4));
    }

    #[test]
    fn a_limit_keeps_the_first_after_a_cursor_or_else_the_last() {
        let (own, shared) = ([("b", 2), ("c", 3)], [("a", 1), ("d", 4)]);
        assert_eq!(merged(&own, Some(&shared), Some(0), 2), ("ab".to_owned(), 2));
        assert_eq!(merged(&own, Some(&shared), None, 2), ("cd".to_owned(), 4));
    }

    #[test]
    fn without_messages_the_cursor_stays_or_is_one_that_nothing_can_be_before() {
        assert_eq!(merged(&[], Some(&[]), Some(7), 2), (String::new(), 7));
        assert_eq!(merged(&[("late", 5)], None, Some(7), 2), ("late".to_owned(), 7));
        assert_eq!(merged(&[], Some(&[]), None, 2), (String::new(), 70));
        assert_eq!(merged(&[], None, None, 2), (String::new(), 60));
    }
}
