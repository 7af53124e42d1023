//! What sockets send, and what they are answered.
//!
//! One handler takes every event, in the order of arrival, and passes it on by name: a failure is
//! answered in one way, limits and metrics have one place, and an idle socket costs one closure.

pub(crate) mod connection;
pub(crate) mod elsewhere;
pub(crate) mod history;
pub(crate) mod messages;
pub(crate) mod presence;
mod relay;
pub(crate) mod rooms;
pub(crate) mod typing;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Once};
use std::time::Instant;

use kit::{FieldError, Fields};
use serde_json::{Value, json};
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Event, SocketRef, TryData};
use socketioxide::handler::ConnectHandler;

use crate::app::App;
use crate::hub::{Face, Kind, Limited, Moment, Room};

/// One socket as its handlers see it.
pub(crate) struct Session {
    pub(crate) app: Arc<App>,
    /// How others see the user; an unnamed socket stands for itself.
    pub(crate) face: Arc<Face>,
    /// Whether the face stands for a user.
    pub(crate) is_user: bool,
    /// The `sessionId` that the token named, else the socket's id.
    pub(crate) login_id: String,
    /// When the token that it connected with ends.
    pub(crate) token_ends_at: Option<u64>,
    /// Whether the hub knows of the socket yet.
    pub(crate) begun: Once,
}

impl Session {
    /// The user's id, where there is a user.
    pub(crate) fn user_id(&self) -> Option<&str> {
        self.is_user.then_some(&*self.face.user_id)
    }
}

/// One event being handled.
pub(crate) struct Call<'a> {
    pub(crate) session: &'a Session,
    pub(crate) socket: &'a SocketRef,
    pub(crate) now: Moment,
}

impl Call<'_> {
    pub(crate) fn app(&self) -> &App {
        &self.session.app
    }

    /// Counts the event against the user's limit of its kind.
    pub(crate) fn limit(&self, kind: Kind) -> Result<(), Refused> {
        Ok(self.app().hub.count(&self.session.face.user_id, kind, self.now)?)
    }

    /// Answers the sender with an event.
    pub(crate) fn reply(&self, event: &str, payload: &Value) {
        self.app().delivery.to_socket(self.socket, event, payload);
    }
}

/// Why an event was not done; becomes the `error` event and the failed acknowledgement.
#[derive(Debug)]
pub(crate) struct Refused {
    code: &'static str,
    message: String,
    details: Value,
}

impl Refused {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Value::Null }
    }

    pub(crate) fn forbidden(room: &Room) -> Self {
        Self::new("FORBIDDEN", format!("`{room}` belongs to somebody else"))
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.message});
        if !self.details.is_null() {
            error["details"] = self.details.clone();
        }
        error
    }
}

impl From<Vec<FieldError>> for Refused {
    fn from(details: Vec<FieldError>) -> Self {
        let details = json!(details);
        Self { details, ..Self::new("INVALID_PAYLOAD", "the payload is not valid") }
    }
}

impl From<Limited> for Refused {
    fn from(limited: Limited) -> Self {
        let retry_after = u64::try_from(limited.retry_after.as_millis()).unwrap_or(u64::MAX);
        let details = json!({"limit": limited.limit, "retryAfterMs": retry_after});
        Self { details, ..Self::new("RATE_LIMITED", "too many events of this kind") }
    }
}

/// What an event is acknowledged with.
pub(crate) enum Reply {
    /// `{success: true}`.
    Done,
    /// `{success: true, data}`.
    Data(Value),
    /// Exactly this, for readers that know no envelope.
    Bare(Value),
    /// `{success: true, data}` with data that are still to come.
    Later(Pin<Box<dyn Future<Output = Value> + Send>>),
}

pub(crate) type Answer = Result<Reply, Refused>;

/// Reads a room's name out of a field.
pub(crate) fn room_field(fields: &mut Fields, field: &str, kind: Option<&str>) -> (String, Option<Room>) {
    let name = fields.text(field);
    if name.is_empty() {
        return (name, None);
    }
    match Room::parse(&name, kind) {
        Ok(room) => (name, Some(room)),
        Err(message) => {
            fields.reject(field, message);
            (name, None)
        }
    }
}

/// Lets sockets in and handles what they send.
pub(crate) fn attach(io: &SocketIo, app: &Arc<App>) {
    let (gatekeeper, host) = (app.clone(), app.clone());
    let admit = async move |socket: SocketRef, TryData(auth): TryData<Value>| {
        connection::admit(&gatekeeper, &socket, &auth.unwrap_or_default())
    };
    let welcome = move |socket: SocketRef| {
        connection::welcome(&host, &socket);
        std::future::ready(())
    };
    io.ns("/", welcome.with(admit));
}

/// Takes the events of one socket.
pub(crate) fn listen(socket: &SocketRef, session: Arc<Session>) {
    socket.on_fallback(
        move |socket: SocketRef, Event(event): Event, TryData(payload): TryData<Value>, ack: AckSender| {
            // Before the future, not in it: futures of one socket run in any order.
            connection::begin(&session, &socket);
            handle(&session, &socket, &event, payload.unwrap_or_default(), ack);
            std::future::ready(())
        },
    );
}

fn handle(session: &Session, socket: &SocketRef, event: &str, payload: Value, ack: AckSender) {
    let began = Instant::now();
    let call = Call { session, socket, now: Moment::now() };
    let answer = catch_unwind(AssertUnwindSafe(|| route(&call, event, payload)));
    // A panic that went further would end the socket's task and leave the socket in its rooms.
    let answer = answer.unwrap_or_else(|_| Err(Refused::new("INTERNAL", "internal error")));
    let body = match answer {
        Ok(Reply::Done) => json!({"success": true}),
        Ok(Reply::Data(data)) => json!({"success": true, "data": data}),
        Ok(Reply::Bare(body)) => body,
        Ok(Reply::Later(data)) => {
            let event = event.to_owned();
            tokio::spawn(async move {
                let data = data.await;
                acknowledge(ack, &event, &json!({"success": true, "data": data}));
            });
            return;
        }
        Err(refused) => {
            call.app().metrics.count_error();
            let error = refused.to_json();
            call.reply("error", &error);
            json!({"success": false, "error": error})
        }
    };
    acknowledge(ack, event, &body);
    call.app().counters.latency.observe(began.elapsed().as_secs_f64() * 1000.0);
}

fn acknowledge(ack: AckSender, event: &str, body: &Value) {
    if let Err(error) = ack.send(body) {
        tracing::debug!(%error, event, "an acknowledgement was lost");
    }
}

fn route(call: &Call<'_>, event: &str, payload: Value) -> Answer {
    match event {
        "ping" => Ok(connection::ping(call, &payload)),
        "auth:refresh" => connection::refresh(call, &payload),
        "room:join" => rooms::join_room(call, Fields::new(payload)),
        "room:leave" => rooms::leave_room(call, Fields::new(payload)),
        "channel:join" => rooms::join_channel(call, Fields::new(payload)),
        "channel:leave" => rooms::leave_channel(call, Fields::new(payload)),
        "message:send" => messages::send(call, Fields::new(payload)),
        "sync:messages" => messages::sync(call, Fields::new(payload)),
        "sync:channels" => Ok(messages::sync_channels(call)),
        "typing:start" => typing::started(call, Fields::new(payload)),
        "typing:stop" => typing::stopped(call, Fields::new(payload)),
        "typing" | "message:typing" => typing::switched(call, Fields::new(payload)),
        "presence:update" => presence::update(call, Fields::new(payload)),
        "presence:subscribe" => presence::subscribe(call, Fields::new(payload)),
        "presence:unsubscribe" => presence::unsubscribe(call, Fields::new(payload)),
        "presence:get" => presence::get(call, Fields::new(payload)),
        "dispatch" => relay::dispatch(call, Fields::new(payload)),
        _ => Err(Refused::new("UNKNOWN_EVENT", format!("there is no event `{event}` here"))),
    }
}
