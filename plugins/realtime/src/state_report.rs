//! What the server says of its own state: health, and what its operator may look at and end.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use kit::{Class, Dependency, Failure, Health, Routes, Status, clock};
use serde_json::{Map, Value, json};

use crate::cluster::{Cluster, State as ClusterState};
use crate::events::connection::close;
use crate::state::App;

/// The most rooms or sockets that one answer lists.
const MOST_LISTED: usize = 1_000;

type Shared = State<Arc<App>>;

/// Routes for operators; those that name users are power routes.
pub(crate) fn routes(app: Arc<App>) -> Routes {
    let power = Router::new()
        .route("/rooms", get(rooms))
        .route("/connections", get(connections))
        .route("/connections/{id}", delete(end_connection))
        .with_state(app.clone());
    let status = Router::new().route("/status", get(status)).with_state(app);
    Routes::new().group(Class::Ordinary, status).group(Class::Power, power)
}

/// What `/health` says.
pub(crate) fn health(app: &App) -> Health {
    let connections = app.hub.connections();
    let is_full = connections >= app.config.max_connections;
    let mut details = Map::new();
    details.insert("websocket".to_owned(), json!({"running": true, "connections": connections}));
    details.insert("connections".to_owned(), json!(connections));
    details.insert("maxConnections".to_owned(), json!(app.config.max_connections));
    let redis = redis(app.cluster.as_deref());
    if let Some(cluster) = &app.cluster {
        let more = json!({"instances": app.hub.peers() + 1, "dropped": cluster.outbox().dropped()});
        details.insert("dependencies".to_owned(), json!({"redis": more}));
    }
    let full = is_full.then(|| "the limit of connections is reached".to_owned());
    let reasons: Vec<String> = full.into_iter().chain(redis.error.clone()).collect();
    Health {
        status: if reasons.is_empty() { Status::Healthy } else { Status::Degraded },
        error: (!reasons.is_empty()).then(|| reasons.join("; ")),
        dependencies: vec![redis],
        details,
    }
}

fn redis(cluster: Option<&Cluster>) -> Dependency {
    let (status, error, latency) = match cluster.map(Cluster::state) {
        None => ("not configured", None, None),
        Some(ClusterState::Connected(took)) => ("connected", None, Some(took.as_secs_f64() * 1000.0)),
        Some(ClusterState::Refusing(why)) => ("refusing", Some(why), None),
        Some(ClusterState::Away(why)) => {
            let why = format!("{why}; until then other instances hear nothing of this one");
            ("disconnected", Some(why), None)
        }
    };
    Dependency { name: "redis", status, error, latency }
}

async fn status(State(app): Shared) -> Json<Value> {
    Json(json!({
        "plugin": "realtime",
        "version": env!("CARGO_PKG_VERSION"),
        "status": "running",
        "stats": {
            "connections": app.hub.connections(),
            "maxConnections": app.config.max_connections,
            "rooms": app.hub.rooms(usize::MAX).len(),
            "instances": app.hub.peers() + 1,
        },
        "timestamp": clock::iso(clock::now()),
    }))
}

async fn rooms(State(app): Shared) -> Result<Json<Value>, Failure> {
    let rooms = app
        .hub
        .rooms(MOST_LISTED)
        .into_iter()
        .map(|(room, count)| json!({"roomName": room.as_str(), "type": room.kind(), "memberCount": count}));
    Ok(Json(json!({"rooms": rooms.collect::<Vec<_>>()})))
}

async fn connections(State(app): Shared) -> Result<Json<Value>, Failure> {
    let listed = app.hub.listed(MOST_LISTED);
    let listed = listed.iter().map(|(id, user_id, rooms)| json!({"id": id, "userId": user_id, "rooms": rooms}));
    Ok(Json(json!({"connections": listed.collect::<Vec<_>>(), "total": app.hub.connections()})))
}

async fn end_connection(State(app): Shared, Path(id): Path<String>) -> Result<Json<Value>, Failure> {
    let socket = id.parse().ok().and_then(|id| app.delivery.socket(id));
    let missing = || Failure::new(StatusCode::NOT_FOUND, format!("no socket `{id}` is connected to this instance"));
    close(&socket.ok_or_else(missing)?);
    Ok(Json(json!({"success": true, "id": id})))
}
