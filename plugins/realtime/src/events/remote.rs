//! Tells this instance's sockets what happened on another one.

use kit::Metrics;
use serde_json::Value;

use super::{messages, presence, rooms, typing};
use crate::cluster::{Event, Message, Receiver};
use crate::delivery::{Except, Vocabulary};
use crate::hub::{Heard, Hub, Moment};
use crate::state::App;

impl Receiver for App {
    fn hub(&self) -> &Hub {
        &self.hub
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn changed(&self, heard: &Heard, now: Moment) {
        for change in &heard.typing {
            typing::announce(self, change, None);
        }
        for (face, room, name) in &heard.joined {
            rooms::announce_joined(self, face, (room, name), None, now);
        }
        for (face, room, name) in &heard.left {
            rooms::announce_left(self, face, (room, name), None, now);
        }
        for changed in &heard.presence {
            presence::announce(self, &changed.view, &changed.rooms);
        }
    }

    fn message(&self, message: &Message) {
        let text = message.text.get();
        let _turn = self.turns.take(&message.room);
        self.hub.remember(&message.room, Moment::now(), |_| text.into());
        match serde_json::from_str::<Value>(text) {
            Ok(value) => messages::deliver(self, &message.room, &message.further, Except::default(), &value),
            Err(error) => tracing::warn!(%error, "a message of another instance cannot be read"),
        }
    }

    fn event(&self, event: &Event) {
        match serde_json::from_str::<Value>(event.payload.get()) {
            Ok(payload) => {
                self.delivery.to_rooms(&event.rooms, Except::default(), Vocabulary::Both, (&event.name, &payload));
            }
            Err(error) => tracing::warn!(%error, "an event of another instance cannot be read"),
        }
    }
}
