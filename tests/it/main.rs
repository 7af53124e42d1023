//! The main suite: the real program against a real Docker engine, with registries, archives and faults on loopback.
//! Nothing here is skipped: a precondition that is missing fails the test that needs it.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests may panic and tell")]
#![expect(clippy::disallowed_methods, reason = "the harness reads where cargo put things, and the clock")]

mod support;

mod access;
mod actions;
mod cli;
mod config;
mod doctor;
mod dry_run;
mod env;
mod env_files;
mod file_processing;
mod hardening;
mod health;
mod images;
mod install;
mod interrupt;
mod jobs;
mod json;
mod kill;
mod lock;
mod logs;
mod network;
mod notifications;
mod ports;
mod preflight;
mod pull;
mod realtime;
mod recovery;
mod registry;
mod remove;
mod renewal;
mod rollback;
mod self_update;
mod services;
mod sets;
mod setup;
mod soak;
mod states;
mod status;
mod upstream;
mod verify;
mod versions;
mod walk;
