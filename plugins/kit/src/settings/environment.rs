//! Reads settings from environment variables: aliases, numbers, switches, durations, secrets.
//!
//! The only place of a plugin that reads the environment. An empty variable counts as unset,
//! because compose files pass blanks for what nobody configured. It must never put a secret's
//! value into an error.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A setting that cannot be used; the message names the variable.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigurationError(String);

impl ConfigurationError {
    /// An error with a text for the operator; it must name the variables concerned.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    fn bad_value(name: &str, value: &str, wanted: &str) -> Self {
        Self(format!("`{name}` is `{value}`, which is not {wanted}"))
    }
}

impl Display for ConfigurationError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for ConfigurationError {}

/// The variables of a process, taken once.
#[derive(Clone, Default)]
pub struct Environment {
    variables: HashMap<String, String>,
    /// The names that were asked for, whether or not they are set; shared by all clones.
    asked: Arc<Mutex<BTreeSet<String>>>,
}

impl Environment {
    /// The variables that this process was started with.
    pub fn from_process() -> Self {
        Self::from_pairs(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// The given variables, for tests.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let variables = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .filter(|(_, value)| !value.trim().is_empty())
            .collect();
        Self { variables, asked: Arc::default() }
    }

    /// The first of the names that is set, with its value.
    fn find<'a>(&'a self, names: &[&'a str]) -> Option<(&'a str, &'a str)> {
        for name in names {
            self.note(name);
        }
        names.iter().find_map(|name| {
            let value = self.variables.get(*name)?;
            Some((*name, value.trim()))
        })
    }

    fn note(&self, name: &str) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if !asked.contains(name) {
            asked.insert(name.to_owned());
        }
    }

    /// The variables that are set and begin with the prefix, but that nothing has asked for, each with the known name that
    /// is nearest to it.
    pub fn unknown(&self, prefix: &str) -> Vec<(String, Option<String>)> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = |name: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('_'));
        let mut unknown: Vec<&String> =
            self.variables.keys().filter(|name| begins(name) && !asked.contains(*name)).collect();
        unknown.sort();
        let nearest = |name: &String| {
            let known = asked.iter().map(|known| (strsim::damerau_levenshtein(name, known), known));
            known.min().filter(|(distance, _)| *distance <= 3).map(|(_, known)| known.clone())
        };
        unknown.into_iter().map(|name| (name.clone(), nearest(name))).collect()
    }

    /// The first of the names that is set; earlier names win.
    pub fn text(&self, names: &[&str]) -> Option<String> {
        self.find(names).map(|(_, value)| value.to_owned())
    }

    /// A number of any type, or the default.
    pub fn number<T: FromStr>(&self, names: &[&str], default: T) -> Result<T, ConfigurationError> {
        let Some((name, value)) = self.find(names) else {
            return Ok(default);
        };
        value.parse().map_err(|_| ConfigurationError::bad_value(name, value, "a number in range"))
    }

    /// `true`, `1`, `yes`, `on` or their opposites, or the default.
    pub fn switch(&self, names: &[&str], default: bool) -> Result<bool, ConfigurationError> {
        let Some((name, value)) = self.find(names) else {
            return Ok(default);
        };
        match value.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(ConfigurationError::bad_value(name, value, "`true` or `false`")),
        }
    }

    /// A duration: a bare number counts in the given unit, else `250ms`, `30s`, `5m`, `24h`.
    pub fn duration(&self, names: &[&str], unit: Duration, default: Duration) -> Result<Duration, ConfigurationError> {
        let Some((name, value)) = self.find(names) else {
            return Ok(default);
        };
        parse_duration(value, unit)
            .ok_or_else(|| ConfigurationError::bad_value(name, value, "a duration such as `30000`, `250ms` or `30s`"))
    }

    /// A comma list without blanks; `None` where it is unset.
    pub fn list(&self, names: &[&str]) -> Option<Vec<String>> {
        let (_, value) = self.find(names)?;
        let entries = value.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        Some(entries.map(str::to_owned).collect())
    }

    /// Whether the project is in production or staging: `ENV` or `NSELF_ENV` is `prod`, `production`, `stage` or
    /// `staging`.
    pub fn is_production(&self) -> bool {
        ["ENV", "NSELF_ENV"]
            .iter()
            .filter_map(|name| self.text(&[name]))
            .any(|value| matches!(value.to_ascii_lowercase().as_str(), "prod" | "production" | "stage" | "staging"))
    }

    /// A secret from `NAME`, or from the file that `NAME_FILE` points at.
    pub fn secret(&self, names: &[&str]) -> Result<Option<String>, ConfigurationError> {
        for name in names {
            if let Some((_, value)) = self.find(&[name]) {
                return Ok(Some(value.to_owned()));
            }
            let file_variable = format!("{name}_FILE");
            self.note(&file_variable);
            if let Some(path) = self.variables.get(&file_variable) {
                return read_secret(&file_variable, Path::new(path.trim())).map(Some);
            }
        }
        Ok(None)
    }
}

fn read_secret(variable: &str, path: &Path) -> Result<String, ConfigurationError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigurationError::new(format!("`{variable}` names `{}`, which cannot be read: {error}", path.display()))
    })?;
    let secret = text.trim();
    if secret.is_empty() {
        let path = path.display();
        return Err(ConfigurationError::new(format!("`{variable}` names `{path}`, which is empty")));
    }
    Ok(secret.to_owned())
}

fn parse_duration(value: &str, unit: Duration) -> Option<Duration> {
    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, suffix) = value.split_at(digits);
    let number: u32 = number.parse().ok()?;
    let unit = match suffix.trim() {
        "" => unit,
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_mins(1),
        "h" => Duration::from_hours(1),
        _ => return None,
    };
    unit.checked_mul(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_name_wins_and_a_blank_counts_as_unset() {
        let environment = Environment::from_pairs([("B_PORT", "2"), ("A_PORT", " "), ("PORT", "3")]);
        assert_eq!(environment.number(&["A_PORT", "B_PORT", "PORT"], 1_u16), Ok(2));
        assert_eq!(environment.number(&["A_PORT"], 1_u16), Ok(1));
    }

    #[test]
    fn a_bad_number_names_the_variable_and_the_value() {
        let environment = Environment::from_pairs([("A_PORT", "70000")]);
        let error = environment.number(&["A_PORT"], 1_u16).unwrap_err().to_string();
        assert_eq!(error, "`A_PORT` is `70000`, which is not a number in range");
    }

    #[test]
    fn durations_count_in_the_given_unit_unless_they_name_one() {
        let environment = Environment::from_pairs([("A", "250"), ("B", "3s"), ("C", "3 parsecs")]);
        let read = |name| environment.duration(&[name], MILLISECOND, MILLISECOND);
        assert_eq!(read("A"), Ok(Duration::from_millis(250)));
        assert_eq!(read("B"), Ok(Duration::from_secs(3)));
        assert!(read("C").unwrap_err().to_string().contains("`C` is `3 parsecs`"));
    }

    #[test]
    fn switches_take_the_usual_words_and_refuse_others() {
        let environment = Environment::from_pairs([("A", "Yes"), ("B", "off"), ("C", "maybe")]);
        assert_eq!(environment.switch(&["A"], false), Ok(true));
        assert_eq!(environment.switch(&["B"], true), Ok(false));
        assert!(environment.switch(&["C"], true).is_err());
    }

    #[test]
    fn a_secret_is_read_from_its_file_and_a_missing_file_is_an_error() {
        let path = std::env::temp_dir().join(format!("nself-secret-{}", std::process::id()));
        std::fs::write(&path, "from the file\n").expect("the temporary folder can be written");
        let environment = Environment::from_pairs([
            ("A_FILE", path.to_str().expect("a path of letters")),
            ("B_FILE", "/nonexistent/secret"),
        ]);
        assert_eq!(environment.secret(&["A"]), Ok(Some("from the file".to_owned())));
        assert!(environment.secret(&["B"]).unwrap_err().to_string().contains("`B_FILE`"));
        assert_eq!(environment.secret(&["C"]), Ok(None));
        std::fs::remove_file(path).expect("the file was made above");
    }

    #[test]
    fn variables_that_nothing_reads_are_found_with_the_nearest_known_name() {
        let environment = Environment::from_pairs([
            ("A_PORT", "1"),
            ("A_MAX_BODY_BYTE", "2"),
            ("A_SOMETHING_ELSE", "3"),
            ("AB_PORT", "4"),
            ("A_KEY_FILE", "/nonexistent"),
        ]);
        let clone = environment.clone();
        let _ = clone.number(&["A_PORT"], 1_u16);
        let _ = clone.text(&["A_MAX_BODY_BYTES"]);
        let _ = clone.secret(&["A_KEY"]);
        let expected = [("A_MAX_BODY_BYTE", Some("A_MAX_BODY_BYTES")), ("A_SOMETHING_ELSE", None)];
        let expected = expected.map(|(name, known)| (name.to_owned(), known.map(str::to_owned)));
        assert_eq!(environment.unknown("A"), expected);
    }
}
