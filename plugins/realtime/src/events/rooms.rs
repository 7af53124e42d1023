//! Joining and leaving, in the words of rooms and in the words of channels.

use kit::{Fields, clock};
use serde_json::{Value, json};

use super::call::{Answer, Call, Refused, Reply, room_field};
use super::{presence, typing};
use crate::access::Action;
use crate::adapter::SocketRef;
use crate::delivery::{Delivery, Except, Vocabulary};
use crate::hub::{Face, Joined, Kind, Moment, Room};
use crate::state::App;

/// The most members that an answer lists.
const MOST_MEMBERS: usize = 100;

/// `room:join {roomName}`.
pub(super) fn join_room(call: &Call<'_>, mut fields: Fields) -> Answer {
    let (name, room) = room_field(&mut fields, "roomName", None);
    let joined = fields.finish().map_err(Refused::from).and_then(|()| join(call, &name, room));
    let room = match joined {
        Ok(room) => room,
        Err(refused) if refused.is_certain() => {
            let payload = json!({"roomName": name, "success": false, "error": refused.to_json()});
            call.reply("room:joined", &payload);
            return Err(refused);
        }
        Err(refused) => return Err(refused),
    };
    call.reply("room:joined", &json!({"roomName": name, "success": true}));
    presence::show_room(call, &room);
    let (count, members) = call.app().hub.members(&room, MOST_MEMBERS);
    Ok(Reply::Data(json!({
        "roomName": name,
        "type": room.kind(),
        "memberCount": count,
        "members": members,
    })))
}

/// `channel:join {channelId}`.
pub(super) fn join_channel(call: &Call<'_>, mut fields: Fields) -> Answer {
    let (channel_id, room) = room_field(&mut fields, "channelId", None);
    fields.finish()?;
    let room = join(call, &channel_id, room)?;
    let joined = json!({"channelId": channel_id, "userId": &*call.session.face.user_id});
    call.reply("channel:joined", &joined);
    let (count, members) = call.app().hub.members(&room, MOST_MEMBERS);
    let list = json!({"channelId": channel_id, "members": members});
    call.reply("channel:members", &list);
    presence::show_room(call, &room);
    Ok(Reply::Data(json!({
        "channelId": channel_id,
        "roomName": channel_id,
        "type": room.kind(),
        "memberCount": count,
        "members": members,
    })))
}

/// `room:leave {roomName}`.
pub(super) fn leave_room(call: &Call<'_>, mut fields: Fields) -> Answer {
    let (name, room) = room_field(&mut fields, "roomName", None);
    fields.finish()?;
    leave(call, &name, room);
    Ok(Reply::Data(json!({"roomName": name})))
}

/// `channel:leave {channelId}`.
pub(super) fn leave_channel(call: &Call<'_>, mut fields: Fields) -> Answer {
    let (channel_id, room) = room_field(&mut fields, "channelId", None);
    fields.finish()?;
    leave(call, &channel_id, room);
    let left = json!({"channelId": channel_id, "userId": &*call.session.face.user_id});
    call.reply("channel:left", &left);
    Ok(Reply::Data(left))
}

fn join(call: &Call<'_>, name: &str, room: Option<Room>) -> Result<Room, Refused> {
    let room = room.ok_or_else(|| Refused::new("INVALID_ROOM", "the room has no usable name"))?;
    call.check(&room, Action::Join)?;
    call.limit(Kind::Membership)?;
    match call.app().hub.join(call.socket.id, &room, name, call.now) {
        Joined::In { is_first } => {
            Delivery::join(call.socket, &room, call.words());
            if is_first {
                announce_joined(call.app(), &call.session.face, (&room, name), Some(call.socket), call.now);
            }
            Ok(room)
        }
        Joined::TooMany => Err(Refused::new("TOO_MANY_ROOMS", "this socket is in too many rooms")),
        Joined::Gone => Err(Refused::new("DISCONNECTED", "this socket is closing")),
    }
}

/// Leaves a room and tells it. The user's own room stays: personal events go there.
fn leave(call: &Call<'_>, name: &str, room: Option<Room>) {
    let Some(room) = room.filter(|room| room.kind() != "user") else {
        return;
    };
    let Some((has_left, stopped)) = call.app().hub.leave(call.socket.id, &room) else {
        return;
    };
    Delivery::leave(call.socket, &room);
    for change in &stopped {
        typing::announce(call.app(), change, Some(call.socket));
    }
    if has_left {
        announce_left(call.app(), &call.session.face, (&room, name), Some(call.socket), call.now);
    }
}

/// Tells a room, under the name that the user knows it by, that the user has come in.
pub(crate) fn announce_joined(
    app: &App,
    face: &Face,
    (room, name): (&Room, &str),
    origin: Option<&SocketRef>,
    now: Moment,
) {
    announce(app, ["user:joined", "channel:joined"], room, &membership(face, name, now), origin);
}

/// Tells a room, under the name that the user knows it by, that the user has left it.
pub(crate) fn announce_left(
    app: &App,
    face: &Face,
    (room, name): (&Room, &str),
    origin: Option<&SocketRef>,
    now: Moment,
) {
    announce(app, ["user:left", "channel:left"], room, &membership(face, name, now), origin);
}

/// Says one thing in both vocabularies: that of rooms, and that of channels. A large room only hears now and then how
/// many are in it.
fn announce(app: &App, [of_rooms, of_channels]: [&str; 2], room: &Room, payload: &Value, origin: Option<&SocketRef>) {
    if app.hub.note_if_large(room) {
        return;
    }
    let except = Except { socket: origin, user_id: None };
    let rooms = std::slice::from_ref(room);
    app.delivery.to_rooms(rooms, except, Vocabulary::Rooms, (of_rooms, payload));
    let channel = json!({"channelId": room.id(), "userId": payload["userId"]});
    app.delivery.to_rooms(rooms, except, Vocabulary::Channels, (of_channels, &channel));
}

/// Tells large rooms whose members have changed how many they have now.
pub(crate) fn announce_sizes(app: &App) {
    for (room, count) in app.hub.take_changed_sizes() {
        let size = json!({"roomName": room.as_str(), "channelId": room.id(), "memberCount": count});
        let rooms = std::slice::from_ref(&room);
        app.delivery.to_rooms(rooms, Except::default(), Vocabulary::Both, ("room:size", &size));
    }
}

fn membership(face: &Face, room_name: &str, now: Moment) -> Value {
    let mut payload = face.fields();
    payload.insert("roomName".to_owned(), json!(room_name));
    payload.insert("timestamp".to_owned(), json!(clock::iso(now.wall)));
    Value::Object(payload)
}
