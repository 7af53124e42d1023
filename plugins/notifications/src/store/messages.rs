//! What users and apps see of messages: one by its id, a user's list, marks for read and removed.

use serde_json::{Value, json};

use super::Store;
use crate::channel::{Priority, overall};
use crate::database::{DatabaseError, Row, Value as Cell, values};
use crate::time::iso;

/// A message with what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) user_id: String,
    kind: String,
    pub(crate) category: String,
    priority: i64,
    template: Option<String>,
    title: String,
    body: String,
    data: Value,
    metadata: Value,
    tags: Value,
    scheduled_at: Option<i64>,
    read_at: Option<i64>,
    created_at: i64,
    deliveries: Vec<Delivery>,
}

#[derive(Debug, Clone)]
struct Delivery {
    message_id: String,
    channel: String,
    status: String,
    attempts: i64,
    due_at: i64,
    provider: Option<String>,
    provider_id: Option<String>,
    error: Option<String>,
    /// Sent, delivered, failed, opened, clicked.
    times: [Option<i64>; 5],
}

/// Which messages of a user are listed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) user_id: String,
    pub(crate) kind: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) channel: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) read: Option<bool>,
    pub(crate) limit: i64,
    pub(crate) offset: i64,
}

/// A part of a user's list.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) messages: Vec<Message>,
    pub(crate) total: i64,
    pub(crate) unread: i64,
}

const MESSAGE: &str = "id, user_id, kind, category, priority, template, title, body, data, metadata, tags,
    scheduled_at, read_at, created_at";

impl Store {
    pub(crate) async fn message(&self, id: &str) -> Result<Option<Message>, DatabaseError> {
        let sql = format!("SELECT {MESSAGE} FROM np_notifications_messages WHERE id = $1 AND removed_at IS NULL");
        let rows = self.database.query(sql, values![id]).await?;
        let mut messages = rows.iter().map(Message::read).collect::<Result<Vec<_>, _>>()?;
        self.add_deliveries(&mut messages).await?;
        Ok(messages.pop())
    }

    pub(crate) async fn list(&self, filter: &Filter, now: i64) -> Result<Page, DatabaseError> {
        let (condition, mut cells) = filter.condition(now);
        let from = format!("FROM np_notifications_messages WHERE {condition}");
        let total = self.database.query(format!("SELECT COUNT(*) AS total {from}"), cells.clone()).await?;
        let (limit, offset) = (cells.len() + 1, cells.len() + 2);
        cells.extend(values![filter.limit, filter.offset]);
        let sql = format!("SELECT {MESSAGE} {from} ORDER BY created_at DESC, id LIMIT ${limit} OFFSET ${offset}");
        let rows = self.database.query(sql, cells).await?;
        let mut messages = rows.iter().map(Message::read).collect::<Result<Vec<_>, _>>()?;
        self.add_deliveries(&mut messages).await?;
        let unread = self.unread(&filter.user_id, now).await?;
        Ok(Page { messages, total: total.first().map_or(Ok(0), |row| row.number("total"))?, unread })
    }

    async fn add_deliveries(&self, messages: &mut [Message]) -> Result<(), DatabaseError> {
        if messages.is_empty() {
            return Ok(());
        }
        let places: Vec<String> = (1..=messages.len()).map(|place| format!("${place}")).collect();
        let sql = format!(
            "SELECT message_id, channel, status, attempts, due_at, provider, provider_id, error, sent_at, delivered_at,
                failed_at, opened_at, clicked_at
             FROM np_notifications_deliveries WHERE message_id IN ({}) ORDER BY id",
            places.join(", ")
        );
        let ids = messages.iter().map(|message| Cell::from(&message.id)).collect();
        for row in self.database.query(sql, ids).await? {
            let delivery = Delivery::read(&row)?;
            if let Some(message) = messages.iter_mut().find(|message| message.id == delivery.message_id) {
                message.deliveries.push(delivery);
            }
        }
        Ok(())
    }

    /// How many in-app messages a user has not read.
    pub(crate) async fn unread(&self, user_id: &str, now: i64) -> Result<i64, DatabaseError> {
        let sql = "SELECT COUNT(*) AS unread FROM np_notifications_messages WHERE user_id = $1 AND visible_at <= $2
            AND in_app = 1 AND read_at IS NULL AND removed_at IS NULL";
        let rows = self.database.query(sql, values![user_id, now]).await?;
        rows.first().map_or(Ok(0), |row| row.number("unread"))
    }

    /// Marks one message as read, or as not read; tells whether it is the user's.
    pub(crate) async fn mark_read(&self, id: &str, user_id: &str, at: Option<i64>) -> Result<bool, DatabaseError> {
        let sql = "UPDATE np_notifications_messages SET read_at = $3
            WHERE id = $1 AND user_id = $2 AND removed_at IS NULL";
        Ok(self.database.change(sql, values![id, user_id, at]).await? > 0)
    }

    /// Marks all in-app messages of a user as read and tells how many were not.
    pub(crate) async fn mark_all_read(&self, user_id: &str, now: i64) -> Result<u64, DatabaseError> {
        let sql = "UPDATE np_notifications_messages SET read_at = $2 WHERE user_id = $1 AND visible_at <= $2
            AND in_app = 1 AND read_at IS NULL AND removed_at IS NULL";
        self.database.change(sql, values![user_id, now]).await
    }

    /// Takes one message, or all that are visible, out of a user's list; deliveries that are under way go on.
    pub(crate) async fn remove(&self, user_id: &str, id: Option<&str>, now: i64) -> Result<u64, DatabaseError> {
        let common = "UPDATE np_notifications_messages SET removed_at = $2 WHERE user_id = $1 AND removed_at IS NULL";
        match id {
            Some(id) => self.database.change(format!("{common} AND id = $3"), values![user_id, now, id]).await,
            None => self.database.change(format!("{common} AND visible_at <= $2"), values![user_id, now]).await,
        }
    }
}

impl Filter {
    fn condition(&self, now: i64) -> (String, Vec<Cell>) {
        let mut cells = values![&self.user_id, now];
        let mut condition = "user_id = $1 AND removed_at IS NULL AND visible_at <= $2".to_owned();
        let mut add = |text: &str, cell: Cell| {
            cells.push(cell);
            condition.push_str(" AND ");
            condition.push_str(&text.replace("$?", &format!("${}", cells.len())));
        };
        if let Some(kind) = &self.kind {
            add("kind = $?", kind.into());
        }
        if let Some(category) = &self.category {
            add("category = $?", category.into());
        }
        let delivery = "EXISTS (SELECT 1 FROM np_notifications_deliveries
            WHERE message_id = np_notifications_messages.id AND";
        if let Some(channel) = &self.channel {
            add(&format!("{delivery} channel = $?)"), channel.into());
        }
        if let Some(status) = &self.status {
            add(&format!("{delivery} status = $?)"), status.into());
        }
        match self.read {
            Some(true) => condition.push_str(" AND read_at IS NOT NULL"),
            Some(false) => condition.push_str(" AND read_at IS NULL"),
            None => {}
        }
        (condition, cells)
    }
}

impl Delivery {
    fn read(row: &Row) -> Result<Self, DatabaseError> {
        Ok(Self {
            message_id: row.text("message_id")?,
            channel: row.text("channel")?,
            status: row.text("status")?,
            attempts: row.number("attempts")?,
            due_at: row.number("due_at")?,
            provider: row.optional_text("provider")?,
            provider_id: row.optional_text("provider_id")?,
            error: row.optional_text("error")?,
            times: [
                row.optional_number("sent_at")?,
                row.optional_number("delivered_at")?,
                row.optional_number("failed_at")?,
                row.optional_number("opened_at")?,
                row.optional_number("clicked_at")?,
            ],
        })
    }

    fn to_json(&self) -> Value {
        let [sent, delivered, failed, opened, clicked] = self.times.map(|time| time.map(iso));
        let is_open = matches!(self.status.as_str(), "queued" | "pending");
        json!({
            "channel": self.channel,
            "status": self.status,
            "attempts": self.attempts,
            "provider": self.provider,
            "providerMessageId": self.provider_id,
            "error": self.error,
            "nextAttemptAt": is_open.then(|| iso(self.due_at)),
            "sentAt": sent,
            "deliveredAt": delivered,
            "failedAt": failed,
            "openedAt": opened,
            "clickedAt": clicked,
        })
    }
}

impl Message {
    fn read(row: &Row) -> Result<Self, DatabaseError> {
        Ok(Self {
            id: row.text("id")?,
            user_id: row.text("user_id")?,
            kind: row.text("kind")?,
            category: row.text("category")?,
            priority: row.number("priority")?,
            template: row.optional_text("template")?,
            title: row.text("title")?,
            body: row.text("body")?,
            data: row.json("data")?,
            metadata: row.json("metadata")?,
            tags: row.json("tags")?,
            scheduled_at: row.optional_number("scheduled_at")?,
            read_at: row.optional_number("read_at")?,
            created_at: row.number("created_at")?,
            deliveries: Vec::new(),
        })
    }

    fn status(&self) -> &'static str {
        let states: Vec<&str> = self.deliveries.iter().map(|delivery| delivery.status.as_str()).collect();
        overall(&states)
    }

    /// The channel that a single name stands for: the one whose state is the message's.
    fn main_delivery(&self) -> Option<&Delivery> {
        let status = self.status();
        self.deliveries.iter().find(|delivery| delivery.status == status).or(self.deliveries.first())
    }

    /// The earliest of one kind of time over all deliveries.
    fn time(&self, place: usize) -> Option<String> {
        self.deliveries.iter().filter_map(|delivery| delivery.times[place]).min().map(iso)
    }

    /// In the words of the root routes.
    pub(crate) fn to_camel(&self) -> Value {
        json!({
            "id": self.id,
            "notificationId": self.id,
            "userId": self.user_id,
            "type": self.kind,
            "category": self.category,
            "channel": self.main_delivery().map(|delivery| &delivery.channel),
            "channels": self.deliveries.iter().map(|delivery| &delivery.channel).collect::<Vec<_>>(),
            "status": self.status(),
            "priority": Priority::from_number(self.priority).word(),
            "title": self.title,
            "body": self.body,
            "data": self.data,
            "metadata": self.metadata,
            "read": self.read_at.is_some(),
            "readAt": self.read_at.map(iso),
            "scheduledAt": self.scheduled_at.map(iso),
            "sentAt": self.time(0),
            "deliveredAt": self.time(1),
            "failedAt": self.time(2),
            "openedAt": self.time(3),
            "clickedAt": self.time(4),
            "createdAt": iso(self.created_at),
            "deliveries": self.deliveries.iter().map(Delivery::to_json).collect::<Vec<_>>(),
        })
    }

    /// In the words of `/api/notifications`.
    pub(crate) fn to_snake(&self) -> Value {
        let main = self.main_delivery();
        json!({
            "id": self.id,
            "user_id": self.user_id,
            "template_name": self.template,
            "type": self.kind,
            "channel": main.map(|delivery| &delivery.channel),
            "category": self.category,
            "status": self.status(),
            "priority": self.priority,
            "subject": self.title,
            "title": self.title,
            "body_text": self.body,
            "data": self.data,
            "metadata": self.metadata,
            "tags": self.tags,
            "provider": main.and_then(|delivery| delivery.provider.as_ref()),
            "provider_message_id": main.and_then(|delivery| delivery.provider_id.as_ref()),
            "error_message": main.and_then(|delivery| delivery.error.as_ref()),
            "retry_count": main.map_or(0, |delivery| (delivery.attempts - 1).max(0)),
            "read": self.read_at.is_some(),
            "read_at": self.read_at.map(iso),
            "scheduled_at": self.scheduled_at.map(iso),
            "sent_at": self.time(0),
            "delivered_at": self.time(1),
            "failed_at": self.time(2),
            "opened_at": self.time(3),
            "clicked_at": self.time(4),
            "created_at": iso(self.created_at),
            "deliveries": self.deliveries.iter().map(Delivery::to_json).collect::<Vec<_>>(),
        })
    }
}
