//! Metrics and logs.

mod logging;
mod metrics;
mod process;

pub(crate) use logging::start as start_log;
pub use metrics::Metrics;
