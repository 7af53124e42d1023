//! How preferences look from outside, in the words of either dialect, and how changes are read and checked.

use kit::{FieldError, Fields};
use serde_json::{Map, Value, json};

use super::quiet::{parse_time, parse_zone};
use super::{ANY, Defaults, Preferences, Rule};
use crate::channel::Channel;
use crate::time::{iso, now};

/// Words that a frequency may be.
const FREQUENCIES: [&str; 5] = ["immediate", "hourly", "daily", "weekly", "disabled"];
/// The most rules in one request.
const MOST_AT_ONCE: usize = 100;

impl Preferences {
    /// In the words of the root routes, defaults filled in.
    pub(crate) fn to_document(&self, user_id: &str, defaults: &Defaults) -> Value {
        let mut document = json!({
            "userId": user_id,
            "channels": {"email": true, "push": true, "sms": true, "in-app": true},
            "types": {},
            "categories": {},
            "digest": {"enabled": false, "frequency": "daily", "time": "09:00"},
            "quiet_hours": {"enabled": false, "start": "22:00", "end": "08:00", "timezone": "UTC"},
        });
        for channel in &defaults.channels {
            document["channels"][channel.as_str()] = json!(false);
        }
        for category in &defaults.categories {
            document["categories"][category] = json!({"email": false, "push": false, "sms": false});
        }
        for rule in &self.rules {
            let is_on = rule.enabled && rule.frequency != "disabled";
            if rule.category == ANY {
                document["channels"][&rule.channel] = json!(is_on);
            } else {
                if !document["categories"][&rule.category].is_object() {
                    document["categories"][&rule.category] = json!({});
                }
                document["categories"][&rule.category][&rule.channel] = json!(is_on);
            }
        }
        super::merge_into(&mut document, &Value::Object(self.document.clone()));
        document["quietHours"] = document["quiet_hours"].clone();
        document
    }

    /// In the words of `/api/preferences`: a row for each rule.
    pub(crate) fn to_rows(&self, user_id: &str) -> Vec<Value> {
        let quiet_hours = self.document.get("quiet_hours");
        let row = |rule: &Rule| {
            json!({
                "id": rule.id,
                "user_id": user_id,
                "channel": rule.channel,
                "category": rule.category,
                "enabled": rule.enabled,
                "frequency": rule.frequency,
                "quiet_hours": quiet_hours,
                "metadata": rule.metadata,
                "created_at": iso(rule.created_at),
                "updated_at": iso(rule.updated_at),
            })
        };
        self.rules.iter().map(row).collect()
    }
}

/// Reads a partial document of the root routes.
pub(crate) fn read_merge(mut fields: Fields) -> Result<Map<String, Value>, Vec<FieldError>> {
    if let Some(inner) = fields.take("preferences") {
        fields = Fields::new(inner);
    }
    let mut partial = fields.take_all();
    for ours in ["userId", "user_id", "success"] {
        partial.remove(ours);
    }
    if let Some(hours) = partial.remove("quietHours") {
        partial.insert("quiet_hours".to_owned(), hours);
    }
    for field in ["channels", "types", "categories", "digest", "quiet_hours"] {
        match partial.get(field) {
            Some(Value::Null) => drop(partial.remove(field)),
            Some(value) if !value.is_object() => fields.reject(field, "must be an object"),
            _ => {}
        }
    }
    if let Some(Value::Object(channels)) = partial.get_mut("channels") {
        *channels = read_channels(&mut fields, channels);
    }
    if let Some(hours) = partial.get_mut("quiet_hours") {
        check_quiet_hours(&mut fields, hours);
    }
    if let Some(digest) = partial.get("digest") {
        check_digest(&mut fields, digest);
    }
    fields.finish().map(|()| partial)
}

fn read_channels(fields: &mut Fields, given: &Map<String, Value>) -> Map<String, Value> {
    let mut channels = Map::new();
    for (name, value) in given {
        let field = format!("channels.{name}");
        match Channel::parse(name) {
            None => fields.reject(&field, "is no channel; there are email, push, sms, in-app"),
            Some(_) if !value.is_boolean() && !value.is_object() => fields.reject(&field, "must be true or false"),
            Some(channel) => {
                channels.insert(channel.as_str().to_owned(), value.clone());
            }
        }
    }
    channels
}

/// Checks times and zone; hours without a word about being on are on.
fn check_quiet_hours(fields: &mut Fields, hours: &mut Value) {
    for field in ["start", "end"] {
        if let Some(value) = hours.get(field)
            && value.as_str().and_then(parse_time).is_none()
        {
            fields.reject(&format!("quiet_hours.{field}"), "must be a time such as 22:00");
        }
    }
    if let Some(zone) = hours.get("timezone")
        && zone.as_str().and_then(parse_zone).is_none()
    {
        fields.reject("quiet_hours.timezone", "must be an IANA time zone such as Europe/Berlin");
    }
    match hours.get("enabled") {
        Some(flag) if !flag.is_boolean() => fields.reject("quiet_hours.enabled", "must be true or false"),
        None if hours.get("start").is_some() && hours.get("end").is_some() => hours["enabled"] = json!(true),
        _ => {}
    }
}

fn check_digest(fields: &mut Fields, digest: &Value) {
    if let Some(word) = digest.get("frequency")
        && !word.as_str().is_some_and(|word| FREQUENCIES.contains(&word))
    {
        fields.reject("digest.frequency", &format!("must be one of {}", FREQUENCIES.join(", ")));
    }
    if let Some(time) = digest.get("time")
        && time.as_str().and_then(parse_time).is_none()
    {
        fields.reject("digest.time", "must be a time such as 09:00");
    }
    if let Some(flag) = digest.get("enabled")
        && !flag.is_boolean()
    {
        fields.reject("digest.enabled", "must be true or false");
    }
}

/// Rules, and a partial document that comes with them.
pub(crate) type RuleChange = (Vec<Rule>, Map<String, Value>);

/// Reads a change of `/api/preferences`: a list of rules or a single flat one, and quiet hours for all.
pub(crate) fn read_rules(mut fields: Fields) -> Result<RuleChange, Vec<FieldError>> {
    let mut partial = Map::new();
    if let Some(mut hours) = fields.take("quiet_hours") {
        if hours.is_object() {
            check_quiet_hours(&mut fields, &mut hours);
            partial.insert("quiet_hours".to_owned(), hours);
        } else {
            fields.reject("quiet_hours", "must be an object");
        }
    }
    let mut rules = Vec::new();
    if fields.has("preferences") {
        let entries = fields.optional_list("preferences").unwrap_or_default();
        if entries.len() > MOST_AT_ONCE {
            fields.reject("preferences", &format!("must not have more than {MOST_AT_ONCE} entries"));
        }
        for (place, entry) in entries.into_iter().take(MOST_AT_ONCE).enumerate() {
            let mut inner = Fields::new(entry);
            let rule = read_rule(&mut inner);
            match inner.finish() {
                Ok(()) => rules.extend(rule),
                Err(errors) => {
                    for error in errors {
                        fields.reject(&format!("preferences[{place}].{}", error.field), &error.message);
                    }
                }
            }
        }
    } else if fields.has("channel") {
        rules.extend(read_rule(&mut fields));
    } else if partial.is_empty() {
        fields.reject("preferences", "is required");
    }
    fields.finish().map(|()| (rules, partial))
}

fn read_rule(fields: &mut Fields) -> Option<Rule> {
    let name = fields.text("channel");
    let channel = Channel::parse(&name);
    if channel.is_none() && !name.is_empty() {
        fields.reject("channel", "is no channel; there are email, push, sms, in-app");
    }
    let category = fields.optional_text("category").unwrap_or_else(|| ANY.to_owned());
    if category.is_empty() || category.len() > 100 {
        fields.reject("category", "must have 1 to 100 letters");
    }
    let frequency = fields.optional_text("frequency").unwrap_or_else(|| "immediate".to_owned());
    if !FREQUENCIES.contains(&frequency.as_str()) {
        fields.reject("frequency", &format!("must be one of {}", FREQUENCIES.join(", ")));
    }
    let enabled = if fields.has("enabled") { fields.flag("enabled") } else { true };
    let at = now();
    Some(Rule {
        id: uuid::Uuid::new_v4().to_string(),
        channel: channel?.as_str().to_owned(),
        category,
        enabled,
        frequency,
        metadata: fields.take("metadata").unwrap_or_else(|| json!({})),
        created_at: at,
        updated_at: at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(value: Value) -> Vec<String> {
        let errors = read_merge(Fields::new(value)).expect_err("bad");
        errors.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn a_partial_document_is_checked_field_by_field() {
        let bad = json!({
            "channels": {"pigeon": true, "email": "yes"},
            "quietHours": {"start": "25:00", "timezone": "Mars/Olympus"},
            "digest": {"frequency": "often", "time": "noon"},
            "types": 7,
        });
        let mut named = errors(bad);
        named.sort();
        let mut expected = [
            "channels.email",
            "channels.pigeon",
            "digest.frequency",
            "digest.time",
            "quiet_hours.start",
            "quiet_hours.timezone",
            "types",
        ];
        expected.sort_unstable();
        assert_eq!(named, expected);
    }

    #[test]
    fn quiet_hours_are_on_once_they_are_given() {
        let partial =
            read_merge(Fields::new(json!({"quiet_hours": {"start": "22:00", "end": "07:00"}}))).expect("fine");
        assert_eq!(partial["quiet_hours"]["enabled"], true);
    }

    #[test]
    fn both_forms_of_rules_are_read_and_each_bad_one_is_named() {
        let flat = json!({"user_id": "u", "channel": "email", "category": "marketing", "enabled": false});
        let (rules, _) = read_rules(Fields::new(flat)).expect("fine");
        assert_eq!((rules.len(), rules[0].enabled, rules[0].frequency.as_str()), (1, false, "immediate"));
        let list = json!({"preferences": [{"channel": "email"}, {"channel": "fax"}, {"channel": "sms", "frequency": "never"}]});
        let errors = read_rules(Fields::new(list)).expect_err("bad");
        let named: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(named, ["preferences[1].channel", "preferences[2].frequency"]);
        assert!(read_rules(Fields::new(json!({}))).is_err());
    }

    #[test]
    fn rules_show_in_the_other_dialect_too() {
        let (rules, _) =
            read_rules(Fields::new(json!({"channel": "email", "category": "marketing", "enabled": false})))
                .expect("fine");
        let mut preferences = Preferences::default();
        preferences.set_rules(rules).expect("few");
        assert_eq!(preferences.to_document("u", &Defaults::default())["categories"]["marketing"]["email"], false);
        assert_eq!(preferences.to_rows("u")[0]["user_id"], "u");
    }
}
