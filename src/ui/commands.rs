//! Commands that a text tells the user to run: they must mean the project that this one was run for.

use std::path::Path;

use serde_json::{Map, Value};

use crate::cli::GlobalFlags;

/// What every such command begins with; nobody else's text is likely to hold it.
const BEGINNING: &str = "nself plugin ";

/// The flags that named the project, ready for a shell; `None` where none did.
pub(super) fn project_flags(flags: &GlobalFlags) -> Option<String> {
    let folder = flags.project_dir.as_ref().map(|folder| format!("--project-dir {}", shell_path(folder)));
    let name = flags.project.as_ref().map(|name| format!("--project {}", shell_word(name)));
    let words: Vec<String> = folder.into_iter().chain(name).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// A word as a POSIX shell reads it.
pub fn shell_word(word: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "_-./:@%+=,".contains(character);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// A path as a POSIX shell reads it.
pub fn shell_path(path: &Path) -> String {
    shell_word(&path.to_string_lossy())
}

/// The text with the flags in every command of ours.
pub(super) fn name_project(text: &str, flags: Option<&str>) -> String {
    match flags {
        Some(flags) => text.replace(BEGINNING, &format!("{BEGINNING}{flags} ")),
        None => text.to_owned(),
    }
}

/// The same in a document: where it tells what helps (`hint`) or may be done (`next`); all else is data.
pub(super) fn name_project_in(document: &mut Map<String, Value>, flags: Option<&str>) {
    if flags.is_none() {
        return;
    }
    for (key, value) in document {
        match value {
            Value::String(text) if key == "hint" => *text = name_project(text, flags),
            Value::Array(steps) if key == "next" => {
                for step in steps {
                    if let Value::String(text) = step {
                        *text = name_project(text, flags);
                    }
                }
            }
            Value::Object(fields) => name_project_in(fields, flags),
            Value::Array(values) => {
                values.iter_mut().filter_map(Value::as_object_mut).for_each(|fields| name_project_in(fields, flags));
            }
            _ => {}
        }
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
    fn data_of_a_document_stays_as_it_is() {
        let command = "nself plugin stop a";
        let document = serde_json::json!({ "next": [command], "value": command, "findings": [{ "hint": command }] });
        let Value::Object(mut document) = document else { unreachable!() };
        name_project_in(&mut document, Some("--project demo"));
        let named = "nself plugin --project demo stop a";
        let expected = serde_json::json!({ "next": [named], "value": command, "findings": [{ "hint": named }] });
        assert_eq!(Value::Object(document), expected);
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_read_them_otherwise() {
        assert_eq!(shell_word("./my-app"), "./my-app");
        assert_eq!(shell_word("it's here"), r"'it'\''s here'");
        assert_eq!(shell_word(""), "''");
    }
}
