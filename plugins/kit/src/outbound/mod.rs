//! Requests to other servers.

mod signature;

pub use signature::signature;
