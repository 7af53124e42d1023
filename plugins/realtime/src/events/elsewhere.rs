//! Tells this instance's sockets what happened on another one.

use serde_json::Value;

use super::{messages, presence, rooms, typing};
use crate::app::App;
use crate::cluster::{Event, Message};
use crate::delivery::Except;
use crate::hub::{Heard, Moment};

/// Tells the changes of others' users.
pub(crate) fn announce(app: &App, heard: &Heard, now: Moment) {
    for change in &heard.typing {
        typing::announce(app, change, None);
    }
    for (face, room, name) in &heard.joined {
        rooms::announce_joined(app, face, (room, name), None, now);
    }
    for (face, room, name) in &heard.left {
        rooms::announce_left(app, face, (room, name), None, now);
    }
    for changed in &heard.presence {
        presence::announce(app, &changed.view, &changed.rooms);
    }
}

/// Keeps a message and passes it on.
pub(crate) fn pass_message(app: &App, message: &Message) {
    let text = message.text.get();
    let _turn = app.turns.take(&message.room);
    app.hub.remember(&message.room, Moment::now(), |_| text.into());
    match serde_json::from_str::<Value>(text) {
        Ok(value) => messages::deliver(app, &message.room, &message.further, Except::default(), &value),
        Err(error) => tracing::warn!(%error, "a message of another instance cannot be read"),
    }
}

/// Passes an event on.
pub(crate) fn pass_event(app: &App, event: &Event) {
    match serde_json::from_str::<Value>(event.payload.get()) {
        Ok(payload) => app.delivery.to_rooms(&event.rooms, Except::default(), &event.name, &payload),
        Err(error) => tracing::warn!(%error, "an event of another instance cannot be read"),
    }
}
