//! What somebody wants to be sent, read from any of the requests' forms and checked; nothing is decided here.

mod mail;
mod read;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::channel::{Channel, Priority};
use crate::mailbox::Mailbox;

pub(crate) use read::{Dialect, read, read_user};

/// The longest name of a user, type, category or template, in bytes.
pub(crate) const NAME_BYTES: usize = 200;
/// The longest title or subject, in bytes.
const TITLE_BYTES: usize = 1000;
const MOST_ATTACHMENTS: usize = 20;

/// Where each channel reaches the user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Recipient {
    pub(crate) email: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) push_token: Option<String>,
    pub(crate) platform: Option<String>,
    pub(crate) mail: MailOptions,
}

/// What an e-mail says beside its recipient and content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct MailOptions {
    pub(crate) cc: Vec<Mailbox>,
    pub(crate) bcc: Vec<Mailbox>,
    /// `None` for the configured sender.
    pub(crate) from: Option<Mailbox>,
    pub(crate) reply_to: Vec<Mailbox>,
    pub(crate) list_unsubscribe: Vec<String>,
}

impl Recipient {
    /// Where an e-mail goes; `None` without an address, or with one that cannot be written.
    pub(crate) fn mailbox(&self) -> Option<Mailbox> {
        let address = crate::mailbox::parse_address(self.email.as_deref()?).ok()?;
        Mailbox::named(address, self.name.clone()).ok()
    }
}

/// A file that goes with an e-mail; its content stays in base64 until it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attachment {
    pub(crate) filename: String,
    pub(crate) content: String,
    pub(crate) content_type: String,
}

/// A message to one user, before any template is filled in.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) user_id: String,
    pub(crate) kind: String,
    pub(crate) category: String,
    pub(crate) priority: Priority,
    pub(crate) channels: Vec<Channel>,
    pub(crate) to: Recipient,
    pub(crate) title: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) html: Option<String>,
    pub(crate) template: Option<String>,
    pub(crate) variables: Map<String, Value>,
    pub(crate) data: Value,
    pub(crate) metadata: Value,
    pub(crate) tags: Value,
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) scheduled_at: Option<i64>,
    pub(crate) ignores_quiet_hours: bool,
    pub(crate) idempotency_key: Option<String>,
}

/// Whether a text can stand in a header or name something: not empty, not huge, no control characters.
pub(crate) fn is_name(text: &str, longest: usize) -> bool {
    !text.trim().is_empty() && text.len() <= longest && !text.chars().any(char::is_control)
}
