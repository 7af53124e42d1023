//! The one place where the wall clock is read and written out.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The end of the year 9999, the last that RFC 3339 can write, in seconds since 1970.
const LAST_SECOND: u64 = 253_402_300_799;

/// The wall clock's time now.
#[expect(clippy::disallowed_methods, reason = "the one place of the plugins that reads the clock")]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// RFC 3339 in UTC with milliseconds, as JavaScript's `Date` writes it; times outside of the years
/// 1970 to 9999 become the nearest of them.
pub fn iso(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = since.min(Duration::from_secs(LAST_SECOND));
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

/// Milliseconds since 1970; 0 for a clock that is set before it.
pub fn milliseconds(time: SystemTime) -> u64 {
    let elapsed = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// The time that many milliseconds after 1970 began: what [`milliseconds`] counts, turned back.
pub fn at(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(milliseconds)
}

/// Reads an RFC 3339 time in UTC, as [`iso`] writes it.
pub fn parse_iso(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339_weak(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_javascript_dates() {
        let time = at(1_700_000_000_123);
        assert_eq!(iso(time), "2023-11-14T22:13:20.123Z");
        assert_eq!(milliseconds(time), 1_700_000_000_123);
        assert_eq!(parse_iso("2023-11-14T22:13:20.123Z"), Some(time));
        assert_eq!(parse_iso("tomorrow"), None);
    }

    #[test]
    fn times_that_no_date_can_show_become_the_nearest_that_can() {
        assert_eq!(iso(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(at(u64::MAX)), "9999-12-31T23:59:59.000Z");
    }
}
