//! What connected users are told of an in-app message.

use serde_json::{Value, json};

use crate::channel::Priority;
use crate::state::App;
use crate::store::{NewMessage, Payload};
use crate::time::iso;

/// The event.
pub(super) struct InAppEvent<'a> {
    id: &'a str,
    user_id: &'a str,
    kind: &'a str,
    category: &'a str,
    priority: Priority,
    title: &'a str,
    body: &'a str,
    data: &'a Value,
    created_at: i64,
}

impl<'a> InAppEvent<'a> {
    pub(super) fn of(payload: &'a Payload) -> Self {
        let Payload { id, user_id, kind, category, priority, title, body, data, created_at, .. } = payload;
        let (priority, created_at) = (*priority, *created_at);
        Self { id, user_id, kind, category, priority, title, body, data, created_at }
    }

    pub(super) fn of_new(message: &'a NewMessage, data: &'a Value) -> Self {
        let NewMessage { id, user_id, kind, category, title, body, created_at, .. } = message;
        let (priority, created_at) = (Priority::from_number(message.priority), *created_at);
        Self { id, user_id, kind, category, priority, title, body, data, created_at }
    }

    pub(super) fn tell(&self, app: &App) {
        let event = json!({
            "id": self.id,
            "notificationId": self.id,
            "userId": self.user_id,
            "type": self.kind,
            "category": self.category,
            "priority": self.priority.word(),
            "title": self.title,
            "body": self.body,
            "data": self.data,
            "read": false,
            "createdAt": iso(self.created_at),
        });
        app.channels.realtime.tell(&format!("user:{}", self.user_id), &event);
    }
}
