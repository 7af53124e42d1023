//! What the tests stand on: the real program as a process, a real mail server, a real PostgreSQL, and small web servers
//! that play realtime, an SMS provider and a webhook's receiver. Nothing is skipped: what is missing fails the test.

mod postgres;
mod server;
mod sink;
mod smtp;
mod web;

pub(crate) use postgres::Postgres;
pub(crate) use server::{Server, Storage};
pub(crate) use sink::{Sink, text_of};
pub(crate) use smtp::Smtp;
pub(crate) use web::Web;

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// A port of loopback that nothing holds and that no other test of this run gets. Below the range from which the kernel
/// takes ports for outgoing connections.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 22_000 + u16::try_from(std::process::id() % 80).unwrap_or(0) * 100;
    loop {
        let port = base + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Asks again and again until something is there; panics with `what` when it is not in time.
pub(crate) async fn until<T>(what: &str, limit: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Long enough for anything that happens soon, on a machine that is busy with other tests.
pub(crate) const SOON: Duration = Duration::from_secs(40);
