//! All that is stored, by what it is for: each file holds the statements of one of the plugin's concerns.
//!
//! The only place that knows tables; it decides nothing.

mod accept;
mod messages;
mod preferences;
mod queue;
mod records;
mod statistics;
mod upkeep;
mod webhooks;

use crate::database::Database;

pub(crate) use accept::{Acceptance, NewDelivery, NewMessage, NotAccepted, Remembered};
pub(crate) use messages::{Filter, Message};
pub(crate) use queue::{Claimed, Ending, Payload};
pub(crate) use records::PushSubscription;
pub(crate) use statistics::{Report, rate};
pub(crate) use upkeep::Before;
pub(crate) use webhooks::{Settlement, Webhook, WebhookCall};

/// The stored state over one database.
pub(crate) struct Store {
    pub(crate) database: Database,
}

impl Store {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }
}
