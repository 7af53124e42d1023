//! The jobs plugin: BullMQ queues over HTTP, workers for them, schedules, and a dashboard.
//!
//! `config` reads the settings, `broker` watches Redis, `store` knows the queues, `request` reads what is wanted, `http`
//! answers requests, `workers` run jobs with `processors`, `schedules` repeat them, `dashboard` shows them. All state is in
//! Redis, in the layout that npm's bullmq shares.

mod app;
mod broker;
mod config;
mod control;
mod cron;
mod dashboard;
mod http;
mod metrics;
mod processors;
mod queue_name;
mod request;
mod schedules;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod workers;

fn main() -> std::process::ExitCode {
    kit::run(app::build)
}
