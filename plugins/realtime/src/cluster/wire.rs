//! What instances say to each other, as JSON on one channel.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::hub::{Change, InstanceId, Room, UserState};

/// Raised where an older instance would misread a newer one.
pub(super) const VERSION: u8 = 1;
/// What an entry takes in memory beside its text, roughly.
const ENTRY_BYTES: usize = 512;

/// One saying and who says it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Envelope<S> {
    pub(super) version: u8,
    pub(super) from: InstanceId,
    /// Counts what must arrive: it is said again when it is not certain that it was heard.
    pub(super) number: Option<u64>,
    pub(super) says: S,
}

/// Something that instances say.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Saying {
    /// I have come: tell me your whole state.
    Hello,
    /// I am alive.
    Alive { beat: u64 },
    /// I am going, with all my sockets.
    Bye,
    /// A part of my whole state.
    State { users: Vec<UserState>, is_first: bool, is_last: bool },
    /// A change of my state.
    Change(Change),
    /// A message for the room, and for the further rooms.
    Message(Message),
    /// An event for rooms.
    Event(Event),
}

/// A message as the wire shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) room: Room,
    pub(crate) further: Vec<Room>,
    /// Milliseconds since 1970.
    pub(crate) at: u64,
    pub(crate) text: Box<RawValue>,
}

/// An event that is passed on unread.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) rooms: Vec<Room>,
    pub(crate) name: String,
    pub(crate) payload: Box<RawValue>,
}

impl Saying {
    /// Whether it must be said even if that is possible much later only. The rest is part of the state, which is told
    /// whole when instances meet again.
    pub(super) fn must_arrive(&self) -> bool {
        matches!(self, Self::Message(_) | Self::Event(_))
    }

    /// Roughly what it takes in memory.
    pub(super) fn size(&self) -> usize {
        let text = match self {
            Self::Message(message) => message.text.get().len(),
            Self::Event(event) => event.payload.get().len(),
            _ => 0,
        };
        text + ENTRY_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Face;
    use std::sync::Arc;
    use std::time::SystemTime;

    #[test]
    fn what_is_said_is_read_as_it_was_said() {
        let face = Arc::new(Face { user_id: Arc::from("alice"), name: Some("Alice".to_owned()), avatar: None });
        let room = Room::parse("general", None).expect("a legal name");
        let change =
            Change::Joined { face, room: room.clone(), name: Arc::from("general"), at: SystemTime::UNIX_EPOCH };
        let raw = |text: &str| RawValue::from_string(text.to_owned()).expect("JSON");
        let message = Message { room, further: Vec::new(), at: 7, text: raw(r#"{"id": 1}"#) };
        for says in [Saying::Change(change), Saying::Message(message), Saying::Alive { beat: 3 }, Saying::Bye] {
            let envelope = Envelope { version: VERSION, from: InstanceId::nil(), number: Some(2), says };
            let text = serde_json::to_string(&envelope).expect("it has a form");
            let read: Envelope<Saying> = serde_json::from_str(&text).expect("it can be read");
            assert_eq!(format!("{read:?}"), format!("{envelope:?}"));
        }
    }
}
