//! Rate limits: so many events of one kind a user and window.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::RateLimit;

/// Clients join up to 100 rooms again after every reconnection, which no limit may break.
const MEMBERSHIP_FACTOR: u32 = 5;
/// The most windows of one generation; two are kept, so that ids invented by HTTP callers cannot fill the memory.
const MOST_WINDOWS: usize = 100_000;

/// What is counted apart from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Message,
    Typing,
    Presence,
    Membership,
    Relay,
    Query,
}

/// Says when the next event is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limited {
    pub(crate) limit: u32,
    pub(crate) retry_after: Duration,
}

struct Window {
    began: Instant,
    used: u32,
}

/// The counters of all users.
pub(crate) struct Limits {
    rule: RateLimit,
    windows: Windows,
    /// The generation before: a window moves on to the present one when it is used, so that whoever goes on is still
    /// counted when others fill the memory.
    earlier: Windows,
}

type Windows = HashMap<(Arc<str>, Kind), Window>;

impl Limits {
    pub(crate) fn new(rule: RateLimit) -> Self {
        Self { rule, windows: HashMap::new(), earlier: HashMap::new() }
    }

    /// Counts one event, or says how long to wait.
    pub(crate) fn count(&mut self, user_id: &Arc<str>, kind: Kind, now: Instant) -> Result<(), Limited> {
        let Some(points) = self.rule.points else {
            return Ok(());
        };
        let factor = if kind == Kind::Membership { MEMBERSHIP_FACTOR } else { 1 };
        let limit = points.saturating_mul(factor);
        if self.windows.len() >= MOST_WINDOWS {
            self.earlier = std::mem::take(&mut self.windows);
        }
        let key = (user_id.clone(), kind);
        let earlier = if self.earlier.is_empty() { None } else { self.earlier.remove(&key) };
        let window = self.windows.entry(key).or_insert_with(|| earlier.unwrap_or(Window { began: now, used: 0 }));
        let elapsed = now.saturating_duration_since(window.began);
        if elapsed >= self.rule.window {
            *window = Window { began: now, used: 0 };
        } else if window.used >= limit {
            return Err(Limited { limit, retry_after: self.rule.window.saturating_sub(elapsed) });
        }
        window.used += 1;
        Ok(())
    }

    /// Forgets the windows that have ended.
    pub(crate) fn expire(&mut self, now: Instant) {
        let length = self.rule.window;
        for windows in [&mut self.windows, &mut self.earlier] {
            windows.retain(|_, window| now.saturating_duration_since(window.began) < length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(points: u32) -> Limits {
        Limits::new(RateLimit { points: Some(points), window: Duration::from_mins(1) })
    }

    #[test]
    fn one_kind_used_up_leaves_the_others_and_other_users_free() {
        let (alice, bob): (Arc<str>, Arc<str>) = (Arc::from("alice"), Arc::from("bob"));
        let now = Instant::now();
        let mut limits = limits(2);
        assert!(limits.count(&alice, Kind::Typing, now).is_ok());
        assert!(limits.count(&alice, Kind::Typing, now).is_ok());
        let later = now + Duration::from_secs(20);
        let refused = limits.count(&alice, Kind::Typing, later).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_secs(40));
        assert!(limits.count(&alice, Kind::Presence, later).is_ok());
        assert!(limits.count(&bob, Kind::Typing, later).is_ok());
    }

    #[test]
    fn a_new_window_starts_from_nothing_and_old_ones_are_forgotten() {
        let alice: Arc<str> = Arc::from("alice");
        let now = Instant::now();
        let mut limits = limits(1);
        assert!(limits.count(&alice, Kind::Message, now).is_ok());
        assert!(limits.count(&alice, Kind::Message, now).is_err());
        let next = now + Duration::from_mins(1);
        assert!(limits.count(&alice, Kind::Message, next).is_ok());
        limits.expire(next + Duration::from_mins(1));
        assert!(limits.windows.is_empty());
    }

    #[test]
    fn many_invented_users_do_not_lift_the_limit_of_one_who_goes_on() {
        let alice: Arc<str> = Arc::from("alice");
        let now = Instant::now();
        let mut limits = limits(2);
        assert!(limits.count(&alice, Kind::Message, now).is_ok());
        assert!(limits.count(&alice, Kind::Message, now).is_ok());
        for number in 0..MOST_WINDOWS * 3 {
            assert!(limits.count(&Arc::from(number.to_string()), Kind::Message, now).is_ok());
            if number % 1_000 == 0 {
                assert!(limits.count(&alice, Kind::Message, now).is_err(), "after {number} others");
            }
        }
        assert!(limits.windows.len() + limits.earlier.len() <= MOST_WINDOWS * 2);
    }

    #[test]
    fn limits_that_are_off_count_nothing() {
        let rule = RateLimit { points: None, window: Duration::from_mins(1) };
        let mut limits = Limits::new(rule);
        let alice: Arc<str> = Arc::from("alice");
        for _ in 0..1000 {
            assert!(limits.count(&alice, Kind::Message, Instant::now()).is_ok());
        }
        assert!(limits.windows.is_empty());
    }
}
