//! Work that other plugins do: e-mail and notifications, messages in a channel, files.
//!
//! Every request carries a key made of the job's id, so that a second attempt does nothing twice.

use kit::outbound::{Answer, Call};
use serde_json::{Value, json};
use url::Url;

use super::{Fault, Task, Workshop};

/// The most recipients of one job.
const MOST_RECIPIENTS: usize = 500;

pub(super) async fn send_email(workshop: &Workshop, task: &Task) -> Result<Value, Fault> {
    let recipients = texts(&task.payload["to"]).or_else(|| texts(&task.payload["to"]["email"]));
    let recipients = recipients.ok_or_else(|| lasting("payload.to must be an e-mail address or a list of them"))?;
    check_number(&recipients)?;
    let mut content = json!({});
    for (field, name) in [("subject", "subject"), ("body", "body"), ("text", "body"), ("html", "html")] {
        if let Some(text) = task.text(field) {
            content[name] = json!(text);
        }
    }
    for (field, name) in [("templateId", "template"), ("template", "template"), ("templateVars", "variables")] {
        if !task.payload[field].is_null() {
            content[name] = task.payload[field].clone();
        }
    }
    let (mut ids, mut accepted, mut queued) = (Vec::new(), Vec::new(), Vec::new());
    for (index, recipient) in recipients.iter().enumerate() {
        let user = task.text("userId").unwrap_or(recipient);
        let mut body = json!({
            "userId": user, "channel": "email", "to": {"email": recipient}, "content": content,
            "category": "transactional",
        });
        for field in ["from", "cc", "bcc", "replyTo", "attachments", "priority", "category"] {
            if !task.payload[field].is_null() {
                body[field] = task.payload[field].clone();
            }
        }
        // A copy for each recipient would reach those in copy many times.
        if index > 0 {
            body["cc"] = Value::Null;
            body["bcc"] = Value::Null;
        }
        let answer = notify(workshop, task, body, index).await?;
        // Only what a mail server took counts as accepted; the rest waits in the notifications plugin.
        let is_delivered = answer["results"].as_array().is_some_and(|results| {
            !results.is_empty()
                && results.iter().all(|result| matches!(result["status"].as_str(), Some("sent" | "delivered")))
        });
        if is_delivered { &mut accepted } else { &mut queued }.push(recipient);
        ids.push(answer["notificationId"].clone());
    }
    task.log(&format!("{} e-mails were handed to the notifications plugin", ids.len())).await;
    Ok(json!({
        "messageId": ids.first(), "messageIds": ids, "accepted": accepted, "queued": queued, "rejected": [],
    }))
}

pub(super) async fn send_notification(workshop: &Workshop, task: &Task) -> Result<Value, Fault> {
    let users = texts(&task.payload["userIds"]).or_else(|| texts(&task.payload["userId"]));
    let users = users.ok_or_else(|| lasting("payload.userIds must be a list of users, or payload.userId one"))?;
    check_number(&users)?;
    let mut ids = Vec::new();
    for (index, user) in users.iter().enumerate() {
        let mut body = task.payload.clone();
        body["userId"] = json!(user);
        if let Some(channel) = task.text("notificationType").filter(|_| task.payload["channel"].is_null()) {
            body["channels"] = json!([channel]);
            body["type"] = task.payload["data"]["type"].as_str().unwrap_or("system").into();
            if let Some(url) = task.text("url")
                && (body["data"].is_null() || body["data"].is_object())
            {
                body["data"]["url"] = json!(url);
            }
        }
        if let Some(object) = body.as_object_mut() {
            object.remove("userIds");
            object.remove("notificationType");
        }
        ids.push(notify(workshop, task, body, index).await?["notificationId"].clone());
    }
    task.log(&format!("{} notifications were handed to the notifications plugin", ids.len())).await;
    Ok(json!({"notificationIds": ids, "sent": ids.len()}))
}

/// Hands one notification over and gives the answer.
async fn notify(workshop: &Workshop, task: &Task, mut body: Value, index: usize) -> Result<Value, Fault> {
    let key = if index == 0 { task.unique_id() } else { format!("{}-{index}", task.unique_id()) };
    body["idempotencyKey"] = json!(key);
    let answer = post(workshop, &workshop.peers.notifications, "send", &body, &key).await?;
    let who = "the notifications plugin";
    if !answer.is_success() {
        return Err(Fault::of(who, &answer));
    }
    if answer.body["success"] == json!(false) {
        return Err(Fault::Passing(format!("{who} could not send it: {}", answer.explain())));
    }
    Ok(answer.body)
}

pub(super) async fn send_message(workshop: &Workshop, task: &Task) -> Result<Value, Fault> {
    let mut body = json!({
        "id": task.unique_id(),
        "channelId": task.required("channelId")?,
        "userId": task.required("userId")?,
        "content": task.required("content")?,
    });
    for field in ["userName", "threadId", "replyTo", "mentions", "attachments", "metadata", "type"] {
        if !task.payload[field].is_null() {
            body[field] = task.payload[field].clone();
        }
    }
    let answer = post(workshop, &workshop.peers.realtime, "messages", &body, &task.unique_id()).await?;
    if !answer.is_success() {
        return Err(Fault::of("the realtime plugin", &answer));
    }
    let id = if answer.body["messageId"].is_null() { &answer.body["id"] } else { &answer.body["messageId"] };
    Ok(json!({"messageId": id, "scheduledMessageId": task.payload["scheduledMessageId"]}))
}

pub(super) async fn process_file(workshop: &Workshop, task: &Task) -> Result<Value, Fault> {
    task.required("fileId")?;
    let mut body = task.payload.clone();
    // A path is no address; the plugin takes one of both.
    let path = task.text("fileUrl").filter(|url| !url.contains("://"));
    if let (Some(path), Some(object)) = (path, body.as_object_mut()) {
        object.remove("fileUrl");
        object.entry("filePath").or_insert_with(|| json!(path));
    }
    let answer = post(workshop, &workshop.peers.file_processing, "api/jobs", &body, &task.unique_id()).await?;
    if answer.is_success() { Ok(answer.body) } else { Err(Fault::of("the file-processing plugin", &answer)) }
}

async fn post(workshop: &Workshop, base: &Url, path: &str, body: &Value, key: &str) -> Result<Answer, Fault> {
    let mut url = base.clone();
    let prefix = base.path().trim_end_matches('/');
    url.set_path(&format!("{prefix}/{path}"));
    let call = Call::post(url, body, workshop.timeout).with("idempotency-key", key);
    let call = match &workshop.peers.internal_secret {
        Some(secret) => call.with("x-api-key", secret),
        None => call,
    };
    workshop.trusted.send(call).await.map_err(Fault::Passing)
}

fn lasting(text: &str) -> Fault {
    Fault::Lasting(text.to_owned())
}

fn check_number(recipients: &[String]) -> Result<(), Fault> {
    if recipients.len() > MOST_RECIPIENTS {
        return Err(Fault::Lasting(format!("a job must not have more than {MOST_RECIPIENTS} recipients")));
    }
    Ok(())
}

/// One text or a list of them, none of them empty.
fn texts(value: &Value) -> Option<Vec<String>> {
    let texts: Vec<String> = match value {
        Value::String(text) => vec![text.trim().to_owned()],
        Value::Array(entries) => {
            entries.iter().map(|entry| Some(entry.as_str()?.trim().to_owned())).collect::<Option<_>>()?
        }
        _ => return None,
    };
    (!texts.is_empty() && texts.iter().all(|text| !text.is_empty())).then_some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_one_text_or_several() {
        assert_eq!(texts(&json!(" a@b ")), Some(vec!["a@b".to_owned()]));
        assert_eq!(texts(&json!(["a", "b"])).map(|texts| texts.len()), Some(2));
        for value in [json!(null), json!(""), json!([]), json!(["a", ""]), json!([1]), json!({})] {
            assert_eq!(texts(&value), None, "{value}");
        }
    }
}
