//! Sending in the words of the root routes: one message, many, a template, everybody in a channel.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use kit::{Caller, Failure, FieldError, Fields, JsonObject};
use serde_json::{Value, json};

use super::{Shared, checked, fault, invalid, refused};
use crate::channel::Channel;
use crate::draft::{Dialect, Draft, NAME_BYTES, is_name, read};
use crate::engine::{Accepted, Origin, Refusal, take};
use crate::state::App;

const FORBIDDEN: &str = "a user's token sends in-app and push messages to that user only";
/// The most messages of one request.
const MOST_AT_ONCE: usize = 1000;
/// How many of them are stored side by side.
const SIDE_BY_SIDE: usize = 8;

/// `POST /send`.
pub(super) async fn send(
    State(app): Shared,
    caller: Caller,
    headers: HeaderMap,
    JsonObject(fields): JsonObject,
) -> Result<Response, Failure> {
    let origin = origin(&headers, "send", &fields)?;
    let draft = read(fields, Dialect::Root, &[]).map_err(|details| invalid(&details))?;
    check_caller(&caller, &draft)?;
    answer(&app, take(&app, draft, &origin).await)
}

/// `POST /send/template`: a template that is not there is not found.
pub(super) async fn send_template(
    State(app): Shared,
    caller: Caller,
    headers: HeaderMap,
    JsonObject(fields): JsonObject,
) -> Result<Response, Failure> {
    let origin = origin(&headers, "template", &fields)?;
    let draft = read(fields, Dialect::Root, &[]).map_err(|details| invalid(&details))?;
    if draft.template.is_none() {
        return Err(fault("templateId", "is required"));
    }
    check_caller(&caller, &draft)?;
    match take(&app, draft, &origin).await {
        Err(Refusal::UnknownTemplate(name)) => {
            Err(Failure::new(StatusCode::NOT_FOUND, format!("there is no template `{name}`"))
                .with("success", json!(false)))
        }
        taken => answer(&app, taken),
    }
}

/// A user's token sends to that user alone, and only where the plugin knows the way: anybody's address may stand in the
/// request.
pub(super) fn check_caller(caller: &Caller, draft: &Draft) -> Result<(), Failure> {
    caller.act_for(&draft.user_id)?;
    if draft.channels.iter().any(|channel| matches!(channel, Channel::Email | Channel::Sms)) {
        return caller.act_for_all().map_err(|_| Failure::new(StatusCode::FORBIDDEN, FORBIDDEN));
    }
    Ok(())
}

/// What makes a request the same as another: what it asks for and all that it says.
pub(super) fn origin(headers: &HeaderMap, what: &str, fields: &Fields) -> Result<Origin, Failure> {
    let content = serde_json::to_string(fields.object()).unwrap_or_default();
    let key = headers.get("idempotency-key").map(|value| value.to_str().map(str::trim));
    let key = match key {
        None => None,
        Some(Ok(key)) if !key.is_empty() && key.len() <= 200 => Some(key.to_owned()),
        Some(_) => return Err(fault("Idempotency-Key", "must be printable, not empty and not longer than 200 bytes")),
    };
    Ok(Origin { key, content: format!("{what} {content}") })
}

fn answer(app: &App, taken: Result<Accepted, Refusal>) -> Result<Response, Failure> {
    match taken {
        Ok(accepted) => {
            let body = Json(accepted_body(app, &accepted));
            let mut response = body.into_response();
            mark_repeated(&accepted, &mut response);
            Ok(response)
        }
        // The request was carried out: nothing was to be sent.
        Err(Refusal::Unwanted(results)) => {
            let error = "the user does not want this message on any of its channels";
            let body = json!({"success": false, "error": error, "message": error, "channels": [], "results": results});
            Ok(Json(body).into_response())
        }
        Err(refusal) => Err(refused(refusal)),
    }
}

pub(super) fn mark_repeated(accepted: &Accepted, response: &mut Response) {
    if accepted.is_repeated {
        let name = HeaderName::from_static("idempotency-replayed");
        response.headers_mut().insert(name, HeaderValue::from_static("true"));
    }
}

fn is_taken(status: &str) -> bool {
    matches!(status, "queued" | "delivered" | "deferred" | "scheduled")
}

fn accepted_body(app: &App, accepted: &Accepted) -> Value {
    let taken: Vec<&str> = accepted
        .results
        .iter()
        .filter(|result| is_taken(&result.status))
        .map(|result| result.channel.as_str())
        .collect();
    let mut body = json!({
        "success": true,
        "notificationId": accepted.id,
        "notification_id": accepted.id,
        "channels": taken,
        "message": message(accepted, &taken),
        "estimated_delivery": accepted.due,
        "results": accepted.results,
    });
    if accepted.is_deferred {
        body["queued"] = json!(true);
    }
    if accepted.is_repeated {
        body["duplicate"] = json!(true);
    }
    if app.channels.dry_run {
        body["dryRun"] = json!(true);
    }
    body
}

fn message(accepted: &Accepted, taken: &[&str]) -> String {
    let names = taken.join(", ");
    let text = if accepted.is_deferred {
        format!("stored for {names}, until its time comes")
    } else {
        format!("accepted for {names}")
    };
    let left_out: Vec<&str> = accepted
        .results
        .iter()
        .filter(|result| !is_taken(&result.status))
        .map(|result| result.channel.as_str())
        .collect();
    if left_out.is_empty() { text } else { format!("{text}; not sent by {}, see `results`", left_out.join(", ")) }
}

/// `POST /send-bulk`, `POST /batch/send`: each message by itself, whatever becomes of the others.
pub(super) async fn send_bulk(
    State(app): Shared,
    caller: Caller,
    headers: HeaderMap,
    JsonObject(mut fields): JsonObject,
) -> Result<Response, Failure> {
    let key = origin(&headers, "", &Fields::new(json!({})))?.key;
    let entries = fields.optional_list("notifications").unwrap_or_default();
    if entries.is_empty() || entries.len() > MOST_AT_ONCE {
        fields.reject("notifications", &format!("must be a list of 1 to {MOST_AT_ONCE} notifications"));
    }
    let channels = read_channels(&mut fields);
    checked(fields)?;
    let (app, key, channels, caller) = (&app, &key, &channels, &caller);
    let results: Vec<Value> = futures_util::stream::iter(entries.into_iter().enumerate())
        .map(async |(place, entry)| {
            // The place belongs to what makes an entry the same: a list may say one thing twice.
            let content = format!("bulk {place} {entry}");
            let origin = Origin { key: key.as_ref().map(|key| format!("{key}#{place}")), content };
            let result = match read(Fields::new(entry), Dialect::Root, channels) {
                Ok(draft) if check_caller(caller, &draft).is_err() => Err(Refusal::Forbidden),
                Ok(draft) => take(app, draft, &origin).await,
                Err(details) => Err(Refusal::Invalid(details)),
            };
            entry_result(app, place, result)
        })
        .buffered(SIDE_BY_SIDE)
        .collect()
        .await;
    let sent = results.iter().filter(|result| result["success"] == true).count();
    let failed = results.len() - sent;
    let body = json!({
        "success": failed == 0,
        "total": results.len(),
        "sent": sent,
        "failed": failed,
        "results": results,
    });
    let status = if sent == 0 { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    if sent == 0 {
        return Err(Failure::new(status, "none of the notifications was accepted")
            .with("success", json!(false))
            .with("sent", json!(0))
            .with("failed", json!(failed))
            .with("results", body["results"].clone()));
    }
    Ok(Json(body).into_response())
}

fn read_channels(fields: &mut Fields) -> Vec<Channel> {
    if !fields.has("channels") {
        return Vec::new();
    }
    let names = fields.texts("channels", Channel::ALL.len());
    let mut channels = Vec::new();
    for name in names {
        match Channel::parse(&name) {
            Some(channel) => channels.push(channel),
            None => fields.reject("channels", "has an entry that is no channel; there are email, push, sms, in-app"),
        }
    }
    channels
}

/// What became of one entry, in words.
fn entry_result(app: &App, place: usize, result: Result<Accepted, Refusal>) -> Value {
    let mut value = match result {
        Ok(accepted) => accepted_body(app, &accepted),
        Err(refusal) => {
            let error = match &refusal {
                Refusal::Invalid(_) => "the notification is not valid".to_owned(),
                Refusal::UnknownTemplate(name) => format!("there is no template `{name}`"),
                Refusal::NoChannel(_) => "no channel can take the message".to_owned(),
                Refusal::Unwanted(_) => "the user does not want this message".to_owned(),
                Refusal::Limited { channel, .. } => format!("the user's limit of {channel} messages is reached"),
                Refusal::QueueFull { .. } => "the queue of deliveries is full".to_owned(),
                Refusal::KeyReused => "the idempotency key was used with another content".to_owned(),
                Refusal::Forbidden => FORBIDDEN.to_owned(),
                Refusal::Busy => "too many templates are being rendered".to_owned(),
                Refusal::Database(error) => error.to_string(),
            };
            let mut value = json!({"success": false, "error": error});
            match refusal {
                Refusal::Invalid(details) => value["details"] = json!(details),
                Refusal::NoChannel(results) | Refusal::Unwanted(results) => value["results"] = json!(results),
                _ => {}
            }
            value
        }
    };
    value["index"] = json!(place);
    value
}

/// `POST /broadcast`: to the users that the request names, else to those whom realtime sees in the channel.
pub(super) async fn broadcast(
    State(app): Shared,
    headers: HeaderMap,
    JsonObject(mut fields): JsonObject,
) -> Result<Json<Value>, Failure> {
    let origin = origin(&headers, "broadcast", &fields)?;
    let channel_id = fields.text("channelId");
    let field = if fields.has("userIds") { "userIds" } else { "recipients" };
    let named = fields.has(field).then(|| fields.texts(field, MOST_AT_ONCE));
    let mut probe = fields.take_all();
    for own in ["channelId", field] {
        probe.remove(own);
    }
    probe.insert("userId".to_owned(), json!("everybody"));
    checked(fields)?;
    let draft = read(Fields::new(Value::Object(probe)), Dialect::Root, &[]).map_err(|details| invalid(&details))?;
    let is_named = named.is_some();
    let members = match named {
        Some(users) => Some(users),
        None => app.channels.realtime.members(&channel_id).await,
    };
    let source = match (is_named, &members) {
        (true, _) => "request",
        (false, Some(_)) => "realtime",
        (false, None) => "unknown",
    };
    let members = members.unwrap_or_default();
    let draft = Draft { data: with_channel(&draft.data, &channel_id), ..draft };
    let sends: Vec<_> = members.iter().map(|user| send_to(&app, &draft, &origin, user)).collect();
    let results: Vec<Result<Accepted, Refusal>> =
        futures_util::stream::iter(sends).buffered(SIDE_BY_SIDE).collect().await;
    let recipients = results.iter().filter(|result| result.is_ok()).count();
    // Where all of it failed for one reason, that reason is the answer.
    if recipients == 0
        && let Some(Err(refusal)) = results.into_iter().next()
        && !matches!(refusal, Refusal::Unwanted(_))
    {
        return Err(refused(refusal));
    }
    let message = match (source, recipients) {
        ("unknown", _) => "nobody was reached: the request names no `userIds`, and realtime, which knows who is in \
            a channel, cannot be asked"
            .to_owned(),
        (_, count) => format!("accepted for {count} of {} users", members.len()),
    };
    Ok(Json(json!({
        "success": true,
        "channelId": channel_id,
        "recipients": recipients,
        "failed": members.len() - recipients,
        "source": source,
        "message": message,
    })))
}

/// One user's part of a broadcast.
async fn send_to(app: &App, draft: &Draft, origin: &Origin, user: &str) -> Result<Accepted, Refusal> {
    if !is_name(user, NAME_BYTES) {
        let message = "must be printable, not empty and not longer than 200 bytes".to_owned();
        return Err(Refusal::Invalid(vec![FieldError { field: "userIds".to_owned(), message }]));
    }
    let key = origin.key.as_ref().map(|key| format!("{key}#{user}"));
    let origin = Origin { key, content: format!("{} {user}", origin.content) };
    take(app, Draft { user_id: user.to_owned(), ..draft.clone() }, &origin).await
}

fn with_channel(data: &Value, channel_id: &str) -> Value {
    let mut data = data.clone();
    if data.get("channelId").is_none() {
        data["channelId"] = json!(channel_id);
    }
    data
}
