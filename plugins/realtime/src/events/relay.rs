//! `dispatch`: an event that the app's own parts agree on, passed to a room's members unread.

use kit::Fields;

use super::call::{Answer, Call, Refused, Reply, room_field};
use crate::access::Action;
use crate::delivery::Except;
use crate::hub::Kind;

/// What may be passed on: no event whose words this server speaks itself, so that nobody can put
/// words in its mouth.
const PASSED: [&str; 14] = [
    "channel:update",
    "message:delete",
    "message:pin",
    "message:update",
    "reaction:add",
    "reaction:remove",
    "reaction:update",
    "read_receipt:update",
    "thread:created",
    "thread:stats_update",
    "thread:update",
    "message:delivered",
    "message:read",
    "message:read_by",
];

/// `dispatch {event, room, payload}`.
pub(super) fn dispatch(call: &Call<'_>, mut fields: Fields) -> Answer {
    let event = fields.text("event");
    let (_, room) = room_field(&mut fields, "room", None);
    let payload = fields.take("payload").unwrap_or_default();
    fields.finish()?;
    let room = room.ok_or_else(|| Refused::new("INVALID_ROOM", "the room has no usable name"))?;
    call.check(&room, Action::Send)?;
    call.limit(Kind::Relay)?;
    if !PASSED.contains(&event.as_str()) {
        return Err(Refused::new("EVENT_NOT_ALLOWED", format!("`{event}` is not passed on")));
    }
    if !call.app().hub.is_in(call.socket.id, &room) {
        return Err(Refused::new("NOT_A_MEMBER", format!("join `{room}` first")));
    }
    call.app().pass(&[room], Except::socket(call.socket), &event, &payload);
    Ok(Reply::Done)
}
