//! The realtime plugin: Socket.IO rooms, messages, typing and presence over one [`hub`].
//!
//! `config` reads the settings, `auth` tells who connects, `hub` owns all state, `events` answers
//! what sockets send, `http` answers requests, `delivery` sends, `handshake` saves memory, `cluster` tells other
//! instances over Redis what changes here and hears what changes there.

mod app;
mod auth;
mod cluster;
mod config;
mod delivery;
mod events;
mod handshake;
mod http;
mod hub;
mod state_report;
mod turns;

fn main() -> std::process::ExitCode {
    kit::run(app::build)
}
