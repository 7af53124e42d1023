//! When a user's quiet hours end and when a digest is due, in the user's own time zone.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use serde_json::{Map, Value};

/// The times of day of one user.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    quiet: Option<(Time, Time)>,
    zone: TimeZone,
    digest_at: Time,
}

impl Schedule {
    /// Reads `quiet_hours {enabled, start, end, timezone}` and `digest {time}`; what cannot be read counts as unset,
    /// since writing has checked it.
    pub(crate) fn read(document: &Map<String, Value>) -> Self {
        let text = |object: &str, field: &str| document.get(object)?.get(field)?.as_str();
        let quiet_hours = document.get("quiet_hours");
        let is_on = quiet_hours.and_then(|hours| hours.get("enabled")).and_then(Value::as_bool).unwrap_or(true);
        let time = |field| text("quiet_hours", field).and_then(parse_time);
        let quiet = if is_on { time("start").zip(time("end")).filter(|(start, end)| start != end) } else { None };
        let zone = text("quiet_hours", "timezone").or_else(|| text("digest", "timezone")).and_then(parse_zone);
        let digest_at = text("digest", "time").and_then(parse_time);
        Self {
            quiet,
            zone: zone.unwrap_or(TimeZone::UTC),
            digest_at: digest_at.unwrap_or(jiff::civil::time(9, 0, 0, 0)),
        }
    }

    /// The end of the quiet hours that this time lies in, in milliseconds.
    pub(crate) fn quiet_until(&self, at: i64) -> Option<i64> {
        let (start, end) = self.quiet?;
        let now = self.zoned(at)?;
        let time = now.time();
        let is_overnight = start > end;
        let is_within = if is_overnight { time >= start || time < end } else { time >= start && time < end };
        if !is_within {
            return None;
        }
        // The evening's part of a night ends tomorrow.
        let ends_tomorrow = is_overnight && time >= start;
        let date = if ends_tomorrow { now.date().tomorrow().ok()? } else { now.date() };
        let ends = date.to_datetime(end).to_zoned(self.zone.clone()).ok()?;
        Some(ends.timestamp().as_millisecond()).filter(|ends| *ends > at)
    }

    /// The next time that a digest of this frequency goes out, in milliseconds.
    pub(crate) fn next_digest(&self, frequency: &str, at: i64) -> i64 {
        const HOUR: i64 = 3_600_000;
        let on_day = || -> Option<i64> {
            let now = self.zoned(at)?;
            let mut date = now.date();
            if frequency == "weekly" {
                date =
                    if date.weekday() == Weekday::Monday { date } else { date.nth_weekday(1, Weekday::Monday).ok()? };
            }
            let step = if frequency == "weekly" { 7.days() } else { 1.day() };
            let mut due = date.to_datetime(self.digest_at).to_zoned(self.zone.clone()).ok()?;
            if due.timestamp().as_millisecond() <= at {
                due = date.checked_add(step).ok()?.to_datetime(self.digest_at).to_zoned(self.zone.clone()).ok()?;
            }
            Some(due.timestamp().as_millisecond())
        };
        let next_hour = (at / HOUR + 1) * HOUR;
        if frequency == "hourly" { next_hour } else { on_day().unwrap_or(next_hour) }
    }

    fn zoned(&self, at: i64) -> Option<Zoned> {
        Some(Timestamp::from_millisecond(at).ok()?.to_zoned(self.zone.clone()))
    }
}

/// A time of day, `22:00` or `22:00:30`.
pub(super) fn parse_time(text: &str) -> Option<Time> {
    let mut parts = text.split(':').map(|part| {
        let digits = (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if digits { part.parse::<i8>().ok() } else { None }
    });
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    if parts.next().is_some() {
        return None;
    }
    Time::new(hour, minute, second, 0).ok()
}

pub(super) fn parse_zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schedule(start: &str, end: &str, zone: &str) -> Schedule {
        let document = json!({"quiet_hours": {"enabled": true, "start": start, "end": end, "timezone": zone}});
        Schedule::read(document.as_object().expect("an object"))
    }

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().expect("a time").as_millisecond()
    }

    #[test]
    fn quiet_hours_end_the_same_day_or_the_next_morning() {
        let night = schedule("22:00", "07:30", "UTC");
        assert_eq!(night.quiet_until(at("2026-03-01T22:00:00Z")), Some(at("2026-03-02T07:30:00Z")));
        assert_eq!(night.quiet_until(at("2026-03-01T03:00:00Z")), Some(at("2026-03-01T07:30:00Z")));
        assert_eq!(night.quiet_until(at("2026-03-01T07:30:00Z")), None);
        assert_eq!(night.quiet_until(at("2026-03-01T21:59:59Z")), None);
        let noon = schedule("12:00", "14:00", "UTC");
        assert_eq!(noon.quiet_until(at("2026-03-01T13:00:00Z")), Some(at("2026-03-01T14:00:00Z")));
        assert_eq!(noon.quiet_until(at("2026-03-01T14:00:00Z")), None);
    }

    #[test]
    fn they_are_hours_of_the_users_own_zone() {
        let tokyo = schedule("22:00", "08:00", "Asia/Tokyo");
        assert_eq!(tokyo.quiet_until(at("2026-03-01T13:30:00Z")), Some(at("2026-03-01T23:00:00Z")));
        assert_eq!(tokyo.quiet_until(at("2026-03-01T23:30:00Z")), None);
    }

    #[test]
    fn a_night_in_which_the_clocks_change_ends_by_the_clock() {
        // In Berlin the night of 2026-03-28 is an hour short.
        let berlin = schedule("22:00", "07:00", "Europe/Berlin");
        assert_eq!(berlin.quiet_until(at("2026-03-28T22:00:00Z")), Some(at("2026-03-29T05:00:00Z")));
        // An end that the clocks leap over is the moment after the leap.
        let leap = schedule("22:00", "02:30", "Europe/Berlin");
        assert_eq!(leap.quiet_until(at("2026-03-28T22:00:00Z")), Some(at("2026-03-29T01:30:00Z")));
    }

    #[test]
    fn hours_that_are_off_or_empty_hold_nothing_back() {
        assert_eq!(schedule("08:00", "08:00", "UTC").quiet_until(at("2026-03-01T08:00:00Z")), None);
        let off = json!({"quiet_hours": {"enabled": false, "start": "00:00", "end": "23:59", "timezone": "UTC"}});
        assert_eq!(Schedule::read(off.as_object().expect("an object")).quiet_until(at("2026-03-01T08:00:00Z")), None);
    }

    #[test]
    fn a_digest_is_due_at_the_next_hour_day_or_monday() {
        let document = json!({"digest": {"time": "08:15", "timezone": "Europe/Berlin"}});
        let schedule = Schedule::read(document.as_object().expect("an object"));
        let sunday = at("2026-03-01T12:10:00Z");
        assert_eq!(schedule.next_digest("hourly", sunday), at("2026-03-01T13:00:00Z"));
        assert_eq!(schedule.next_digest("daily", sunday), at("2026-03-02T07:15:00Z"));
        assert_eq!(schedule.next_digest("weekly", sunday), at("2026-03-02T07:15:00Z"));
        let monday = at("2026-03-02T07:15:00Z");
        assert_eq!(schedule.next_digest("daily", monday), at("2026-03-03T07:15:00Z"));
        assert_eq!(schedule.next_digest("weekly", monday), at("2026-03-09T07:15:00Z"));
    }

    #[test]
    fn times_of_day_are_read_strictly() {
        assert!(parse_time("7:05").is_some() && parse_time("23:59:59").is_some());
        for bad in ["24:00", "7", "07:60", "07:00:00:00", "+7:00", "07:0x", "", "007:00"] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }
}
