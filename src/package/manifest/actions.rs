//! What users ask a plugin to do by name (`nself plugin jobs stats`): calls of its own HTTP interface, a program in its
//! container, or a text. Owns the shapes in the manifest.

use serde_json::Value;

use super::fields::{Fields, wrong};
use super::{ManifestError, values};
use crate::name::shown;

/// The most actions of one plugin, and the most arguments of one action.
const MOST_ACTIONS: usize = 200;
const MOST_ARGUMENTS: usize = 32;

/// One action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The words that ask for it, such as `stats` or `schedule create`.
    pub words: Vec<String>,
    pub description: String,
    pub arguments: Vec<Argument>,
    pub kind: ActionKind,
}

/// How it is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionKind {
    /// A call of the plugin's main port.
    Call(Call),
    /// The description says all there is.
    Text,
    /// A manifest of the first generation names no more than the word: the package's program takes it, where it has one.
    Program,
}

/// One call, or one for each item of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub method: String,
    /// Path and query with `{argument}`s; a query parameter whose argument is missing is left out.
    pub path: String,
    /// The body with `{argument}`s as whole values; a field whose argument is missing is left out.
    pub body: Option<Value>,
    pub each: Option<Each>,
}

/// The list whose items the call is made for, one after the other; `{item}` is the item's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Each {
    pub path: String,
    /// The field that holds the list, and in each item its key.
    pub list: String,
    pub key: String,
}

/// One argument: behind the words in their order, or behind a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    pub name: String,
    /// `--queue`, `-q`; without any it is positional.
    pub flags: Vec<String>,
    pub required: bool,
    pub default: Option<String>,
    /// A flag without a value.
    pub is_switch: bool,
    /// It is accepted and changes nothing.
    pub is_ignored: bool,
}

/// Every action of a manifest: a list of ours, or an object of names and texts.
pub(super) fn actions(top: &Fields<'_>) -> Result<Vec<Action>, ManifestError> {
    match top.get("actions") {
        None => Ok(Vec::new()),
        Some(Value::Object(_)) => {
            let fields = top.object("actions", "actions")?;
            let named = fields.all().filter_map(|(name, text)| {
                let words: Vec<String> = name.split_whitespace().map(str::to_owned).collect();
                let description = text.as_str().unwrap_or_default().to_owned();
                (!words.is_empty()).then_some(Action {
                    words,
                    description,
                    arguments: Vec::new(),
                    kind: ActionKind::Program,
                })
            });
            Ok(named.take(MOST_ACTIONS).collect())
        }
        Some(Value::Array(list)) if list.len() <= MOST_ACTIONS => {
            list.iter().enumerate().map(|(number, value)| action(value, &format!("actions[{number}]"))).collect()
        }
        Some(_) => Err(top.wrong("actions", "must be an object, or a list of at most 200")),
    }
}

fn action(value: &Value, place: &str) -> Result<Action, ManifestError> {
    let fields = Fields::of(value, place)?;
    let name = fields.text("name")?.ok_or_else(|| fields.wrong("name", "is missing"))?;
    let words: Vec<String> = name.split_whitespace().map(str::to_owned).collect();
    let is_word = |word: &String| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if words.is_empty() || !words.iter().all(is_word) || name.starts_with('-') {
        return Err(
            fields.wrong("name", format!("is `{}`, but must be words of letters, digits and hyphens", shown(name)))
        );
    }
    let arguments = fields.list("arguments")?;
    if arguments.len() > MOST_ARGUMENTS {
        return Err(fields.wrong("arguments", "lists more than 32"));
    }
    Ok(Action {
        words,
        description: fields.text("description")?.unwrap_or_default().to_owned(),
        arguments: arguments.iter().map(|value| argument(value, place)).collect::<Result<_, _>>()?,
        kind: call(&fields)?.map_or(ActionKind::Text, ActionKind::Call),
    })
}

fn call(fields: &Fields<'_>) -> Result<Option<Call>, ManifestError> {
    let Some(request) = fields.text("request")? else { return Ok(None) };
    let (method, path) = request.split_once(' ').unwrap_or(("", ""));
    if !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method) {
        return Err(fields.wrong("request", "must begin with GET, POST, PUT, PATCH or DELETE"));
    }
    let path = checked_path(fields, "request", path)?;
    let place = fields.place("each");
    let each = match fields.get("each") {
        None => None,
        Some(value) => {
            let each = Fields::of(value, &place)?;
            let text = |key: &str| each.text(key)?.map(str::to_owned).ok_or_else(|| each.wrong(key, "is missing"));
            Some(Each { path: checked_path(&each, "path", &text("path")?)?, list: text("list")?, key: text("key")? })
        }
    };
    Ok(Some(Call { method: method.to_owned(), path, body: fields.get("body").cloned(), each }))
}

/// A path on the plugin's own address.
fn checked_path(fields: &Fields<'_>, key: &str, path: &str) -> Result<String, ManifestError> {
    values::health_path(path).map_err(|problem| fields.wrong(key, problem))
}

fn argument(value: &Value, place: &str) -> Result<Argument, ManifestError> {
    let place = format!("{place}.arguments");
    let fields = Fields::of(value, &place)?;
    let name = fields.text("name")?.ok_or_else(|| fields.wrong("name", "is missing"))?;
    let flags = fields.texts("flags")?;
    if flags.iter().any(|flag| !flag.starts_with('-')) {
        return Err(wrong(&place, "has a flag that does not begin with `-`"));
    }
    Ok(Argument {
        name: name.to_owned(),
        flags,
        required: fields.flag("required")?.unwrap_or(false),
        default: fields.text("default")?.map(str::to_owned),
        is_switch: fields.flag("switch")?.unwrap_or(false),
        is_ignored: fields.flag("ignored")?.unwrap_or(false),
    })
}
