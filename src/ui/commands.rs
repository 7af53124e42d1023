//! Commands that a text tells the user to run: they must mean the project that this one was run for.

use serde_json::{Map, Value};

use crate::cli::GlobalFlags;

/// What every such command begins with; nobody else's text is likely to hold it.
const BEGINNING: &str = "nself plugin ";

/// The flags that named the project, ready for a shell; `None` where none did.
pub(super) fn project_flags(flags: &GlobalFlags) -> Option<String> {
    let folder =
        flags.project_dir.as_ref().map(|folder| format!("--project-dir {}", quoted(&folder.to_string_lossy())));
    let name = flags.project.as_ref().map(|name| format!("--project {}", quoted(name)));
    let words: Vec<String> = folder.into_iter().chain(name).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// A word as a POSIX shell reads it.
pub fn quoted(word: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "_-./:@%+=,".contains(character);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The text with the flags in every command of ours.
pub(super) fn name_project(text: &str, flags: Option<&str>) -> String {
    match flags {
        Some(flags) => text.replace(BEGINNING, &format!("{BEGINNING}{flags} ")),
        None => text.to_owned(),
    }
}

/// The same for every text of a document.
pub(super) fn name_project_in(document: &mut Map<String, Value>, flags: Option<&str>) {
    if flags.is_some() {
        document.values_mut().for_each(|value| name_in(value, flags));
    }
}

fn name_in(value: &mut Value, flags: Option<&str>) {
    match value {
        Value::String(text) => *text = name_project(text, flags),
        Value::Array(values) => values.iter_mut().for_each(|value| name_in(value, flags)),
        Value::Object(fields) => fields.values_mut().for_each(|value| name_in(value, flags)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_name_the_project_that_was_named() {
        let text = "stop it: nself plugin stop a && nself plugin remove a";
        let named = name_project(text, Some("--project demo"));
        assert_eq!(named, "stop it: nself plugin --project demo stop a && nself plugin --project demo remove a");
        assert_eq!(name_project(text, None), text);
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_read_them_otherwise() {
        assert_eq!(quoted("./my-app"), "./my-app");
        assert_eq!(quoted("it's here"), r"'it'\''s here'");
        assert_eq!(quoted(""), "''");
    }
}
