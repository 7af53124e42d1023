//! Messages: three forms in, one form out, the same by socket and over HTTP.

use std::time::{Duration, UNIX_EPOCH};

use kit::{Fields, clock};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{Answer, Call, Refused, Reply, room_field};
use super::history;
use crate::access::Action;
use crate::adapter::SocketRef;
use crate::cluster::{Message, Saying};
use crate::delivery::{Except, Vocabulary};
use crate::hub::{Face, Kind, Moment, Room};
use crate::state::App;

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

impl Draft {
    /// The thread's own room: who only follows the thread is not in the channel's. A thread of a closed room has none,
    /// since whoever may be in the one need not be allowed in the other.
    fn thread(&self) -> Option<Room> {
        let thread_id = self.thread_id.as_ref().filter(|_| !self.room.is_closed())?;
        Room::parse(thread_id, Some("thread")).ok().filter(|thread| thread.kind() == "thread")
    }

    /// Rejects what would take too much of the history, which all rooms share.
    fn check_size(&self, fields: &mut Fields, most: usize) {
        if self.content.as_str().is_some_and(|content| content.len() > most) {
            let hint = "send what is larger as an attachment, by its id or URL";
            fields.reject("content", &format!("must not be longer than {most} bytes: {hint}"));
        }
        let beside = [&self.attachments, &self.metadata, &self.reply_to].into_iter().flatten().chain(&self.mentions);
        let size: usize = beside.map(|value| value.to_string().len()).sum();
        let names = self.kind.len() + self.thread_id.as_ref().map_or(0, String::len);
        if size + names > most {
            let what = "attachments, metadata, mentions and replyTo";
            fields.reject("metadata", &format!("{what} together must not be longer than {most} bytes"));
        }
    }

    /// Every room that the message goes to.
    pub(crate) fn rooms(&self) -> impl Iterator<Item = Room> {
        [self.room.clone()].into_iter().chain(self.thread())
    }
}

/// Reads any of the three forms: by `roomName`, by `channelId`, or the older one with a `tempId`. The content, and what
/// comes with it, may each have `most` bytes.
pub(crate) fn read_draft(fields: &mut Fields, most: usize) -> Option<Draft> {
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
    let draft = Draft {
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
    };
    draft.check_size(fields, most);
    Some(draft)
}

/// `message:send`.
pub(super) fn send(call: &Call<'_>, mut fields: Fields) -> Answer {
    let draft = read_draft(&mut fields, call.app().config.message_bytes);
    fields.finish()?;
    let draft = draft.ok_or_else(|| Refused::new("INVALID_ROOM", "the room has no usable name"))?;
    for room in draft.rooms() {
        call.check(&room, Action::Send)?;
    }
    call.limit(Kind::Message)?;
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
    let room = room.ok_or_else(|| Refused::new("INVALID_ROOM", "the room has no usable name"))?;
    call.check(&room, Action::Sync)?;
    call.limit(Kind::Query)?;
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(USUAL_MESSAGES);
    let (app, most) = (call.session.app.clone(), limit.min(MOST_MESSAGES));
    let answer =
        |page: history::Answer| json!({"messages": page.messages, "serverTime": page.cursor, "cursor": page.cursor});
    if app.cluster.is_none() {
        return Ok(Reply::Data(answer(history::own_page(&app, &room, since, most))));
    }
    Ok(Reply::Later(Box::pin(async move { Ok(Some(answer(history::page(&app, &room, since, most).await))) })))
}

/// `sync:channels {since}`: which channels there are is known to the app's database, not here.
pub(super) fn sync_channels(call: &Call<'_>) -> Reply {
    Reply::Data(json!({"channels": [], "serverTime": clock::milliseconds(call.now.wall)}))
}

/// Gives a message its id and time, keeps it, and sends it to everybody else in its rooms.
pub(crate) fn publish(app: &App, draft: Draft, face: &Face, origin: Option<&SocketRef>, now: Moment) -> Value {
    let (room, further) = (draft.room.clone(), draft.thread().into_iter().collect::<Vec<_>>());
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
    app.delivery.to_rooms(&rooms, except, Vocabulary::Rooms, ("message:new", message));
    app.delivery.to_rooms(&rooms, except, Vocabulary::Channels, ("message", message));
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
