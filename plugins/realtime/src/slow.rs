//! Ends sockets that read too slowly: one that has missed an event hears nothing more, learns why and is disconnected, so
//! that it connects again and asks for what it missed.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use socketioxide::socket::Sid;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::adapter::SocketRef;
use crate::state::App;

/// Between two attempts to put the reason into a queue that is full.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// Ends what is reported, for ever.
pub(crate) async fn run(app: Arc<App>, mut reported: UnboundedReceiver<Sid>) {
    while let Some(id) = reported.recv().await {
        let Some(socket) = app.delivery.socket(id) else {
            continue;
        };
        // Reported again while it is being ended, it is in no room any more.
        if socket.extensions.insert(Ending).is_some() {
            continue;
        }
        app.counters.slow_readers.inc();
        tracing::debug!(socket = %id, "disconnected: it reads too slowly");
        socket.leave_all();
        tokio::spawn(end(socket));
    }
}

/// Marks a socket that is being ended.
#[derive(Clone)]
struct Ending;

/// Ends a socket as soon as its queue takes the reason. One that does not read at all ends by its heartbeat.
async fn end(socket: SocketRef) {
    let reason = json!({
        "code": "SLOW_READER",
        "message": "this socket read too slowly and missed events: connect again and ask for them with `sync:messages`",
        "retryable": true,
    });
    let mut is_told = false;
    while socket.connected() {
        is_told = is_told || socket.emit("error", &reason).is_ok();
        if is_told && socket.clone().disconnect().is_ok() {
            return;
        }
        tokio::time::sleep(RETRY_EVERY).await;
    }
}
