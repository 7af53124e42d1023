//! The HTTP routes: presence, typing, messages, polling, broadcasts from trusted servers.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use kit::{Caller, Class, Failure, FieldError, Fields, JsonObject, Routes, clock};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::{Action, Denied, Who};
use crate::auth::is_user_id;
use crate::delivery::Except;
use crate::events::{history, messages, presence, room_field, typing};
use crate::hub::{Face, Kind, Limited, Moment, Room, Status, View};
use crate::state::App;

/// The most users that one answer lists.
const MOST_USERS: usize = 1_000;
/// The most messages that one poll brings; the next poll goes on from the last of them.
const MOST_POLLED: usize = 1_000;
/// The most rooms of one broadcast, and the most broadcasts of one batch.
const MOST_ROOMS: usize = 1_000;
const MOST_EVENTS: usize = 500;

type Shared = State<Arc<App>>;

/// All routes of the plugin; a broadcast reaches rooms that its sender is not in.
pub(crate) fn routes(app: Arc<App>) -> Routes {
    let power = Router::new()
        .route("/api/broadcast", post(broadcast))
        .route("/broadcast", post(broadcast))
        .route("/api/broadcast/batch", post(broadcast_batch))
        .with_state(app.clone());
    let ordinary = Router::new()
        .route("/presence", post(set_presence))
        .route("/presence/{channel_id}", get(show_presence).post(set_presence_in))
        .route("/typing", post(set_typing))
        .route("/messages", post(send_message))
        .route("/poll", get(poll))
        .with_state(app);
    Routes::new().group(Class::Ordinary, ordinary).group(Class::Power, power)
}

fn checked(fields: Fields) -> Result<(), Failure> {
    fields.finish().map_err(|details| Failure::invalid(&details))
}

fn invalid(field: &str, message: &str) -> Failure {
    Failure::invalid(&[FieldError { field: field.to_owned(), message: message.to_owned() }])
}

fn limited(limited: Limited, now: SystemTime) -> Failure {
    let wait = limited.retry_after.as_secs() + 1;
    Failure::rate_limited(limited.limit, wait, clock::milliseconds(now) / 1000 + wait)
}

/// The user for whom the caller acts; a user's token names one already.
fn read_user(fields: &mut Fields, caller: &Caller) -> Arc<str> {
    if let (false, Some(user_id)) = (fields.has("userId"), caller.user_id()) {
        return Arc::from(user_id);
    }
    let user_id = fields.text("userId");
    if !user_id.is_empty() && !is_user_id(&user_id) {
        fields.reject("userId", "must be printable and not longer than 200 bytes");
    }
    Arc::from(user_id)
}

/// Whether the caller may do this in the room, by the same rules as a socket.
async fn check(app: &App, caller: &Caller, room: &Room, action: Action) -> Result<(), Failure> {
    let who = match caller {
        Caller::Service => Who::Service,
        Caller::User(user) if user.is_admin => Who::Service,
        Caller::User(user) => Who::User(&user.id),
        Caller::Local => Who::Local,
    };
    app.access.check(who, room, action).await.map_err(|denied| match denied {
        Denied::Forbidden => Failure::new(StatusCode::FORBIDDEN, format!("`{room}`: {denied}")),
        Denied::Unanswered => Failure::new(StatusCode::SERVICE_UNAVAILABLE, format!("`{room}`: {denied}")),
    })
}

fn named_room(channel_id: &str) -> Result<Room, Failure> {
    Room::parse(channel_id, None).map_err(|message| invalid("channelId", message))
}

async fn show_presence(
    State(app): Shared,
    caller: Caller,
    Path(channel_id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let room = named_room(&channel_id)?;
    check(&app, &caller, &room, Action::Presence).await?;
    let views = app.hub.presences_in(&room, MOST_USERS);
    let count = |status| views.iter().filter(|view| view.status == status).count();
    let users = views.iter().map(|view| presence::old_words(view, None)).collect::<Vec<_>>();
    Ok(Json(json!({
        "channelId": channel_id,
        "users": users,
        "count": {
            "online": count(Status::Online),
            "away": count(Status::Away),
            "dnd": count(Status::Busy),
            "offline": count(Status::Offline),
        },
    })))
}

async fn set_presence(
    State(app): Shared,
    caller: Caller,
    JsonObject(mut fields): JsonObject,
) -> Result<Json<Value>, Failure> {
    let user_id = read_user(&mut fields, &caller);
    let (channel_id, room) = room_field(&mut fields, "channelId", None);
    let status = presence::read_status(&mut fields);
    checked(fields)?;
    caller.act_for(&user_id)?;
    store_presence(&app, &caller, &user_id, (status, room)).await?;
    Ok(presence_stored(&user_id, &channel_id, status))
}

async fn set_presence_in(
    State(app): Shared,
    caller: Caller,
    Path(channel_id): Path<String>,
    JsonObject(mut fields): JsonObject,
) -> Result<Json<Value>, Failure> {
    let room = named_room(&channel_id)?;
    let user_id = read_user(&mut fields, &caller);
    let status = presence::read_status(&mut fields);
    checked(fields)?;
    caller.act_for(&user_id)?;
    store_presence(&app, &caller, &user_id, (status, Some(room))).await?;
    Ok(presence_stored(&user_id, &channel_id, status))
}

async fn store_presence(
    app: &App,
    caller: &Caller,
    user_id: &Arc<str>,
    (status, room): (Option<Status>, Option<Room>),
) -> Result<(), Failure> {
    let (Some(status), Some(room)) = (status, room) else {
        return Err(invalid("status", "is required"));
    };
    check(app, caller, &room, Action::Presence).await?;
    let now = Moment::now();
    let changed = app.hub.set_presence(user_id, (status, None), Some(&room), now);
    let changed: Option<View> = changed.map_err(|error| limited(error, now.wall))?;
    if let Some(view) = changed {
        presence::announce(app, &view, std::slice::from_ref(&room));
    }
    Ok(())
}

fn presence_stored(user_id: &str, channel_id: &str, status: Option<Status>) -> Json<Value> {
    Json(json!({
        "success": true,
        "userId": user_id,
        "channelId": channel_id,
        "status": status.map(Status::dnd_word),
    }))
}

async fn set_typing(
    State(app): Shared,
    caller: Caller,
    JsonObject(mut fields): JsonObject,
) -> Result<Json<Value>, Failure> {
    let user_id = read_user(&mut fields, &caller);
    let is_typing = fields.flag("isTyping");
    if !fields.has("channelId") && !fields.has("roomName") {
        fields.reject("channelId", "is required");
    }
    let named = if fields.has("channelId") || fields.has("roomName") { typing::read_place(&mut fields) } else { None };
    checked(fields)?;
    let Some((place, spelling)) = named else {
        return Err(invalid("channelId", "must name a room"));
    };
    caller.act_for(&user_id)?;
    let place = match check(&app, &caller, &place.room, Action::Typing).await {
        Ok(()) => place,
        Err(refused) => {
            let channel = typing::spelled_channel(&place, &spelling).ok_or(refused)?;
            check(&app, &caller, &channel.room, Action::Typing).await?;
            channel
        }
    };
    let now = Moment::now();
    app.hub.count(&user_id, Kind::Typing, now).map_err(|error| limited(error, now.wall))?;
    let face = Arc::new(Face { user_id, name: None, avatar: None });
    let change = if is_typing {
        Some(app.hub.start_typing(place, &face, spelling, now))
    } else {
        app.hub.stop_typing(&place, &face)
    };
    if let Some(change) = change {
        typing::announce(&app, &change, None);
    }
    Ok(Json(json!({"success": true})))
}

async fn send_message(
    State(app): Shared,
    caller: Caller,
    JsonObject(mut fields): JsonObject,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let user_id = read_user(&mut fields, &caller);
    let id = fields.optional_text("id");
    if id.as_ref().is_some_and(|id| !is_user_id(id)) {
        fields.reject("id", "must be printable, not empty and not longer than 200 bytes");
    }
    let name = fields.optional_text("userName");
    let draft = messages::read_draft(&mut fields, app.config.message_bytes);
    checked(fields)?;
    let Some(mut draft) = draft else {
        return Err(invalid("channelId", "must name a room"));
    };
    caller.act_for(&user_id)?;
    for room in draft.rooms() {
        check(&app, &caller, &room, Action::Send).await?;
    }
    let now = Moment::now();
    app.hub.count(&user_id, Kind::Message, now).map_err(|error| limited(error, now.wall))?;
    draft.id = id;
    let face = Face { user_id, name, avatar: None };
    let mut message = messages::publish(&app, draft, &face, None, now);
    message["success"] = json!(true);
    Ok((StatusCode::CREATED, Json(message)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PollQuery {
    channel_id: String,
    since: Option<u64>,
}

async fn poll(
    State(app): Shared,
    caller: Caller,
    query: Result<Query<PollQuery>, QueryRejection>,
) -> Result<Json<Value>, Failure> {
    let Query(query) = query.map_err(|error| invalid("query", &error.body_text()))?;
    let room = named_room(&query.channel_id)?;
    check(&app, &caller, &room, Action::Poll).await?;
    let page = history::page(&app, &room, query.since, MOST_POLLED).await;
    Ok(Json(json!({"messages": page.messages, "timestamp": page.cursor, "cursor": page.cursor})))
}

/// One event for everybody in some rooms; the event's name is the caller's affair.
struct Broadcast {
    event: String,
    rooms: Vec<Room>,
    payload: Value,
}

fn read_broadcast(fields: &mut Fields) -> Broadcast {
    let event = fields.text("eventType");
    let field = if fields.has("roomNames") { "roomNames" } else { "rooms" };
    let names = fields.texts(field, MOST_ROOMS);
    let mut rooms = Vec::with_capacity(names.len());
    for name in names {
        match Room::parse(&name, None) {
            Ok(room) => rooms.push(room),
            Err(message) => fields.reject(field, message),
        }
    }
    Broadcast { event, rooms, payload: fields.take("payload").unwrap_or_default() }
}

impl Broadcast {
    /// Sends it and tells how many sockets it reached.
    fn send(&self, app: &App) -> usize {
        app.pass(&self.rooms, Except::default(), &self.event, &self.payload);
        app.hub.count_sockets(&self.rooms)
    }
}

async fn broadcast(State(app): Shared, JsonObject(mut fields): JsonObject) -> Result<Json<Value>, Failure> {
    let event_id = fields.optional_text("eventId");
    let broadcast = read_broadcast(&mut fields);
    checked(fields)?;
    let event_id = event_id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let count = broadcast.send(&app);
    Ok(Json(json!({"success": true, "eventId": event_id, "recipientCount": count})))
}

async fn broadcast_batch(State(app): Shared, JsonObject(mut fields): JsonObject) -> Result<Json<Value>, Failure> {
    let events = fields.optional_list("events");
    if events.is_none() {
        fields.reject("events", "must be a list of broadcasts");
    }
    let events = events.unwrap_or_default();
    if events.len() > MOST_EVENTS {
        fields.reject("events", "must not have more than 500 entries");
    }
    checked(fields)?;
    let mut broadcasts = Vec::with_capacity(events.len());
    for (index, event) in events.into_iter().enumerate() {
        let mut inner = Fields::new(event);
        broadcasts.push(read_broadcast(&mut inner));
        // All or none: a batch that is half sent cannot be repeated.
        inner.finish().map_err(|errors| {
            let details = errors
                .into_iter()
                .map(|error| FieldError { field: format!("events[{index}].{}", error.field), ..error });
            Failure::invalid(&details.collect::<Vec<_>>())
        })?;
    }
    let reached: usize = broadcasts.iter().map(|broadcast| broadcast.send(&app)).sum();
    Ok(Json(json!({"success": true, "processed": broadcasts.len(), "recipientCount": reached})))
}
