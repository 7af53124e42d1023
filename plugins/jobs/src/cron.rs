//! Cron patterns and time zones: whether they can be used, and when they come next.

use bullmq::job_scheduler::next_cron_millis;
use kit::clock;

/// The longest pattern in bytes; a list of every value of each field is shorter.
const LONGEST: usize = 500;

/// The next time in milliseconds since 1970; the error says what is wrong with the pattern or the zone.
pub(crate) fn check(pattern: &str, zone: Option<&str>) -> Result<u64, String> {
    next_after(pattern, zone, clock::milliseconds(clock::now()))
}

/// The first time after a moment, both in milliseconds since 1970.
pub(crate) fn next_after(pattern: &str, zone: Option<&str>, after: u64) -> Result<u64, String> {
    if pattern.len() > LONGEST {
        return Err(format!("a cron pattern must not be longer than {LONGEST} characters"));
    }
    match next_cron_millis(pattern, after, zone, None) {
        Ok(Some(next)) => Ok(next),
        Ok(None) => Err("it never comes".to_owned()),
        Err(bullmq::Error::InvalidConfig(why)) => Err(why),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_five_and_six_fields_are_taken_and_others_refused_with_a_reason() {
        for pattern in ["*/5 * * * *", "*/10 * * * * *", "0 9 * * 7", "0 9 * * MON-FRI"] {
            assert!(check(pattern, None).is_ok(), "{pattern}");
        }
        for pattern in ["", "invalid", "* * *", "61 * * * *", "* * * * * * * *", "0 0 30 2 *"] {
            assert!(!check(pattern, None).expect_err(pattern).is_empty());
        }
        assert!(check(&"* ".repeat(400), None).is_err());
    }

    #[test]
    fn a_zone_moves_the_time_and_an_unknown_one_is_refused() {
        let utc = check("0 12 * * *", None).expect("a time");
        let tokyo = check("0 12 * * *", Some("Asia/Tokyo")).expect("a time");
        // Noon comes nine hours earlier there, or fifteen later.
        assert!([9, 15].contains(&(utc.abs_diff(tokyo) / 3_600_000)), "{utc} {tokyo}");
        assert!(check("0 12 * * *", Some("Mars/Olympus")).expect_err("no zone").contains("Mars/Olympus"));
    }
}
