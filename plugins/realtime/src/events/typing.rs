//! Typing: three ways to say it, two ways to show it.

use kit::Fields;
use serde_json::json;

use super::call::{Answer, Call, Refused, Reply, room_field};
use crate::access::Action;
use crate::adapter::SocketRef;
use crate::delivery::{Except, Vocabulary};
use crate::hub::{Kind, Place, Room, Spelling, TypingChange};
use crate::state::App;

/// The longest id or kind that is accepted, in bytes.
const TEXT_BYTES: usize = 256;

/// `typing:start {roomName, roomType, threadId?, recipientId?}` or `{channelId, threadId?}`.
pub(super) fn started(call: &Call<'_>, mut fields: Fields) -> Answer {
    let named = read_place(&mut fields);
    fields.finish()?;
    apply(call, named, true)
}

/// `typing:stop`, with the same fields.
pub(super) fn stopped(call: &Call<'_>, mut fields: Fields) -> Answer {
    let named = read_place(&mut fields);
    fields.finish()?;
    apply(call, named, false)
}

/// `typing {channelId, isTyping}`.
pub(super) fn switched(call: &Call<'_>, mut fields: Fields) -> Answer {
    let is_typing = fields.flag("isTyping");
    let named = read_place(&mut fields);
    fields.finish()?;
    apply(call, named, is_typing)
}

/// Reads where somebody types, and how they spelled it.
pub(crate) fn read_place(fields: &mut Fields) -> Option<(Place, Spelling)> {
    let kind = fields.optional_text("roomType");
    let field = if fields.has("channelId") && !fields.has("roomName") { "channelId" } else { "roomName" };
    let (room_name, room) = room_field(fields, field, kind.as_deref());
    let thread_id = fields.optional_text("threadId");
    let recipient_id = fields.optional_text("recipientId");
    for (field, text) in [("roomType", &kind), ("threadId", &thread_id), ("recipientId", &recipient_id)] {
        if text.as_ref().is_some_and(|text| text.len() > TEXT_BYTES) {
            fields.reject(field, "must not be longer than 256 bytes");
        }
    }
    let room = room?;
    let room_type = kind.unwrap_or_else(|| room.kind().to_owned());
    let spelling = Spelling { room_name, room_type, recipient_id };
    Some((Place { room, thread_id }, spelling))
}

fn apply(call: &Call<'_>, named: Option<(Place, Spelling)>, is_typing: bool) -> Answer {
    let Some((place, spelling)) = named else {
        return Err(Refused::new("INVALID_ROOM", "the room has no usable name"));
    };
    if !call.app().config.enabled.typing {
        return Ok(Reply::Done);
    }
    let place = match call.check(&place.room, Action::Typing) {
        Err(refused) if refused.is_certain() => {
            // Some clients name a channel and say `dm` or `thread`: then they type in the channel.
            let channel = spelled_channel(&place, &spelling).ok_or(refused)?;
            call.check(&channel.room, Action::Typing)?;
            channel
        }
        checked => checked.map(|()| place)?,
    };
    call.limit(Kind::Typing)?;
    let (app, face) = (call.app(), &call.session.face);
    let change = if is_typing {
        Some(app.hub.start_typing(place, face, spelling, call.now))
    } else {
        app.hub.stop_typing(&place, face)
    };
    if let Some(change) = change {
        announce(app, &change, Some(call.socket));
    }
    Ok(Reply::Done)
}

/// The channel of the same bare name, where a name was given with a kind beside it.
pub(crate) fn spelled_channel(place: &Place, spelling: &Spelling) -> Option<Place> {
    let room = Room::parse(&spelling.room_name, None).ok()?;
    (room != place.room).then(|| Place { room, thread_id: place.thread_id.clone() })
}

/// Tells the room, without the typist, who types now.
pub(crate) fn announce(app: &App, change: &TypingChange, origin: Option<&SocketRef>) {
    let spelling = &change.spelling;
    let mut list = json!({
        "roomName": spelling.room_name,
        "roomType": spelling.room_type,
        "users": change.users,
    });
    if let Some(thread_id) = &change.place.thread_id {
        list["threadId"] = json!(thread_id);
    }
    let one = json!({
        "channelId": change.place.room.id(),
        "userId": &*change.user_id,
        "isTyping": change.is_typing,
    });
    let rooms = audience(change);
    let except = Except { socket: origin, user_id: Some(&change.user_id) };
    app.delivery.to_rooms(&rooms, except, Vocabulary::Rooms, ("typing:event", &list));
    app.delivery.to_rooms(&rooms, except, Vocabulary::Channels, ("typing", &one));
}

/// The room; of a thread that was named by a bare name also the channel of that name, since some clients join by the bare
/// name and only say `thread` when they type. A direct message's recipient hears in any case.
fn audience(change: &TypingChange) -> Vec<Room> {
    let (room, spelling) = (&change.place.room, &change.spelling);
    let mut rooms = vec![room.clone()];
    if !room.is_closed() {
        rooms.extend(spelled_channel(&change.place, spelling).map(|channel| channel.room));
    }
    if spelling.room_type == "dm" {
        rooms.extend(spelling.recipient_id.as_deref().map(Room::of_user));
    }
    rooms
}
