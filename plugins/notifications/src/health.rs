//! What `/health` answers: the database, the mail server, realtime, the queue.

use std::sync::atomic::Ordering;
use std::time::Duration;

use kit::{Dependency, Health, Status};
use serde_json::{Map, Value, json};

use crate::channel::Channel;
use crate::channels::Presence;
use crate::database::EXPECTED_MIGRATIONS;
use crate::state::{App, Observed};

/// A database that has not answered by then counts as away.
const PING_WITHIN: Duration = Duration::from_millis(700);

/// Returns how the plugin is.
pub(crate) async fn health(app: &App) -> Health {
    let began = std::time::Instant::now();
    let applied = tokio::time::timeout(PING_WITHIN, app.store.database.applied_migrations()).await;
    let applied = match applied {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the database is away: no answer within {} ms", PING_WITHIN.as_millis())),
    };
    let latency = began.elapsed().as_secs_f64() * 1000.0;
    let observed = app.observed();
    let database_error = match &applied {
        // More than expected are those of a later version, which keeps its tables usable for this one.
        Ok(count) if *count < EXPECTED_MIGRATIONS || !app.is_migrated() => Some("migrations are not done".to_owned()),
        Ok(_) => None,
        Err(why) => Some(why.clone()),
    };
    let database = Dependency {
        name: "database",
        status: if database_error.is_none() { "connected" } else { "disconnected" },
        error: database_error.clone(),
        latency: applied.is_ok().then_some(latency),
    };
    let dependencies = vec![database, email_dependency(app, &observed), realtime_dependency(&observed)];
    let degraded = dependencies[1..]
        .iter()
        .filter(|dependency| dependency.status == "disconnected")
        .map(|dependency| format!("{}: {}", dependency.name, dependency.error.as_deref().unwrap_or("away")))
        .collect::<Vec<_>>();
    let error = database_error.clone().or_else(|| (!degraded.is_empty()).then(|| degraded.join("; ")));
    let status = match (&database_error, degraded.is_empty()) {
        (Some(_), _) => Status::Unhealthy,
        (None, false) => Status::Degraded,
        (None, true) => Status::Healthy,
    };
    Health { status, error, dependencies, details: details(app, applied.unwrap_or_default(), &observed) }
}

fn email_dependency(app: &App, observed: &Observed) -> Dependency {
    let (status, error) = match (&app.channels.email, &observed.email) {
        (Err(why), _) => ("not configured", Some(why.clone())),
        (Ok(_), Some(Err(why))) => ("disconnected", Some(why.clone())),
        (Ok(_), Some(Ok(()))) => ("connected", None),
        (Ok(_), None) if app.channels.dry_run => ("not used", Some("dry run".to_owned())),
        (Ok(_), None) => ("not probed yet", None),
    };
    Dependency { name: "email", status, error, latency: None }
}

fn details(app: &App, applied: usize, observed: &Observed) -> Map<String, Value> {
    let (waiting, pending, processing) = app.backlog.counts();
    let channel = |channel: Channel| match app.channels.off(channel) {
        None => json!({"enabled": true, "provider": app.channels.provider(channel)}),
        Some(why) => json!({"enabled": false, "reason": why}),
    };
    let provider = |channel: Channel| match (app.channels.off(channel), channel, &observed.email) {
        (Some(_), ..) => json!({"status": "disabled"}),
        (None, Channel::Email, Some(Err(_))) => json!({"status": "unhealthy"}),
        (None, ..) => json!({"status": "healthy"}),
    };
    let details = json!({
        "channels": {
            "email": channel(Channel::Email),
            "push": channel(Channel::Push),
            "sms": channel(Channel::Sms),
            "in-app": channel(Channel::InApp),
        },
        "providers": {
            "email": provider(Channel::Email),
            "fcm": provider(Channel::Push),
            "sms": provider(Channel::Sms),
        },
        "queue": {
            "pending": waiting + pending,
            "scheduled": pending,
            "processing": processing,
            "completed": app.backlog.completed.load(Ordering::Relaxed),
            "failed": app.backlog.failed.load(Ordering::Relaxed),
            "max": app.config.queue_limit,
        },
        "storage": app.store.database.kind(),
        "migrations": {"applied": applied, "expected": EXPECTED_MIGRATIONS},
        "realtimeEventsDropped": app.channels.realtime.dropped(),
        "dryRun": app.channels.dry_run,
    });
    match details {
        Value::Object(details) => details,
        _ => Map::new(),
    }
}

fn realtime_dependency(observed: &Observed) -> Dependency {
    let (status, error) = match &observed.realtime {
        None => ("not probed yet", None),
        Some(Presence::Off) => ("not configured", None),
        Some(Presence::Connected) => ("connected", None),
        Some(Presence::Absent) => {
            ("not installed", Some("in-app messages are stored, and told to nobody at once".to_owned()))
        }
        Some(Presence::Away(why)) => ("disconnected", Some(why.clone())),
    };
    Dependency { name: "realtime", status, error, latency: None }
}
