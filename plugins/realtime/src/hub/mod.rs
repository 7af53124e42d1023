//! All state of this server: connections, rooms, presence, typing, history, limits.
//!
//! One lock guards it, held for lookups and never while something is sent. It decides and
//! remembers; it must not send: callers get values that say what others must hear. What other instances must know goes
//! to the [`Publisher`] under the same lock, so that changes are told in the order in which they happened.

mod change;
mod deadlines;
mod elsewhere;
mod history;
mod large;
mod limits;
mod members;
mod peers;
mod presence;
mod room;
mod status;
mod tokens;
mod typing;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use kit::clock;
use socketioxide::socket::Sid;

use crate::config::Config;

pub(crate) use change::{Change, InstanceId, Publisher, UserState};
pub(crate) use elsewhere::{Heard, Part};
pub(crate) use history::{KEPT_FOR, MOST_BYTES, MOST_IN_ROOM, Page};
pub(crate) use limits::{Kind, Limited};
pub(crate) use members::Face;
pub(crate) use presence::{Ended, SetStatus};
pub(crate) use room::Room;
pub(crate) use status::{CustomStatus, Status, View};
pub(crate) use tokens::EndedTokens;
pub(crate) use typing::{Place, Spelling, TypingChange};

/// The most rooms that one socket may be in.
const MOST_ROOMS: usize = 200;

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
    token: tokens::TokenEnd,
}

struct State {
    connections: HashMap<Sid, Connection>,
    members: members::Members,
    presence: presence::Presence,
    typing: typing::Typing,
    history: history::History,
    limits: limits::Limits,
    peers: peers::Peers,
    /// Large rooms whose members have changed since they were told how many they are.
    changed_sizes: HashSet<Room>,
    /// When to look at a socket's token again, in seconds since 1970.
    token_ends: deadlines::Deadlines<Sid, u64>,
}

/// The state behind its lock.
pub(crate) struct Hub {
    state: Mutex<State>,
    publisher: Box<dyn Publisher>,
}

impl Hub {
    /// An empty state; what other instances must know of it is given to the publisher.
    pub(crate) fn new(config: &Config, publisher: impl Publisher + 'static) -> Self {
        let state = State {
            connections: HashMap::new(),
            members: members::Members::default(),
            presence: presence::Presence::new(config.presence_grace, config.presence_timeout),
            typing: typing::Typing::new(config.typing_timeout),
            history: history::History::new(history::MOST_BYTES),
            limits: limits::Limits::new(config.rate_limit),
            peers: peers::Peers::default(),
            changed_sizes: HashSet::new(),
            token_ends: deadlines::Deadlines::default(),
        };
        Self { state: Mutex::new(state), publisher: Box::new(publisher) }
    }

    /// Tells other instances of a change, which is made up only where somebody is told.
    fn publish(&self, change: impl FnOnce() -> Change) {
        if self.publisher.is_open() {
            self.publisher.publish(change());
        }
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
        let connection =
            Connection { face: face.clone(), is_user, rooms: HashMap::new(), token: tokens::TokenEnd::default() };
        state.connections.insert(socket, connection);
        if !is_user {
            return None;
        }
        let came_online = state.presence.connect(&face.user_id, now);
        if state.presence.sockets(&face.user_id) == 1 {
            self.publish(|| Change::Connected { face: face.clone() });
        }
        came_online
    }

    /// Forgets a socket and takes it out of its rooms; `None` where it is forgotten already.
    pub(crate) fn disconnect(&self, socket: Sid, now: Moment) -> Option<Departure> {
        let mut state = self.state();
        let connection = state.connections.remove(&socket)?;
        let user_id = &connection.face.user_id;
        let mut departure = Departure::default();
        let mut left_here = Vec::new();
        for (room, name) in connection.rooms {
            if !state.members.leave(&room, user_id, socket) {
                continue;
            }
            if !state.peers.has(&room, user_id) {
                departure.typing.extend(state.typing.stop_user(user_id, Some(&room)));
                departure.left.push((room.clone(), name));
            }
            left_here.push(room);
        }
        left_here.retain(Room::is_shared);
        let mut is_gone = false;
        if connection.is_user {
            let left = departure.left.iter().map(|(room, _)| room);
            state.presence.disconnect(user_id, left, now);
            is_gone = state.presence.sockets(user_id) == 0;
        }
        if is_gone || !left_here.is_empty() {
            self.publish(|| Change::Disconnected { user_id: user_id.clone(), left: left_here, is_gone });
        }
        Some(departure)
    }

    /// Puts a socket into a room, which begins to exist with its first member. Whether it may was asked before.
    pub(crate) fn join(&self, socket: Sid, room: &Room, name: &str, now: Moment) -> Joined {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(connection) = state.connections.get_mut(&socket) else {
            return Joined::Gone;
        };
        if connection.rooms.len() >= MOST_ROOMS && !connection.rooms.contains_key(room) {
            return Joined::TooMany;
        }
        let name: Arc<str> = Arc::from(name);
        let is_new = connection.rooms.insert(room.clone(), name.clone()).is_none();
        let face = &connection.face;
        let is_first_here = state.members.join(room, face, socket, now.wall) && is_new;
        if is_first_here && room.is_shared() {
            let (face, room) = (face.clone(), room.clone());
            self.publish(|| Change::Joined { face, room, name, at: now.wall });
        }
        Joined::In { is_first: is_first_here && !state.peers.has(room, &face.user_id) }
    }

    /// Takes a socket out of a room; `None` where it was not in it, else whether its user has left
    /// and what typing ended with that.
    pub(crate) fn leave(&self, socket: Sid, room: &Room) -> Option<(bool, Vec<TypingChange>)> {
        let mut guard = self.state();
        let state = &mut *guard;
        let connection = state.connections.get_mut(&socket)?;
        connection.rooms.remove(room)?;
        let user_id = &connection.face.user_id;
        let has_left_here = state.members.leave(room, user_id, socket);
        if has_left_here && room.is_shared() {
            self.publish(|| Change::Left { user_id: user_id.clone(), room: room.clone() });
        }
        let has_left = has_left_here && !state.peers.has(room, user_id);
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

    /// At most `most` sockets, each with its user and the number of its rooms.
    pub(crate) fn listed(&self, most: usize) -> Vec<(Sid, Arc<str>, usize)> {
        let state = self.state();
        let connections = state.connections.iter().take(most);
        connections.map(|(socket, it)| (*socket, it.face.user_id.clone(), it.rooms.len())).collect()
    }

    /// At most `most` rooms that others can be in, with the number of their users.
    pub(crate) fn rooms(&self, most: usize) -> Vec<(Room, usize)> {
        self.state().rooms_anywhere(most)
    }

    /// How many sockets at least one of the rooms reaches; of another instance each user counts once.
    pub(crate) fn count_sockets(&self, rooms: &[Room]) -> usize {
        let state = self.state();
        state.members.count_sockets(rooms) + state.peers.count_reached(rooms)
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
        user_ids.extend(state.peers.user_ids(room).into_iter().cloned());
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
        let set = SetStatus { status, custom: custom.clone(), at: now.wall };
        let changed = state.presence.update(user_id, status, custom, now);
        if let Some(room) = visiting {
            state.presence.visit(user_id, room);
        }
        // Without a socket it holds only if it is repeated, everywhere.
        if changed.is_some() || state.presence.sockets(user_id) == 0 {
            let (user_id, room) = (user_id.clone(), visiting.cloned());
            self.publish(|| Change::Presence { user_id, set, room });
        }
        Ok(changed)
    }

    /// The rooms that a user is in with any socket, other than their own.
    pub(crate) fn rooms_of_user(&self, user_id: &str) -> Vec<Room> {
        let state = self.state();
        let own = state.members.sockets(&Room::of_user(user_id), user_id);
        let connections = own.iter().filter_map(|socket| state.connections.get(socket));
        let here = connections.flat_map(|connection| connection.rooms.keys());
        let rooms: HashSet<&Room> = here.chain(state.peers.rooms_of(user_id)).collect();
        rooms.into_iter().filter(|room| room.is_shared()).cloned().collect()
    }

    /// Somebody types.
    pub(crate) fn start_typing(&self, place: Place, face: &Arc<Face>, spelling: Spelling, now: Moment) -> TypingChange {
        let mut state = self.state();
        let change = state.typing.start(place, face, spelling, now);
        self.tell_typing(&change, face);
        change
    }

    /// Somebody stopped; `None` where they did not type.
    pub(crate) fn stop_typing(&self, place: &Place, face: &Arc<Face>) -> Option<TypingChange> {
        let mut state = self.state();
        let change = state.typing.stop(place, &face.user_id)?;
        self.tell_typing(&change, face);
        Some(change)
    }

    fn tell_typing(&self, change: &TypingChange, face: &Arc<Face>) {
        self.publish(|| Change::Typing {
            place: change.place.clone(),
            face: face.clone(),
            spelling: change.spelling.clone(),
            is_typing: change.is_typing,
        });
    }

    /// Gives a message its position in its room and keeps the text that is made for it; both under the lock, so that
    /// no reader sees a later message without this one.
    pub(crate) fn remember(&self, room: &Room, now: Moment, text: impl FnOnce(u64) -> Arc<str>) -> (u64, Arc<str>) {
        let mut state = self.state();
        let position = state.history.next_position(room, clock::milliseconds(now.wall));
        let text = text(position);
        state.history.push(room, position, text.clone());
        (position, text)
    }

    /// Messages of a room: those after a position, or the last ones.
    pub(crate) fn messages(&self, room: &Room, after: Option<u64>, most: usize, now: Moment) -> Page {
        let mut state = self.state();
        match after {
            Some(after) => state.history.since(room, after, most),
            None => state.history.last(room, most, clock::milliseconds(now.wall)),
        }
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
mod elsewhere_tests;
#[cfg(test)]
mod tests;
