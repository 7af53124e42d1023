//! When users come, go and change their status.

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
fn a_user_with_a_socket_elsewhere_stays_until_that_one_has_gone_too() {
    let now = Moment::now();
    let mut presence = Presence::new(GRACE, TIMEOUT);
    assert_eq!(status(presence.connect_elsewhere(&alice(), now)), Some(Status::Online));
    assert_eq!(presence.connect(&alice(), now), None);
    presence.disconnect("alice", rooms().iter(), now);
    assert!(presence.expire(now.after(GRACE * 10)).is_empty());
    presence.disconnect_elsewhere("alice", [].iter(), true, now);
    assert!(presence.expire(now.after(GRACE / 2)).is_empty());
    let ended = presence.expire(now.after(GRACE));
    assert_eq!((ended[0].view.status, ended[0].rooms.clone()), (Status::Offline, rooms()));
}

#[test]
fn of_two_statuses_the_later_one_holds_whichever_comes_last() {
    let now = Moment::now();
    let mut presence = Presence::new(GRACE, TIMEOUT);
    presence.connect(&alice(), now);
    presence.update(&alice(), Status::Away, None, now.after(GRACE));
    let set = |status, moment: Moment| SetStatus { status, custom: None, at: moment.wall };
    assert_eq!(presence.adopt(&alice(), &set(Status::Busy, now), now.after(GRACE)), None);
    assert_eq!(presence.view(&alice()).status, Status::Away);
    let later = set(Status::Busy, now.after(GRACE * 2));
    assert_eq!(status(presence.adopt(&alice(), &later, now.after(GRACE))), Some(Status::Busy));
    assert_eq!(presence.stamped("alice"), Some(later));
}

#[test]
fn busy_and_dnd_are_one_status_with_a_word_for_each_reader() {
    assert_eq!(Status::parse("dnd"), Status::parse("busy"));
    assert_eq!((Status::Busy.dnd_word(), Status::Busy.busy_word()), ("dnd", "busy"));
    assert_eq!(Status::parse("asleep"), None);
}
