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

/// Reads an RFC 3339 time with its zone, `Z` or an offset such as `+02:00`. The one rule for times in requests: a time
/// without a zone is refused, since it would mean another moment on each machine.
pub fn parse_iso(text: &str) -> Option<SystemTime> {
    let (date, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let sign = match offset.as_bytes() {
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => *sign,
        _ => return humantime::parse_rfc3339(text).ok(),
    };
    let number = |digits: &str| digits.parse().ok().filter(|_| digits.bytes().all(|digit| digit.is_ascii_digit()));
    let (hours, minutes): (u64, u64) = (number(&offset[1..3])?, number(&offset[4..])?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let local = humantime::parse_rfc3339(&format!("{date}Z")).ok()?;
    let ahead = Duration::from_secs(hours * 3600 + minutes * 60);
    if sign == b'+' { local.checked_sub(ahead) } else { local.checked_add(ahead) }
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
    fn times_with_an_offset_are_the_same_moment_and_without_a_zone_none() {
        let read = |text| parse_iso(text).map(iso);
        assert_eq!(read("2026-12-01T01:18:18+02:00").as_deref(), Some("2026-11-30T23:18:18.000Z"));
        assert_eq!(read("2026-11-30T20:18:18.5-03:30").as_deref(), Some("2026-11-30T23:48:18.500Z"));
        assert_eq!(read("2027-01-01T00:00:00Z").as_deref(), Some("2027-01-01T00:00:00.000Z"));
        for text in [
            "2027-01-01T00:00:00",
            "2027-01-01 00:00:00",
            "2027-01-01",
            "",
            "2027-01-01T00:00:00+2:00",
            "2027-01-01T00:00:00+25:00",
            "2027-01-01T00:00:00+0a:00",
            "2027-13-01T00:00:00Z",
            "\u{20ac}\u{20ac}",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn times_that_no_date_can_show_become_the_nearest_that_can() {
        assert_eq!(iso(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(at(u64::MAX)), "9999-12-31T23:59:59.000Z");
    }
}
