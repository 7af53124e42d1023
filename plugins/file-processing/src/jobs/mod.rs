//! Jobs: what a caller ordered and fetches later.
//!
//! `record` says what a job is, `journal` keeps jobs on disk, `desk` owns their states. What runs them is in `runner`.

mod desk;
mod journal;
mod record;

pub(crate) use desk::Desk;
pub(crate) use journal::Journal;
pub(crate) use record::{Job, Operation, Optimization, Options, Scan, State, Thumbnail};
