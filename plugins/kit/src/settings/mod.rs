//! Settings from environment variables.

mod environment;
mod server;

pub use environment::{ConfigurationError, Environment};
pub use server::Settings;
pub(crate) use server::prefix;
