//! What happens to a message: `intake` decides and stores, `worker` delivers, `webhooks` tells subscribers, `upkeep`
//! watches dependencies and forgets. Whatever was stored before an answer goes out, restarts or not.

mod content;
mod deliver;
mod digest;
mod intake;
mod upkeep;
mod webhooks;
mod worker;

pub(crate) use content::find as find_template;
pub(crate) use intake::{Accepted, Origin, Refusal, take};
pub(crate) use upkeep::{migrate_until_done, run as run_upkeep};
pub(crate) use webhooks::run as run_webhooks;
pub(crate) use worker::{Worker, run as run_worker};

use serde_json::{Value, json};

use crate::app::App;
use crate::channel::Priority;
use crate::store::{NewMessage, Payload};
use crate::time::iso;

/// What connected users are told of an in-app message.
struct InAppEvent<'a> {
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
    fn of(payload: &'a Payload) -> Self {
        let Payload { id, user_id, kind, category, priority, title, body, data, created_at, .. } = payload;
        let (priority, created_at) = (*priority, *created_at);
        Self { id, user_id, kind, category, priority, title, body, data, created_at }
    }

    fn of_new(message: &'a NewMessage, data: &'a Value) -> Self {
        let NewMessage { id, user_id, kind, category, title, body, created_at, .. } = message;
        let (priority, created_at) = (Priority::from_number(message.priority), *created_at);
        Self { id, user_id, kind, category, priority, title, body, data, created_at }
    }

    fn tell(&self, app: &App) {
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
