//! Which of two vocabularies a socket speaks, by its handshake or by the events that it sends.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::adapter::SocketRef;
use crate::delivery::{Delivery, Vocabulary};

/// What is known of a socket's vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Nothing yet: it hears both.
    Nothing,
    /// It has sent events of this one.
    Sent(Vocabulary),
    /// It has said so, or has sent events of both: this is not changed any more.
    Settled(Vocabulary),
}

/// A socket's vocabulary.
pub(crate) struct Spoken(Mutex<Known>);

impl Spoken {
    /// Reads `vocabulary` of a handshake: `rooms`, `channels` or `both`.
    pub(crate) fn new(auth: &Value) -> Self {
        let named = auth.get("vocabulary").and_then(Value::as_str).and_then(Vocabulary::parse);
        Self(Mutex::new(named.map_or(Known::Nothing, Known::Settled)))
    }

    /// Which events the socket hears.
    pub(crate) fn words(&self) -> Vocabulary {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Known::Nothing => Vocabulary::Both,
            Known::Sent(words) | Known::Settled(words) => words,
        }
    }

    /// Takes note of an event that the socket sends.
    pub(crate) fn learn(&self, socket: &SocketRef, event: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(next) = known.after(event) {
            *known = next;
            let (Known::Sent(words) | Known::Settled(words)) = next else {
                return;
            };
            Delivery::switch(socket, words);
        }
    }
}

impl Known {
    /// What is known after an event; `None` where that is nothing new.
    ///
    /// `channel:join` says nothing: clients that listen for `message:new` send it as well.
    fn after(self, event: &str) -> Option<Self> {
        let sent = match event {
            "room:join" | "room:leave" | "typing:start" | "typing:stop" => Vocabulary::Rooms,
            "typing" => Vocabulary::Channels,
            _ => return None,
        };
        match self {
            Self::Nothing => Some(Self::Sent(sent)),
            Self::Sent(known) if known != sent => Some(Self::Settled(Vocabulary::Both)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn after(events: &[&str]) -> Known {
        events.iter().fold(Known::Nothing, |known, event| known.after(event).unwrap_or(known))
    }

    #[test]
    fn a_telling_event_decides_and_one_of_the_other_kind_makes_it_both() {
        assert_eq!(after(&["ping", "channel:join", "message:send"]), Known::Nothing);
        assert_eq!(after(&["channel:join", "room:join"]), Known::Sent(Vocabulary::Rooms));
        assert_eq!(after(&["typing", "channel:join", "typing"]), Known::Sent(Vocabulary::Channels));
        assert_eq!(after(&["room:join", "typing", "room:join"]), Known::Settled(Vocabulary::Both));
    }

    #[test]
    fn a_handshake_settles_it() {
        let words = |auth: Value| Spoken::new(&auth).words();
        assert_eq!(words(json!({"vocabulary": "rooms"})), Vocabulary::Rooms);
        assert_eq!(words(json!({"vocabulary": "channels"})), Vocabulary::Channels);
        for unclear in [json!({}), json!({"vocabulary": "both"}), json!({"vocabulary": 7}), json!({"vocabulary": "?"})]
        {
            assert_eq!(words(unclear), Vocabulary::Both);
        }
        assert_eq!(Known::Settled(Vocabulary::Rooms).after("typing"), None);
    }
}
