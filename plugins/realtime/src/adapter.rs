//! The Socket.IO adapter of this server: the library's own, which also says whose queue is full.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use socketioxide::SocketError;
use socketioxide::adapter::Emitter;
use socketioxide::socket::Sid;
use socketioxide_core::adapter::errors::BroadcastError;
use socketioxide_core::adapter::{BroadcastOptions, CoreAdapter, CoreLocalAdapter, DefinedAdapter, SocketEmitter};
use socketioxide_core::packet::Packet;
use socketioxide_core::{Str, Value};
use tokio::sync::mpsc::UnboundedSender;

pub(crate) type SocketIo = socketioxide::SocketIo<Watched>;
pub(crate) type SocketRef = socketioxide::extract::SocketRef<Watched>;
pub(crate) type AckSender = socketioxide::extract::AckSender<Watched>;

/// The number of an acknowledgement that no client waits for: clients ignore it.
const NOBODYS: i64 = 9_007_199_254_740_991;

/// Reports the sockets that missed an event because they read too slowly.
pub(crate) struct Watched {
    local: CoreLocalAdapter<Emitter>,
    slow: UnboundedSender<Sid>,
}

impl CoreAdapter<Emitter> for Watched {
    type Error = Infallible;
    type State = UnboundedSender<Sid>;
    type AckStream = <Emitter as SocketEmitter>::AckStream;
    type InitRes = ();

    fn new(slow: &Self::State, local: CoreLocalAdapter<Emitter>) -> Self {
        Self { local, slow: slow.clone() }
    }

    fn init(self: Arc<Self>, on_success: impl FnOnce() + Send + 'static) -> Self::InitRes {
        on_success();
    }

    fn broadcast(
        &self,
        packet: Packet,
        opts: BroadcastOptions,
    ) -> impl Future<Output = Result<(), BroadcastError>> + Send {
        let result = self.local.broadcast(packet, opts.clone());
        if let Err(errors) = &result
            && errors.iter().any(|error| matches!(error, SocketError::InternalChannelFull))
        {
            self.report_full(opts);
        }
        ready(result.map_err(BroadcastError::from))
    }

    async fn broadcast_with_ack(
        &self,
        packet: Packet,
        opts: BroadcastOptions,
        timeout: Option<Duration>,
    ) -> Result<Self::AckStream, Self::Error> {
        Ok(self.local.broadcast_with_ack(packet, opts, timeout).0)
    }

    fn get_local(&self) -> &CoreLocalAdapter<Emitter> {
        &self.local
    }
}

impl DefinedAdapter for Watched {}

impl Watched {
    /// The library says that a queue was full, not whose: each socket of the audience is tried once more.
    fn report_full(&self, opts: BroadcastOptions) {
        for sid in self.local.sockets(opts) {
            let probe = Packet::ack(self.local.path().clone(), Value::Str(Str::from("[]"), None), NOBODYS);
            if self.local.broadcast(probe, BroadcastOptions::new(sid)).is_err() {
                // The receiver lives as long as the server.
                let _ = self.slow.send(sid);
            }
        }
    }
}
