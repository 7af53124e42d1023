//! Who is present, with which status; when that ends by itself.
//!
//! A user is present while a socket is open and for a grace after the last one has gone, or for a
//! while after a status came over HTTP. Whoever has no record here is offline.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nself_plugin_server::clock;
use serde_json::{Value, json};

use super::Moment;
use super::room::Room;

/// The most users whose presence is kept; more can only come from HTTP callers that invent them.
const MOST_USERS: usize = 100_000;
/// The most rooms that are remembered for one user: shown in through HTTP, or left.
const MOST_ROOMS: usize = 200;

/// The four states; `dnd` and `busy` are two words for one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Online,
    Away,
    Busy,
    Offline,
}

impl Status {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "online" => Some(Self::Online),
            "away" => Some(Self::Away),
            "busy" | "dnd" => Some(Self::Busy),
            "offline" | "invisible" => Some(Self::Offline),
            _ => None,
        }
    }

    /// The word of `presence:changed`.
    pub(crate) fn busy_word(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Away => "away",
            Self::Busy => "busy",
            Self::Offline => "offline",
        }
    }

    /// The word of `presence` and of HTTP.
    pub(crate) fn dnd_word(self) -> &'static str {
        if self == Self::Busy { "dnd" } else { self.busy_word() }
    }
}

/// A text and an emoji beside the status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CustomStatus {
    pub(crate) text: Option<String>,
    pub(crate) emoji: Option<String>,
    pub(crate) expires_at: Option<SystemTime>,
}

/// A user's presence at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) user_id: Arc<str>,
    pub(crate) status: Status,
    pub(crate) custom: Option<CustomStatus>,
    pub(crate) last_seen: Option<SystemTime>,
}

impl View {
    /// As `presence:changed` and `presence:bulk` show it.
    pub(crate) fn to_json(&self) -> Value {
        let mut value = json!({"userId": &*self.user_id, "status": self.status.busy_word()});
        if let Some(custom) = &self.custom {
            value["customStatus"] = json!({"text": custom.text, "emoji": custom.emoji});
            if let Some(at) = custom.expires_at {
                value["customStatus"]["expiresAt"] = json!(clock::iso(at));
            }
        }
        if let Some(at) = self.last_seen {
            value["lastSeen"] = json!(clock::iso(at));
            value["lastSeenAt"] = value["lastSeen"].clone();
        }
        value
    }
}

struct Record {
    status: Status,
    custom: Option<CustomStatus>,
    last_seen: SystemTime,
    sockets: usize,
    /// When the record goes unless a socket is open.
    ends: Option<std::time::Instant>,
    visits: Vec<Room>,
    /// Rooms that closed sockets were in; they hear when the grace is over.
    left: Vec<Room>,
}

/// A presence that time has changed, and the rooms that must hear of it beside those the user is
/// in now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) view: View,
    pub(crate) rooms: Vec<Room>,
}

/// The presence of all users.
pub(crate) struct Presence {
    grace: Duration,
    lease: Duration,
    users: HashMap<Arc<str>, Record>,
    visitors: HashMap<Room, BTreeSet<Arc<str>>>,
}

impl Presence {
    /// `grace` follows the last socket; `timeout` is how often HTTP callers are expected to repeat
    /// themselves, twice of which a status holds.
    pub(crate) fn new(grace: Duration, timeout: Duration) -> Self {
        Self { grace, lease: timeout * 2, users: HashMap::new(), visitors: HashMap::new() }
    }

    /// Notes a socket; gives the new presence where others must hear of it.
    pub(crate) fn connect(&mut self, user_id: &Arc<str>, now: Moment) -> Option<View> {
        if let Some(record) = self.users.get_mut(user_id) {
            record.sockets += 1;
            record.ends = None;
            record.left.clear();
            record.last_seen = now.wall;
            return None;
        }
        let record = Record { sockets: 1, ..Record::new(Status::Online, now) };
        self.users.insert(user_id.clone(), record);
        Some(self.view(user_id))
    }

    /// Notes that a socket has gone, and with it the user from these rooms.
    pub(crate) fn disconnect<'a>(&mut self, user_id: &str, left: impl Iterator<Item = &'a Room>, now: Moment) {
        if let Some(record) = self.users.get_mut(user_id) {
            record.sockets = record.sockets.saturating_sub(1);
            record.last_seen = now.wall;
            let free = MOST_ROOMS.saturating_sub(record.left.len());
            record.left.extend(left.take(free).cloned());
            if record.sockets == 0 {
                record.ends = Some(now.monotonic + self.grace);
            }
        }
    }

    /// Sets a status; gives the new presence where it differs from before. A repetition is a
    /// heartbeat and gives `None`.
    pub(crate) fn update(
        &mut self,
        user_id: &Arc<str>,
        status: Status,
        custom: Option<CustomStatus>,
        now: Moment,
    ) -> Option<View> {
        let is_new = !self.users.contains_key(user_id);
        if is_new && self.users.len() >= MOST_USERS {
            return None;
        }
        let record = self.users.entry(user_id.clone()).or_insert_with(|| Record::new(status, now));
        let changed = is_new || record.status != status || record.custom != custom;
        record.status = status;
        record.custom = custom;
        record.last_seen = now.wall;
        if record.sockets == 0 {
            record.ends = Some(now.monotonic + self.lease);
        }
        changed.then(|| self.view(user_id))
    }

    /// Whether setting this would change anything.
    pub(crate) fn would_change(&self, user_id: &str, status: Status, custom: Option<&CustomStatus>) -> bool {
        let record = self.users.get(user_id);
        record.is_none_or(|record| record.status != status || record.custom.as_ref() != custom)
    }

    /// Shows a user in a room though no socket of theirs is in it.
    pub(crate) fn visit(&mut self, user_id: &Arc<str>, room: &Room) {
        let Some(record) = self.users.get_mut(user_id) else {
            return;
        };
        if record.visits.len() < MOST_ROOMS && !record.visits.contains(room) {
            record.visits.push(room.clone());
            self.visitors.entry(room.clone()).or_default().insert(user_id.clone());
        }
    }

    /// The users shown in a room through HTTP.
    pub(crate) fn visitors(&self, room: &Room) -> Vec<Arc<str>> {
        self.visitors.get(room).into_iter().flatten().cloned().collect()
    }

    /// A user's presence; offline where nothing is known.
    pub(crate) fn view(&self, user_id: &Arc<str>) -> View {
        let user_id = user_id.clone();
        match self.users.get(&user_id) {
            Some(record) => View {
                user_id,
                status: record.status,
                custom: record.custom.clone(),
                last_seen: Some(record.last_seen),
            },
            None => View { user_id, status: Status::Offline, custom: None, last_seen: None },
        }
    }

    /// Ends what has run out; gives each presence that others must hear of.
    pub(crate) fn expire(&mut self, now: Moment) -> Vec<Ended> {
        let mut changed = Vec::new();
        let mut ended = Vec::new();
        for (user_id, record) in &mut self.users {
            if record.ends.is_some_and(|ends| ends <= now.monotonic) {
                ended.push(user_id.clone());
            } else if record.custom.as_ref().is_some_and(|custom| custom.has_ended(now.wall)) {
                record.custom = None;
                changed.push((user_id.clone(), record.visits.clone()));
            }
        }
        let changed = changed.into_iter().map(|(user_id, rooms)| Ended { view: self.view(&user_id), rooms });
        let mut changed: Vec<Ended> = changed.collect();
        for user_id in ended {
            changed.extend(self.end(&user_id));
        }
        changed
    }

    /// Forgets a user; gives the offline presence unless they were shown offline already.
    fn end(&mut self, user_id: &Arc<str>) -> Option<Ended> {
        let record = self.users.remove(user_id)?;
        for room in &record.visits {
            if let Some(visitors) = self.visitors.get_mut(room) {
                visitors.remove(user_id);
                if visitors.is_empty() {
                    self.visitors.remove(room);
                }
            }
        }
        if record.status == Status::Offline {
            return None;
        }
        let last_seen = Some(record.last_seen);
        let view = View { user_id: user_id.clone(), status: Status::Offline, custom: None, last_seen };
        Some(Ended { view, rooms: record.visits.into_iter().chain(record.left).collect() })
    }
}

impl CustomStatus {
    fn has_ended(&self, now: SystemTime) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

impl Record {
    fn new(status: Status, now: Moment) -> Self {
        Self { status, custom: None, last_seen: now.wall, sockets: 0, ends: None, visits: Vec::new(), left: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(5);
    const TIMEOUT: Duration = Duration::from_secs(30);

    fn alice() -> Arc<str> {
        Arc::from("alice")
    }

    fn rooms() -> Vec<Room> {
        vec![Room::parse("general", None).expect("a legal name")]
    }

    fn status(view: Option<View>) -> Option<Status> {
        view.map(|view| view.status)
    }

    #[test]
    fn a_user_is_online_once_and_offline_after_the_grace_of_the_last_socket() {
        let now = Moment::now();
        let mut presence = Presence::new(GRACE, TIMEOUT);
        assert_eq!(status(presence.connect(&alice(), now)), Some(Status::Online));
        assert_eq!(presence.connect(&alice(), now), None);
        presence.disconnect("alice", rooms().iter(), now);
        assert!(presence.expire(now.after(GRACE)).is_empty());
        presence.disconnect("alice", rooms().iter(), now);
        assert!(presence.expire(now.after(GRACE / 2)).is_empty());
        let ended = presence.expire(now.after(GRACE));
        assert_eq!(ended.len(), 1);
        assert_eq!(ended[0].view.status, Status::Offline);
        assert!(ended[0].rooms.contains(&rooms()[0]));
        assert!(presence.expire(now.after(GRACE * 2)).is_empty());
    }

    #[test]
    fn coming_back_within_the_grace_keeps_the_status_and_tells_nobody() {
        let now = Moment::now();
        let mut presence = Presence::new(GRACE, TIMEOUT);
        presence.connect(&alice(), now);
        assert_eq!(status(presence.update(&alice(), Status::Away, None, now)), Some(Status::Away));
        presence.disconnect("alice", rooms().iter(), now);
        assert_eq!(presence.connect(&alice(), now.after(GRACE / 2)), None);
        assert!(presence.expire(now.after(GRACE * 10)).is_empty());
        assert_eq!(presence.view(&alice()).status, Status::Away);
    }

    #[test]
    fn repeating_a_status_is_a_heartbeat() {
        let now = Moment::now();
        let mut presence = Presence::new(GRACE, TIMEOUT);
        presence.connect(&alice(), now);
        assert_eq!(presence.update(&alice(), Status::Online, None, now), None);
        assert!(!presence.would_change("alice", Status::Online, None));
        assert!(presence.would_change("alice", Status::Busy, None));
    }

    #[test]
    fn a_status_over_http_holds_for_twice_the_timeout() {
        let now = Moment::now();
        let room = rooms().remove(0);
        let mut presence = Presence::new(GRACE, TIMEOUT);
        presence.update(&alice(), Status::Busy, None, now);
        presence.visit(&alice(), &room);
        assert!(presence.expire(now.after(TIMEOUT)).is_empty());
        assert_eq!(presence.visitors(&room), [alice()]);
        let ended = presence.expire(now.after(TIMEOUT * 2));
        assert_eq!((ended.len(), ended[0].rooms.clone()), (1, rooms()));
        assert!(presence.visitors(&room).is_empty());
    }

    #[test]
    fn a_custom_status_ends_when_it_said() {
        let now = Moment::now();
        let mut presence = Presence::new(GRACE, TIMEOUT);
        presence.connect(&alice(), now);
        let until = Some(now.wall + GRACE);
        let custom = CustomStatus { text: Some("lunch".to_owned()), emoji: None, expires_at: until };
        assert!(presence.update(&alice(), Status::Away, Some(custom), now).is_some());
        assert!(presence.expire(now).is_empty());
        let changed = presence.expire(now.after(GRACE));
        assert_eq!((changed.len(), changed[0].view.custom.clone()), (1, None));
    }

    #[test]
    fn busy_and_dnd_are_one_status_with_a_word_for_each_reader() {
        assert_eq!(Status::parse("dnd"), Status::parse("busy"));
        assert_eq!((Status::Busy.dnd_word(), Status::Busy.busy_word()), ("dnd", "busy"));
        assert_eq!(Status::parse("asleep"), None);
    }
}
