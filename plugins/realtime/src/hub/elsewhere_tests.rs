//! Two states that tell each other what changes, without a Redis between them.

use std::sync::Arc;
use std::time::Duration;

use kit::{Environment, Metrics};
use socketioxide::socket::Sid;
use tokio::sync::mpsc;

use super::*;
use crate::cluster::{Outbox, Saying};

const GRACE: Duration = Duration::from_secs(5);

/// An instance whose changes another one takes over.
struct Instance {
    id: InstanceId,
    hub: Hub,
    says: mpsc::Receiver<Saying>,
}

impl Instance {
    fn new() -> Self {
        let environment = Environment::from_pairs([("REALTIME_ALLOW_ANONYMOUS", "true")]);
        let (outbox, says) = Outbox::open(Metrics::new("test"));
        outbox.set_open(true);
        let hub = Hub::new(&Config::read(&environment).expect("legal settings"), outbox);
        Self { id: InstanceId::new_v4(), hub, says }
    }

    /// Tells the other one everything.
    fn introduce_to(&mut self, other: &Self) -> Heard {
        while self.says.try_recv().is_ok() {}
        let part = Part { users: self.hub.whole_state(), is_first: true, is_last: true };
        other.hub.apply_part(self.id, part, Moment::now())
    }

    /// Tells the other one what has changed; gives what its sockets hear of all that.
    fn tell(&mut self, other: &Self) -> Heard {
        let mut all = Heard::default();
        while let Ok(Saying::Change(change)) = self.says.try_recv() {
            let heard = other.hub.apply(self.id, change, Moment::now());
            all.joined.extend(heard.joined);
            all.left.extend(heard.left);
            all.presence.extend(heard.presence);
            all.typing.extend(heard.typing);
        }
        all
    }

    fn connect(&self, user_id: &str) -> Sid {
        let socket = Sid::new();
        self.hub.connect(socket, &face(user_id), true, Moment::now());
        socket
    }

    fn join(&self, socket: Sid, name: &str) -> Joined {
        self.hub.join(socket, &room(name), name, Moment::now())
    }

    fn status(&self, user_id: &str) -> Status {
        self.hub.presences(&[Arc::from(user_id)])[0].status
    }
}

/// Two instances that know each other.
fn pair() -> (Instance, Instance) {
    let (mut one, mut two) = (Instance::new(), Instance::new());
    one.introduce_to(&two);
    two.introduce_to(&one);
    (one, two)
}

fn face(user_id: &str) -> Arc<Face> {
    Arc::new(Face { user_id: Arc::from(user_id), name: None, avatar: None })
}

fn room(name: &str) -> Room {
    Room::parse(name, None).expect("a legal name")
}

fn users(heard: &[(Arc<Face>, Room, Arc<str>)]) -> Vec<&str> {
    heard.iter().map(|(face, ..)| &*face.user_id).collect()
}

#[test]
fn a_room_spans_instances_and_a_user_enters_and_leaves_it_once() {
    let (mut one, mut two) = pair();
    let (here, there) = (one.connect("alice"), two.connect("alice"));
    assert_eq!(one.join(here, "a"), Joined::In { is_first: true });
    let heard = one.tell(&two);
    assert_eq!((users(&heard.joined), heard.presence.len()), (vec!["alice"], 0));
    assert_eq!(two.join(there, "a"), Joined::In { is_first: false });
    assert!(two.tell(&one).joined.is_empty());
    assert_eq!((one.hub.members(&room("a"), 9).0, two.hub.members(&room("a"), 9).1.len()), (1, 1));
    assert_eq!(one.hub.leave(here, &room("a")).map(|(has_left, _)| has_left), Some(false));
    assert!(one.tell(&two).left.is_empty());
    assert_eq!(one.hub.members(&room("a"), 9).0, 1);
    assert_eq!(two.hub.leave(there, &room("a")).map(|(has_left, _)| has_left), Some(true));
    assert_eq!(users(&two.tell(&one).left), ["alice"]);
    assert_eq!(one.hub.members(&room("a"), 9).0, 0);
}

#[test]
fn a_user_goes_offline_when_the_last_socket_anywhere_has_gone_and_its_rooms_hear() {
    let (mut one, mut two) = pair();
    let (here, there) = (one.connect("alice"), two.connect("alice"));
    two.join(there, "a");
    let heard = one.tell(&two);
    assert!(heard.presence.is_empty());
    two.tell(&one);
    one.hub.disconnect(here, Moment::now());
    one.tell(&two);
    for hub in [&one.hub, &two.hub] {
        assert!(hub.expire(Moment::now().after(GRACE * 2)).presence.is_empty());
    }
    two.hub.disconnect(there, Moment::now());
    assert_eq!(users(&two.tell(&one).left), ["alice"]);
    for hub in [&one.hub, &two.hub] {
        let ended = hub.expire(Moment::now().after(GRACE * 2)).presence;
        assert_eq!((ended[0].view.status, ended[0].rooms.as_slice()), (Status::Offline, [room("a")].as_slice()));
    }
    assert_eq!(one.hub.whole_state(), []);
}

#[test]
fn an_instance_that_dies_takes_its_users_with_it() {
    let (mut one, two) = pair();
    let socket = one.connect("alice");
    one.join(socket, "a");
    one.tell(&two);
    assert_eq!((two.status("alice"), two.hub.members(&room("a"), 9).0), (Status::Online, 1));
    let later = Moment::now().after(GRACE);
    assert_eq!(two.hub.silent_peers(later, GRACE), [one.id]);
    assert_eq!(users(&two.hub.forget(one.id, later).left), ["alice"]);
    assert_eq!(two.hub.expire(later.after(GRACE)).presence.len(), 1);
    assert_eq!((two.status("alice"), two.hub.members(&room("a"), 9).0, two.hub.peers()), (Status::Offline, 0, 0));
    // What it still had to say comes too late to count.
    one.hub.leave(socket, &room("a"));
    assert!(one.tell(&two).left.is_empty());
}

#[test]
fn the_whole_state_mends_what_was_not_heard() {
    let (mut one, two) = pair();
    let (alice, bob) = (one.connect("alice"), one.connect("bob"));
    one.join(alice, "a");
    one.join(bob, "a");
    one.tell(&two);
    one.hub.disconnect(bob, Moment::now());
    one.hub.leave(alice, &room("a"));
    one.join(alice, "b");
    let carol = one.connect("carol");
    one.join(carol, "a");
    let set = one.hub.set_presence(&Arc::from("alice"), (Status::Busy, None), None, Moment::now());
    assert!(matches!(set, Ok(Some(_))));
    let heard = one.introduce_to(&two);
    let mut left = users(&heard.left);
    left.sort_unstable();
    let mut joined = users(&heard.joined);
    joined.sort_unstable();
    assert_eq!((left, joined), (vec!["alice", "bob"], vec!["alice", "carol"]));
    assert_eq!((two.status("alice"), two.status("carol")), (Status::Busy, Status::Online));
    assert_eq!((two.hub.members(&room("a"), 9).0, two.hub.members(&room("b"), 9).0), (1, 1));
    let again = one.introduce_to(&two);
    assert!(again.joined.is_empty() && again.left.is_empty() && again.presence.is_empty());
}

#[test]
fn a_status_and_typing_are_known_everywhere() {
    let (mut one, mut two) = pair();
    let (alice, bob) = (one.connect("alice"), two.connect("bob"));
    one.join(alice, "a");
    two.join(bob, "a");
    one.tell(&two);
    two.tell(&one);
    let set = one.hub.set_presence(&Arc::from("alice"), (Status::Away, None), None, Moment::now());
    assert!(set.is_ok_and(|changed| changed.is_some()));
    let place = Place { room: room("a"), thread_id: None };
    let spelling = || Spelling { room_name: "a".to_owned(), room_type: "channel".to_owned(), recipient_id: None };
    one.hub.start_typing(place.clone(), &face("alice"), spelling(), Moment::now());
    let heard = one.tell(&two);
    assert_eq!((heard.presence.len(), heard.typing.len(), two.status("alice")), (1, 1, Status::Away));
    assert_eq!(two.hub.start_typing(place.clone(), &face("bob"), spelling(), Moment::now()).users.len(), 2);
    one.hub.leave(alice, &room("a"));
    let heard = one.tell(&two);
    assert_eq!((heard.typing.len(), heard.typing[0].users.len()), (1, 1));
}

#[test]
fn what_reaches_users_elsewhere_is_counted() {
    let (mut one, two) = pair();
    let socket = one.connect("alice");
    one.join(socket, "a");
    one.tell(&two);
    assert_eq!(two.hub.count_sockets(&[room("a"), Room::of_user("alice")]), 1);
    assert_eq!(two.hub.count_sockets(&[Room::of_user("alice")]), 1);
    assert_eq!(two.hub.count_sockets(&[Room::of_user("bob"), room("b")]), 0);
    assert_eq!(two.hub.rooms(9), [(room("a"), 1)]);
    assert_eq!(two.hub.rooms_of_user("alice"), [room("a")]);
}
