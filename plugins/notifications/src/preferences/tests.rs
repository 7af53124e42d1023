//! What preferences say to deliveries.

use super::*;

fn with(document: Value) -> Preferences {
    let mut preferences = Preferences::default();
    let Value::Object(document) = document else { panic!("an object") };
    preferences.merge(&document).expect("small");
    preferences
}

fn rule(channel: &str, category: &str, enabled: bool, frequency: &str) -> Rule {
    Rule {
        id: "r".to_owned(),
        channel: channel.to_owned(),
        category: category.to_owned(),
        enabled,
        frequency: frequency.to_owned(),
        metadata: json!({}),
        created_at: 0,
        updated_at: 0,
    }
}

fn subject(channel: Channel, category: &str) -> Subject<'_> {
    Subject { channel, category, kind: "mention", priority: Priority::NORMAL, ignores_quiet_hours: false }
}

fn is_refused(preferences: &Preferences, channel: Channel, category: &str) -> bool {
    matches!(preferences.judge(subject(channel, category), &Defaults::default(), 0, true), Verdict::Refused(_))
}

#[test]
fn everything_is_wanted_until_the_user_says_otherwise() {
    for channel in Channel::ALL {
        let verdict = Preferences::default().judge(subject(channel, "marketing"), &Defaults::default(), 0, true);
        assert_eq!(verdict, Verdict::Now);
    }
}

#[test]
fn what_is_off_by_default_goes_out_once_it_is_wanted() {
    let defaults = Defaults::off(&["sms".to_owned(), "marketing".to_owned()]);
    let is_refused = |preferences: &Preferences, channel, category| {
        matches!(preferences.judge(subject(channel, category), &defaults, 0, true), Verdict::Refused(_))
    };
    let silent = Preferences::default();
    assert!(is_refused(&silent, Channel::Sms, "system") && is_refused(&silent, Channel::Email, "marketing"));
    for (channel, category) in
        [(Channel::Sms, TRANSACTIONAL), (Channel::InApp, "marketing"), (Channel::Email, "system"), (Channel::Push, "x")]
    {
        assert!(!is_refused(&silent, channel, category), "{channel} {category}");
    }
    let asked = with(json!({"channels": {"sms": true, "email": true}, "categories": {"marketing": {"push": true}}}));
    assert!(!is_refused(&asked, Channel::Sms, "system") && !is_refused(&asked, Channel::Push, "marketing"));
    assert!(is_refused(&asked, Channel::Email, "marketing") && is_refused(&asked, Channel::Sms, "marketing"));
    let mut ruled = Preferences::default();
    ruled.set_rules(vec![rule("sms", "all", true, "immediate")]).expect("few");
    assert!(!is_refused(&ruled, Channel::Sms, "system"));
}

#[test]
fn preferences_that_cannot_be_read_keep_their_opt_outs() {
    let stored = json!({"document": {"channels": {"push": false}, "categories": {"news": {"email": true}}},
        "rules": [{"channel": "email", "category": "alert", "enabled": false, "frequency": "immediate"}, {"channel": 7}]});
    for text in ["{", "[]", "null", &stored.to_string(), "{\"document\": 7}", ""] {
        let mut preferences = Preferences::from_json(text);
        assert!(preferences.is_unreadable(), "{text}");
        for channel in [Channel::Email, Channel::Sms, Channel::Push] {
            assert!(is_refused(&preferences, channel, "system"), "{channel} with {text}");
            assert!(!is_refused(&preferences, channel, TRANSACTIONAL), "{channel} with {text}");
        }
        // A later word holds, and nothing is forgotten when it is stored.
        let Value::Object(on) = json!({"channels": {"email": true}}) else { panic!() };
        preferences.merge(&on).expect("small");
        let again = Preferences::from_json(&preferences.to_json());
        assert!(!is_refused(&again, Channel::Email, "system") && is_refused(&again, Channel::Sms, "system"), "{text}");
    }
    let partly = Preferences::from_json(&stored.to_string());
    assert!(!is_refused(&partly, Channel::Email, "news") && is_refused(&partly, Channel::Email, "alert"));
    assert!(!Preferences::from_json("{}").is_unreadable());
}

#[test]
fn a_switch_holds_for_a_channel_a_category_or_a_type() {
    let preferences = with(json!({
        "channels": {"sms": false}, "categories": {"marketing": {"email": false}, "news": false},
        "types": {"mention": {"push": false}},
    }));
    assert!(is_refused(&preferences, Channel::Sms, "system"));
    assert!(is_refused(&preferences, Channel::Email, "marketing"));
    assert!(!is_refused(&preferences, Channel::InApp, "marketing"));
    assert!(is_refused(&preferences, Channel::InApp, "news"));
    assert!(is_refused(&preferences, Channel::Push, "system"));
    assert!(!is_refused(&preferences, Channel::Email, "system"));
}

#[test]
fn what_was_asked_for_passes_all_but_a_rule_of_its_own() {
    let mut preferences = with(json!({"channels": {"email": false}, "types": {"mention": false}}));
    assert!(!is_refused(&preferences, Channel::Email, TRANSACTIONAL));
    preferences.set_rules(vec![rule("email", "all", false, "immediate")]).expect("few");
    assert!(!is_refused(&preferences, Channel::Email, TRANSACTIONAL));
    preferences.set_rules(vec![rule("email", TRANSACTIONAL, true, "disabled")]).expect("few");
    assert!(is_refused(&preferences, Channel::Email, TRANSACTIONAL));
}

#[test]
fn a_rule_wins_over_switches() {
    let mut preferences = with(json!({"channels": {"email": false}}));
    preferences.set_rules(vec![rule("email", "alert", true, "immediate")]).expect("few");
    assert!(!is_refused(&preferences, Channel::Email, "alert"));
    assert!(is_refused(&preferences, Channel::Email, "system"));
    preferences.set_rules(vec![rule("email", "alert", false, "immediate")]).expect("few");
    assert!(is_refused(&preferences, Channel::Email, "alert"));
    assert_eq!(preferences.rules.len(), 1);
}

#[test]
fn a_switch_that_is_set_later_replaces_the_rule() {
    let mut preferences = Preferences::default();
    preferences.set_rules(vec![rule("email", "all", true, "immediate")]).expect("few");
    preferences.set_rules(vec![rule("email", "news", true, "immediate")]).expect("few");
    let Value::Object(off) = json!({"channels": {"email": false}, "categories": {"news": {"email": false}}}) else {
        panic!()
    };
    preferences.merge(&off).expect("small");
    assert!(is_refused(&preferences, Channel::Email, "system") && is_refused(&preferences, Channel::Email, "news"));
}

#[test]
fn a_digest_waits_for_its_time_and_urgent_messages_do_not() {
    let mut preferences = Preferences::default();
    preferences.set_rules(vec![rule("email", "system", true, "hourly")]).expect("few");
    let hour = 3_600_000;
    let verdict = preferences.judge(subject(Channel::Email, "system"), &Defaults::default(), hour + 5, true);
    assert_eq!(verdict, Verdict::Later(2 * hour, Some("hourly")));
    let urgent = Subject { priority: Priority::from_number(1), ..subject(Channel::Email, "system") };
    assert_eq!(preferences.judge(urgent, &Defaults::default(), hour + 5, true), Verdict::Now);
}

#[test]
fn partial_changes_keep_what_they_do_not_name() {
    let mut preferences = with(json!({"channels": {"email": false, "push": true}, "theme": "dark"}));
    let Value::Object(partial) = json!({"channels": {"push": false}}) else { panic!() };
    preferences.merge(&partial).expect("small");
    assert_eq!(preferences.document["channels"], json!({"email": false, "push": false}));
    assert_eq!(preferences.document["theme"], "dark");
    let Value::Object(huge) = json!({"note": "x".repeat(DOCUMENT_BYTES)}) else { panic!() };
    assert!(preferences.merge(&huge).is_err());
    assert!(!preferences.document.contains_key("note"));
}
