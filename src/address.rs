//! The addresses under which people reach installed plugins. A name such as `jobs.localhost` is printed only where this
//! machine resolves it: browsers and curl always do, everything that asks getaddrinfo does not.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use crate::package::manifest::Protocol;
use crate::state::ReceiptPort;

/// Where every port is published.
pub const LOOPBACK: &str = "127.0.0.1";
/// How long a name server may take; a slower one counts as an answer of no.
const DEADLINE: Duration = Duration::from_secs(1);

/// What each name came to: a command asks for every name once.
static RESOLVED: Mutex<Option<HashMap<String, bool>>> = Mutex::new(None);

/// The address of a published port, with the host that resolves on this machine.
pub fn of(port: &ReceiptPort) -> String {
    at(port, host_of(port))
}

/// The host part of [`of`].
pub fn host_of(port: &ReceiptPort) -> &str {
    port.hostname.as_deref().filter(|name| resolves(name)).unwrap_or(LOOPBACK)
}

/// The address of a published port under a host that the user names.
pub fn at(port: &ReceiptPort, host: &str) -> String {
    written(port.protocol, host, port.host)
}

/// An address as it is written, an IPv6 host in brackets.
pub fn written(protocol: Protocol, host: &str, port: u16) -> String {
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    match protocol {
        Protocol::Http => format!("http://{host}:{port}"),
        Protocol::Tcp => format!("{host}:{port}"),
    }
}

/// Whether getaddrinfo gives the address at which ports are published.
pub fn resolves(name: &str) -> bool {
    let mut known = RESOLVED.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_with(HashMap::new);
    if let Some(answer) = known.get(name) {
        return *answer;
    }
    // One server that does not answer is not waited for twice.
    let is_slow = known.len() > 1 && known.values().all(|answer| !answer);
    let answer = !is_slow && ask(name);
    known.insert(name.to_owned(), answer);
    answer
}

/// Asks in a thread of its own, because getaddrinfo cannot be interrupted; the program does not wait for it at its end.
fn ask(name: &str) -> bool {
    let (sender, receiver) = mpsc::channel();
    let name = name.to_owned();
    std::thread::spawn(move || {
        let addresses = (name.as_str(), 0).to_socket_addrs();
        let is_ours =
            addresses.is_ok_and(|mut found| found.any(|address| address.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST)));
        // The receiver may have given up.
        let _ = sender.send(is_ours);
    });
    receiver.recv_timeout(DEADLINE).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_does_not_resolve_is_replaced() {
        let port = |hostname: &str| ReceiptPort {
            name: "http".into(),
            host: 3101,
            container: 3101,
            hostname: Some(hostname.to_owned()),
            protocol: Protocol::Http,
        };
        assert_eq!(of(&port("localhost")), "http://localhost:3101");
        assert_eq!(of(&port("nowhere.invalid")), "http://127.0.0.1:3101");
        assert_eq!(at(&port("localhost"), "::1"), "http://[::1]:3101");
    }
}
