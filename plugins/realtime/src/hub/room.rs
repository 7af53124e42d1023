//! Names of rooms: which spellings are one room, and who may enter.

use std::fmt::Display;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest room name that is accepted, in bytes.
const NAME_BYTES: usize = 256;
const PREFIXES: [&str; 4] = ["channel:", "thread:", "dm:", "user:"];

/// A room under its one full name, such as `channel:general`.
///
/// Clients join `channel:X` and type in bare `X`: both are the same room.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Room(Arc<str>);

impl Room {
    /// Reads a name; a bare one is a channel's unless `kind` (`thread`, `dm`) says otherwise.
    pub(crate) fn parse(name: &str, kind: Option<&str>) -> Result<Self, &'static str> {
        if name.is_empty() {
            return Err("must not be empty");
        }
        if name.len() > NAME_BYTES {
            return Err("must not be longer than 256 bytes");
        }
        if name.chars().any(char::is_control) {
            return Err("must not hold control characters");
        }
        if PREFIXES.iter().any(|prefix| name.len() > prefix.len() && name.starts_with(prefix)) {
            return Ok(Self(Arc::from(name)));
        }
        let prefix = match kind {
            Some("thread") => "thread:",
            Some("dm") => "dm:",
            _ => "channel:",
        };
        Ok(Self(Arc::from(format!("{prefix}{name}"))))
    }

    /// The room that belongs to one user.
    pub(crate) fn of_user(user_id: &str) -> Self {
        Self(Arc::from(format!("user:{user_id}")))
    }

    /// The name without its kind: what clients call the channel's id.
    pub(crate) fn id(&self) -> &str {
        self.0.split_once(':').map_or(&*self.0, |(_, id)| id)
    }

    /// `channel`, `thread`, `dm` or `user`.
    pub(crate) fn kind(&self) -> &str {
        self.0.split_once(':').map_or("channel", |(kind, _)| kind)
    }

    /// Whether it belongs to one user.
    pub(crate) fn is_personal(&self) -> bool {
        self.kind() == "user"
    }

    /// Whether several users can be in it.
    pub(crate) fn is_shared(&self) -> bool {
        !self.is_personal()
    }

    /// Whether it is for some users only.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.kind(), "user" | "dm") || self.id().starts_with("private-")
    }

    /// Whether it is a direct conversation with this user: `dm:<a>-<b>`.
    ///
    /// Ids can have dashes themselves. Both ids are taken to have the same number of them, as UUIDs do, so that no user
    /// whose id is a part of another's gets in; a name that cannot be read like that is nobody's.
    pub(crate) fn is_between(&self, user_id: &str) -> bool {
        let id = self.id();
        let dashes: Vec<usize> = id.match_indices('-').map(|(at, _)| at).collect();
        if self.kind() != "dm" || dashes.len().is_multiple_of(2) {
            return false;
        }
        let middle = dashes[dashes.len() / 2];
        user_id == &id[..middle] || user_id == &id[middle + 1..]
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for Room {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str, kind: Option<&str>) -> Room {
        Room::parse(name, kind).expect("a legal name")
    }

    #[test]
    fn a_bare_name_and_its_channel_are_one_room() {
        assert_eq!(room("general", None), room("channel:general", None));
        assert_eq!(room("general", Some("channel")), room("channel:general", Some("dm")));
        assert_eq!(room("general", None).id(), "general");
    }

    #[test]
    fn the_kind_decides_where_a_bare_name_belongs() {
        assert_eq!(room("7", Some("dm")), room("dm:7", None));
        assert_eq!(room("7", Some("thread")), room("thread:7", None));
        assert_ne!(room("7", Some("thread")), room("7", None));
    }

    #[test]
    fn a_direct_conversation_is_between_two_users_whose_ids_are_alike() {
        for (name, user, expected) in [
            ("dm:alice-bob", "alice", true),
            ("dm:alice-bob", "bob", true),
            ("dm:alice-bob", "carol", false),
            ("dm:user-1-user-2", "user-1", true),
            ("dm:user-1-user-2", "user", false),
            ("dm:user-1-user-2", "2", false),
            ("dm:alice-anne-bob", "bob", false),
            ("dm:7", "7", false),
            ("channel:alice-bob", "alice", false),
        ] {
            assert_eq!(room(name, None).is_between(user), expected, "{user} in {name}");
        }
    }

    #[test]
    fn spelling_does_not_lead_around_the_rule() {
        for name in ["channel:user:alice", " user:alice", "USER:alice", "user:"] {
            assert_ne!(room(name, None), Room::of_user("alice"), "{name}");
            assert_eq!(room(name, None).kind(), "channel", "{name}");
        }
    }

    #[test]
    fn names_that_cannot_be_shown_are_refused() {
        for name in ["", "a\nb", &"x".repeat(257)] {
            assert!(Room::parse(name, None).is_err());
        }
    }
}
