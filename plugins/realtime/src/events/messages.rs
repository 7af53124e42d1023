//! Messages: three forms in, one form out, the same by socket and over HTTP.

use std::time::{Duration, UNIX_EPOCH};

use kit::{Fields, clock};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use socketioxide::extract::SocketRef;
use uuid::Uuid;

use super::{Answer, Call, Refused, Reply, history, room_field};
use crate::app::App;
use crate::cluster::{Message, Saying};
use crate::delivery::Except;
use crate::hub::{Face, Kind, Moment, Room};

/// The most messages that one answer holds.
const MOST_MESSAGES: usize = 200;
const USUAL_MESSAGES: usize = 50;
/// The longest id that a client may give a message, in bytes.
const ID_BYTES: usize = 200;

/// A message as it was sent, before it has an id and a time.
pub(crate) struct Draft {
    pub(crate) room: Room,
    room_name: String,
    content: Value,
    kind: String,
    thread_id: Option<String>,
    client_id: Option<String>,
    /// The id that an HTTP caller chose.
    pub(crate) id: Option<String>,
    mentions: Vec<Value>,
    reply_to: Option<Value>,
    attachments: Option<Value>,
    metadata: Option<Value>,
}

/// Reads any of the three forms: by `roomName`, by `channelId`, or the older one with a `tempId`.
pub(crate) fn read_draft(fields: &mut Fields) -> Option<Draft> {
    let field = if fields.has("roomName") { "roomName" } else { "channelId" };
    let (room_name, room) = room_field(fields, field, None);
    let attachments = fields.optional_list("attachments").map(Value::Array);
    let content = fields.optional_text("content").unwrap_or_default();
    if content.is_empty() && attachments.is_none() {
        fields.reject("content", "is required");
    }
    let mut client_id = fields.optional_text("clientMessageId");
    client_id = client_id.or_else(|| fields.optional_text("tempId"));
    if client_id.as_ref().is_some_and(|id| id.len() > ID_BYTES) {
        fields.reject("clientMessageId", "must not be longer than 200 bytes");
    }
    let mentions = fields.optional_list("mentions");
    let mentions = mentions.or_else(|| fields.optional_list("mentionedUserIds"));
    Some(Draft {
        room_name,
        content: Value::String(content),
        kind: fields.optional_text("type").unwrap_or_else(|| "text".to_owned()),
        thread_id: fields.optional_text("threadId"),
        client_id,
        id: None,
        mentions: mentions.unwrap_or_default(),
        reply_to: fields.take("replyTo").or_else(|| fields.take("replyToId")),
        attachments,
        metadata: fields.take("metadata"),
        room: room?,
    })
}

/// `message:send`.
pub(super) fn send(call: &Call<'_>, mut fields: Fields) -> Answer {
    let draft = read_draft(&mut fields);
    fields.finish()?;
    let draft = draft.ok_or_else(|| Refused::new("INVALID_ROOM", "the room has no usable name"))?;
    call.limit(Kind::Message)?;
    if !draft.room.admits(call.session.user_id()) {
        return Err(Refused::forbidden(&draft.room));
    }
    let client_id = draft.client_id.clone();
    let message = publish(call.app(), draft, &call.session.face, Some(call.socket), call.now);
    let mut receipt = json!({"messageId": message["messageId"], "sentAt": message["timestamp"]});
    if let Some(client_id) = client_id {
        receipt["clientMessageId"] = json!(client_id);
        call.reply("message:sent", &receipt);
    }
    Ok(Reply::Data(receipt))
}

/// `sync:messages {channelId, since, limit}`.
pub(super) fn sync(call: &Call<'_>, mut fields: Fields) -> Answer {
    let (_, room) = room_field(&mut fields, "channelId", None);
    let since = fields.optional_count("since");
    let limit = fields.optional_count("limit");
    fields.finish()?;
    call.limit(Kind::Query)?;
    let room = room.ok_or_else(|| Refused::new("INVALID_ROOM", "the room has no usable name"))?;
    if !room.admits(call.session.user_id()) {
        return Err(Refused::forbidden(&room));
    }
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(USUAL_MESSAGES);
    let (app, most) = (call.session.app.clone(), limit.min(MOST_MESSAGES));
    let answer =
        |page: history::Answer| json!({"messages": page.messages, "serverTime": page.cursor, "cursor": page.cursor});
    if app.cluster.is_none() {
        return Ok(Reply::Data(answer(history::own_page(&app, &room, since, most))));
    }
    Ok(Reply::Later(Box::pin(async move { answer(history::page(&app, &room, since, most).await) })))
}

/// `sync:channels {since}`: which channels there are is known to the app's database, not here.
pub(super) fn sync_channels(call: &Call<'_>) -> Reply {
    Reply::Data(json!({"channels": [], "serverTime": clock::milliseconds(call.now.wall)}))
}

/// Gives a message its id and time, keeps it, and sends it to everybody else in its rooms.
pub(crate) fn publish(app: &App, draft: Draft, face: &Face, origin: Option<&SocketRef>, now: Moment) -> Value {
    let room = draft.room.clone();
    // Who only follows the thread is not in the channel's room.
    let thread = draft.thread_id.as_ref().and_then(|thread_id| Room::parse(thread_id, Some("thread")).ok());
    let further: Vec<Room> = thread.into_iter().collect();
    let mut message = message(draft, face);
    let _turn = app.turns.take(&room);
    let (at, text) = app.hub.remember(&room, now, |at| {
        stamp(&mut message, at);
        message.to_string().into()
    });
    app.counters.messages.inc();
    deliver(app, &room, &further, Except { socket: origin, user_id: None }, &message);
    if let (true, Ok(text)) = (app.outbox.is_used(), RawValue::from_string(text.to_string())) {
        app.outbox.put(Saying::Message(Message { room, further, at, text }));
    }
    message
}

/// Sends a message to the sockets of its rooms on this instance.
pub(super) fn deliver(app: &App, room: &Room, further: &[Room], except: Except<'_>, message: &Value) {
    let rooms: Vec<Room> = [std::slice::from_ref(room), further].concat();
    app.delivery.to_rooms(&rooms, except, "message:new", message);
    app.delivery.to_rooms(&rooms, except, "message", message);
}

/// The union of what all readers of `message:new` and `message` look at, without its time.
fn message(draft: Draft, face: &Face) -> Value {
    let id = draft.id.unwrap_or_else(|| Uuid::new_v4().to_string());
    let name = face.name.as_deref().unwrap_or(&face.user_id);
    let mut message = json!({
        "id": id,
        "messageId": id,
        "roomName": draft.room_name,
        "channelId": draft.room.id(),
        "userId": &*face.user_id,
        "user": {"id": &*face.user_id, "username": name},
        "content": draft.content,
        "type": draft.kind,
        "mentions": draft.mentions,
        "mentionedUserIds": draft.mentions,
        "meta": {"eventId": Uuid::new_v4().to_string(), "serverVersion": env!("CARGO_PKG_VERSION")},
    });
    let mut set = |field: &str, value: Option<Value>| {
        if let Some(value) = value {
            message[field] = value;
        }
    };
    set("userName", face.name.as_deref().map(Value::from));
    set("userAvatar", face.avatar.as_deref().map(Value::from));
    set("threadId", draft.thread_id.map(Value::from));
    set("replyTo", draft.reply_to);
    set("attachments", draft.attachments);
    set("metadata", draft.metadata);
    set("clientMessageId", draft.client_id.as_deref().map(Value::from));
    set("tempId", draft.client_id.map(Value::from));
    if let Some(name) = &face.name {
        message["user"]["displayName"] = json!(name);
    }
    if let Some(avatar) = &face.avatar {
        message["user"]["avatarUrl"] = json!(avatar);
    }
    message
}

/// Gives a message its time: its position in its room, in milliseconds since 1970.
fn stamp(message: &mut Value, at: u64) {
    let time = json!(clock::iso(UNIX_EPOCH + Duration::from_millis(at)));
    message["meta"]["timestamp"] = json!(at);
    message["createdAt"] = time.clone();
    message["timestamp"] = time;
}
