//! Who is typing where, until they stop or fall silent.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use kit::clock;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Moment;
use super::deadlines::Deadlines;
use super::members::Face;
use super::room::Room;

/// The most typists that are kept and shown for one place.
const MOST_TYPISTS: usize = 50;

/// Where somebody types: a room, or one thread in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) room: Room,
    pub(crate) thread_id: Option<String>,
}

/// How the typist named the place; answers must use exactly the same words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spelling {
    pub(crate) room_name: String,
    pub(crate) room_type: String,
    /// Who a direct message goes to.
    pub(crate) recipient_id: Option<String>,
}

/// One change to announce: who started or stopped, where, and who types there now.
#[derive(Debug, Clone)]
pub(crate) struct TypingChange {
    pub(crate) place: Place,
    pub(crate) spelling: Spelling,
    pub(crate) user_id: Arc<str>,
    pub(crate) is_typing: bool,
    /// All who type there, as the wire shows them.
    pub(crate) users: Vec<Value>,
}

struct Typist {
    face: Arc<Face>,
    spelling: Spelling,
    started_at: SystemTime,
    ends: Instant,
}

/// All typists.
pub(crate) struct Typing {
    timeout: Duration,
    places: HashMap<Place, Vec<Typist>>,
    /// Where each user types, so that one who goes is found without a look at everybody.
    of_users: HashMap<Arc<str>, HashSet<Place>>,
    ends: Deadlines<(Place, Arc<str>)>,
}

impl Typing {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { timeout, places: HashMap::new(), of_users: HashMap::new(), ends: Deadlines::default() }
    }

    /// Somebody types, or types on.
    pub(crate) fn start(&mut self, place: Place, face: &Arc<Face>, spelling: Spelling, now: Moment) -> TypingChange {
        let typists = self.places.entry(place.clone()).or_default();
        let known = typists.iter().position(|typist| typist.face.user_id == face.user_id);
        let typist = Typist {
            face: face.clone(),
            spelling: spelling.clone(),
            started_at: now.wall,
            ends: now.monotonic + self.timeout,
        };
        match known {
            Some(index) => typists[index] = typist,
            None if typists.len() < MOST_TYPISTS => {
                self.ends.add(typist.ends, (place.clone(), face.user_id.clone()));
                self.of_users.entry(face.user_id.clone()).or_default().insert(place.clone());
                typists.push(typist);
            }
            None => (),
        }
        self.change(place, spelling, face.user_id.clone(), true)
    }

    /// Somebody stopped; `None` where they did not type.
    pub(crate) fn stop(&mut self, place: &Place, user_id: &str) -> Option<TypingChange> {
        let typists = self.places.get_mut(place)?;
        let index = typists.iter().position(|typist| &*typist.face.user_id == user_id)?;
        let typist = typists.remove(index);
        if typists.is_empty() {
            self.places.remove(place);
        }
        if let Some(places) = self.of_users.get_mut(user_id) {
            places.remove(place);
            if places.is_empty() {
                self.of_users.remove(user_id);
            }
        }
        Some(self.change(place.clone(), typist.spelling, typist.face.user_id.clone(), false))
    }

    /// Ends all typing of a user, in one room or everywhere.
    pub(crate) fn stop_user(&mut self, user_id: &str, room: Option<&Room>) -> Vec<TypingChange> {
        let places = self.of_users.get(user_id).into_iter().flatten();
        let places: Vec<Place> = places.filter(|place| room.is_none_or(|room| *room == place.room)).cloned().collect();
        places.iter().filter_map(|place| self.stop(place, user_id)).collect()
    }

    /// Ends the typing of whoever fell silent.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<TypingChange> {
        let mut over = Vec::new();
        while let Some((_, (place, user_id))) = self.ends.next_until(now) {
            let typists = self.places.get(&place).into_iter().flatten();
            // Whoever typed on since then ends later.
            match typists.filter(|typist| typist.face.user_id == user_id).map(|typist| typist.ends).next() {
                Some(ends) if ends > now => self.ends.add(ends, (place, user_id)),
                _ => over.extend(self.stop(&place, &user_id)),
            }
        }
        over
    }

    fn change(&self, place: Place, spelling: Spelling, user_id: Arc<str>, is_typing: bool) -> TypingChange {
        let typists = self.places.get(&place).into_iter().flatten();
        let users = typists.map(Typist::to_json).collect();
        TypingChange { place, spelling, user_id, is_typing, users }
    }
}

impl Typist {
    fn to_json(&self) -> Value {
        let mut fields = self.face.fields();
        fields.insert("startedAt".to_owned(), json!(clock::iso(self.started_at)));
        Value::Object(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(3);

    fn face(id: &str) -> Arc<Face> {
        Arc::new(Face { user_id: Arc::from(id), name: None, avatar: None })
    }

    fn place(name: &str) -> Place {
        Place { room: Room::parse(name, None).expect("a legal name"), thread_id: None }
    }

    fn spelled(name: &str) -> Spelling {
        let room_type = "channel".to_owned();
        Spelling { room_name: name.to_owned(), room_type, recipient_id: None }
    }

    #[test]
    fn silence_ends_typing_and_shrinks_the_list() {
        let now = Moment::now();
        let mut typing = Typing::new(TIMEOUT);
        typing.start(place("a"), &face("alice"), spelled("a"), now);
        let both = typing.start(place("a"), &face("bob"), spelled("channel:a"), now.after(TIMEOUT / 2));
        assert_eq!(both.users.len(), 2);
        assert!(typing.expire(now.after(TIMEOUT / 2).monotonic).is_empty());
        let ended = typing.expire(now.after(TIMEOUT).monotonic);
        assert_eq!(ended.len(), 1);
        assert_eq!((&*ended[0].user_id, ended[0].users.len()), ("alice", 1));
        assert_eq!(ended[0].spelling, spelled("a"));
        assert!(!ended[0].is_typing);
    }

    #[test]
    fn typing_on_moves_the_end() {
        let now = Moment::now();
        let mut typing = Typing::new(TIMEOUT);
        typing.start(place("a"), &face("alice"), spelled("a"), now);
        typing.start(place("channel:a"), &face("alice"), spelled("a"), now.after(TIMEOUT / 2));
        assert!(typing.expire(now.after(TIMEOUT).monotonic).is_empty());
        assert_eq!(typing.expire(now.after(TIMEOUT * 2).monotonic).len(), 1);
        assert!(typing.places.is_empty() && typing.of_users.is_empty() && typing.ends.is_empty());
    }

    #[test]
    fn a_thread_has_a_list_of_its_own() {
        let now = Moment::now();
        let mut typing = Typing::new(TIMEOUT);
        let thread = Place { thread_id: Some("7".to_owned()), ..place("a") };
        typing.start(place("a"), &face("alice"), spelled("a"), now);
        assert_eq!(typing.start(thread.clone(), &face("bob"), spelled("a"), now).users.len(), 1);
        assert!(typing.stop(&thread, "alice").is_none());
        assert_eq!(typing.stop_user("alice", Some(&place("a").room)).len(), 1);
        assert_eq!(typing.stop_user("bob", None).len(), 1);
    }
}
