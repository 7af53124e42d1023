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
    /// What was stored and could not be read. It may hold opt-outs: nothing counts as wanted that was not switched on
    /// since.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
}

/// What is off for users who said nothing about it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Defaults {
    channels: Vec<Channel>,
    categories: Vec<String>,
}

impl Defaults {
    /// Reads names of channels and categories.
    pub(crate) fn off(names: &[String]) -> Self {
        let mut defaults = Self::default();
        for name in names {
            match Channel::parse(name) {
                Some(channel) => defaults.channels.push(channel),
                None => defaults.categories.push(name.clone()),
            }
        }
        defaults
    }

    /// Whether a category is off. In-app messages disturb nobody: no category is off there.
    fn category_is_off(&self, channel: Channel, category: &str) -> bool {
        channel != Channel::InApp && self.categories.iter().any(|off| off.eq_ignore_ascii_case(category))
    }
}

/// What a user wants of one category on one channel, in the words of `/api/preferences`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rule {
    #[serde(default)]
    pub(crate) id: String,
    pub(crate) channel: String,
    pub(crate) category: String,
    pub(crate) enabled: bool,
    pub(crate) frequency: String,
    #[serde(default)]
    pub(crate) metadata: Value,
    #[serde(default)]
    pub(crate) created_at: i64,
    #[serde(default)]
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
    /// Reads what is stored. Of what cannot be read as a whole, the readable rules and switches hold.
    pub(crate) fn from_json(text: &str) -> Self {
        let mut stored: Value = serde_json::from_str(text).unwrap_or_default();
        // A list would be taken for the fields in their order.
        if let Some(preferences) = stored.is_object().then(|| serde_json::from_value(stored.clone()).ok()).flatten() {
            return preferences;
        }
        let document = match stored.get_mut("document").map(Value::take) {
            Some(Value::Object(document)) => document,
            _ => Map::new(),
        };
        let rules = match stored.get_mut("rules").map(Value::take) {
            Some(Value::Array(rules)) => {
                rules.into_iter().filter_map(|rule| serde_json::from_value(rule).ok()).collect()
            }
            _ => Vec::new(),
        };
        Self { document, rules, unreadable: Some(text.to_owned()) }
    }

    /// Whether something that was stored could not be read.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.unreadable.is_some()
    }

    pub(crate) fn to_json(&self) -> String {
        json!(self).to_string()
    }

    /// Whether, and when, a delivery may go out that would leave at this time. `quiet_hours` is the operator's switch.
    pub(crate) fn judge(&self, subject: Subject<'_>, defaults: &Defaults, at: i64, quiet_hours: bool) -> Verdict {
        if let Some(why) = self.refusal(subject, defaults) {
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

    fn refusal(&self, subject: Subject<'_>, defaults: &Defaults) -> Option<String> {
        let channel = subject.channel.as_str();
        if let Some(rule) = self.rule(channel, subject.category) {
            let is_on = rule.enabled && rule.frequency != "disabled";
            return (!is_on).then(|| format!("the user has switched off {channel} for `{}`", rule.category));
        }
        // Switches in general do not hold back what the user has asked for.
        if subject.category == TRANSACTIONAL {
            return None;
        }
        let find =
            |field: &str, name: &str| self.document.get(field)?.get(name).and_then(|entry| switch(entry, channel));
        let category = find("categories", subject.category);
        for (name, switch) in [(subject.category, category), (subject.kind, find("types", subject.kind))] {
            if switch == Some(false) {
                return Some(format!("the user has switched off {channel} for `{name}`"));
            }
        }
        let wants_channel = find("channels", channel);
        let wants_category = category == Some(true);
        if wants_channel == Some(false) {
            return Some(format!("the user has switched off {channel}"));
        }
        if defaults.category_is_off(subject.channel, subject.category) && !wants_category {
            return Some(format!("messages of category `{}` are off unless the user wants them", subject.category));
        }
        let is_wanted = wants_category || wants_channel == Some(true);
        if defaults.channels.contains(&subject.channel) && !is_wanted {
            return Some(format!("{channel} is off unless the user wants it"));
        }
        let is_unknown = self.is_unreadable() && !is_wanted;
        is_unknown.then(|| "the user's preferences cannot be read".to_owned())
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
mod tests;
