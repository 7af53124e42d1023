//! The HTTP server: routes, connections, request fields, errors, health.

mod error;
mod fields;
mod health;
mod linger;
mod router;
mod serve;

pub use error::Failure;
pub use fields::{FieldError, Fields, JsonObject};
pub use health::{Dependency, Health, HealthSource, Status};
pub use router::{Plugin, router};
pub use serve::{StartError, run, serve_beside};
