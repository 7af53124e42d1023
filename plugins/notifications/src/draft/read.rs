//! Reads drafts: the root routes' two forms and the `/api` form are one superset of fields.

use kit::{FieldError, Fields};
use serde_json::{Map, Value, json};

use super::{Attachment, Draft, MOST_ATTACHMENTS, NAME_BYTES, Recipient, TITLE_BYTES, is_name, mail};
use crate::channel::{Channel, Priority};
use crate::mailbox::Mailbox;
use crate::time;

/// Which client speaks: what may be left out differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `/send` and its neighbours: without a channel it is an in-app message.
    Root,
    /// `/api/…`: the channel must be named.
    Api,
}

/// Reads a draft; `channels` stand in where the request names none.
pub(crate) fn read(mut fields: Fields, dialect: Dialect, channels: &[Channel]) -> Result<Draft, Vec<FieldError>> {
    let mut content = inner(&mut fields, "content");
    let draft = Draft {
        user_id: read_user(&mut fields),
        channels: read_channels(&mut fields, dialect, channels),
        to: read_recipient(&mut fields, &mut content),
        kind: name(&mut fields, &["type", "notificationType"]).unwrap_or_else(|| "notification".to_owned()),
        category: name(&mut fields, &["category"]).unwrap_or_else(|| "system".to_owned()),
        priority: read_priority(&mut fields),
        title: read_title(&mut fields, &mut content),
        body: text(&mut content, &["body", "text"]).or_else(|| text(&mut fields, &["body", "message"])),
        html: text(&mut content, &["html"]).or_else(|| text(&mut fields, &["html"])),
        template: text(&mut fields, &["template", "templateId", "templateName", "template_id", "template_name"])
            .or_else(|| text(&mut content, &["template"])),
        variables: read_variables(&mut fields, &mut content),
        data: read_data(&mut fields, &mut content),
        metadata: object(&mut fields, "metadata"),
        tags: fields.take("tags").unwrap_or_else(|| json!([])),
        attachments: read_attachments(&mut fields),
        scheduled_at: read_time(&mut fields),
        ignores_quiet_hours: flag(&mut fields, &["ignoreQuietHours", "ignore_quiet_hours"]),
        idempotency_key: name(&mut fields, &["idempotencyKey", "idempotency_key"]),
    };
    if let Err(errors) = content.finish() {
        for error in errors {
            fields.reject(&format!("content.{}", error.field), &error.message);
        }
    }
    if [&draft.title, &draft.body, &draft.html, &draft.template]
        .into_iter()
        .flatten()
        .all(|text| text.trim().is_empty())
    {
        fields.reject("content", "a title, a body or a template is required");
    }
    fields.finish().map(|()| draft)
}

/// Reads the user, under either name.
pub(crate) fn read_user(fields: &mut Fields) -> String {
    let field = if fields.has("user_id") { "user_id" } else { "userId" };
    let user_id = fields.text(field);
    if !user_id.is_empty() && !is_name(&user_id, NAME_BYTES) {
        fields.reject(field, "must be printable and not longer than 200 bytes");
    }
    user_id
}

fn inner(fields: &mut Fields, field: &str) -> Fields {
    match fields.take(field) {
        None => Fields::new(json!({})),
        Some(value) if value.is_object() => Fields::new(value),
        Some(_) => {
            fields.reject(field, "must be an object");
            Fields::new(json!({}))
        }
    }
}

/// The first of the names that is there; the others are taken out too, so that none is read twice.
fn text(fields: &mut Fields, names: &[&str]) -> Option<String> {
    names.iter().fold(None, |found, name| {
        let given = fields.optional_text(name);
        found.or(given)
    })
}

/// A short printable text.
fn name(fields: &mut Fields, names: &[&str]) -> Option<String> {
    let given = names.iter().copied().find(|name| fields.has(name))?;
    let text = text(fields, names)?;
    if !is_name(&text, NAME_BYTES) {
        fields.reject(given, "must be printable, not empty and not longer than 200 bytes");
    }
    Some(text)
}

fn flag(fields: &mut Fields, names: &[&str]) -> bool {
    names.iter().any(|name| fields.has(name) && fields.flag(name))
}

fn object(fields: &mut Fields, field: &str) -> Value {
    match fields.take(field) {
        None => json!({}),
        Some(value) if value.is_object() => value,
        Some(_) => {
            fields.reject(field, "must be an object");
            json!({})
        }
    }
}

fn read_channels(fields: &mut Fields, dialect: Dialect, otherwise: &[Channel]) -> Vec<Channel> {
    let (field, given) = match (fields.take("channels"), fields.take("channel")) {
        (Some(channels), _) => ("channels", channels),
        (None, Some(channel)) => ("channel", channel),
        (None, None) if !otherwise.is_empty() => return otherwise.to_vec(),
        (None, None) if dialect == Dialect::Root => return vec![Channel::InApp],
        (None, None) => {
            fields.reject("channel", "is required: email, push, sms or in-app");
            return Vec::new();
        }
    };
    let names = match given {
        Value::Array(names) => names,
        single => vec![single],
    };
    let mut channels = Vec::new();
    for name in &names {
        match name.as_str().map(|name| (name, Channel::parse(name))) {
            Some((_, Some(channel))) if channels.contains(&channel) => {}
            Some((_, Some(channel))) => channels.push(channel),
            Some((name, None)) => {
                let name: String = name.chars().take(40).collect();
                fields.reject(field, &format!("`{name}` is no channel; there are email, push, sms, in-app"));
            }
            None => fields.reject(field, "must be a string or a list of strings"),
        }
    }
    if names.is_empty() {
        fields.reject(field, "must not be empty");
    }
    channels
}

fn read_recipient(fields: &mut Fields, content: &mut Fields) -> Recipient {
    let mut to = match fields.take("to") {
        // The short form of mail programs.
        Some(Value::String(email)) => Fields::new(json!({"email": email})),
        Some(value) => Fields::new(value),
        None => Fields::new(json!({})),
    };
    let mut recipient = Recipient {
        email: text(&mut to, &["email"]).or_else(|| text(fields, &["email"])).filter(|text| !text.trim().is_empty()),
        name: text(&mut to, &["name"]),
        phone: text(&mut to, &["phone", "phone_number", "phoneNumber"])
            .or_else(|| text(fields, &["phone", "phoneNumber", "phone_number"])),
        push_token: text(&mut to, &["push_token", "pushToken", "token"])
            .or_else(|| text(fields, &["pushToken", "push_token"])),
        platform: text(&mut to, &["platform"]),
        mail: mail::read(fields, content),
    };
    if let Err(errors) = to.finish() {
        for error in errors {
            fields.reject(&format!("to.{}", error.field), &error.message);
        }
    }
    match recipient.email.as_deref().map(Mailbox::parse) {
        Some(Ok(mailbox)) => {
            recipient.name = recipient.name.filter(|name| !name.trim().is_empty()).or(mailbox.name);
            recipient.email = Some(mailbox.address);
        }
        Some(Err(why)) => fields.reject("to.email", why),
        None => {}
    }
    for (field, value) in
        [("to.name", &recipient.name), ("to.phone", &recipient.phone), ("to.platform", &recipient.platform)]
    {
        if value.as_deref().is_some_and(|value| !value.is_empty() && !is_name(value, NAME_BYTES)) {
            fields.reject(field, "must be printable, without line breaks, and not longer than 200 bytes");
        }
    }
    recipient
}

fn read_priority(fields: &mut Fields) -> Priority {
    let Some(given) = fields.take("priority") else { return Priority::NORMAL };
    Priority::parse(&given).unwrap_or_else(|| {
        fields.reject("priority", "must be low, normal, high, urgent or a number from 1 to 10");
        Priority::NORMAL
    })
}

/// A title, which may become a subject: one line.
fn read_title(fields: &mut Fields, content: &mut Fields) -> Option<String> {
    let subject = text(content, &["subject", "title"]);
    let title = subject.or_else(|| text(fields, &["title", "subject"]));
    if title.as_deref().is_some_and(|title| !title.is_empty() && !is_name(title, TITLE_BYTES)) {
        fields.reject("title", "must be one printable line of at most 1000 bytes");
    }
    title
}

fn read_variables(fields: &mut Fields, content: &mut Fields) -> Map<String, Value> {
    let mut variables = Map::new();
    for source in [content.take("variables"), fields.take("variables")].into_iter().flatten() {
        match source {
            Value::Object(given) => variables.extend(given),
            _ => fields.reject("variables", "must be an object"),
        }
    }
    variables
}

/// What the app wants to get back with the message; what push messages show goes the same way.
fn read_data(fields: &mut Fields, content: &mut Fields) -> Value {
    let mut data = Map::new();
    for source in [content.take("data"), fields.take("data")].into_iter().flatten() {
        match source {
            Value::Object(given) => data.extend(given),
            other => drop(data.insert("value".to_owned(), other)),
        }
    }
    for field in ["icon", "image", "sound", "badge", "actions"] {
        if let Some(value) = content.take(field) {
            data.entry(field).or_insert(value);
        }
    }
    Value::Object(data)
}

fn read_time(fields: &mut Fields) -> Option<i64> {
    let field = if fields.has("scheduledAt") { "scheduledAt" } else { "scheduled_at" };
    let text = fields.optional_text(field)?;
    let time = time::parse(&text);
    if time.is_none() {
        fields.reject(field, "must be a time in RFC 3339, such as 2026-03-01T08:00:00Z");
    }
    time
}

fn read_attachments(fields: &mut Fields) -> Vec<Attachment> {
    let entries = fields.optional_list("attachments").unwrap_or_default();
    if entries.len() > MOST_ATTACHMENTS {
        fields.reject("attachments", &format!("must not have more than {MOST_ATTACHMENTS} entries"));
        return Vec::new();
    }
    let mut attachments = Vec::with_capacity(entries.len());
    for (place, entry) in entries.into_iter().enumerate() {
        let mut inner = Fields::new(entry);
        let attachment = read_attachment(&mut inner);
        match inner.finish() {
            Ok(()) => attachments.push(attachment),
            Err(errors) => {
                for error in errors {
                    fields.reject(&format!("attachments[{place}].{}", error.field), &error.message);
                }
            }
        }
    }
    attachments
}

fn read_attachment(fields: &mut Fields) -> Attachment {
    use base64::Engine;
    let filename = fields.text("filename");
    if !filename.is_empty() && (!is_name(&filename, NAME_BYTES) || filename.contains(['/', '\\'])) {
        fields.reject("filename", "must be a printable name without slashes");
    }
    let content_type = text(fields, &["contentType", "content_type"]);
    let content_type = content_type.unwrap_or_else(|| "application/octet-stream".to_owned());
    if content_type.chars().any(char::is_control) || lettre::message::header::ContentType::parse(&content_type).is_err()
    {
        fields.reject("contentType", "must be a media type such as application/pdf");
    }
    let mut content = fields.text("content");
    content.retain(|letter| !letter.is_ascii_whitespace());
    if base64::engine::general_purpose::STANDARD.decode(&content).is_err() {
        fields.reject("content", "must be base64");
    }
    Attachment { filename, content, content_type }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(value: Value) -> Draft {
        read(Fields::new(value), Dialect::Root, &[]).expect("a draft")
    }

    fn faults(value: Value) -> Vec<String> {
        let errors = read(Fields::new(value), Dialect::Root, &[]).expect_err("faults");
        errors.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn the_three_forms_say_the_same() {
        let documented = draft(json!({
            "userId": "u", "channel": "email", "to": {"email": "a@b.example", "name": "A"}, "category": "system",
            "content": {"subject": "S", "body": "B", "html": "<p>B</p>"}, "priority": "high",
        }));
        let flat = draft(json!({
            "userId": "u", "channels": ["email"], "email": "a@b.example", "title": "S", "body": "B", "html": "<p>B</p>",
            "priority": "high",
        }));
        let api = draft(json!({
            "user_id": "u", "channel": "email", "to": {"email": "a@b.example"}, "priority": 3,
            "content": {"subject": "S", "body": "B", "html": "<p>B</p>"},
        }));
        for other in [&flat, &api] {
            assert_eq!(
                (&other.title, &other.body, &other.html),
                (&documented.title, &documented.body, &documented.html)
            );
            assert_eq!((&other.channels, other.priority), (&documented.channels, documented.priority));
            assert_eq!(other.to.email, documented.to.email);
        }
    }

    #[test]
    fn every_field_that_cannot_be_used_is_named() {
        let named = faults(json!({
            "channels": ["email", "pigeon"], "to": {"email": "nobody", "phone": 7}, "title": "a\r\nBcc: b@c.example",
            "body": 3, "priority": "now", "scheduledAt": "soon", "variables": [],
            "attachments": [{"filename": "../x", "content": "%", "contentType": "nonsense"}],
        }));
        for field in [
            "userId",
            "channels",
            "to.email",
            "to.phone",
            "title",
            "body",
            "priority",
            "scheduledAt",
            "variables",
            "attachments[0].filename",
            "attachments[0].content",
            "attachments[0].contentType",
        ] {
            assert!(named.iter().any(|name| name == field), "{field} is missing in {named:?}");
        }
    }

    #[test]
    fn an_empty_message_is_refused() {
        assert_eq!(faults(json!({"userId": "u"})), ["content"]);
        assert_eq!(faults(json!({"userId": "u", "title": " ", "body": ""})), ["title", "content"]);
        assert!(faults(json!({"userId": "", "title": "t"})).contains(&"userId".to_owned()));
    }

    #[test]
    fn line_breaks_cannot_become_headers() {
        for value in [
            json!({"userId": "u", "title": "t\nX: y"}),
            json!({"userId": "u", "title": "t", "to": {"email": "a@b.example\r\nBcc: c@d.example"}}),
            json!({"userId": "u", "title": "t", "to": {"name": "a\r\nBcc: c@d.example"}}),
            json!({"userId": "u\n", "title": "t"}),
            json!({"userId": "u", "title": "t", "attachments": [{"filename": "a\r\nX: y", "content": ""}]}),
        ] {
            assert!(!faults(value.clone()).is_empty(), "{value}");
        }
    }

    #[test]
    fn the_api_form_needs_a_channel_and_the_root_form_does_not() {
        let message = json!({"userId": "u", "title": "t"});
        assert_eq!(draft(message.clone()).channels, [Channel::InApp]);
        assert!(read(Fields::new(message), Dialect::Api, &[]).is_err());
    }
}
