//! What the servers of the nself plugins share, so that eight of them answer alike.
//!
//! A plugin reads its settings from an [`Environment`], builds two routers (those behind the API
//! key and those that authenticate by themselves), a health source and its own metrics, puts them
//! into a [`Plugin`] and calls [`run`]. This crate adds `/health`, `/ready`, `/live`, `/metrics`,
//! the error contract, CORS, the API key rule, JSON logs and the orderly stop.
//! It must not know any plugin by name, nor any protocol beyond HTTP.

pub mod clock;
mod environment;
mod error;
mod fields;
mod guard;
mod health;
mod linger;
mod logging;
mod metrics;
#[cfg(feature = "redis")]
mod redis_address;
mod router;
mod serve;
mod settings;
mod signature;

pub use environment::{ConfigurationError, Environment};
pub use error::Failure;
pub use fields::{FieldError, Fields, JsonObject};
pub use guard::ApiKey;
pub use health::{Dependency, Health, HealthSource, Status};
pub use metrics::Metrics;
#[cfg(feature = "redis")]
pub use redis_address::RedisAddress;
pub use router::{Plugin, router};
pub use serve::{StartError, run, serve_beside};
pub use settings::{Origins, Settings};
pub use signature::signature;
