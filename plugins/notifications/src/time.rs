//! Times as the tables hold them: milliseconds since 1970.

use std::time::Duration;

use kit::clock;

/// The time now.
pub(crate) fn now() -> i64 {
    i64::try_from(clock::milliseconds(clock::now())).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC, as JavaScript writes it.
pub(crate) fn iso(milliseconds: i64) -> String {
    clock::iso(clock::at(u64::try_from(milliseconds).unwrap_or_default()))
}

/// Reads RFC 3339 with any offset; a date without a time is none.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let time: jiff::Timestamp = text.trim().parse().ok()?;
    Some(time.as_millisecond()).filter(|time| *time >= 0)
}

/// A duration as a difference of times.
pub(crate) fn span(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_any_offset_and_written_in_utc() {
        let time = parse("2026-03-01T10:00:00+02:00").expect("a time");
        assert_eq!(iso(time), "2026-03-01T08:00:00.000Z");
        for bad in ["tomorrow", "2026-03-01", "", "1969-01-01T00:00:00Z"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
