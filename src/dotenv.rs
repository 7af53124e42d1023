//! The project's `.env.plugins`: made from manifests or an example, added to, never overwritten. Owns the text; reads and
//! writes no file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::env_file::{Assignment, assignments};
use crate::environment::is_managed;
use crate::package::manifest::{Manifest, Variable};
use crate::ui::safe;

/// Above what is added to a file that was there.
const ADDED: &str = "# added by nself plugin setup";
/// How long a line of a comment may be, in characters; a longer word stands in a line of its own.
const WIDEST_COMMENT: usize = 100;

/// What a new or completed file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    pub text: String,
    /// The keys that were not there before.
    pub added: Vec<String>,
    /// The keys that were there without a value and have one now.
    pub filled: Vec<String>,
}

/// Where the user has set a variable of a plugin besides the file, by any of its names; `None` where nowhere.
pub type Elsewhere<'a> = &'a dyn Fn(&Manifest, &[&str]) -> Option<String>;

/// Adds to a file (or an example of one, or nothing) every variable of the manifests that it lacks, with its default and a
/// comment, required ones first. `answers` go in place of defaults, and into lines that are there with nothing after the
/// `=`; any other line stays byte for byte as it is. The file goes before other places, so a default must not stand in it
/// for a variable that is set `elsewhere`: a comment says where.
pub fn complete(
    existing: Option<&str>,
    manifests: &[&Manifest],
    answers: &BTreeMap<String, String>,
    elsewhere: Elsewhere<'_>,
) -> Completed {
    let read = existing.and_then(|text| assignments(text).ok()).unwrap_or_default();
    let (mut text, filled) = fill(existing.unwrap_or_default(), &read, answers);
    let known: BTreeSet<String> = read.into_iter().map(|assignment| assignment.key).collect();
    let mut added: Vec<String> = Vec::new();
    for manifest in manifests {
        let mut section = String::new();
        for Line { name, value, comment } in lines(manifest, answers, elsewhere) {
            if known.contains(&name) || added.contains(&name) {
                continue;
            }
            match value {
                Entry::Value(value) => {
                    let _ = writeln!(section, "{comment}{name}={value}");
                    added.push(name);
                }
                Entry::SetIn(place) => {
                    let note = format!("# {name} is set in {place}\n");
                    if !text.contains(&note) {
                        let _ = write!(section, "{comment}{note}");
                    }
                }
            }
        }
        if section.is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push_str(if text.ends_with('\n') { "\n" } else { "\n\n" });
        }
        if existing.is_some() && !text.contains(ADDED) {
            let _ = write!(text, "{ADDED}\n\n");
        }
        text.push_str(&comment(&format!("{}: {}", manifest.name, manifest.description)));
        text.push_str(&section);
    }
    Completed { text, added, filled }
}

/// What a file says of one variable.
struct Line {
    name: String,
    value: Entry,
    comment: String,
}

enum Entry {
    /// As it stands behind the `=`.
    Value(String),
    /// It has a value there.
    SetIn(String),
}

/// A plugin's lines: required variables, ports, then the rest.
fn lines(manifest: &Manifest, answers: &BTreeMap<String, String>, elsewhere: Elsewhere<'_>) -> Vec<Line> {
    let line = |names: &[&str], default: &str, comment: String| {
        let name = names.first().copied().unwrap_or_default();
        let value = match answers.get(name) {
            Some(answer) => Entry::Value(quoted(answer)),
            // What is empty counts as unset and hides nothing.
            None if default.is_empty() => Entry::Value(String::new()),
            None => elsewhere(manifest, names).map_or_else(|| Entry::Value(quoted(default)), Entry::SetIn),
        };
        Line { name: name.to_owned(), value, comment }
    };
    // A service's address stays empty, whatever its default: one that is given would be used in place of the service.
    let is_address = |variable: &&Variable| {
        manifest.requires.services.iter().any(|need| need.variable.as_ref() == Some(&variable.name))
    };
    let (required, optional): (Vec<&Variable>, Vec<&Variable>) = manifest
        .variables
        .iter()
        .filter(|variable| !is_address(variable) && !is_managed(&variable.name))
        .partition(|variable| variable.required);
    let declared = |variable: &Variable| {
        let words = [
            variable.required.then_some("required"),
            variable.generated.map(|_| "made at random where it is empty"),
            variable.secret.then_some("secret"),
        ];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        let notes = if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) };
        let comment = comment(&format!("{}{notes}", variable.description));
        let names: Vec<&str> = std::iter::once(&variable.name).chain(&variable.aliases).map(String::as_str).collect();
        line(&names, variable.default.as_deref().unwrap_or_default(), comment)
    };
    let ports = manifest.ports.iter().filter_map(|port| {
        let name = port.variable.as_deref()?;
        let about = if port.description.is_empty() { &port.name } else { &port.description };
        Some(line(&[name], &port.port.to_string(), comment(&format!("port on this machine: {about}"))))
    });
    let needs = manifest.requires.services.iter().filter_map(|need| {
        let name = need.variable.as_deref()?;
        Some(line(&[name], "", comment(&format!("address of {}; found or installed where it is empty", need.name))))
    });
    let mut lines: Vec<Line> = required.into_iter().map(declared).collect();
    lines.extend(ports);
    lines.extend(optional.into_iter().map(declared));
    lines.extend(needs);
    lines
}

/// A text as lines of a comment, whole: without what steers a terminal or ends a line.
fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for word in text.split_whitespace().map(safe) {
        if !line.is_empty() && "# ".len() + line.chars().count() + " ".len() + word.chars().count() > WIDEST_COMMENT {
            let _ = writeln!(lines, "# {line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    if !line.is_empty() {
        let _ = writeln!(lines, "# {line}");
    }
    lines
}

/// A value so that [`assignments`] and shells read it back as it is. Single quotes go first: what is escaped in double ones
/// is not read alike by all programs that read env files.
pub fn quoted(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@,+*%=".contains(&byte);
    if value.bytes().all(is_plain) {
        return value.to_owned();
    }
    if !value.contains('\'') {
        return format!("'{value}'");
    }
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '\\' | '"' | '$' | '`') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    format!("\"{escaped}\"")
}

/// Puts answers in the place of empty values; what stands before and behind them stays. Of a key that is there more than
/// once the last value counts, so that one is looked at.
fn fill(text: &str, read: &[Assignment], answers: &BTreeMap<String, String>) -> (String, Vec<String>) {
    let last: BTreeMap<&str, usize> =
        read.iter().enumerate().map(|(number, assignment)| (assignment.key.as_str(), number)).collect();
    let mut filled = Vec::new();
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (number, Assignment { key, value, place }) in read.iter().enumerate() {
        let counts = last.get(key.as_str()) == Some(&number);
        let Some(answer) = answers.get(key).filter(|_| counts && value.text.is_empty()) else { continue };
        out.push_str(&text[copied..place.start]);
        out.push_str(&quoted(answer));
        copied = place.end;
        filled.push(key.clone());
    }
    out.push_str(&text[copied..]);
    (out, filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env_file::parse_env;

    const CHAT: &str = r#"{"manifest_version": 2, "name": "chat", "version": "1.0.0", "description": "Rooms\nto talk",
        "requires": {"services": [{"name": "redis", "variable": "CHAT_REDIS_URL"}]},
        "ports": [{"name": "http", "port": 3101, "variable": "CHAT_PORT", "description": "HTTP"}],
        "env": {
            "optional": [{"name": "CHAT_GREETING", "default": "it's $5", "description": "What is said first"}],
            "required": [{"name": "CHAT_SECRET", "description": "Signs tokens", "secret": true, "generated": {"length": 32}},
                         {"name": "CHAT_KEY", "description": "The key", "secret": true}]}}"#;

    fn completed(existing: Option<&str>, answers: &[(&str, &str)]) -> Completed {
        let manifest = Manifest::read(CHAT.as_bytes()).unwrap();
        let answers = answers.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        complete(existing, &[&manifest], &answers, &|_, _| None)
    }

    #[test]
    fn a_default_does_not_hide_what_is_set_elsewhere() {
        let manifest = Manifest::read(CHAT.as_bytes()).unwrap();
        let elsewhere = |_: &Manifest, names: &[&str]| names.contains(&"CHAT_PORT").then(|| ".env".to_owned());
        let complete = |existing| complete(existing, &[&manifest], &BTreeMap::new(), &elsewhere);
        let first = complete(None);
        assert!(first.text.contains("# port on this machine: HTTP\n# CHAT_PORT is set in .env\n"), "{}", first.text);
        assert!(!first.added.contains(&"CHAT_PORT".to_owned()) && !first.text.contains("CHAT_PORT="));
        assert_eq!(complete(Some(&first.text)).text, first.text);
    }

    #[test]
    fn a_new_file_has_every_variable_the_required_ones_first() {
        let text = completed(None, &[("CHAT_KEY", "k#1")]).text;
        let expected = "# chat: Rooms to talk\n# Signs tokens (required, made at random where it is empty, secret)\n\
            CHAT_SECRET=\n# The key (required, secret)\nCHAT_KEY='k#1'\n# port on this machine: HTTP\nCHAT_PORT=3101\n\
            # What is said first\nCHAT_GREETING=\"it's \\$5\"\n# address of redis; found or installed where it is empty\n\
            CHAT_REDIS_URL=\n";
        assert_eq!(text, expected);
        let read = parse_env(&text).unwrap();
        assert_eq!(read["CHAT_KEY"].text, "k#1");
    }

    #[test]
    fn what_is_there_stays_byte_for_byte_and_the_rest_comes_after_it() {
        let mine = "# mine\r\nCHAT_PORT=4000\nexport CHAT_SECRET='x'   # keep\nOTHER=1";
        let completed = completed(Some(mine), &[]);
        assert!(completed.text.starts_with(mine));
        assert_eq!(completed.added, ["CHAT_KEY", "CHAT_GREETING", "CHAT_REDIS_URL"]);
        assert_eq!(completed.text.matches("CHAT_PORT").count(), 1);
        assert_eq!(completed.text.matches(ADDED).count(), 1);
    }

    #[test]
    fn an_answer_goes_behind_a_key_that_stands_alone() {
        let completed = completed(Some("CHAT_KEY=\nCHAT_SECRET=kept\n"), &[("CHAT_KEY", "new"), ("CHAT_SECRET", "no")]);
        assert!(completed.text.starts_with("CHAT_KEY=new\nCHAT_SECRET=kept\n"), "{}", completed.text);
        assert_eq!(completed.filled, ["CHAT_KEY"]);
    }

    #[test]
    fn a_second_time_nothing_is_added() {
        let first = completed(None, &[]).text;
        let second = completed(Some(&first), &[]);
        assert_eq!((second.text, second.added.is_empty()), (first, true));
    }

    proptest::proptest! {
        #[test]
        fn a_quoted_value_is_read_back(value in "[ -~\\n]{0,40}") {
            let text = format!("KEY={}\n", quoted(&value));
            let read = parse_env(&text).map_err(|error| proptest::test_runner::TestCaseError::fail(error.1))?;
            let found = read["KEY"].template.expand(&mut |_| None, &mut Vec::new());
            proptest::prop_assert_eq!(found, Some(value));
        }
    }

    #[test]
    fn a_shell_reads_a_quoted_value_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("env");
        for value in
            [r#"{"a": "b\n$c"}"#, "two\n\"lines\"", r#"it's "`id`" $HOME \n \"#, "it's\ntwo lines", "a\r\nb", "k#1 ~ !"]
        {
            let text = format!("KEY={}\n", quoted(value));
            std::fs::write(&path, &text).unwrap();
            let script = format!(". {} && printf %s \"$KEY\"", path.display());
            let read = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(read.stdout).unwrap(), value, "{text}");
            let own = parse_env(&text).unwrap();
            let own = own["KEY"].template.expand(&mut |_| None, &mut Vec::new());
            assert_eq!(own.as_deref(), Some(value), "{text}");
        }
        assert_eq!(quoted(r#"{"a": 1}"#), r#"'{"a": 1}'"#);
    }

    #[test]
    fn what_stands_inside_a_quoted_value_is_no_line_to_fill() {
        for (before, after) in [
            ("X=\"a\nCHAT_KEY=\nb\"\nCHAT_KEY=\nY=k\n", "X=\"a\nCHAT_KEY=\nb\"\nCHAT_KEY='a b'\nY=k\n"),
            ("X='a\nCHAT_KEY=\nb'\nCHAT_KEY=\nY=k\n", "X='a\nCHAT_KEY=\nb'\nCHAT_KEY='a b'\nY=k\n"),
            ("\u{feff}CHAT_KEY=\rX=1\r", "\u{feff}CHAT_KEY='a b'\rX=1\r"),
        ] {
            let completed = completed(Some(before), &[("CHAT_KEY", "a b")]);
            assert!(completed.text.starts_with(after), "{}", completed.text);
            assert_eq!(completed.filled, ["CHAT_KEY"]);
            assert_eq!(parse_env(&completed.text).unwrap()["CHAT_KEY"].text, "a b");
        }
    }

    #[test]
    fn of_a_key_that_is_there_twice_the_last_one_counts() {
        for (before, after) in [
            ("CHAT_KEY=\nCHAT_KEY=\n", "CHAT_KEY=\nCHAT_KEY=new\n"),
            ("CHAT_KEY=old\nCHAT_KEY=''\n", "CHAT_KEY=old\nCHAT_KEY=new\n"),
            ("CHAT_KEY=\nCHAT_KEY=old\n", "CHAT_KEY=\nCHAT_KEY=old\n"),
        ] {
            let text = completed(Some(before), &[("CHAT_KEY", "new")]).text;
            assert!(text.starts_with(after), "{before}: {text}");
        }
    }

    #[test]
    fn a_long_description_stands_whole_in_lines_that_are_not_long() {
        let word = "description\u{1b}[31m";
        let address = format!("https://example.org/{}", "x".repeat(120));
        let long = format!("{} {address} {}", [word; 20].join(" "), ["end"; 50].join("\n"));
        let text = comment(&long);
        assert!(!text.contains('\u{1b}') && !text.contains('…'));
        let lines: Vec<&str> = text.lines().map(|line| line.strip_prefix("# ").unwrap()).collect();
        assert_eq!(lines.join(" "), long.replace('\u{1b}', "\\u{1b}").replace('\n', " "));
        assert!(lines.contains(&address.as_str()));
        assert!(text.lines().all(|line| line.chars().count() <= WIDEST_COMMENT || line.contains(&address)), "{text}");
        let manifest = Manifest::read(CHAT.replace("The key", &["word"; 60].join(" ")).as_bytes()).unwrap();
        let text = complete(None, &[&manifest], &BTreeMap::new(), &|_, _| None).text;
        assert_eq!(text.matches("word").count(), 60, "{text}");
    }

    #[test]
    fn an_answer_takes_the_place_of_every_kind_of_empty_value_and_of_no_other() {
        let answers = [("CHAT_KEY", "a b")];
        for (before, after) in [
            ("CHAT_KEY=", "CHAT_KEY='a b'"),
            ("export CHAT_KEY=\"\"  # mine", "export CHAT_KEY='a b'  # mine"),
            ("CHAT_KEY=   # mine", "CHAT_KEY='a b' # mine"),
            ("CHAT_KEY=''", "CHAT_KEY='a b'"),
            ("CHAT_KEY=full", "CHAT_KEY=full"),
            ("OTHER=\"first\nCHAT_KEY=\n\"\nCHAT_KEY=full", "OTHER=\"first\nCHAT_KEY=\n\"\nCHAT_KEY=full"),
        ] {
            let text = completed(Some(before), &answers).text;
            assert!(text.starts_with(&format!("{after}\n")), "{before}: {text}");
            assert!(parse_env(&text).is_ok(), "{text}");
        }
    }
}
