//! The realtime plugin: Socket.IO rooms, messages, typing and presence over one [`hub`].
//!
//! `config` reads the settings, `auth` says who connects and `access` what they may do, `hub` owns all state, `events`
//! answers what sockets send, `http` answers requests, `delivery` sends through the `adapter`, `slow` ends slow readers,
//! `handshake` saves memory, `cluster` tells other instances over Redis what changes here and hears what changes there.
//! `state` is what handlers work with, `wiring` puts it together.

mod access;
mod adapter;
mod auth;
mod cluster;
mod config;
mod delivery;
mod events;
mod handshake;
mod http;
mod hub;
mod slow;
mod state;
mod state_report;
mod turns;
mod wiring;

fn main() -> std::process::ExitCode {
    kit::run(wiring::build)
}
