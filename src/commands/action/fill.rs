//! From words to an action and its arguments. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::Error;
use crate::name::shown;
use crate::package::manifest::{Action, Argument};

/// The arguments of an action by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) values: BTreeMap<String, String>,
    /// A line for each flag that has no effect.
    pub(super) notes: Vec<String>,
}

/// The action that words ask for: the one with the most words of its own whose arguments fit, of equals the first.
pub(super) fn find<'a>(actions: &'a [Action], words: &[String]) -> Result<Option<(&'a Action, Filled)>, Error> {
    let mut candidates: Vec<&Action> = actions.iter().filter(|action| words.starts_with(&action.words)).collect();
    candidates.sort_by_key(|action| std::cmp::Reverse(action.words.len()));
    let mut first_problem = None;
    let longest = candidates.first().map_or(0, |action| action.words.len());
    for action in candidates.into_iter().filter(|action| action.words.len() == longest) {
        match fill(action, &words[longest..]) {
            Ok(filled) => return Ok(Some((action, filled))),
            // The last variant is the most general one, and so says best what is missing.
            Err(problem) => first_problem = Some((action, problem)),
        }
    }
    match first_problem {
        Some((action, problem)) => Err(Error::Usage {
            message: format!("could not run `{}`: {problem}", action.words.join(" ")),
            hint: Some(format!("its arguments are: {}", usage(action))),
        }),
        None => Ok(None),
    }
}

fn fill(action: &Action, words: &[String]) -> Result<Filled, String> {
    let mut filled = Filled::default();
    let mut positional = action.arguments.iter().filter(|argument| argument.flags.is_empty());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        let flag = action.arguments.iter().find(|argument| argument.flags.iter().any(|flag| flag == name));
        let (argument, value) = match flag {
            Some(argument) if argument.is_switch => (argument, "true".to_owned()),
            Some(argument) => {
                let value = attached.or_else(|| words.next().cloned());
                (argument, value.ok_or_else(|| format!("{name} needs a value"))?)
            }
            None if is_flag(word) => return Err(format!("it has no flag `{}`", shown(word))),
            None => {
                let argument = positional.next().ok_or_else(|| format!("`{}` is one word too many", shown(word)))?;
                (argument, word.clone())
            }
        };
        if argument.is_ignored {
            filled.notes.push(format!("{name} has no effect here"));
        } else {
            filled.values.insert(argument.name.clone(), value);
        }
    }
    for argument in &action.arguments {
        if filled.values.contains_key(&argument.name) {
            continue;
        }
        match &argument.default {
            Some(default) => {
                filled.values.insert(argument.name.clone(), default.clone());
            }
            None if argument.required => return Err(format!("{} is missing", spelled(argument))),
            None => {}
        }
    }
    Ok(filled)
}

/// A negative number is a value.
fn is_flag(word: &str) -> bool {
    word.starts_with('-') && word.len() > 1 && word.parse::<f64>().is_err()
}

fn spelled(argument: &Argument) -> String {
    let name = argument.name.to_ascii_uppercase();
    match argument.flags.first() {
        Some(flag) if argument.is_switch => flag.clone(),
        Some(flag) => format!("{flag} {name}"),
        None => name,
    }
}

/// How an action is typed.
pub(super) fn usage(action: &Action) -> String {
    let arguments = action.arguments.iter().filter(|argument| !argument.is_ignored).map(|argument| {
        let spelled = spelled(argument);
        if argument.required { spelled } else { format!("[{spelled}]") }
    });
    action.words.iter().cloned().chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Puts arguments into a path; query parameters whose argument is missing are left out.
pub(super) fn path(template: &str, values: &BTreeMap<String, String>) -> String {
    let (path, query) = template.split_once('?').map_or((template, None), |(path, query)| (path, Some(query)));
    let mut filled = path.split('/').map(|part| put_in(part, values).unwrap_or_default()).collect::<Vec<_>>().join("/");
    let pairs: Vec<String> =
        query.into_iter().flat_map(|query| query.split('&')).filter_map(|pair| put_in(pair, values)).collect();
    if !pairs.is_empty() {
        filled = format!("{filled}?{}", pairs.join("&"));
    }
    filled
}

/// `None` where an argument is missing.
fn put_in(part: &str, values: &BTreeMap<String, String>) -> Option<String> {
    let mut filled = String::new();
    let mut rest = part;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        filled.push_str(before);
        filled.push_str(&escaped(values.get(name)?));
        rest = after;
    }
    filled.push_str(rest);
    Some(filled)
}

/// A value as one part of a path or query.
fn escaped(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~".contains(&byte);
    value.bytes().fold(String::new(), |mut text, byte| {
        use std::fmt::Write;
        if is_plain(byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// Puts arguments into a body: a text `{name}` becomes the value, `{name:json}` what it holds as JSON. `None` where the
/// argument is missing.
pub(super) fn body(template: &Value, values: &BTreeMap<String, String>) -> Result<Option<Value>, String> {
    match template {
        Value::String(text) => {
            let Some(name) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
                return Ok(Some(template.clone()));
            };
            let (name, is_json) = name.strip_suffix(":json").map_or((name, false), |name| (name, true));
            let Some(value) = values.get(name) else { return Ok(None) };
            if !is_json {
                return Ok(Some(value.as_str().into()));
            }
            serde_json::from_str(value).map(Some).map_err(|error| format!("{name} is not JSON: {error}"))
        }
        Value::Object(fields) => {
            let mut filled = Map::new();
            for (key, value) in fields {
                if let Some(value) = body(value, values)? {
                    filled.insert(key.clone(), value);
                }
            }
            Ok(Some(Value::Object(filled)))
        }
        Value::Array(list) => {
            let filled = list.iter().map(|value| body(value, values)).collect::<Result<Vec<_>, _>>()?;
            Ok(Some(filled.into_iter().flatten().collect()))
        }
        other => Ok(Some(other.clone())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::package::manifest::Manifest;

    fn manifest() -> Manifest {
        let text = json!({ "manifest_version": 2, "name": "jobs", "version": "1.0.0", "actions": [
            { "name": "stats", "request": "GET /queues/{queue}/stats",
              "arguments": [{ "name": "queue", "flags": ["--queue", "-q"], "required": true }] },
            { "name": "stats", "request": "GET /stats?days={days}",
              "arguments": [{ "name": "days" }, { "name": "watch", "flags": ["--watch"], "switch": true, "ignored": true }] },
            { "name": "schedule create", "request": "POST /scheduled", "body": { "name": "{name}", "payload": "{payload:json}" },
              "arguments": [{ "name": "name", "flags": ["--name"], "required": true }, { "name": "payload", "flags": ["-p"] }] },
        ] });
        Manifest::read(text.to_string().as_bytes()).unwrap()
    }

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn arguments_choose_between_variants() {
        let manifest = manifest();
        let request = |line: &str| {
            let (action, filled) = find(&manifest.actions, &words(line)).unwrap().unwrap();
            let crate::package::manifest::ActionKind::Call(call) = &action.kind else { panic!() };
            path(&call.path, &filled.values)
        };
        assert_eq!(request("stats"), "/stats");
        assert_eq!(request("stats 7"), "/stats?days=7");
        assert_eq!(request("stats -q a/../b"), "/queues/a%2F%2E%2E%2Fb/stats");
        assert_eq!(request("stats --queue=x"), "/queues/x/stats");
        assert!(find(&manifest.actions, &words("nothing")).unwrap().is_none());
        for bad in ["stats 1 2", "stats --other", "schedule create", "schedule create --name"] {
            assert!(find(&manifest.actions, &words(bad)).is_err(), "{bad}");
        }
        let (_, filled) = find(&manifest.actions, &words("stats --watch")).unwrap().unwrap();
        assert_eq!(filled.notes.len(), 1);
    }

    /// What the documents of the older tools type after `nself plugin`.
    const DOCUMENTED: &str = "\
jobs stats|jobs stats --watch|jobs stats -w|jobs stats --performance|jobs stats -p|jobs stats --time 48|jobs stats -q default
jobs stats --queue default|jobs worker|jobs worker high-priority|jobs worker default --concurrency 10|jobs server|jobs init
jobs retry|jobs retry --show|jobs retry -s|jobs retry --id 12|jobs retry --queue default --limit 20|jobs retry -t send-email
jobs schedule|jobs schedule list|jobs schedule show daily|jobs schedule enable daily|jobs schedule disable daily
jobs schedule delete daily|jobs schedule create --name n --type t --cron c --payload {} --desc d
notifications stats|notifications stats overview|notifications stats delivery 30|notifications stats engagement 7
notifications stats failures 50|notifications stats providers|notifications stats templates 20|notifications stats hourly 24
notifications stats export json stats.json|notifications template|notifications template list|notifications template show w
notifications template create w --text x|notifications template update w --text x|notifications template delete w
notifications test|notifications test email a@example.org|notifications test template w a@example.org
notifications test providers|notifications worker --concurrency 5|notifications server --port 3102|notifications init
file-processing stats|file-processing process f path/x.jpg|file-processing cleanup 45|file-processing cleanup --days 30
file-processing worker|file-processing server --port 3104|file-processing init
realtime status|realtime stats|realtime rooms|realtime rooms create general channel public|realtime connections
realtime rooms add-member general u member|realtime events -n 50|realtime server|realtime server start|realtime server logs 100
realtime init";

    #[test]
    fn core_plugins_know_every_documented_action() {
        let mut count = 0;
        for line in DOCUMENTED.split(['|', '\n']) {
            let (plugin, rest) = line.split_once(' ').unwrap();
            let path =
                std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins").join(plugin).join("plugin.json");
            let manifest = Manifest::read(&std::fs::read(path).unwrap()).unwrap();
            let found = find(&manifest.actions, &words(rest)).unwrap_or_else(|error| panic!("{line}: {error}"));
            let (action, filled) = found.unwrap_or_else(|| panic!("{line}"));
            if let crate::package::manifest::ActionKind::Call(call) = &action.kind {
                let template = call.body.clone().unwrap_or_default();
                body(&template, &filled.values).unwrap_or_else(|error| panic!("{line}: {error}"));
                assert!(!path_of(call, &filled).contains('{'), "{line}");
            }
            count += 1;
        }
        assert!(count > 60);
    }

    fn path_of(call: &crate::package::manifest::Call, filled: &Filled) -> String {
        path(&call.path, &filled.values)
    }

    #[test]
    fn a_body_holds_the_arguments_that_are_given() {
        let template = json!({ "name": "{name}", "payload": "{payload:json}", "on": true });
        let values = BTreeMap::from([("name".to_owned(), "n".to_owned())]);
        assert_eq!(body(&template, &values).unwrap(), Some(json!({ "name": "n", "on": true })));
        let values = BTreeMap::from([("payload".to_owned(), "{\"a\":1}".to_owned())]);
        assert_eq!(body(&template, &values).unwrap(), Some(json!({ "payload": { "a": 1 }, "on": true })));
        assert!(body(&template, &BTreeMap::from([("payload".to_owned(), "{".to_owned())])).is_err());
    }
}
