//! A socket's beginning and end: admission, welcome, renewed tokens, pings, departure.

use std::fmt::Display;
use std::sync::{Arc, Mutex, Once};

use kit::clock;
use serde_json::{Value, json};
use socketioxide::socket::DisconnectReason;

use super::call::{Call, Refused, Reply, Session};
use super::vocabulary::Spoken;
use super::{presence, rooms, typing};
use crate::adapter::SocketRef;
use crate::auth::{Identity, Refusal};
use crate::delivery::Delivery;
use crate::hub::{EndedTokens, Face, Joined, Moment, Room};
use crate::state::App;

/// Why a socket is not let in; the text reaches the client as `connect_error`.
#[derive(Debug)]
pub(crate) enum NotAdmitted {
    Refused(Refusal),
    Full,
}

impl Display for NotAdmitted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(formatter),
            Self::Full => formatter.write_str("Maximum connections reached"),
        }
    }
}

/// Decides whether a socket may connect. The caller listens to it from here on: its first event may come before
/// [`welcome`] runs.
pub(super) async fn admit(app: &Arc<App>, socket: &SocketRef, auth: &Value) -> Result<Arc<Session>, NotAdmitted> {
    let admitted = if app.hub.connections() >= app.config.max_connections {
        Err(NotAdmitted::Full)
    } else {
        app.gate.identify(auth).await.map_err(NotAdmitted::Refused)
    };
    match admitted {
        Ok(identity) => {
            let session = Arc::new(open_session(app, socket, identity, auth));
            socket.extensions.insert(session.clone());
            Ok(session)
        }
        Err(refusal) => {
            tracing::debug!(socket = %socket.id, %refusal, "refused a connection");
            app.metrics.count_error();
            Err(refusal)
        }
    }
}

/// Greets a socket that was admitted and told so.
pub(crate) fn welcome(app: &App, socket: &SocketRef) {
    let Some(session) = socket.extensions.remove::<Arc<Session>>() else {
        return;
    };
    begin(&session, socket);
    if !socket.connected() {
        // It went before there was a handler to be told so.
        depart(app, &session, socket, "closed early");
    }
}

/// Makes a socket known to the hub and greets it; only the first call does anything.
pub(super) fn begin(session: &Arc<Session>, socket: &SocketRef) {
    session.begun.call_once(|| {
        let app = &session.app;
        let now = Moment::now();
        let came_online = app.hub.connect(socket.id, &session.face, session.is_user, now);
        app.counters.connections.inc();
        let departing = session.clone();
        socket.on_disconnect(move |socket: SocketRef, reason: DisconnectReason| {
            depart(&departing.app, &departing, &socket, &format!("{reason:?}"));
            std::future::ready(())
        });
        tracing::debug!(socket = %socket.id, user = session.user_id(), "connected");
        app.hub.set_token_end(socket.id, session.token_ends_at);
        greet(session, socket, now);
        if let Some(view) = came_online {
            presence::announce(app, &view, &[]);
        }
    });
}

fn greet(session: &Session, socket: &SocketRef, now: Moment) {
    let app = &session.app;
    let greeting = json!({
        "socketId": socket.id,
        "serverTime": clock::iso(now.wall),
        "protocolVersion": "1.0",
    });
    app.delivery.to_socket(socket, "connected", &greeting);
    if session.is_user {
        let own = Room::of_user(&session.face.user_id);
        if let Joined::In { .. } = app.hub.join(socket.id, &own, own.as_str(), now) {
            Delivery::join(socket, &own, session.spoken.words());
        }
        authenticated(session, socket);
    }
}

fn open_session(app: &Arc<App>, socket: &SocketRef, identity: Identity, auth: &Value) -> Session {
    let is_user = identity.user_id.is_some();
    let user_id = identity.user_id.unwrap_or_else(|| Arc::from(format!("anonymous:{}", socket.id)));
    Session {
        app: app.clone(),
        face: Arc::new(Face { user_id, name: identity.name, avatar: identity.avatar }),
        is_user,
        token_ends_at: identity.ends_at,
        login_id: identity.session_id.unwrap_or_else(|| socket.id.to_string()),
        begun: Once::new(),
        spoken: Spoken::new(auth),
        waiting: Mutex::new(None),
    }
}

fn authenticated(session: &Session, socket: &SocketRef) {
    let rooms = session.app.hub.rooms_of(socket.id);
    let payload = json!({
        "userId": &*session.face.user_id,
        "sessionId": session.login_id,
        "rooms": rooms.iter().map(Room::as_str).collect::<Vec<_>>(),
    });
    session.app.delivery.to_socket(socket, "authenticated", &payload);
}

/// `auth:refresh {token}`: the same user with a newer token.
pub(super) fn refresh(call: &Call<'_>, payload: Value) -> Reply {
    let (session, socket) = (call.session.clone(), call.socket.clone());
    Reply::Later(Box::pin(async move {
        let app = &session.app;
        let refused = match app.gate.identify(&payload).await {
            // A token of somebody else would need rooms left and joined: that is a new connection.
            Ok(identity) if identity.user_id.as_deref() == session.user_id() => {
                app.hub.set_token_end(socket.id, identity.ends_at);
                None
            }
            Ok(_) => Some(Refused::new("USER_MISMATCH", "the token belongs to another user")),
            Err(Refusal::Required) => Some(Refused::new("AUTH_REQUIRED", Refusal::Required.to_string())),
            Err(Refusal::Invalid) => Some(Refused::new("AUTH_INVALID", Refusal::Invalid.to_string())),
        };
        if let Some(refused) = refused {
            app.delivery.to_socket(&socket, "auth:error", &refused.to_json());
            return Err(refused);
        }
        if session.is_user {
            authenticated(&session, &socket);
        }
        Ok(None)
    }))
}

/// Tells sockets that their tokens have ended, and ends those that went on without a newer one.
pub(crate) fn end_tokens(app: &App, ended: &EndedTokens) {
    for socket in ended.told.iter().filter_map(|id| app.delivery.socket(*id)) {
        let error = Refused::new("AUTH_EXPIRED", "the token has ended: send a newer one with `auth:refresh`");
        app.delivery.to_socket(&socket, "auth:error", &error.to_json());
    }
    for socket in ended.closed.iter().filter_map(|id| app.delivery.socket(*id)) {
        tracing::debug!(socket = %socket.id, "disconnected: the token has ended");
        app.metrics.count_error();
        close(&socket);
    }
}

/// Ends a connection from this side.
pub(crate) fn close(socket: &SocketRef) {
    // It fails only where the socket has just gone.
    let _ = socket.clone().disconnect();
}

/// `ping {timestamp}`: the acknowledgement carries the sender's time back, bare.
pub(super) fn ping(call: &Call<'_>, payload: &Value) -> Reply {
    let sent = payload.get("timestamp").filter(|value| value.is_number() || value.is_string());
    let timestamp = sent.cloned().unwrap_or_else(|| json!(clock::milliseconds(call.now.wall)));
    let body = json!({"timestamp": timestamp});
    call.reply("pong", &body);
    Reply::Bare(body)
}

/// Takes a socket out of the hub and tells the others; only the first call does anything.
fn depart(app: &App, session: &Session, socket: &SocketRef, reason: &str) {
    let now = Moment::now();
    let Some(departure) = app.hub.disconnect(socket.id, now) else {
        return;
    };
    app.counters.connections.dec();
    tracing::debug!(socket = %socket.id, user = session.user_id(), reason, "disconnected");
    for change in &departure.typing {
        typing::announce(app, change, None);
    }
    for (room, name) in departure.left.iter().filter(|(room, _)| room.kind() != "user") {
        rooms::announce_left(app, &session.face, (room, name), None, now);
    }
}
