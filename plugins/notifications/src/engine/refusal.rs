//! Why a message is not taken, and what was decided on each channel.

use kit::FieldError;
use serde::{Deserialize, Serialize};

use crate::channel::Channel;
use crate::database::DatabaseError;

/// What happens on one channel, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChannelResult {
    pub(crate) channel: String,
    pub(crate) status: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default, rename = "deliverAt")]
    pub(crate) deliver_at: Option<String>,
}

/// Why a message was not stored.
#[derive(Debug)]
pub(crate) enum Refusal {
    Invalid(Vec<FieldError>),
    UnknownTemplate(String),
    /// No channel can take it: none is configured or has an address.
    NoChannel(Vec<ChannelResult>),
    /// The user does not want it on any of the channels.
    Unwanted(Vec<ChannelResult>),
    Limited {
        channel: Channel,
        limit: u32,
        opens_at: i64,
    },
    QueueFull {
        current: i64,
        limit: i64,
    },
    /// The key was used with another content.
    KeyReused,
    /// The caller may not send this.
    Forbidden,
    /// Too many templates are being rendered.
    Busy,
    Database(DatabaseError),
}

impl From<DatabaseError> for Refusal {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl Refusal {
    pub(super) fn invalid(field: &str, message: &str) -> Self {
        Self::Invalid(vec![FieldError { field: field.to_owned(), message: message.to_owned() }])
    }
}
