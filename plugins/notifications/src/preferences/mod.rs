//! What one user wants: a document that partial changes are merged into, rules for a channel and a category, quiet
//! hours, a digest. Pure: reading and storing them is the store's work.

mod quiet;
mod wire;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::channel::{Channel, Priority};

pub(crate) use quiet::Schedule;
pub(crate) use wire::{read_merge, read_rules};

/// The most bytes that one user's preferences may have.
const DOCUMENT_BYTES: usize = 64 * 1024;
/// The most rules of one user.
const MOST_RULES: usize = 200;
/// A rule for every category.
const ANY: &str = "all";
/// The category that its recipient has asked for by doing something, such as a new password.
pub(crate) const TRANSACTIONAL: &str = "transactional";

/// One user's preferences.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Preferences {
    /// What was merged together, in the words of the root routes.
    document: Map<String, Value>,
    rules: Vec<Rule>,
}

/// What a user wants of one category on one channel, in the words of `/api/preferences`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) channel: String,
    pub(crate) category: String,
    pub(crate) enabled: bool,
    pub(crate) frequency: String,
    pub(crate) metadata: Value,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// What is to be delivered, as far as preferences look at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) channel: Channel,
    pub(crate) category: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) priority: Priority,
    pub(crate) ignores_quiet_hours: bool,
}

/// What preferences say to a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Now,
    /// At this time, in milliseconds; with the name of the digest it is gathered for, if any.
    Later(i64, Option<&'static str>),
    Refused(String),
}

impl Preferences {
    /// The document and rules as they are stored.
    pub(crate) fn from_json(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    pub(crate) fn to_json(&self) -> String {
        json!(self).to_string()
    }

    /// Whether, and when, a delivery may go out that would leave at this time. `quiet_hours` is the operator's switch.
    pub(crate) fn judge(&self, subject: Subject<'_>, at: i64, quiet_hours: bool) -> Verdict {
        if let Some(why) = self.refusal(subject) {
            return Verdict::Refused(why);
        }
        // In-app messages disturb nobody; what was asked for by doing something is waited for.
        if subject.channel == Channel::InApp || subject.category == TRANSACTIONAL || subject.priority.is_urgent() {
            return Verdict::Now;
        }
        let schedule = Schedule::read(&self.document);
        let digest = self.digest(subject);
        let after_digest = digest.map_or(at, |frequency| schedule.next_digest(frequency, at));
        let ends = if subject.ignores_quiet_hours || !quiet_hours { None } else { schedule.quiet_until(after_digest) };
        match ends.unwrap_or(after_digest) {
            time if time > at => Verdict::Later(time, digest),
            _ => Verdict::Now,
        }
    }

    fn refusal(&self, subject: Subject<'_>) -> Option<String> {
        let channel = subject.channel.as_str();
        if let Some(rule) = self.rule(channel, subject.category) {
            let is_on = rule.enabled && rule.frequency != "disabled";
            return (!is_on).then(|| format!("the user has switched off {channel} for `{}`", rule.category));
        }
        // Switches in general do not hold back what the user has asked for.
        if subject.category == TRANSACTIONAL {
            return None;
        }
        for (field, name) in [("categories", subject.category), ("types", subject.kind)] {
            if self.document.get(field).and_then(|entries| entries.get(name)).and_then(|entry| switch(entry, channel))
                == Some(false)
            {
                return Some(format!("the user has switched off {channel} for `{name}`"));
            }
        }
        let channels = self.document.get("channels");
        let is_on = channels.and_then(|channels| channels.get(channel)).and_then(|entry| switch(entry, channel));
        (is_on == Some(false)).then(|| format!("the user has switched off {channel}"))
    }

    /// The rule for a channel and a category, or else for the channel and any category; a message that was asked for
    /// is subject to a rule of its own category only.
    fn rule(&self, channel: &str, category: &str) -> Option<&Rule> {
        let find = |category: &str| {
            self.rules.iter().find(|rule| rule.channel == channel && rule.category.eq_ignore_ascii_case(category))
        };
        find(category).or_else(|| if category == TRANSACTIONAL { None } else { find(ANY) })
    }

    fn digest(&self, subject: Subject<'_>) -> Option<&'static str> {
        if let Some(rule) = self.rule(subject.channel.as_str(), subject.category) {
            return frequency(&rule.frequency);
        }
        let digest = self.document.get("digest")?;
        let is_on = digest.get("enabled").and_then(Value::as_bool).unwrap_or(false);
        let wants = subject.channel == Channel::Email && subject.priority.number() >= Priority::NORMAL.number();
        if is_on && wants { frequency(digest.get("frequency")?.as_str()?) } else { None }
    }

    /// Merges a checked partial document.
    pub(crate) fn merge(&mut self, partial: &Map<String, Value>) -> Result<(), String> {
        let mut merged = Value::Object(self.document.clone());
        merge_into(&mut merged, &Value::Object(partial.clone()));
        if merged.to_string().len() > DOCUMENT_BYTES {
            return Err(format!("would grow beyond {DOCUMENT_BYTES} bytes"));
        }
        if let Value::Object(document) = merged {
            self.document = document;
        }
        // The later word holds: a rule must not go on hiding a switch that was set after it.
        let names = |field: &str, name: &str| partial.get(field).is_some_and(|entries| entries.get(name).is_some());
        self.rules.retain(|rule| {
            let is_named = if rule.category == ANY {
                names("channels", &rule.channel)
            } else {
                let entry = partial.get("categories").and_then(|entries| entries.get(&rule.category));
                entry.is_some_and(|entry| switch(entry, &rule.channel).is_some())
            };
            !is_named
        });
        Ok(())
    }

    /// Adds rules, or replaces those of the same channel and category.
    pub(crate) fn set_rules(&mut self, rules: Vec<Rule>) -> Result<(), String> {
        for rule in rules {
            let same = |other: &&mut Rule| other.channel == rule.channel && other.category == rule.category;
            match self.rules.iter_mut().find(same) {
                Some(known) => {
                    *known = Rule { id: known.id.clone(), created_at: known.created_at, ..rule };
                }
                None => self.rules.push(rule),
            }
        }
        if self.rules.len() > MOST_RULES {
            return Err(format!("would be more than {MOST_RULES} rules"));
        }
        Ok(())
    }
}

/// A switch, or an object that holds one for the channel or for all of them.
fn switch(entry: &Value, channel: &str) -> Option<bool> {
    match entry {
        Value::Bool(flag) => Some(*flag),
        Value::Object(fields) => {
            let own = fields.get(channel).or_else(|| fields.get(&channel.replace('-', "_")));
            own.or_else(|| fields.get("enabled")).and_then(Value::as_bool)
        }
        _ => None,
    }
}

fn frequency(word: &str) -> Option<&'static str> {
    ["hourly", "daily", "weekly"].into_iter().find(|known| *known == word)
}

fn merge_into(target: &mut Value, partial: &Value) {
    match (target, partial) {
        (Value::Object(target), Value::Object(partial)) => {
            for (key, value) in partial {
                merge_into(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (target, value) => *target = value.clone(),
    }
}

#[cfg(test)]
mod tests {
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
        matches!(preferences.judge(subject(channel, category), 0, true), Verdict::Refused(_))
    }

    #[test]
    fn everything_is_wanted_until_the_user_says_otherwise() {
        for channel in Channel::ALL {
            assert_eq!(Preferences::default().judge(subject(channel, "marketing"), 0, true), Verdict::Now);
        }
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
        let verdict = preferences.judge(subject(Channel::Email, "system"), hour + 5, true);
        assert_eq!(verdict, Verdict::Later(2 * hour, Some("hourly")));
        let urgent = Subject { priority: Priority::from_number(1), ..subject(Channel::Email, "system") };
        assert_eq!(preferences.judge(urgent, hour + 5, true), Verdict::Now);
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
}
