//! The HTTP server: routes, connections, request fields, errors, health.

mod deadline;
mod error;
mod fields;
mod health;
mod linger;
mod origins;
mod request_log;
mod router;
mod routes;
mod serve;

pub use deadline::is_too_slow;
pub use error::Failure;
pub use fields::{FieldError, Fields, JsonObject};
pub use health::{Dependency, Health, HealthSource, Status};
pub use origins::Origins;
pub(crate) use origins::host_name;
pub use router::{Plugin, router};
pub use routes::{Class, Routes};
pub use serve::{Peer, StartError, run, serve_beside};
