//! What a presence consists of, and how the wire shows it.

use std::sync::Arc;
use std::time::SystemTime;

use kit::clock;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The four states; `dnd` and `busy` are two words for one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    Online,
    Away,
    Busy,
    Offline,
}

impl Status {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "online" => Some(Self::Online),
            "away" => Some(Self::Away),
            "busy" | "dnd" => Some(Self::Busy),
            "offline" | "invisible" => Some(Self::Offline),
            _ => None,
        }
    }

    /// The word of `presence:changed`.
    pub(crate) fn busy_word(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Away => "away",
            Self::Busy => "busy",
            Self::Offline => "offline",
        }
    }

    /// The word of `presence` and of HTTP.
    pub(crate) fn dnd_word(self) -> &'static str {
        if self == Self::Busy { "dnd" } else { self.busy_word() }
    }
}

/// A text and an emoji beside the status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CustomStatus {
    pub(crate) text: Option<String>,
    pub(crate) emoji: Option<String>,
    pub(crate) expires_at: Option<SystemTime>,
}

/// A user's presence at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) user_id: Arc<str>,
    pub(crate) status: Status,
    pub(crate) custom: Option<CustomStatus>,
    pub(crate) last_seen: Option<SystemTime>,
}

impl View {
    /// As `presence:changed` and `presence:bulk` show it.
    pub(crate) fn to_json(&self) -> Value {
        let mut value = json!({"userId": &*self.user_id, "status": self.status.busy_word()});
        if let Some(custom) = &self.custom {
            value["customStatus"] = json!({"text": custom.text, "emoji": custom.emoji});
            if let Some(at) = custom.expires_at {
                value["customStatus"]["expiresAt"] = json!(clock::iso(at));
            }
        }
        if let Some(at) = self.last_seen {
            value["lastSeen"] = json!(clock::iso(at));
            value["lastSeenAt"] = value["lastSeen"].clone();
        }
        value
    }
}
