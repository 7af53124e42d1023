//! Delivers what a worker has taken, and notes what came of it: done, again later, or never.

use std::time::Duration;

use serde_json::json;

use super::digest;
use super::event::InAppEvent;
use crate::channel::{Channel, State};
use crate::channels::{Email, Mail, Outcome};
use crate::database::DatabaseError;
use crate::state::App;
use crate::store::{Claimed, Ending, Payload};
use crate::time::{iso, now, span};

/// Attempts that may end without an answer (a kill, a crash) beside those that a provider may refuse.
const SILENT_ATTEMPTS: i64 = 5;
/// The longest pause while a provider cannot be reached: it should be noticed soon that it is back.
const LONGEST_ABSENCE_PAUSE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Ending {
    /// An ending with what subscribers are told of it.
    pub(crate) fn new((message_id, user_id): (&str, &str), channel: Channel, state: State, at: i64) -> Self {
        Self {
            id: format!("{message_id}:{channel}"),
            message_id: message_id.to_owned(),
            user_id: user_id.to_owned(),
            state,
            error: None,
            provider: None,
            provider_id: None,
            event: None,
            at,
        }
        .announced(channel)
    }

    fn announced(mut self, channel: Channel) -> Self {
        let event = match self.state {
            State::Sent | State::Delivered | State::Simulated => "notification.sent",
            State::Failed | State::Bounced => "notification.failed",
            State::Pending | State::Queued | State::Skipped => return self,
        };
        let payload = json!({
            "event": event,
            "notificationId": self.message_id,
            "userId": self.user_id,
            "channel": channel.as_str(),
            "status": self.state.as_str(),
            "error": self.error,
            "timestamp": iso(self.at),
        });
        self.event = Some((event, payload.to_string()));
        self
    }
}

/// Delivers one delivery, or a user's whole digest.
pub(super) async fn deliver(app: &App, begun: Vec<Claimed>) {
    let known = begun.len();
    let together = digest::gather(app, begun).await;
    if let Err(error) = try_once(app, &together).await {
        // The lease runs out, and it is tried again.
        tracing::warn!(%error, "a message could not be read");
    }
    // Those that were begun before are ended by whoever began them.
    for claimed in together.iter().skip(known) {
        app.backlog.end(&claimed.id);
    }
}

async fn try_once(app: &App, together: &[Claimed]) -> Result<(), DatabaseError> {
    let Some(channel) = together.first().map(|claimed| claimed.channel) else { return Ok(()) };
    let mut payloads = Vec::with_capacity(together.len());
    for claimed in together {
        payloads.extend(app.store.payload(&claimed.message_id).await?);
    }
    let outcome = match payloads.as_slice() {
        _ if first_attempts(together) > app.config.retries.attempts + SILENT_ATTEMPTS => {
            Outcome::Rejected("every attempt ended without an answer".to_owned())
        }
        [] => Outcome::Rejected("the message is gone".to_owned()),
        [payload] => hand_over(app, channel, payload).await?,
        many => hand_over(app, channel, &digest::combine(many)).await?,
    };
    settle(app, channel, together, outcome).await;
    Ok(())
}

fn first_attempts(together: &[Claimed]) -> i64 {
    together.first().map_or(0, |claimed| claimed.attempts)
}

async fn hand_over(app: &App, channel: Channel, payload: &Payload) -> Result<Outcome, DatabaseError> {
    if channel == Channel::InApp {
        InAppEvent::of(payload).tell(app);
        return Ok(Outcome::Sent(None));
    }
    if app.channels.dry_run {
        return Ok(Outcome::Sent(None));
    }
    let to = &payload.recipient;
    Ok(match (channel, &app.channels.email, &app.channels.sms) {
        (Channel::Email, Ok(email), _) => hand_over_email(app, email, payload).await?,
        (Channel::Sms, _, Ok(sms)) => {
            let body = payload.content["sms"].as_str().unwrap_or(&payload.body);
            sms.send(to.phone.as_deref().unwrap_or_default(), body).await
        }
        // It was on when the message was accepted.
        _ => Outcome::Unreachable(app.channels.off(channel).unwrap_or("no sender").to_owned()),
    })
}

async fn hand_over_email(app: &App, email: &Email, payload: &Payload) -> Result<Outcome, DatabaseError> {
    let room = if payload.has_attachments { app.backlog.large.acquire().await.ok() } else { None };
    let attachments = if payload.has_attachments { app.store.attachments(&payload.id).await? } else { Vec::new() };
    let part = |name: &str| payload.content[name].as_str();
    let Some(to) = payload.recipient.mailbox() else {
        return Ok(Outcome::Rejected("the recipient's address cannot be written".to_owned()));
    };
    let options = &payload.recipient.mail;
    let mail = Mail {
        id: &format!("{}:{}", payload.id, Channel::Email),
        from: options.from.as_ref(),
        to: &to,
        cc: &options.cc,
        bcc: &options.bcc,
        reply_to: &options.reply_to,
        list_unsubscribe: &options.list_unsubscribe,
        subject: part("subject").unwrap_or(&payload.title),
        text: part("text"),
        html: part("html"),
        attachments: &attachments,
    };
    let outcome = email.send(mail).await;
    drop(room);
    Ok(outcome)
}

/// Notes what came of an attempt.
async fn settle(app: &App, channel: Channel, together: &[Claimed], outcome: Outcome) {
    let retries = app.config.retries;
    let attempts = first_attempts(together);
    let at = now();
    let waited = at - together.first().map_or(at, |claimed| claimed.first_due_at);
    match outcome {
        Outcome::Sent(id) => {
            let state = match channel {
                Channel::InApp => State::Delivered,
                _ if app.channels.dry_run => State::Simulated,
                _ => State::Sent,
            };
            finish(app, channel, together, (state, None, id)).await;
        }
        Outcome::Refused(why) if attempts < retries.attempts => {
            app.counters.retries.inc();
            put_back(app, together, pause(retries.delay, attempts, retries.longest_delay), (&why, true)).await;
        }
        Outcome::Unreachable(why) if waited < span(retries.give_up_after) => {
            // The longer it has been away, the less often it is asked.
            let longest = retries.longest_delay.min(LONGEST_ABSENCE_PAUSE);
            let waited = Duration::from_millis(u64::try_from(waited).unwrap_or_default());
            let pause = (waited / 2).clamp(retries.delay.min(longest), longest);
            app.counters.retries.inc();
            put_back(app, together, pause, (&why, false)).await;
        }
        Outcome::Bounced(why) => finish(app, channel, together, (State::Bounced, Some(why), None)).await,
        Outcome::Refused(why) | Outcome::Unreachable(why) | Outcome::Rejected(why) => {
            finish(app, channel, together, (State::Failed, Some(why), None)).await;
        }
    }
}

/// The pause before the next attempt: doubled each time, up to the longest.
fn pause(first: Duration, attempts: i64, longest: Duration) -> Duration {
    let doublings = u32::try_from((attempts - 1).clamp(0, 20)).unwrap_or_default();
    first.saturating_mul(1 << doublings).min(longest)
}

async fn finish(
    app: &App,
    channel: Channel,
    together: &[Claimed],
    (state, error, provider_id): (State, Option<String>, Option<String>),
) {
    let at = now();
    let provider = app.channels.provider(channel).map(str::to_owned);
    let ending = |claimed: &Claimed| {
        let new = Ending::new((&claimed.message_id, &claimed.user_id), channel, state, at);
        let (error, provider, provider_id) = (error.clone(), provider.clone(), provider_id.clone());
        Ending { error, provider, provider_id, ..new }.announced(channel)
    };
    let endings: Vec<Ending> = together.iter().map(ending).collect();
    let is_failure = matches!(state, State::Failed | State::Bounced);
    // What was handed over must not be handed over again: that is noted, however long the database is away.
    app.backlog.left_queue(endings.len());
    until_stored(app, Note::Finished(&endings)).await;
    let counter = if is_failure { &app.backlog.failed } else { &app.backlog.completed };
    counter.fetch_add(endings.len() as u64, std::sync::atomic::Ordering::Relaxed);
    for (claimed, ending) in together.iter().zip(&endings) {
        app.counters.count(channel, state);
        if let Some(why) = &ending.error {
            tracing::warn!(notification = claimed.message_id, %channel, state = state.as_str(), why, "not delivered");
        } else {
            let seconds = Duration::from_millis(u64::try_from(at - claimed.first_due_at).unwrap_or_default());
            app.counters.delivery_seconds.observe(seconds.as_secs_f64());
        }
    }
}

async fn put_back(app: &App, together: &[Claimed], pause: Duration, (why, counts): (&str, bool)) {
    let due_at = now() + span(pause);
    tracing::info!(why, pause = pause.as_secs_f64(), "a delivery is tried again");
    until_stored(app, Note::PutBack { together, due_at, why, counts }).await;
}

/// What is noted of an attempt.
enum Note<'a> {
    Finished(&'a [Ending]),
    PutBack { together: &'a [Claimed], due_at: i64, why: &'a str, counts: bool },
}

/// Repeats until the database has taken it or refuses it for good; a stop does not wait for it for ever.
async fn until_stored(app: &App, note: Note<'_>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let stored = match &note {
            Note::Finished(endings) => app.store.finish(endings).await,
            Note::PutBack { together, due_at, why, counts } => {
                app.store.put_back(together, *due_at, why, *counts).await
            }
        };
        let Err(error) = stored else { return };
        tracing::warn!(%error, "noting what came of a delivery failed");
        if matches!(error, DatabaseError::Refused(_)) {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let second = Duration::from_secs(1);
        let pauses: Vec<u64> = (1..=5).map(|attempts| pause(second, attempts, second * 5).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 5, 5]);
        assert_eq!(pause(second, i64::MAX, second * 300), second * 300);
    }
}
