use super::*;
use crate::cluster::Outbox;
use kit::Environment;

fn hub() -> Hub {
    let environment = Environment::from_pairs([("REALTIME_ALLOW_ANONYMOUS", "true")]);
    Hub::new(&Config::read(&environment).expect("legal settings"), Outbox::default())
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

#[test]
fn a_token_that_ends_is_told_once_and_then_closes_its_socket_unless_it_is_renewed() {
    let hub = hub();
    let (lazy, busy) = (connect(&hub, "alice"), connect(&hub, "bob"));
    let now = Moment::now();
    let seconds = clock::milliseconds(now.wall) / 1000;
    hub.set_token_end(lazy, Some(seconds));
    hub.set_token_end(busy, Some(seconds + 1));
    assert_eq!(hub.ended_tokens(now).told, [lazy]);
    assert_eq!(hub.ended_tokens(now), EndedTokens::default());
    hub.set_token_end(busy, Some(seconds + 60));
    let later = hub.ended_tokens(now.after(std::time::Duration::from_secs(6)));
    assert_eq!((later.told.as_slice(), later.closed.as_slice()), ([].as_slice(), [lazy].as_slice()));
}

/// Senders and a reader on threads of their own, in rooms whose messages are also evicted: whatever is stored after an
/// answer comes after its cursor.
#[test]
fn a_reader_with_a_cursor_misses_nothing_of_concurrent_writers() {
    const MESSAGES: usize = 900;
    let hub = hub();
    let stored = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|threads| {
        for writer in 0..3 {
            let (hub, stored) = (&hub, &stored);
            threads.spawn(move || {
                for number in 0..MESSAGES / 3 {
                    // Clocks that differ, and go back.
                    let mut now = Moment::now();
                    now.wall -= std::time::Duration::from_millis((writer * 7 + number as u64 * 13) % 40);
                    hub.remember(&room("a"), now, |at| Arc::from(format!("{writer}-{number} {at}")));
                    stored.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    if number % 16 == 0 {
                        std::thread::yield_now();
                    }
                }
            });
        }
        let mut got = Vec::new();
        let mut cursor = hub.messages(&room("empty"), None, 9, Moment::now()).cursor.min(1);
        while got.len() < MESSAGES {
            let all_were_stored = stored.load(std::sync::atomic::Ordering::SeqCst) == MESSAGES;
            let page = hub.messages(&room("a"), Some(cursor), 7, Moment::now());
            assert!(!(all_were_stored && page.entries.is_empty()), "{} of {MESSAGES} messages came", got.len());
            cursor = page.cursor;
            got.extend(page.entries);
        }
        let positions: Vec<_> = got.iter().map(|(position, _)| *position).collect();
        assert!(positions.is_sorted_by(|one, next| one < next), "a position came twice or out of order");
    });
}
