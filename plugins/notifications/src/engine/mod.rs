//! What happens to a message: `intake` decides and stores, `worker` delivers, `webhooks` tells subscribers, `upkeep`
//! watches dependencies and forgets. Whatever was stored before an answer goes out, restarts or not.

mod content;
mod deliver;
mod digest;
mod event;
mod intake;
mod lease;
mod refusal;
mod upkeep;
mod webhooks;
mod worker;

pub(crate) use content::find as find_template;
pub(crate) use intake::{Accepted, Origin, take};
pub(crate) use refusal::Refusal;
pub(crate) use upkeep::{migrate_until_done, run as run_upkeep};
pub(crate) use webhooks::run as run_webhooks;
pub(crate) use worker::run as run_worker;
