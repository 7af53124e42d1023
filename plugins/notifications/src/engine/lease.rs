//! How long what was taken is left alone by other instances.

use std::time::Duration;

use crate::time::span;

/// Longer than any hand-over takes.
const LEASE: Duration = Duration::from_mins(2);

/// When a lease that begins now ends.
pub(super) fn lease_end(now: i64) -> i64 {
    now + span(LEASE)
}
