//! The notifications plugin: e-mail, in-app and SMS messages to users, as they want them.
//!
//! `config` reads the settings, `http` answers requests, `draft` reads what is to be sent, `engine` decides, stores and
//! delivers, `channels` hand over, `preferences` and `templates` say when and what, `store` holds everything in one
//! `database`.

mod app;
mod chain;
mod channel;
mod channels;
mod config;
mod config_email;
mod database;
mod draft;
mod engine;
mod http;
mod preferences;
mod store;
mod templates;
mod time;

fn main() -> std::process::ExitCode {
    kit::run(app::build)
}
