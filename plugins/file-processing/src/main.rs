//! The file-processing plugin: images resized, converted, thumbnailed and freed of metadata, at once or as jobs.
//!
//! `config` reads the settings, `upload` brings bodies to disk, `content` tells what a file is, `images` decodes,
//! changes and encodes, `works` bounds all of that, `storage` keeps files, `links` names them to callers, `jobs` works
//! off what was accepted, `outbound` asks other servers, `http` answers requests, `upkeep` tidies.

mod app;
mod config;
mod content;
mod counters;
mod http;
mod images;
mod jobs;
mod keys;
mod links;
mod outbound;
mod problem;
mod runner;
mod state;
mod storage;
mod upkeep;
mod upload;
mod works;

fn main() -> std::process::ExitCode {
    images::run_confined().unwrap_or_else(|| kit::run(app::build))
}
