//! All state of this server: connections, rooms, presence, typing, history, limits.
//!
//! One lock guards it, held for lookups and never while something is sent. It decides and
//! remembers; it must not send: callers get values that say what others must hear. An adapter for
//! several instances would share what is owned here.

mod history;
mod limits;
mod members;
mod presence;
mod room;
mod typing;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use nself_plugin_server::clock;
use serde_json::Value;
use socketioxide::socket::Sid;

use crate::config::Config;

pub(crate) use limits::{Kind, Limited};
pub(crate) use members::Face;
pub(crate) use presence::{CustomStatus, Ended, Status, View};
pub(crate) use room::Room;
pub(crate) use typing::{Place, Spelling, TypingChange};

/// The most rooms that one socket may be in.
const MOST_ROOMS: usize = 200;

/// The most bytes of messages that are kept for clients that poll or come back.
const HISTORY_BYTES: usize = 32 * 1024 * 1024;

/// One point in time on both clocks, so that rules are testable without waiting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) monotonic: Instant,
    pub(crate) wall: SystemTime,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { monotonic: Instant::now(), wall: clock::now() }
    }

    #[cfg(test)]
    pub(crate) fn after(self, duration: std::time::Duration) -> Self {
        Self { monotonic: self.monotonic + duration, wall: self.wall + duration }
    }
}

/// What became of a wish to join a room.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// The socket is in; `is_first` where the user was not in the room before.
    In { is_first: bool },
    /// The room belongs to somebody else.
    Forbidden,
    /// The socket is in too many rooms.
    TooMany,
    /// The socket has gone meanwhile.
    Gone,
}

/// What a disconnection left for others to hear.
#[derive(Default)]
pub(crate) struct Departure {
    /// Rooms that the user is no longer in, each with the name it was joined by.
    pub(crate) left: Vec<(Room, Arc<str>)>,
    pub(crate) typing: Vec<TypingChange>,
}

/// What time alone has changed.
pub(crate) struct Expired {
    pub(crate) typing: Vec<TypingChange>,
    pub(crate) presence: Vec<Ended>,
}

struct Connection {
    face: Arc<Face>,
    /// Whether the face stands for a user, not for an unnamed socket.
    is_user: bool,
    /// Each with the name that it was joined by: others must hear of it in the same words.
    rooms: HashMap<Room, Arc<str>>,
}

struct State {
    connections: HashMap<Sid, Connection>,
    members: members::Members,
    presence: presence::Presence,
    typing: typing::Typing,
    history: history::History,
    limits: limits::Limits,
}

/// The state behind its lock.
pub(crate) struct Hub {
    state: Mutex<State>,
}

impl Hub {
    pub(crate) fn new(config: &Config) -> Self {
        let state = State {
            connections: HashMap::new(),
            members: members::Members::default(),
            presence: presence::Presence::new(config.presence_grace, config.presence_timeout),
            typing: typing::Typing::new(config.typing_timeout),
            history: history::History::new(HISTORY_BYTES),
            limits: limits::Limits::new(config.rate_limit),
        };
        Self { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change below is whole before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many sockets are connected.
    pub(crate) fn connections(&self) -> usize {
        self.state().connections.len()
    }

    /// Notes a socket; gives the presence to announce where a user came online.
    pub(crate) fn connect(&self, socket: Sid, face: &Arc<Face>, is_user: bool, now: Moment) -> Option<View> {
        let mut state = self.state();
        let connection = Connection { face: face.clone(), is_user, rooms: HashMap::new() };
        state.connections.insert(socket, connection);
        is_user.then(|| state.presence.connect(&face.user_id, now)).flatten()
    }

    /// Forgets a socket and takes it out of its rooms; `None` where it is forgotten already.
    pub(crate) fn disconnect(&self, socket: Sid, now: Moment) -> Option<Departure> {
        let mut state = self.state();
        let connection = state.connections.remove(&socket)?;
        let user_id = &connection.face.user_id;
        let mut departure = Departure::default();
        for (room, name) in connection.rooms {
            if state.members.leave(&room, user_id, socket) {
                departure.typing.extend(state.typing.stop_user(user_id, Some(&room)));
                departure.left.push((room, name));
            }
        }
        if connection.is_user {
            let left = departure.left.iter().map(|(room, _)| room);
            state.presence.disconnect(user_id, left, now);
        }
        Some(departure)
    }

    /// Puts a socket into a room, which begins to exist with its first member.
    pub(crate) fn join(&self, socket: Sid, room: &Room, name: &str, now: Moment) -> Joined {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(connection) = state.connections.get_mut(&socket) else {
            return Joined::Gone;
        };
        if !room.admits(connection.is_user.then_some(&*connection.face.user_id)) {
            return Joined::Forbidden;
        }
        if connection.rooms.len() >= MOST_ROOMS && !connection.rooms.contains_key(room) {
            return Joined::TooMany;
        }
        let is_new = connection.rooms.insert(room.clone(), Arc::from(name)).is_none();
        let is_first = state.members.join(room, &connection.face, socket, now.wall);
        Joined::In { is_first: is_new && is_first }
    }

    /// Takes a socket out of a room; `None` where it was not in it, else whether its user has left
    /// and what typing ended with that.
    pub(crate) fn leave(&self, socket: Sid, room: &Room) -> Option<(bool, Vec<TypingChange>)> {
        let mut guard = self.state();
        let state = &mut *guard;
        let connection = state.connections.get_mut(&socket)?;
        connection.rooms.remove(room)?;
        let user_id = &connection.face.user_id;
        let has_left = state.members.leave(room, user_id, socket);
        let typing = if has_left { state.typing.stop_user(user_id, Some(room)) } else { Vec::new() };
        Some((has_left, typing))
    }

    /// Whether the socket is in the room.
    pub(crate) fn is_in(&self, socket: Sid, room: &Room) -> bool {
        self.state().connections.get(&socket).is_some_and(|connection| connection.rooms.contains_key(room))
    }

    /// The rooms of a socket, in order of their names.
    pub(crate) fn rooms_of(&self, socket: Sid) -> Vec<Room> {
        let state = self.state();
        let rooms = state.connections.get(&socket).map(|connection| &connection.rooms);
        let mut rooms: Vec<Room> = rooms.into_iter().flat_map(HashMap::keys).cloned().collect();
        rooms.sort();
        rooms
    }

    /// How many users a room has, and at most `most` of them as the wire shows them.
    pub(crate) fn members(&self, room: &Room, most: usize) -> (usize, Vec<Value>) {
        let state = self.state();
        (state.members.count(room), state.members.list(room, most))
    }

    /// How many sockets at least one of the rooms reaches.
    pub(crate) fn count_sockets(&self, rooms: &[Room]) -> usize {
        self.state().members.count_sockets(rooms)
    }

    /// The presence of each of the users.
    pub(crate) fn presences(&self, user_ids: &[Arc<str>]) -> Vec<View> {
        let state = self.state();
        user_ids.iter().map(|user_id| state.presence.view(user_id)).collect()
    }

    /// The presence of at most `most` users in a room: by socket, or set over HTTP.
    pub(crate) fn presences_in(&self, room: &Room, most: usize) -> Vec<View> {
        let state = self.state();
        let mut user_ids = state.members.user_ids(room, most);
        user_ids.extend(state.presence.visitors(room));
        user_ids.sort();
        user_ids.dedup();
        user_ids.truncate(most);
        user_ids.iter().map(|user_id| state.presence.view(user_id)).collect()
    }

    /// Sets a status; `visiting` shows the user in that room too. Counts against the limit only
    /// where it changes something.
    pub(crate) fn set_presence(
        &self,
        user_id: &Arc<str>,
        (status, custom): (Status, Option<CustomStatus>),
        visiting: Option<&Room>,
        now: Moment,
    ) -> Result<Option<View>, Limited> {
        let mut state = self.state();
        if state.presence.would_change(user_id, status, custom.as_ref()) {
            state.limits.count(user_id, Kind::Presence, now.monotonic)?;
        }
        let changed = state.presence.update(user_id, status, custom, now);
        if let Some(room) = visiting {
            state.presence.visit(user_id, room);
        }
        Ok(changed)
    }

    /// The rooms that a user is in with any socket, other than their own.
    pub(crate) fn rooms_of_user(&self, user_id: &str) -> Vec<Room> {
        let state = self.state();
        let own = state.members.sockets(&Room::of_user(user_id), user_id);
        let connections = own.iter().filter_map(|socket| state.connections.get(socket));
        let rooms: HashSet<&Room> = connections.flat_map(|connection| connection.rooms.keys()).collect();
        rooms.into_iter().filter(|room| room.kind() != "user").cloned().collect()
    }

    /// Somebody types.
    pub(crate) fn start_typing(&self, place: Place, face: &Arc<Face>, spelling: Spelling, now: Moment) -> TypingChange {
        self.state().typing.start(place, face, spelling, now)
    }

    /// Somebody stopped; `None` where they did not type.
    pub(crate) fn stop_typing(&self, place: &Place, user_id: &str) -> Option<TypingChange> {
        self.state().typing.stop(place, user_id)
    }

    /// Keeps a message.
    pub(crate) fn remember(&self, room: &Room, at: SystemTime, message: &Value) {
        self.state().history.push(room, clock::milliseconds(at), message);
    }

    /// Messages of a room: those after a time in milliseconds, or the last ones.
    pub(crate) fn messages(&self, room: &Room, after: Option<u64>, most: usize) -> Vec<Value> {
        let texts = {
            let state = self.state();
            match after {
                Some(after) => state.history.since(room, after, most),
                None => state.history.last(room, most),
            }
        };
        texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect()
    }

    /// Counts an event against the user's limit.
    pub(crate) fn count(&self, user_id: &Arc<str>, kind: Kind, now: Moment) -> Result<(), Limited> {
        self.state().limits.count(user_id, kind, now.monotonic)
    }

    /// Ends what has run out; called a few times a second.
    pub(crate) fn expire(&self, now: Moment) -> Expired {
        let mut state = self.state();
        state.history.expire(clock::milliseconds(now.wall));
        Expired { typing: state.typing.expire(now.monotonic), presence: state.presence.expire(now) }
    }

    /// Forgets old rate windows; called now and then.
    pub(crate) fn tidy(&self, now: Moment) {
        self.state().limits.expire(now.monotonic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nself_plugin_server::Environment;

    fn hub() -> Hub {
        let environment = Environment::from_pairs([("REALTIME_ALLOW_ANONYMOUS", "true")]);
        Hub::new(&Config::read(&environment).expect("legal settings"))
    }

    fn face(user_id: &str) -> Arc<Face> {
        Arc::new(Face { user_id: Arc::from(user_id), name: None, avatar: None })
    }

    fn connect(hub: &Hub, user_id: &str) -> Sid {
        let socket = Sid::new();
        hub.connect(socket, &face(user_id), true, Moment::now());
        socket
    }

    fn room(name: &str) -> Room {
        Room::parse(name, None).expect("a legal name")
    }

    #[test]
    fn a_socket_departs_once_and_leaves_every_room_under_the_name_it_knew() {
        let hub = hub();
        let socket = connect(&hub, "alice");
        assert_eq!(hub.join(socket, &room("a"), "a", Moment::now()), Joined::In { is_first: true });
        let departure = hub.disconnect(socket, Moment::now()).expect("it was there");
        assert_eq!(departure.left, [(room("a"), Arc::from("a"))]);
        assert!(hub.disconnect(socket, Moment::now()).is_none());
        assert_eq!((hub.connections(), hub.members(&room("a"), 9).0), (0, 0));
    }

    #[test]
    fn a_closed_socket_cannot_join() {
        let hub = hub();
        let socket = connect(&hub, "alice");
        hub.disconnect(socket, Moment::now());
        assert_eq!(hub.join(socket, &room("a"), "a", Moment::now()), Joined::Gone);
        assert_eq!(hub.members(&room("a"), 9).0, 0);
    }

    #[test]
    fn the_room_of_another_user_stays_shut() {
        let hub = hub();
        let socket = connect(&hub, "alice");
        let now = Moment::now();
        assert_eq!(hub.join(socket, &room("user:bob"), "user:bob", now), Joined::Forbidden);
        assert_eq!(hub.join(socket, &room("user:alice"), "user:alice", now), Joined::In { is_first: true });
    }

    #[test]
    fn one_socket_cannot_fill_the_memory_with_rooms() {
        let hub = hub();
        let socket = connect(&hub, "alice");
        let now = Moment::now();
        for number in 0..MOST_ROOMS {
            let name = number.to_string();
            assert_eq!(hub.join(socket, &room(&name), &name, now), Joined::In { is_first: true });
        }
        assert_eq!(hub.join(socket, &room("more"), "more", now), Joined::TooMany);
        assert_eq!(hub.join(socket, &room("0"), "0", now), Joined::In { is_first: false });
    }

    #[test]
    fn a_user_is_in_the_rooms_of_all_sockets() {
        let hub = hub();
        let now = Moment::now();
        for name in ["a", "b"] {
            let socket = connect(&hub, "alice");
            hub.join(socket, &Room::of_user("alice"), "user:alice", now);
            hub.join(socket, &room(name), name, now);
        }
        let mut rooms = hub.rooms_of_user("alice");
        rooms.sort();
        assert_eq!(rooms, [room("a"), room("b")]);
    }

    #[test]
    fn leaving_ends_typing_there() {
        let hub = hub();
        let socket = connect(&hub, "alice");
        let now = Moment::now();
        hub.join(socket, &room("a"), "a", now);
        let place = Place { room: room("a"), thread_id: None };
        let room_type = "channel".to_owned();
        let spelling = Spelling { room_name: "a".to_owned(), room_type, recipient_id: None };
        hub.start_typing(place, &face("alice"), spelling, now);
        let (has_left, stopped) = hub.leave(socket, &room("a")).expect("it was in");
        assert!(has_left && stopped.len() == 1 && stopped[0].users.is_empty());
        assert!(hub.leave(socket, &room("a")).is_none());
    }
}
