//! When the tokens of open sockets end.

use std::time::Duration;

use kit::clock;
use socketioxide::socket::Sid;

use super::{Hub, Moment};

/// How long a socket stays after its token has ended: the difference that clocks may have.
const ENDED_FOR: Duration = Duration::from_secs(crate::auth::LEEWAY_SECONDS);

/// The end of a socket's token.
#[derive(Default)]
pub(super) struct TokenEnd {
    /// Seconds since 1970; `None` where none was needed.
    at: Option<u64>,
    was_told: bool,
}

/// The sockets whose tokens have ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct EndedTokens {
    /// Those that must be told now.
    pub(crate) told: Vec<Sid>,
    /// Those that were told and did nothing.
    pub(crate) closed: Vec<Sid>,
}

impl Hub {
    /// Notes when the socket's present token ends.
    pub(crate) fn set_token_end(&self, socket: Sid, at: Option<u64>) {
        if let Some(connection) = self.state().connections.get_mut(&socket) {
            connection.token = TokenEnd { at, was_told: false };
        }
    }

    /// Finds the sockets whose tokens have ended; each is told of once.
    pub(crate) fn ended_tokens(&self, now: Moment) -> EndedTokens {
        let seconds = clock::milliseconds(now.wall) / 1000;
        let mut ended = EndedTokens::default();
        for (socket, connection) in &mut self.state().connections {
            let token = &mut connection.token;
            let Some(at) = token.at.filter(|at| *at <= seconds) else {
                continue;
            };
            if at + ENDED_FOR.as_secs() <= seconds {
                ended.closed.push(*socket);
            } else if !token.was_told {
                token.was_told = true;
                ended.told.push(*socket);
            }
        }
        ended
    }
}
