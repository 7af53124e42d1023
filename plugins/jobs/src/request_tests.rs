use serde_json::{Value, json};

use super::*;

fn defaults() -> Defaults {
    let minute = Duration::from_mins(1);
    let backoff = BackoffStrategy::Exponential(1_000);
    Defaults {
        attempts: 3,
        backoff,
        timeout: minute,
        keep_completed: minute,
        keep_failed: minute,
        most_payload_bytes: 1000,
    }
}

fn order(body: Value) -> Result<Order, Refusal> {
    read_order(Fields::new(body), &defaults())
}

fn with_options(options: &Value) -> Order {
    order(json!({"type": "t", "payload": {}, "options": options})).expect("a legal order")
}

fn refused_fields(body: Value) -> Vec<String> {
    match order(body) {
        Err(Refusal::Invalid(details)) => details.into_iter().map(|detail| detail.field).collect(),
        other => panic!("it was not refused for its fields: {other:?}"),
    }
}

#[test]
fn a_job_that_asks_for_nothing_gets_the_defaults_and_its_types_queue() {
    let order = order(json!({"type": "send-email", "payload": {"to": "a@b"}})).expect("a legal order");
    assert_eq!(order.queue.as_str(), "high-priority");
    assert_eq!(order.options.attempts, Some(3));
    assert!(matches!(order.options.backoff, Some(BackoffStrategy::Exponential(1_000))));
    assert_eq!((order.options.priority, order.options.delay), (None, None));
    assert_eq!(order.envelope()["payload"], json!({"to": "a@b"}));
    assert!(order.repetition.is_none());
}

#[test]
fn priorities_are_bullmqs_and_names_stand_for_numbers() {
    for (given, expected) in [
        (json!("critical"), 1),
        (json!("high"), 5),
        (json!("normal"), 10),
        (json!("low"), 20),
        (json!(7), 7),
        (json!(0), 0),
    ] {
        assert_eq!(with_options(&json!({"priority": given})).options.priority, Some(expected));
    }
}

#[test]
fn both_spellings_of_retries_are_read() {
    let nested = with_options(&json!({"retry": {"attempts": 5, "delay": 200}})).options;
    assert!(nested.attempts == Some(5) && matches!(nested.backoff, Some(BackoffStrategy::Exponential(200))));
    let flat = with_options(&json!({"attempts": 2, "backoff": {"type": "fixed", "delay": 9}})).options;
    assert!(flat.attempts == Some(2) && matches!(flat.backoff, Some(BackoffStrategy::Fixed(9))));
    assert_eq!(with_options(&json!({"attempts": 0})).options.attempts, Some(1));
}

#[test]
fn a_time_to_run_at_becomes_a_delay_and_a_past_one_none() {
    let at = |time: Value| order(json!({"type": "t", "payload": {}, "runAt": time})).expect("legal").options.delay;
    let soon = clock::iso(clock::now() + Duration::from_secs(5));
    assert!(at(json!(soon)).is_some_and(|delay| (4_000..=5_000).contains(&delay)));
    let options = order(json!({"type": "t", "payload": {}, "runAt": "2126-12-01T01:18:18.123+02:00"}));
    let options = options.expect_err("more than ten years");
    assert!(matches!(options, Refusal::Invalid(details) if details[0].field == "delay"));
    for moment in [clock::milliseconds(clock::now()) + 60_000, clock::milliseconds(clock::now()) + 61_357] {
        let options = order(json!({"type": "t", "payload": {}, "runAt": clock::iso(clock::at(moment))}));
        let options = options.expect("legal").options;
        // Not a millisecond early: BullMQ adds the delay to this time.
        assert_eq!(options.timestamp.zip(options.delay).map(|(time, delay)| time + delay), Some(moment));
    }
    assert_eq!(at(json!("2001-01-01T00:00:00.000Z")), Some(0));
    assert_eq!(at(json!(1_000)), Some(0));
}

#[test]
fn whatever_cannot_be_used_is_named() {
    assert_eq!(refused_fields(json!({})), ["type", "payload"]);
    assert_eq!(refused_fields(json!([])), ["payload", "type", "payload"]);
    for (options, field) in [
        (json!({"priority": "soonish"}), "options.priority"),
        (json!({"priority": -5}), "options.priority"),
        (json!({"delay": -1}), "options.delay"),
        (json!({"delay": 1e15}), "delay"),
        (json!({"attempts": 5000}), "options.attempts"),
        (json!({"backoff": "sometimes"}), "options.backoff"),
        (json!({"retry": {"delay": "x"}}), "options.retry.delay"),
        (json!({"jobId": "17"}), "options.jobId"),
        (json!({"jobId": "a:b"}), "options.jobId"),
        (json!({"jobId": "meta"}), "options.jobId"),
        (json!({"queue": "a:b"}), "queue"),
        (json!({"removeOnComplete": {"days": 1}}), "options.removeOnComplete"),
        (json!({"repeat": {"every": 1}}), "options.repeat.every"),
        (json!({"repeat": {}}), "options.repeat.pattern"),
        (json!("text"), "options"),
    ] {
        assert_eq!(refused_fields(json!({"type": "t", "payload": 1, "options": options})), [field], "{options}");
    }
    for time in ["tomorrow", "2027-01-01T00:00:00", "2027-01-01"] {
        assert_eq!(refused_fields(json!({"type": "t", "payload": 1, "runAt": time})), ["runAt"]);
    }
    assert_eq!(refused_fields(json!({"type": "t", "payload": "x".repeat(1000)})), ["payload"]);
    assert_eq!(refused_fields(json!({"type": "t", "payload": 1, "tags": ["x".repeat(20_000)]})), ["tags"]);
    assert_eq!(refused_fields(json!({"type": "a\nb", "payload": 1})), ["type"]);
}

#[test]
fn a_schedule_that_never_comes_says_why() {
    for body in [
        json!({"type": "t", "payload": {}, "schedule": "invalid-cron"}),
        json!({"type": "t", "payload": {}, "options": {"repeat": {"pattern": "* * *"}}}),
        json!({"type": "t", "payload": {}, "schedule": "* * * * *", "timezone": "Mars/Olympus"}),
        json!({"type": "t", "payload": {}, "options": {"repeat": {"every": 1000, "endDate": "2001-01-01T00:00:00Z"}}}),
        ends_in(&json!({"pattern": "0 0 1 1 *"}), 3_000),
        ends_in(&json!({"pattern": "0 0 0 29 2 *"}), 3_000),
        ends_in(&json!({"every": 1000, "startDate": clock::milliseconds(clock::now()) + 60_000}), 30_000),
    ] {
        assert!(matches!(order(body), Err(Refusal::Schedule(why)) if !why.is_empty()));
    }
}

/// A repeating job that ends so many milliseconds from now.
fn ends_in(repeat: &Value, milliseconds: u64) -> Value {
    let mut repeat = repeat.clone();
    repeat["endDate"] = json!(clock::milliseconds(clock::now()) + milliseconds);
    json!({"type": "t", "payload": {}, "options": {"repeat": repeat}})
}

#[test]
fn a_schedule_that_runs_before_its_end_is_taken() {
    for body in [ends_in(&json!({"every": 1000}), 3_000), ends_in(&json!({"pattern": "* * * * * *"}), 3_000)] {
        assert!(order(body).is_ok());
    }
}

#[test]
fn both_spellings_of_schedules_are_read() {
    let flat = order(json!({"type": "t", "payload": {}, "schedule": "0 9 * * *", "timezone": "Asia/Tokyo"}));
    let nested = with_options(&json!({"repeat": {"pattern": "0 9 * * *", "tz": "Asia/Tokyo"}}));
    assert_eq!(flat.expect("legal").repetition, nested.repetition);
    let every = with_options(&json!({"repeat": {"every": 500, "limit": 2}})).repetition.expect("a repetition");
    assert_eq!((every.every, every.limit), (Some(500), Some(2)));
}
