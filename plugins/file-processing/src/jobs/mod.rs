//! Jobs: what a caller ordered and fetches later.
//!
//! `record` says what a job is, `journal` keeps jobs on disk, `desk` owns their states, `runner` works them off,
//! `work` is what one of them does, `webhook` tells of their end.

mod desk;
mod journal;
mod record;
mod runner;
mod webhook;
mod work;

pub(crate) use desk::Desk;
pub(crate) use journal::Journal;
pub(crate) use record::{Job, Operation, Options, Scan, State, Thumbnail};
pub(crate) use runner::{FINISH_WITHIN, run_jobs, stop_jobs};
pub(crate) use work::{savings_percent, store_thumbnail, thumbnails};
