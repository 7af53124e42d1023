//! Who calls, and what they may do: API key, internal secret, users' tokens, callers of this machine.
//!
//! Every route has a [`Class`](crate::Class). For ordinary and power routes [`Access`] checks each request before its
//! handler runs and leaves a [`Caller`] in it. A handler that works for a user takes the [`Caller`] as an argument and
//! asks it:
//!
//! ```
//! # use axum::extract::Path;
//! # use kit::{Caller, Failure};
//! async fn history(caller: Caller, Path(user_id): Path<String>) -> Result<String, Failure> {
//!     caller.act_for(&user_id)?; // 403 where a user asks for somebody else's
//!     Ok(format!("messages of {user_id}"))
//! }
//! ```
//!
//! Self-verified routes take `Option<Caller>`: it is there where the request carries a valid key or token.
//! Nothing here knows what a plugin does, and no secret appears in an error or a log.

mod access;
mod caller;
mod crypto;
mod key;
mod key_set;
mod public_key;
mod tokens;

pub use access::Access;
pub(crate) use access::check;
pub use caller::{Caller, User, for_all_users};
pub use key::ApiKey;
pub use tokens::{InvalidToken, Tokens};
