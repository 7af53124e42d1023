//! What every handler holds. Wiring is in `app`; nothing here knows HTTP.

use std::sync::Arc;

use kit::outbound::Client;

use crate::config::Config;
use crate::metrics::Counters;
use crate::schedules::Schedules;
use crate::store::Queues;
use crate::workers::Crew;

/// What every handler works with.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) queues: Arc<Queues>,
    pub(crate) schedules: Arc<Schedules>,
    pub(crate) crew: Arc<Crew>,
    /// Knows which addresses jobs may name.
    pub(crate) guarded: Client,
    pub(crate) counters: Counters,
}
