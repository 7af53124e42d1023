//! The old messages of a room: what this instance remembers, joined with what Redis has of all of them.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use crate::app::App;
use crate::hub::Room;

/// At most `most` messages of a room, oldest first: the first after a time in milliseconds, or the last.
pub(crate) async fn messages(app: &App, room: &Room, after: Option<u64>, most: usize) -> Vec<Value> {
    let shared = match &app.cluster {
        Some(cluster) => cluster.messages(room, after, most).await,
        None => None,
    };
    // Asked second: what came meanwhile is in.
    let own = app.hub.messages(room, after, most);
    merge(&own, &shared.unwrap_or_default(), after, most)
}

/// Joins two accounts of one room, each message once and in the order of their times.
pub(super) fn merge(own: &[Arc<str>], shared: &[String], after: Option<u64>, most: usize) -> Vec<Value> {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    let mut messages: Vec<Value> = shared.iter().filter_map(|text| read(text)).collect();
    let known: HashSet<String> = messages.iter().filter_map(event_id).collect();
    let is_new = |message: &Value| event_id(message).is_none_or(|id| !known.contains(&id));
    messages.extend(own.iter().filter_map(|text| read(text)).filter(is_new));
    messages.sort_by_key(|message| message["meta"]["timestamp"].as_u64());
    if after.is_some() {
        messages.truncate(most);
    } else {
        messages.drain(..messages.len().saturating_sub(most));
    }
    messages
}

/// What tells one sending from another; a caller may use a message's id twice.
fn event_id(message: &Value) -> Option<String> {
    Some(message["meta"]["eventId"].as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, at: u64) -> String {
        format!(r#"{{"id":"{id}","meta":{{"eventId":"{id}","timestamp":{at}}}}}"#)
    }

    fn ids(own: &[(&str, u64)], shared: &[(&str, u64)], after: Option<u64>, most: usize) -> String {
        let own: Vec<Arc<str>> = own.iter().map(|(id, at)| Arc::from(message(id, *at))).collect();
        let shared: Vec<String> = shared.iter().map(|(id, at)| message(id, *at)).collect();
        let merged = merge(&own, &shared, after, most);
        merged.iter().filter_map(|message| message["id"].as_str()).collect()
    }

    #[test]
    fn each_message_comes_once_in_the_order_of_time() {
        let (own, shared) = ([("b", 2), ("c", 3), ("d", 4)], [("a", 1), ("b", 2), ("d", 4)]);
        assert_eq!(ids(&own, &shared, Some(0), 9), "abcd");
        assert_eq!(ids(&own, &[], Some(0), 9), "bcd");
    }

    #[test]
    fn a_limit_keeps_the_first_after_a_time_or_else_the_last() {
        let (own, shared) = ([("b", 2), ("c", 3)], [("a", 1), ("d", 4)]);
        assert_eq!(ids(&own, &shared, Some(0), 2), "ab");
        assert_eq!(ids(&own, &shared, None, 2), "cd");
    }
}
