//! What the tests stand on: a sandbox of their own, the engine seen from outside, packages, a registry, and a proxy
//! that makes the engine fail at will.

mod bundle;
mod engine;
mod oracle;
mod packages;
mod proxy;
mod sandbox;
mod schema;
mod server;
mod terminal;

pub(crate) use bundle::{bundle, node_client, passes};
pub(crate) use engine::Engine;
pub(crate) use oracle::State;
pub(crate) use packages::{Archive, Package, archive_of};
pub(crate) use proxy::{Fault, Proxy};
pub(crate) use sandbox::{Outcome, Running, Sandbox, send, unique, write_program};
pub(crate) use schema::assert_valid_output;
pub(crate) use server::{Answer, Registry, Server};
pub(crate) use terminal::exit_code;

use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// A port of loopback that nothing holds and that no other test of this run gets. Below the range from which the
/// kernel takes ports for outgoing connections.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Runs side by side start in different places.
    let base = 20_000 + u16::try_from(std::process::id() % 100).unwrap_or(0) * 100;
    loop {
        // The port after the one given is left alone: it is what a hint would offer next.
        let port = base + NEXT.fetch_add(1, Ordering::Relaxed) % 1_000 * 2;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until something is so; panics with `what` when it is not so in time.
pub(crate) fn wait_until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The host under which addresses are printed: the name where this machine resolves it to loopback, else 127.0.0.1.
pub(crate) fn printed_host(name: &str) -> &str {
    use std::net::ToSocketAddrs;
    let found = (name, 0).to_socket_addrs();
    if found.is_ok_and(|mut found| found.any(|one| one.ip().to_string() == "127.0.0.1")) { name } else { "127.0.0.1" }
}

/// Asks a plugin for a page; status and body.
pub(crate) fn ask(port: u16, path: &str) -> (u16, String) {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap_or_else(|error| panic!("port {port}: {error}"));
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer on port {port}: {answer}"));
    let status = head.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap();
    (status, body.to_owned())
}

/// A variable of the container, as the probe tells it.
pub(crate) fn variable_inside(port: u16, key: &str) -> Option<String> {
    let (_, body) = ask(port, "/environment");
    body.lines().find_map(|line| line.strip_prefix(&format!("{key}=")).map(ToOwned::to_owned))
}
