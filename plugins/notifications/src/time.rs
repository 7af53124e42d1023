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

/// Reads RFC 3339 by the rule of all plugins: with a zone. A part of a millisecond counts as a whole one, so that nothing
/// goes out early.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let time = clock::parse_iso(text.trim()).filter(|time| *time >= clock::at(0))?;
    let whole = clock::milliseconds(time);
    i64::try_from(if clock::at(whole) < time { whole + 1 } else { whole }).ok()
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
        assert_eq!(parse("2026-03-01T08:00:00.0001Z"), Some(time + 1));
        for bad in ["tomorrow", "2026-03-01", "2026-03-01T08:00:00", "", "1969-01-01T00:00:00Z"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
