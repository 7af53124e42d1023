//! Requests to other servers: one client, one rule for the addresses that strangers name, signatures, and a sender that
//! keeps a lane for each endpoint.
//!
//! An address out of a request (a webhook, a file to fetch) is asked through [`Client::guarded`]: it reaches nothing on
//! this machine or its networks unless `<NAME>_ALLOWED_HOSTS` names it. An address that the operator configured (a peer,
//! a callback) is asked through [`Client::trusted`].

mod address;
mod client;
mod sender;
mod signature;

pub use address::AddressPolicy;
pub use client::{Answer, Call, Client, shown};
pub use sender::{Delivery, Outbox, Outcome, Sender};
pub use signature::{StandardWebhook, signature};
