//! Who is present, with which status; when that ends by itself.
//!
//! A user is present while a socket is open and for a grace after the last one has gone, or for a
//! while after a status came over HTTP. Sockets count wherever they are: the record of a user stays while any other
//! instance holds one. Whoever has no record here is offline.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::Moment;
use super::deadlines::Deadlines;
use super::room::Room;
use super::status::{CustomStatus, Status, View};

/// The most users whose presence is kept; more can only come from HTTP callers that invent them.
const MOST_USERS: usize = 100_000;
/// The most rooms that are remembered for one user: shown in through HTTP, or left.
const MOST_ROOMS: usize = 200;

struct Record {
    status: Status,
    custom: Option<CustomStatus>,
    last_seen: SystemTime,
    /// Sockets of this instance.
    sockets: u32,
    /// Other instances with sockets of the user.
    elsewhere: u32,
    /// When the status was set: of two that were set on different instances the later one holds.
    set_at: SystemTime,
    /// When the record goes unless a socket is open.
    ends: Option<Instant>,
    /// When that, and the end of the custom status, are looked at next.
    looked_at: Option<Instant>,
    custom_looked_at: Option<SystemTime>,
    visits: Vec<Room>,
    /// Rooms that closed sockets were in; they hear when the grace is over.
    left: Vec<Room>,
}

/// A custom status that ends later than this is kept until it is replaced.
const LONGEST_CUSTOM: Duration = Duration::from_hours(24 * 30);

/// A status and when it was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetStatus {
    pub(crate) status: Status,
    pub(crate) custom: Option<CustomStatus>,
    pub(crate) at: SystemTime,
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
    /// When a record may have ended, and when a custom status.
    ends: Deadlines<Arc<str>>,
    custom_ends: Deadlines<Arc<str>, SystemTime>,
}

impl Presence {
    /// `grace` follows the last socket; `timeout` is how often HTTP callers are expected to repeat
    /// themselves, twice of which a status holds.
    pub(crate) fn new(grace: Duration, timeout: Duration) -> Self {
        let (users, visitors) = (HashMap::new(), HashMap::new());
        let (ends, custom_ends) = (Deadlines::default(), Deadlines::default());
        Self { grace, lease: timeout * 2, users, visitors, ends, custom_ends }
    }

    /// Notes a socket; gives the new presence where others must hear of it.
    pub(crate) fn connect(&mut self, user_id: &Arc<str>, now: Moment) -> Option<View> {
        if let Some(record) = self.users.get_mut(user_id) {
            record.sockets += 1;
            record.come_back(now);
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
            record.note_departure(left, now, self.grace);
            if let Some(ends) = record.ends {
                self.ends.add_if_earlier(&mut record.looked_at, ends, Arc::from(user_id));
            }
        }
    }

    /// How many sockets of the user are on this instance.
    pub(crate) fn sockets(&self, user_id: &str) -> u32 {
        self.users.get(user_id).map_or(0, |record| record.sockets)
    }

    /// Notes that one more instance holds sockets of the user; gives the new presence where others must hear of it.
    pub(crate) fn connect_elsewhere(&mut self, user_id: &Arc<str>, now: Moment) -> Option<View> {
        let is_new = !self.users.contains_key(user_id);
        let new = || Record { set_at: SystemTime::UNIX_EPOCH, ..Record::new(Status::Online, now) };
        let record = self.users.entry(user_id.clone()).or_insert_with(new);
        record.elsewhere += 1;
        record.come_back(now);
        is_new.then(|| self.view(user_id))
    }

    /// Notes that the user has left these rooms on another instance, and with `is_gone` that instance too.
    pub(crate) fn disconnect_elsewhere<'a>(
        &mut self,
        user_id: &str,
        left: impl Iterator<Item = &'a Room>,
        is_gone: bool,
        now: Moment,
    ) {
        if let Some(record) = self.users.get_mut(user_id) {
            record.elsewhere = record.elsewhere.saturating_sub(u32::from(is_gone));
            record.note_departure(left, now, self.grace);
            if let Some(ends) = record.ends {
                self.ends.add_if_earlier(&mut record.looked_at, ends, Arc::from(user_id));
            }
        }
    }

    /// Takes over a status that was set on another instance, unless a later one is known here.
    pub(crate) fn adopt(&mut self, user_id: &Arc<str>, set: &SetStatus, now: Moment) -> Option<View> {
        let is_known_later = self.users.get(user_id).is_some_and(|record| record.set_at > set.at);
        if is_known_later {
            return None;
        }
        let changed = self.update(user_id, set.status, set.custom.clone(), now);
        if let Some(record) = self.users.get_mut(user_id) {
            record.set_at = set.at;
        }
        changed
    }

    /// The status of a user as other instances must know it.
    pub(crate) fn stamped(&self, user_id: &str) -> Option<SetStatus> {
        let record = self.users.get(user_id)?;
        Some(SetStatus { status: record.status, custom: record.custom.clone(), at: record.set_at })
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
        let custom_ends = custom.as_ref().and_then(|custom| custom.expires_at);
        if let Some(at) = custom_ends.filter(|at| *at < now.wall + LONGEST_CUSTOM) {
            self.custom_ends.add_if_earlier(&mut record.custom_looked_at, at, user_id.clone());
        }
        record.custom = custom;
        record.last_seen = now.wall;
        record.set_at = now.wall;
        if !record.is_held() {
            let ends = now.monotonic + self.lease;
            record.ends = Some(ends);
            self.ends.add_if_earlier(&mut record.looked_at, ends, user_id.clone());
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
        while let Some((time, user_id)) = self.ends.next_until(now.monotonic) {
            let record = self.users.get_mut(&user_id).filter(|record| record.looked_at == Some(time));
            let Some((record, ends)) = record.and_then(|record| {
                record.looked_at = None;
                record.ends.map(|ends| (record, ends))
            }) else {
                continue;
            };
            if ends > now.monotonic {
                // Prolonged since then.
                self.ends.add_if_earlier(&mut record.looked_at, ends, user_id);
            } else {
                changed.extend(self.end(&user_id));
            }
        }
        while let Some((time, user_id)) = self.custom_ends.next_until(now.wall) {
            let record = self.users.get_mut(&user_id).filter(|record| record.custom_looked_at == Some(time));
            let Some(record) = record else {
                continue;
            };
            record.custom_looked_at = None;
            let Some(ends) = record.custom.as_ref().and_then(|custom| custom.expires_at) else {
                continue;
            };
            if ends > now.wall {
                self.custom_ends.add_if_earlier(&mut record.custom_looked_at, ends, user_id);
                continue;
            }
            record.custom = None;
            let rooms = record.visits.clone();
            changed.push(Ended { view: self.view(&user_id), rooms });
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

impl Record {
    fn new(status: Status, now: Moment) -> Self {
        let (visits, left) = (Vec::new(), Vec::new());
        let at = now.wall;
        Self {
            status,
            custom: None,
            last_seen: at,
            sockets: 0,
            elsewhere: 0,
            set_at: at,
            ends: None,
            looked_at: None,
            custom_looked_at: None,
            visits,
            left,
        }
    }

    /// Whether any socket of the user is open anywhere.
    fn is_held(&self) -> bool {
        self.sockets > 0 || self.elsewhere > 0
    }

    fn come_back(&mut self, now: Moment) {
        self.ends = None;
        self.left.clear();
        self.last_seen = now.wall;
    }

    fn note_departure<'a>(&mut self, left: impl Iterator<Item = &'a Room>, now: Moment, grace: Duration) {
        self.last_seen = now.wall;
        let free = MOST_ROOMS.saturating_sub(self.left.len());
        self.left.extend(left.take(free).cloned());
        if !self.is_held() && self.ends.is_none() {
            self.ends = Some(now.monotonic + grace);
        }
    }
}

#[cfg(test)]
#[path = "presence_tests.rs"]
mod tests;
