//! Who may do what in a room: one answer for sockets and for HTTP.
//!
//! `user:<id>` belongs to that user, always. Of the rest decides the backend where it is asked (a URL or a table), and
//! otherwise this: `dm:<a>-<b>` is open to its two users, a room whose id begins with `private-` to nobody but servers,
//! and every other room to whoever is connected. It must not know sockets or requests.

mod answers;
mod callback;
mod source;
mod table;

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::hub::Room;
use answers::Answers;

use callback::Callback;
use table::Table;

pub(crate) use source::judge;

/// How long the backend may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How long nobody is let in after the backend gave no answer, before it is asked again.
const UNANSWERED_FOR: Duration = Duration::from_secs(1);

/// What somebody wants to do in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    Join,
    Send,
    Sync,
    Poll,
    Typing,
    Presence,
}

/// Who wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who<'a> {
    /// A server of the project.
    Service,
    /// A program of this machine without credentials.
    Local,
    User(&'a str),
    /// Somebody without a name, on a server that admits anybody.
    Anonymous,
}

/// What the backend is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    /// `None` for somebody without a name.
    pub(crate) user_id: Option<Arc<str>>,
    pub(crate) room: Room,
    pub(crate) action: Action,
}

/// Why somebody may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// It is not their room.
    Forbidden,
    /// The backend gave no answer.
    Unanswered,
}

impl Display for Denied {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Forbidden => "access to this room is denied",
            Self::Unanswered => "access could not be checked: the backend gave no usable answer; try again",
        })
    }
}

/// An answer, or the question on which it depends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    Denied(Denied),
    /// Whoever decides must be asked first; then the verdict is there for a while.
    Open(Question),
}

/// Whoever decides about rooms outside of this server; an error means that there is no answer.
pub(crate) trait Judge: Send + Sync {
    fn decide<'a>(&'a self, question: &'a Question) -> Pin<Box<dyn Future<Output = Result<bool, String>> + Send + 'a>>;
}

/// The rules.
pub(crate) struct Access {
    judge: Option<Box<dyn Judge>>,
    answers: Answers,
}

impl Access {
    /// Asks a judge, whose answers hold for so long; without one, the rules above decide.
    pub(crate) fn new(judge: Option<Box<dyn Judge>>, answers_hold: Duration) -> Self {
        Self { judge, answers: Answers::new(answers_hold) }
    }

    /// Whether somebody outside of this server decides.
    pub(crate) fn has_judge(&self) -> bool {
        self.judge.is_some()
    }

    /// Decides at once, or says what must be asked first.
    pub(crate) fn verdict(&self, who: Who<'_>, room: &Room, action: Action) -> Verdict {
        let user_id = match who {
            Who::Service => return Verdict::Allowed,
            Who::Local => return verdict(!room.is_closed() && !self.has_judge()),
            Who::User(user_id) => Some(user_id),
            Who::Anonymous => None,
        };
        if room.is_personal() {
            return verdict(user_id == Some(room.id()));
        }
        if !self.has_judge() {
            return verdict(!room.is_closed() || user_id.is_some_and(|user_id| room.is_between(user_id)));
        }
        let question = Question { user_id: user_id.map(Arc::from), room: room.clone(), action };
        match self.answers.get(&question, Instant::now()) {
            Some(Ok(())) => Verdict::Allowed,
            Some(Err(denied)) => Verdict::Denied(denied),
            None => Verdict::Open(question),
        }
    }

    /// Asks, and keeps the answer for the next [`Access::verdict`].
    pub(crate) async fn ask(&self, question: Question) -> Result<(), Denied> {
        let Some(judge) = &self.judge else {
            return Err(Denied::Forbidden);
        };
        let answer = match tokio::time::timeout(ANSWER_WITHIN, judge.decide(&question)).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(Denied::Forbidden),
            Ok(Err(why)) => unanswered(&question, &why),
            Err(_) => unanswered(&question, "it took too long"),
        };
        self.answers.put(question, answer, Instant::now());
        answer
    }

    /// Decides, asking where that is needed.
    pub(crate) async fn check(&self, who: Who<'_>, room: &Room, action: Action) -> Result<(), Denied> {
        match self.verdict(who, room, action) {
            Verdict::Allowed => Ok(()),
            Verdict::Denied(denied) => Err(denied),
            Verdict::Open(question) => self.ask(question).await,
        }
    }
}

fn verdict(is_allowed: bool) -> Verdict {
    if is_allowed { Verdict::Allowed } else { Verdict::Denied(Denied::Forbidden) }
}

fn unanswered(question: &Question, why: &str) -> Result<(), Denied> {
    tracing::warn!(room = %question.room, "could not check access to a room: {why}");
    Err(Denied::Unanswered)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn room(name: &str) -> Room {
        Room::parse(name, None).expect("a legal name")
    }

    fn may(access: &Access, who: Who<'_>, name: &str) -> bool {
        access.verdict(who, &room(name), Action::Sync) == Verdict::Allowed
    }

    #[test]
    fn personal_direct_and_private_rooms_are_closed_by_default() {
        let access = Access::new(None, Duration::from_secs(1));
        let uuids = ("0b0e7a3e-0000-4000-8000-00000000000a", "0b0e7a3e-0000-4000-8000-00000000000b");
        let between = format!("dm:{}-{}", uuids.0, uuids.1);
        for (user, name, expected) in [
            ("alice", "general", true),
            ("alice", "thread:7", true),
            ("alice", "user:alice", true),
            ("alice", "user:bob", false),
            ("alice", "dm:alice-bob", true),
            ("bob", "dm:alice-bob", true),
            ("carol", "dm:alice-bob", false),
            ("alice", "dm:7", false),
            ("alice", "private-staff", false),
            ("alice", "thread:private-staff", false),
            (uuids.0, &between, true),
            (uuids.1, &between, true),
            ("0b0e7a3e", &between, false),
        ] {
            assert_eq!(may(&access, Who::User(user), name), expected, "{user} in {name}");
        }
        for who in [Who::Local, Who::Anonymous] {
            assert!(may(&access, who, "general"));
            for closed in ["user:alice", "dm:alice-bob", "private-staff"] {
                assert!(!may(&access, who, closed), "{who:?} in {closed}");
                assert!(may(&access, Who::Service, closed));
            }
        }
    }

    /// Lets `alice` in, has no answer for `error`, and counts how often it was asked.
    struct Counting(Arc<AtomicUsize>);

    impl Judge for Counting {
        fn decide<'a>(
            &'a self,
            question: &'a Question,
        ) -> Pin<Box<dyn Future<Output = Result<bool, String>> + Send + 'a>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let user = question.user_id.as_deref();
            let answer = if user == Some("error") { Err("away".to_owned()) } else { Ok(user == Some("alice")) };
            Box::pin(std::future::ready(answer))
        }
    }

    #[tokio::test]
    async fn a_judge_is_asked_once_for_a_while_and_silence_keeps_the_room_closed() {
        let asked = Arc::new(AtomicUsize::new(0));
        let access = Access::new(Some(Box::new(Counting(asked.clone()))), Duration::from_mins(1));
        let check = |who, name: &'static str| {
            let access = &access;
            async move { access.check(who, &room(name), Action::Join).await }
        };
        for _ in 0..3 {
            assert_eq!(check(Who::User("alice"), "private-staff").await, Ok(()));
            assert_eq!(check(Who::User("bob"), "general").await, Err(Denied::Forbidden));
            assert_eq!(check(Who::User("error"), "general").await, Err(Denied::Unanswered));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 3);
        assert_eq!(check(Who::User("alice"), "user:bob").await, Err(Denied::Forbidden));
        assert_eq!(check(Who::Local, "general").await, Err(Denied::Forbidden));
        assert_eq!(check(Who::Service, "general").await, Ok(()));
        assert_eq!(asked.load(Ordering::Relaxed), 3, "none of these is the judge's affair");
        let other = access.verdict(Who::User("alice"), &room("private-staff"), Action::Send);
        assert!(matches!(other, Verdict::Open(_)), "another action is another question");
    }
}
