//! Where Redis is.

mod address;

pub use address::RedisAddress;
