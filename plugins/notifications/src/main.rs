//! The notifications plugin: e-mail, in-app and SMS messages to users, as they want them.
//!
//! `config` reads the settings, `http` answers requests, `draft` reads what is to be sent, `engine` decides, stores and
//! delivers, `channels` hand over, `preferences` and `templates` say when and what, `store` holds everything in one
//! `database`, `state` is what they share. Here they are put together.

mod backlog;
mod chain;
mod channel;
mod channels;
mod config;
mod config_email;
mod counters;
mod database;
mod draft;
mod engine;
mod health;
mod http;
mod instance;
mod mailbox;
mod preferences;
mod state;
mod store;
mod templates;
mod time;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use kit::{ConfigurationError, Environment, Metrics, Plugin};
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::state::App;

/// The tables are waited for this long at the start, so that the first request finds them.
const MIGRATE_WITHIN: Duration = Duration::from_secs(3);

fn main() -> std::process::ExitCode {
    kit::run(build)
}

async fn build(environment: Environment) -> Result<Plugin, ConfigurationError> {
    let config = Config::read(&environment)?;
    let metrics = Metrics::new("notifications");
    let app = Arc::new(App::open(config, &metrics)?);
    let tasks = start(&app).await;
    app.report_what_is_off();
    let (observed, stopped) = (app.clone(), app.clone());
    Ok(Plugin {
        name: "notifications",
        version: env!("CARGO_PKG_VERSION"),
        settings: app.config.server.clone(),
        metrics,
        health: Arc::new(move || {
            let app = observed.clone();
            Box::pin(async move { health::health(&app).await })
        }),
        routes: http::routes(&app),
        on_stop: Box::pin(async move {
            stopped.backlog.stop();
            join_all(tasks).await;
        }),
    })
}

/// Starts what runs beside the requests.
async fn start(app: &Arc<App>) -> Vec<JoinHandle<()>> {
    let mut tasks = Vec::new();
    match tokio::time::timeout(MIGRATE_WITHIN, app.store.database.migrate()).await {
        Ok(Ok(())) => app.set_migrated(),
        _ => tasks.push(tokio::spawn(engine::migrate_until_done(app.clone()))),
    }
    tasks.push(tokio::spawn(engine::run_worker(app.clone())));
    tasks.push(tokio::spawn(engine::run_webhooks(app.clone())));
    tasks.push(tokio::spawn(engine::run_upkeep(app.clone())));
    tasks
}
