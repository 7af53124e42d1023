//! Takes a message in: decides for each channel what will happen, stores it, and only then says so.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::content::{Content, compose};
use super::event::InAppEvent;
use super::refusal::{ChannelResult, Refusal};
use crate::channel::{Channel, State};
use crate::database::DatabaseError;
use crate::draft::{Draft, MailOptions, Recipient};
use crate::preferences::{Preferences, Subject, TRANSACTIONAL, Verdict};
use crate::state::App;
use crate::store::{Acceptance, Ending, NewDelivery, NewMessage, NotAccepted, Remembered};
use crate::time::{iso, now, span};

/// A message that was stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) id: String,
    pub(crate) results: Vec<ChannelResult>,
    /// When its last channel is to go out.
    pub(crate) due: String,
    /// Whether a channel waits for its time.
    pub(crate) is_deferred: bool,
    /// Whether this is the answer to an earlier request of the same content.
    #[serde(skip)]
    pub(crate) is_repeated: bool,
}

/// Where a request comes from, as far as repeating it goes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    /// The header `Idempotency-Key`.
    pub(crate) key: Option<String>,
    /// All of the request that makes it what it is.
    pub(crate) content: String,
}

/// A channel with what was decided for it.
struct Decision {
    delivery: NewDelivery,
    status: &'static str,
    is_taken: bool,
}

/// Takes one message in.
pub(crate) async fn take(app: &App, draft: Draft, origin: &Origin) -> Result<Accepted, Refusal> {
    let content = compose(app, &draft).await?;
    let preferences = app.store.preferences(&draft.user_id).await?;
    let at = now();
    let mut decisions: Vec<Decision> =
        draft.channels.iter().map(|channel| decide(app, &draft, *channel, &preferences, at)).collect();
    let id = uuid::Uuid::new_v4().to_string();
    let message = message(id, &draft, &content, at);
    loop {
        if !decisions.iter().any(|decision| decision.is_taken) {
            return Err(nothing_taken(&decisions));
        }
        let queued = decisions.iter().filter(|decision| decision.delivery.state == State::Queued).count();
        let reserved = app.backlog.reserve(queued).map_err(|(current, limit)| Refusal::QueueFull { current, limit })?;
        match store(app, &message, &decisions, (&draft, origin)).await {
            Ok(accepted) => {
                reserved.keep();
                announce(app, &message, &draft, &decisions);
                return Ok(accepted);
            }
            Err(NotAccepted::Limited { channel, limit, opens_at }) => {
                // The others may still take it.
                drop(reserved);
                limit_channel(&mut decisions, channel, opens_at);
                if !decisions.iter().any(|decision| decision.is_taken) {
                    return Err(Refusal::Limited { channel, limit, opens_at });
                }
            }
            Err(NotAccepted::Known { fingerprint, answer }) => return repeat(&fingerprint, answer, origin),
            Err(NotAccepted::Database(error)) => return Err(error.into()),
        }
    }
}

fn decide(app: &App, draft: &Draft, channel: Channel, preferences: &Preferences, at: i64) -> Decision {
    let refuse = |state, status, error: String| Decision {
        delivery: NewDelivery { channel, state, due_at: at, digest: None, error: Some(error), limit: None },
        status,
        is_taken: false,
    };
    if let Some(why) = app.channels.off(channel) {
        return refuse(State::Failed, "not_configured", why.to_owned());
    }
    if let Some(why) = missing_address(&draft.to, channel) {
        return refuse(State::Failed, "no_recipient", why.to_owned());
    }
    if channel == Channel::Email
        && let Some(why) = unwritable(app, &draft.to)
    {
        return refuse(State::Failed, "invalid_recipient", why);
    }
    let subject = Subject {
        channel,
        category: &draft.category,
        kind: &draft.kind,
        priority: draft.priority,
        ignores_quiet_hours: draft.ignores_quiet_hours,
    };
    let wanted_at = draft.scheduled_at.map_or(at, |scheduled| scheduled.max(at));
    let (due_at, digest, is_held) =
        match preferences.judge(subject, &app.config.defaults, wanted_at, app.config.quiet_hours) {
            Verdict::Refused(why) => return refuse(State::Skipped, "skipped", why),
            Verdict::Now => (wanted_at, None, false),
            // What has files, copies or a sender of its own cannot be one of many in an e-mail.
            Verdict::Later(time, digest) => (time, digest.filter(|_| is_plain(draft)), true),
        };
    let (state, status) = match (due_at > at, is_held, channel) {
        (true, true, _) => (State::Pending, "deferred"),
        (true, false, _) => (State::Pending, "scheduled"),
        (false, _, Channel::InApp) => (State::Delivered, "delivered"),
        (false, ..) => (State::Queued, "queued"),
    };
    let rates = &app.config.rates;
    let is_limited = draft.category != TRANSACTIONAL && rates.of(channel) > 0;
    let limit = is_limited.then(|| (rates.of(channel), rates.window));
    Decision { delivery: NewDelivery { channel, state, due_at, digest, error: None, limit }, status, is_taken: true }
}

fn missing_address(to: &Recipient, channel: Channel) -> Option<&'static str> {
    let is_there = |value: &Option<String>| value.as_ref().is_some_and(|text| !text.trim().is_empty());
    match channel {
        Channel::InApp => None,
        Channel::Email => (!is_there(&to.email)).then_some("no e-mail address: send `to.email` or `email`"),
        Channel::Sms => (!is_there(&to.phone)).then_some("no phone number: send `to.phone` or `phone`"),
        Channel::Push => (!is_there(&to.push_token)).then_some("no push token: send `to.push_token` or `pushToken`"),
    }
}

/// Why an e-mail to these addresses cannot be handed over.
fn unwritable(app: &App, to: &Recipient) -> Option<String> {
    let email = app.channels.email.as_ref().ok()?;
    let mail = &to.mail;
    let mailbox = to.mailbox();
    let all = mailbox.iter().chain(&mail.cc).chain(&mail.bcc).chain(&mail.reply_to).chain(&mail.from);
    all.into_iter().find_map(|mailbox| email.fault(mailbox))
}

fn is_plain(draft: &Draft) -> bool {
    draft.attachments.is_empty() && draft.to.mail == MailOptions::default()
}

fn limit_channel(decisions: &mut [Decision], channel: Channel, opens_at: i64) {
    for decision in decisions.iter_mut().filter(|decision| decision.delivery.channel == channel) {
        decision.is_taken = false;
        decision.status = "rate_limited";
        decision.delivery.state = State::Failed;
        decision.delivery.limit = None;
        let error = format!("the user's limit of {channel} messages is reached until {}", iso(opens_at));
        decision.delivery.error = Some(error);
    }
}

fn nothing_taken(decisions: &[Decision]) -> Refusal {
    let results = decisions.iter().map(result).collect();
    let is_unwanted = decisions.iter().any(|decision| decision.status == "skipped");
    if is_unwanted { Refusal::Unwanted(results) } else { Refusal::NoChannel(results) }
}

fn result(decision: &Decision) -> ChannelResult {
    let delivery = &decision.delivery;
    ChannelResult {
        channel: delivery.channel.as_str().to_owned(),
        status: decision.status.to_owned(),
        error: delivery.error.clone(),
        deliver_at: (delivery.state == State::Pending).then(|| iso(delivery.due_at)),
    }
}

async fn store(
    app: &App,
    message: &NewMessage,
    decisions: &[Decision],
    (draft, origin): (&Draft, &Origin),
) -> Result<Accepted, NotAccepted> {
    let due = decisions.iter().filter(|decision| decision.is_taken).map(|decision| decision.delivery.due_at).max();
    let accepted = Accepted {
        id: message.id.clone(),
        results: decisions.iter().map(result).collect(),
        due: iso(due.unwrap_or(message.created_at)),
        is_deferred: decisions.iter().any(|decision| decision.delivery.state == State::Pending),
        is_repeated: false,
    };
    let remembered = remember(app, (draft, origin), &accepted, message.created_at);
    let deliveries: Vec<NewDelivery> = decisions.iter().map(|decision| decision.delivery.clone()).collect();
    let ended = deliveries.iter().filter(|delivery| delivery.state == State::Delivered);
    let endings: Vec<Ending> = ended.map(|delivery| ending(message, delivery.channel)).collect();
    let remembered = remembered.as_ref();
    app.store.accept(Acceptance { message, deliveries: &deliveries, remembered, endings: &endings }).await?;
    Ok(accepted)
}

fn ending(message: &NewMessage, channel: Channel) -> Ending {
    Ending::new((&message.id, &message.user_id), channel, State::Delivered, message.created_at)
}

/// The key under which this request is known: the client's own, or, for a few seconds, its content.
fn remember(app: &App, (draft, origin): (&Draft, &Origin), accepted: &Accepted, at: i64) -> Option<Remembered> {
    let key = draft.idempotency_key.as_ref().or(origin.key.as_ref());
    let fingerprint = fingerprint(&origin.content);
    let (key, window) = match key {
        Some(key) => (format!("key:{key}"), app.config.idempotency_window),
        None if app.config.dedupe_window.is_zero() || origin.content.is_empty() => return None,
        None => (format!("content:{fingerprint}"), app.config.dedupe_window),
    };
    Some(Remembered { key, fingerprint, answer: json!(accepted), expires_at: at + span(window) })
}

fn fingerprint(content: &str) -> String {
    use std::fmt::Write;
    Sha256::digest(content.as_bytes()).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn repeat(known: &str, answer: Value, origin: &Origin) -> Result<Accepted, Refusal> {
    if known != fingerprint(&origin.content) {
        return Err(Refusal::KeyReused);
    }
    let accepted: Accepted = serde_json::from_value(answer)
        .map_err(|error| DatabaseError::Refused(format!("a stored answer cannot be read: {error}")))?;
    Ok(Accepted { is_repeated: true, ..accepted })
}

fn message(id: String, draft: &Draft, content: &Content, at: i64) -> NewMessage {
    NewMessage {
        id,
        user_id: draft.user_id.clone(),
        kind: draft.kind.clone(),
        category: draft.category.clone(),
        priority: draft.priority.number(),
        template: draft.template.clone(),
        title: content.title.clone(),
        body: content.body.clone(),
        content: content.to_json().to_string(),
        recipient: json!(draft.to).to_string(),
        attachments: (!draft.attachments.is_empty()).then(|| json!(draft.attachments).to_string()),
        data: draft.data.to_string(),
        metadata: draft.metadata.to_string(),
        tags: draft.tags.to_string(),
        scheduled_at: draft.scheduled_at,
        visible_at: draft.scheduled_at.map_or(at, |scheduled| scheduled.max(at)),
        created_at: at,
    }
}

/// Tells realtime and the workers of what was stored.
fn announce(app: &App, message: &NewMessage, draft: &Draft, decisions: &[Decision]) {
    app.backlog.wake();
    if !decisions.iter().any(|decision| decision.delivery.state == State::Delivered) {
        return;
    }
    app.counters.count(Channel::InApp, State::Delivered);
    InAppEvent::of_new(message, &draft.data).tell(app);
}
