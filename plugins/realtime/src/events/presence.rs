//! Presence: setting one's own, watching that of others.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use kit::{Fields, clock};
use serde_json::{Value, json};

use super::call::{Answer, Call, Refused, Reply};
use crate::delivery::{Delivery, Vocabulary};
use crate::hub::{CustomStatus, Kind, Room, Status, View};
use crate::state::App;

/// The most users that one request may name.
const MOST_USERS: usize = 1_000;
/// The most users that one socket may watch.
const MOST_WATCHED: usize = 2_000;
/// The most members whose presence a newcomer is sent.
const MOST_SHOWN: usize = 100;
/// The longest custom text in bytes.
const CUSTOM_BYTES: usize = 512;

/// `presence:update {status, customStatus?}`; without a change it is a heartbeat.
pub(super) fn update(call: &Call<'_>, mut fields: Fields) -> Answer {
    let status = read_status(&mut fields);
    let custom = read_custom(&mut fields);
    fields.finish()?;
    let Some(status) = status else {
        return Ok(Reply::Done);
    };
    if !call.session.is_user {
        return Err(Refused::new("AUTH_REQUIRED", "only a known user has a presence"));
    }
    let app = call.app();
    if !app.config.enabled.presence {
        return Ok(Reply::Done);
    }
    let changed = app.hub.set_presence(&call.session.face.user_id, (status, custom), None, call.now)?;
    if let Some(view) = changed {
        announce(app, &view, &[]);
    }
    Ok(Reply::Done)
}

/// `presence:subscribe {userIds}`.
pub(super) fn subscribe(call: &Call<'_>, mut fields: Fields) -> Answer {
    let user_ids = read_user_ids(&mut fields);
    fields.finish()?;
    call.limit(Kind::Query)?;
    if Delivery::watched(call.socket, call.words()) + user_ids.len() > MOST_WATCHED {
        return Err(Refused::new("TOO_MANY_SUBSCRIPTIONS", "this socket watches too many users"));
    }
    for user_id in &user_ids {
        Delivery::watch(call.socket, user_id, call.words());
    }
    let presences = bulk(&call.app().hub.presences(&user_ids));
    call.reply("presence:bulk", &presences);
    Ok(Reply::Data(presences))
}

/// `presence:unsubscribe {userIds}`.
pub(super) fn unsubscribe(call: &Call<'_>, mut fields: Fields) -> Answer {
    let user_ids = read_user_ids(&mut fields);
    fields.finish()?;
    for user_id in &user_ids {
        Delivery::unwatch(call.socket, user_id);
    }
    Ok(Reply::Done)
}

/// `presence:get {userIds}`.
pub(super) fn get(call: &Call<'_>, mut fields: Fields) -> Answer {
    let user_ids = read_user_ids(&mut fields);
    fields.finish()?;
    call.limit(Kind::Query)?;
    Ok(Reply::Data(bulk(&call.app().hub.presences(&user_ids))))
}

/// Reads a status; `None` after an error.
pub(crate) fn read_status(fields: &mut Fields) -> Option<Status> {
    let text = fields.text("status");
    let status = Status::parse(&text);
    if status.is_none() && !text.is_empty() {
        fields.reject("status", "must be one of online, away, busy, dnd, offline");
    }
    status
}

/// Reads a custom status: an object, or the older text with an emoji beside it.
fn read_custom(fields: &mut Fields) -> Option<CustomStatus> {
    let beside = fields.optional_text("customEmoji");
    let custom = match fields.take("customStatus") {
        None => CustomStatus { emoji: beside, ..CustomStatus::default() },
        Some(Value::String(text)) => CustomStatus { text: Some(text), emoji: beside, expires_at: None },
        Some(value @ Value::Object(_)) => {
            let mut inner = Fields::new(value);
            let text = inner.optional_text("text");
            let emoji = inner.optional_text("emoji");
            let expires_at = read_time(inner.take("expiresAt"));
            if inner.finish().is_err() {
                fields.reject("customStatus", "must hold texts");
            }
            CustomStatus { text, emoji, expires_at }
        }
        Some(_) => {
            fields.reject("customStatus", "must be an object or a text");
            return None;
        }
    };
    let parts = [&custom.text, &custom.emoji];
    if parts.into_iter().flatten().any(|part| part.len() > CUSTOM_BYTES) {
        fields.reject("customStatus", "must not be longer than 512 bytes");
    }
    (custom.text.is_some() || custom.emoji.is_some()).then_some(custom)
}

/// A time as text or in milliseconds since 1970; anything else is no time.
fn read_time(value: Option<Value>) -> Option<std::time::SystemTime> {
    match value? {
        Value::String(text) => clock::parse_iso(&text),
        value => UNIX_EPOCH.checked_add(Duration::from_millis(value.as_u64()?)),
    }
}

fn read_user_ids(fields: &mut Fields) -> Vec<Arc<str>> {
    let user_ids = fields.texts("userIds", MOST_USERS);
    if user_ids.iter().any(|id| !crate::auth::is_user_id(id)) {
        fields.reject("userIds", "must hold user ids");
    }
    user_ids.into_iter().map(Arc::from).collect()
}

fn bulk(views: &[View]) -> Value {
    json!({"presences": views.iter().map(View::to_json).collect::<Vec<_>>()})
}

/// Sends a newcomer the presence of those in a room, unless it is large. The older words have no event for many, so
/// each who is not simply online or offline comes in one of their own.
pub(super) fn show_room(call: &Call<'_>, room: &Room) {
    if call.app().hub.is_large(room) {
        return;
    }
    let views = call.app().hub.presences_in(room, MOST_SHOWN);
    call.reply("presence:bulk", &bulk(&views));
    if !call.words().has(Vocabulary::Channels) {
        return;
    }
    for view in views.iter().filter(|view| matches!(view.status, Status::Away | Status::Busy)) {
        call.reply("presence", &old_words(view, Some(room)));
    }
}

/// Tells those who share a room with the user that is not large, who watch the user, or who are in a further room that
/// the change concerns.
pub(crate) fn announce(app: &App, view: &View, further: &[Room]) {
    if !app.config.enabled.presence {
        return;
    }
    app.counters.presence_updates.inc();
    let mut rooms = app.hub.rooms_of_user(&view.user_id);
    rooms.extend_from_slice(further);
    rooms.retain(|room| !app.hub.is_large(room));
    let payload = view.to_json();
    for event in ["presence:changed", "presence:update"] {
        app.delivery.to_watchers(&view.user_id, &rooms, Vocabulary::Rooms, (event, &payload));
    }
    let payload = old_words(view, further.first());
    app.delivery.to_watchers(&view.user_id, &rooms, Vocabulary::Channels, ("presence", &payload));
}

/// As `presence` and HTTP show it.
pub(crate) fn old_words(view: &View, room: Option<&Room>) -> Value {
    let mut payload = json!({"userId": &*view.user_id, "status": view.status.dnd_word()});
    payload["lastSeen"] = json!(view.last_seen.map(clock::iso));
    if let Some(room) = room {
        payload["channelId"] = json!(room.id());
    }
    payload
}
