//! The variables of a manifest: `envVars` of the first generation (a list, or names under `required` and
//! `optional`) and `env` of the second (names or objects under the same two).

use serde_json::Value;

use super::fields::{Fields, wrong};
use super::{ManifestError, Variable, values};

/// The most variables of one plugin.
const MOST_VARIABLES: usize = 1000;
/// The most bytes of a default value.
const LONGEST_VALUE: usize = 64 * 1024;

/// All variables in the order of the text; one that is listed twice is required when one of the two says so.
pub(super) fn variables(top: &Fields<'_>) -> Result<Vec<Variable>, ManifestError> {
    let mut found = Vec::new();
    for key in ["envVars", "env_vars", "env"] {
        match top.get(key) {
            None => {}
            Some(Value::Array(list)) => read_list(list, key, None, &mut found)?,
            Some(Value::Object(_)) => {
                let fields = top.object(key, key)?;
                read_list(fields.list("required")?, &fields.place("required"), Some(true), &mut found)?;
                read_list(fields.list("optional")?, &fields.place("optional"), Some(false), &mut found)?;
            }
            Some(_) => return Err(top.wrong(key, "must be a list or an object")),
        }
    }
    let mut merged: Vec<Variable> = Vec::with_capacity(found.len());
    for variable in found {
        match merged.iter_mut().find(|earlier| earlier.name == variable.name) {
            Some(earlier) => earlier.required |= variable.required,
            None => merged.push(variable),
        }
    }
    Ok(merged)
}

fn read_list(
    list: &[Value],
    place: &str,
    required: Option<bool>,
    found: &mut Vec<Variable>,
) -> Result<(), ManifestError> {
    if list.len() + found.len() > MOST_VARIABLES {
        return Err(wrong(place, "lists more than 1,000 variables"));
    }
    for (number, value) in list.iter().enumerate() {
        found.push(variable(value, &format!("{place}[{number}]"), required)?);
    }
    Ok(())
}

fn variable(value: &Value, place: &str, required: Option<bool>) -> Result<Variable, ManifestError> {
    if let Value::String(name) = value {
        let name = values::variable_name(name).map_err(|problem| wrong(place, problem))?;
        return Ok(Variable {
            secret: values::is_secret_name(&name),
            name,
            required: required.unwrap_or(false),
            default: None,
            description: String::new(),
            aliases: Vec::new(),
            generated: None,
        });
    }
    let fields = Fields::of(value, place)?;
    let name = fields.text("name")?.ok_or_else(|| fields.wrong("name", "is missing"))?;
    let name = values::variable_name(name).map_err(|problem| fields.wrong("name", problem))?;
    let aliases = fields.texts("aliases")?.iter().map(|alias| values::variable_name(alias)).collect::<Result<_, _>>();
    let required = match required {
        Some(required) => required,
        None => fields.flag("required")?.unwrap_or(false),
    };
    Ok(Variable {
        required,
        default: default(&fields)?,
        description: fields.text("description")?.unwrap_or_default().to_owned(),
        secret: fields.flag("secret")?.unwrap_or_else(|| values::is_secret_name(&name)),
        aliases: aliases.map_err(|problem| fields.wrong("aliases", problem))?,
        generated: generated(&fields)?,
        name,
    })
}

/// A text; numbers and truth values are taken as they are written.
fn default(fields: &Fields<'_>) -> Result<Option<String>, ManifestError> {
    let text = match fields.get("default") {
        None => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
        Some(_) => return Err(fields.wrong("default", "must be a text")),
    };
    if text.len() > LONGEST_VALUE || text.contains('\0') {
        return Err(fields.wrong("default", "has a zero byte or more than 64 KiB"));
    }
    Ok(Some(text))
}

fn generated(fields: &Fields<'_>) -> Result<Option<usize>, ManifestError> {
    if fields.get("generated").is_none() {
        return Ok(None);
    }
    let place = fields.place("generated");
    let length = fields.object("generated", &place)?.whole("length", 16, 512)?;
    match length.and_then(|length| usize::try_from(length).ok()) {
        Some(length) => Ok(Some(length)),
        None => Err(wrong(place, "needs a `length`")),
    }
}
