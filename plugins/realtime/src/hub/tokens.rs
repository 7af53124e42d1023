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
    /// When it is looked at next.
    looked_at: Option<u64>,
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
        let mut guard = self.state();
        let state = &mut *guard;
        if let Some(connection) = state.connections.get_mut(&socket) {
            let looked_at = connection.token.looked_at;
            connection.token = TokenEnd { at, was_told: false, looked_at };
            if let Some(at) = at {
                state.token_ends.add_if_earlier(&mut connection.token.looked_at, at, socket);
            }
        }
    }

    /// Finds the sockets whose tokens have ended; each is told of once.
    pub(crate) fn ended_tokens(&self, now: Moment) -> EndedTokens {
        let seconds = clock::milliseconds(now.wall) / 1000;
        let mut ended = EndedTokens::default();
        let mut guard = self.state();
        let state = &mut *guard;
        while let Some((time, socket)) = state.token_ends.next_until(seconds) {
            let token = state.connections.get_mut(&socket).map(|connection| &mut connection.token);
            let Some(token) = token.filter(|token| token.looked_at == Some(time)) else {
                continue;
            };
            token.looked_at = None;
            let Some(at) = token.at else {
                continue;
            };
            let closes_at = at + ENDED_FOR.as_secs();
            let next = if at > seconds {
                // A newer token has come.
                at
            } else if closes_at <= seconds {
                ended.closed.push(socket);
                continue;
            } else {
                if !std::mem::replace(&mut token.was_told, true) {
                    ended.told.push(socket);
                }
                closes_at
            };
            state.token_ends.add_if_earlier(&mut token.looked_at, next, socket);
        }
        ended
    }
}
