//! Who sends a request.

mod key;

pub use key::ApiKey;
pub(crate) use key::require_key;
