//! What the other instances say, and what that changes here.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::Receiver;
use super::wire::{Envelope, Saying, VERSION};
use crate::hub::{InstanceId, Moment, Part};

/// The most instances whose last number is remembered; each start of a server is a new one.
const MOST_NUMBERS: usize = 1_000;

/// Takes in what is said on the channel.
pub(super) struct Listener {
    id: InstanceId,
    /// The last number of each instance: what comes again is not heard again.
    numbers: HashMap<InstanceId, u64>,
    /// Whether somebody asks for the whole state.
    is_asked: bool,
    /// Whether somebody unknown was heard.
    must_ask: bool,
}

impl Listener {
    pub(super) fn new(id: InstanceId) -> Self {
        Self { id, numbers: HashMap::new(), is_asked: false, must_ask: false }
    }

    /// Takes one saying in; gives the number of a beat of one's own.
    pub(super) fn hear(&mut self, app: &dyn Receiver, text: &[u8]) -> Option<u64> {
        match self.read(text) {
            Ok(None) => None,
            Ok(Some((from, Saying::Alive { beat }))) if from == self.id => Some(beat),
            Ok(Some((from, says))) => {
                self.take_in(app, from, says);
                None
            }
            Err(why) => {
                tracing::warn!("what came over Redis cannot be used: {why}");
                app.metrics().count_error();
                None
            }
        }
    }

    /// What is said and by whom; `None` where it was heard before or comes from oneself, but for one's own beats.
    fn read(&mut self, text: &[u8]) -> Result<Option<(InstanceId, Saying)>, String> {
        let unreadable = |error: serde_json::Error| error.to_string();
        let envelope: Envelope<&RawValue> = serde_json::from_slice(text).map_err(unreadable)?;
        if envelope.version != VERSION {
            let version = envelope.version;
            return Err(format!(
                "an instance speaks version {version} of the language, not {VERSION}: update them all"
            ));
        }
        let is_own = envelope.from == self.id;
        if is_own && !envelope.says.get().starts_with(r#"{"Alive""#) {
            return Ok(None);
        }
        let says: Saying = serde_json::from_str(envelope.says.get()).map_err(unreadable)?;
        let is_news = is_own || self.is_news(envelope.from, envelope.number);
        Ok(is_news.then_some((envelope.from, says)))
    }

    /// Whether what carries this number was not heard before.
    fn is_news(&mut self, from: InstanceId, number: Option<u64>) -> bool {
        let Some(number) = number else {
            return true;
        };
        // After this, what comes twice is heard twice: a price for a thousand restarts of servers.
        if self.numbers.len() >= MOST_NUMBERS {
            self.numbers.clear();
        }
        let last = self.numbers.entry(from).or_default();
        let is_news = number > *last;
        *last = number.max(*last);
        is_news
    }

    fn take_in(&mut self, app: &dyn Receiver, from: InstanceId, says: Saying) {
        let now = Moment::now();
        match says {
            Saying::Hello => self.is_asked = true,
            Saying::Alive { .. } => {
                if !app.hub().hear(from, now) {
                    self.must_ask = true;
                }
            }
            Saying::Bye => app.changed(&app.hub().forget(from, now), now),
            Saying::State { users, is_first, is_last } => {
                let heard = app.hub().apply_part(from, Part { users, is_first, is_last }, now);
                app.changed(&heard, now);
            }
            Saying::Change(change) => app.changed(&app.hub().apply(from, change, now), now),
            Saying::Message(message) => app.message(&message),
            Saying::Event(event) => app.event(&event),
        }
    }

    /// Whether the whole state was asked for since the last call.
    pub(super) fn take_asked(&mut self) -> bool {
        std::mem::take(&mut self.is_asked)
    }

    /// Whether somebody unknown was heard since the last call.
    pub(super) fn take_must_ask(&mut self) -> bool {
        std::mem::take(&mut self.must_ask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_twice_is_heard_once() {
        let mut listener = Listener::new(InstanceId::new_v4());
        let other = InstanceId::new_v4();
        let heard = [1, 2, 2, 1, 3].map(|number| listener.is_news(other, Some(number)));
        assert_eq!(heard, [true, true, false, false, true]);
        assert!(listener.is_news(InstanceId::new_v4(), Some(1)));
        assert!(listener.is_news(other, None));
    }

    #[test]
    fn what_cannot_be_used_is_an_error_and_what_comes_from_oneself_is_silence() {
        let mut listener = Listener::new(InstanceId::new_v4());
        let envelope = |version, from: InstanceId, says: &str| {
            format!(r#"{{"version":{version},"from":"{from}","number":null,"says":{says}}}"#).into_bytes()
        };
        let other = InstanceId::new_v4();
        for text in [
            b"no JSON".to_vec(),
            b"{}".to_vec(),
            envelope(VERSION + 1, other, r#""Hello""#),
            envelope(VERSION, other, r#""Unknown""#),
            envelope(VERSION, other, r#"{"State":{"users":7}}"#),
        ] {
            assert!(listener.read(&text).is_err(), "{}", String::from_utf8_lossy(&text));
        }
        let own = listener.id;
        assert!(matches!(listener.read(&envelope(VERSION, own, r#""Bye""#)), Ok(None)));
        let beat = listener.read(&envelope(VERSION, own, r#"{"Alive":{"beat":3}}"#));
        assert!(matches!(beat, Ok(Some((from, Saying::Alive { beat: 3 }))) if from == own));
        assert!(matches!(listener.read(&envelope(VERSION, other, r#""Hello""#)), Ok(Some(_))));
    }
}
