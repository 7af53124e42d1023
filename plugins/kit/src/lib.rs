//! What the servers of the nself plugins share, so that all of them behave alike.
//!
//! A plugin reads its settings from an [`Environment`], declares its [`Routes`], each with a [`Class`] that says who may
//! call it, adds a health source and its own metrics, puts them into a [`Plugin`] and calls [`run`]. This crate adds
//! `/health`, `/ready`, `/live`, `/metrics`, the error contract, CORS, the checks of callers, JSON logs and the graceful
//! stop.
//! It must not know any plugin by name, nor any protocol beyond HTTP.

mod auth;
pub mod clock;
mod http;
pub mod outbound;
#[cfg(feature = "redis")]
mod redis;
mod settings;
mod telemetry;

pub use auth::{Access, ApiKey, Caller, InvalidToken, Tokens, User, for_all_users};
pub use http::{
    Class, Dependency, Failure, FieldError, Fields, Health, HealthSource, JsonObject, Origins, Peer, Plugin, Routes,
    StartError, Status, is_too_slow, router, run, serve_beside,
};
pub use outbound::signature;
#[cfg(feature = "redis")]
pub use redis::RedisAddress;
pub use settings::{ConfigurationError, Environment, Settings};
pub use telemetry::Metrics;
