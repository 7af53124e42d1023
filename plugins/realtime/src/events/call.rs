//! One event of a socket as its handler sees it, and what the handler answers.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Once};

use kit::{FieldError, Fields};
use serde_json::{Value, json};

use super::vocabulary::Spoken;
use crate::access::{Action, Denied, Question, Verdict, Who};
use crate::adapter::{AckSender, SocketRef};
use crate::delivery::Vocabulary;
use crate::hub::{Face, Kind, Limited, Moment, Room};
use crate::state::App;

/// One socket as its handlers see it.
pub(crate) struct Session {
    pub(crate) app: Arc<App>,
    /// How others see the user; an unnamed socket stands for itself.
    pub(crate) face: Arc<Face>,
    /// Whether the face stands for a user.
    pub(crate) is_user: bool,
    /// The `sessionId` that the token named, else the socket's id.
    pub(crate) login_id: String,
    /// When the token that it connected with ends.
    pub(crate) token_ends_at: Option<u64>,
    /// Whether the hub knows of the socket yet.
    pub(crate) begun: Once,
    /// Which events the socket hears.
    pub(crate) spoken: Spoken,
    /// The events that wait while the backend is asked about the first of them; `None` while nothing is asked.
    pub(crate) waiting: Mutex<Option<VecDeque<Waiting>>>,
}

/// An event that is handled later.
pub(crate) struct Waiting {
    pub(super) event: String,
    pub(super) payload: Value,
    pub(super) ack: AckSender,
}

impl Session {
    /// The user's id, where there is a user.
    pub(crate) fn user_id(&self) -> Option<&str> {
        self.is_user.then_some(&*self.face.user_id)
    }
}

/// One event being handled.
pub(crate) struct Call<'a> {
    pub(crate) session: &'a Arc<Session>,
    pub(crate) socket: &'a SocketRef,
    pub(crate) now: Moment,
}

impl Call<'_> {
    pub(crate) fn app(&self) -> &App {
        &self.session.app
    }

    /// Who sent the event.
    fn who(&self) -> Who<'_> {
        self.session.user_id().map_or(Who::Anonymous, Who::User)
    }

    /// Whether the sender may do this in the room. Asked before anything else happens: where the answer must be waited
    /// for, the event is handled again once it is there.
    pub(crate) fn check(&self, room: &Room, action: Action) -> Result<(), Refused> {
        match self.app().access.verdict(self.who(), room, action) {
            Verdict::Allowed => Ok(()),
            Verdict::Denied(denied) => Err(Refused::denied(room, denied)),
            Verdict::Open(question) => {
                Err(Refused { question: Some(Box::new(question)), ..Refused::denied(room, Denied::Unanswered) })
            }
        }
    }

    /// Which events the sender hears.
    pub(crate) fn words(&self) -> Vocabulary {
        self.session.spoken.words()
    }

    /// Counts the event against the user's limit of its kind.
    pub(crate) fn limit(&self, kind: Kind) -> Result<(), Refused> {
        Ok(self.app().hub.count(&self.session.face.user_id, kind, self.now)?)
    }

    /// Answers the sender with an event.
    pub(crate) fn reply(&self, event: &str, payload: &Value) {
        self.app().delivery.to_socket(self.socket, event, payload);
    }
}

/// Why an event was not done; becomes the `error` event and the failed acknowledgement.
#[derive(Debug)]
pub(crate) struct Refused {
    code: &'static str,
    message: String,
    details: Value,
    /// What must be asked before it is certain.
    pub(super) question: Option<Box<Question>>,
}

impl Refused {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Value::Null, question: None }
    }

    pub(crate) fn denied(room: &Room, denied: Denied) -> Self {
        let code = if denied == Denied::Forbidden { "FORBIDDEN" } else { "ACCESS_UNAVAILABLE" };
        Self::new(code, format!("`{room}`: {denied}"))
    }

    /// Whether nothing must be asked any more.
    pub(super) fn is_certain(&self) -> bool {
        self.question.is_none()
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.message});
        if !self.details.is_null() {
            error["details"] = self.details.clone();
        }
        error
    }
}

impl From<Vec<FieldError>> for Refused {
    fn from(details: Vec<FieldError>) -> Self {
        let details = json!(details);
        Self { details, ..Self::new("INVALID_PAYLOAD", "the payload is not valid") }
    }
}

impl From<Limited> for Refused {
    fn from(limited: Limited) -> Self {
        let retry_after = u64::try_from(limited.retry_after.as_millis()).unwrap_or(u64::MAX);
        let details = json!({"limit": limited.limit, "retryAfterMs": retry_after});
        Self { details, ..Self::new("RATE_LIMITED", "too many events of this kind") }
    }
}

/// What an event is acknowledged with.
pub(crate) enum Reply {
    /// `{success: true}`.
    Done,
    /// `{success: true, data}`.
    Data(Value),
    /// Exactly this, for readers that know no envelope.
    Bare(Value),
    /// What is still to come: `{success: true, data?}`, or a refusal.
    Later(Pin<Box<dyn Future<Output = Result<Option<Value>, Refused>> + Send>>),
}

pub(crate) type Answer = Result<Reply, Refused>;

/// Reads a room's name out of a field.
pub(crate) fn room_field(fields: &mut Fields, field: &str, kind: Option<&str>) -> (String, Option<Room>) {
    let name = fields.text(field);
    if name.is_empty() {
        return (name, None);
    }
    match Room::parse(&name, kind) {
        Ok(room) => (name, Some(room)),
        Err(message) => {
            fields.reject(field, message);
            (name, None)
        }
    }
}
