//! Env files as text: how `KEY=VALUE` lines are read. Knows of no files.

use std::collections::HashMap;
use std::ops::Range;

/// A longer run of letters and digits is more likely a secret than a key.
const LONGEST_SHOWN_KEY: usize = 64;
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A value in an env file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileValue {
    pub text: String,
    /// Whether `${NAME}` inside it stands for another variable (not in single quotes).
    pub expands: bool,
}

/// A line of an env file that gives a variable a value, and where in the file's text the value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub key: String,
    pub value: FileValue,
    /// From behind the `=` to the value's end: with its quotes, without a comment behind it.
    pub place: Range<usize>,
}

/// The values of an env file; of a key that is there more than once, the last one.
pub fn parse_env(text: &str) -> Result<HashMap<String, FileValue>, (usize, String)> {
    Ok(assignments(text)?.into_iter().map(|found| (found.key, found.value)).collect())
}

/// Reads `KEY=VALUE` lines: `export`, comments, single quotes (literal), double quotes (escapes), values over several
/// lines in quotes, BOM, lines that end with LF, CRLF or CR. An error names the line and the key, never the value.
pub fn assignments(text: &str) -> Result<Vec<Assignment>, (usize, String)> {
    let mut found = Vec::new();
    let mut at = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    let mut number = 1;
    while at < text.len() {
        let rest = &text[at..];
        let (line, mut used) = first_line(rest);
        let told = line.trim();
        if !told.is_empty() && !told.starts_with('#') {
            let (key, before) = parse_key(line).map_err(|reason| (number, reason))?;
            let read =
                parse_value(&rest[before..]).map_err(|reason| (number, format!("{} {reason}", subject(line))))?;
            used = before + read.used;
            let place = at + before..at + before + read.length;
            found.push(Assignment { key: key.to_owned(), value: read.value, place });
        }
        // No environment can hold one.
        if rest[..used].contains('\0') {
            return Err((number, format!("{} holds a NUL byte", subject(line))));
        }
        number += line_ends(&rest[..used]);
        at += used;
    }
    Ok(found)
}

/// The first line of a text without its end, and its length with it.
fn first_line(text: &str) -> (&str, usize) {
    let end = text.find(['\n', '\r']).unwrap_or(text.len());
    let mark = if text[end..].starts_with("\r\n") { 2 } else { 1 };
    (&text[..end], (end + mark).min(text.len()))
}

/// How many lines of a text end, with any of the three marks.
pub fn line_ends(text: &str) -> usize {
    text.replace("\r\n", "\n").matches(['\n', '\r']).count()
}

/// Whether a word is a variable's name as shells know it.
pub fn is_variable_name(word: &str) -> bool {
    let first = word.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A line's key, and how many bytes of the line it takes up to behind its `=`.
fn parse_key(line: &str) -> Result<(&str, usize), String> {
    if let Some((before, _)) = line.split_once('=') {
        let key = without_export(before.trim());
        if is_variable_name(key) {
            return Ok((key, before.len() + 1));
        }
    }
    Err(match shown_key(line) {
        Some(key) if is_variable_name(key) => format!("`{key}` is not followed by `=`"),
        Some(key) => format!("`{key}` is no variable name"),
        None => "the line is no KEY=VALUE".to_owned(),
    })
}

fn without_export(line: &str) -> &str {
    let rest = line.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t']));
    rest.map_or(line, |rest| rest.trim_start_matches([' ', '\t']))
}

/// What an error says is wrong: the key where it may be shown, else the line.
fn subject(line: &str) -> String {
    shown_key(line).map_or_else(|| "the line".to_owned(), |key| format!("`{key}`"))
}

/// The key of a line, where it certainly is one. All else may be a secret: a malformed line is often a piece of a value
/// that lacks its quotes, such as a line of a private key.
fn shown_key(line: &str) -> Option<&str> {
    let line = line.trim();
    let body = without_export(line);
    let is_part = |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
    let end = body.find(|character| !is_part(character)).unwrap_or(body.len());
    let (word, rest) = body.split_at(end);
    let is_key = if rest.is_empty() {
        // A word alone: it must be marked as a key, or look like one.
        is_variable_name(word) && (body.len() < line.len() || is_in_capitals(word))
    } else if let Some(value) = rest.strip_prefix('=') {
        // Base64 ends with one `=` or two.
        !value.trim_start_matches('=').trim().is_empty()
    } else {
        is_variable_name(word) && rest.starts_with([' ', '\t', ':'])
    };
    (is_key && !word.is_empty() && word.len() <= LONGEST_SHOWN_KEY).then_some(word)
}

/// As most keys are written; digits only beside `_`, because the secrets of one-time passwords are capitals and digits.
fn is_in_capitals(word: &str) -> bool {
    let has_underscore = word.contains('_');
    word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_' || (has_underscore && byte.is_ascii_digit()))
}

/// A value that was read, and how many bytes of the text it took.
struct ReadValue {
    value: FileValue,
    /// To the value's end.
    length: usize,
    /// To the beginning of the next line.
    used: usize,
}

fn parse_value(text: &str) -> Result<ReadValue, String> {
    let start = text.len() - text.trim_start_matches([' ', '\t']).len();
    let body = &text[start..];
    match body.chars().next() {
        Some('\'') => {
            let end = body[1..].find('\'').ok_or("opens a `'` that nothing closes")?;
            let length = start + end + 2;
            let value = FileValue { text: body[1..=end].to_owned(), expands: false };
            Ok(ReadValue { value, length, used: end_of_line(text, length)? })
        }
        Some('"') => {
            let (value, quoted) = parse_double_quoted(&body[1..])?;
            let length = start + 1 + quoted;
            let value = FileValue { text: value, expands: true };
            Ok(ReadValue { value, length, used: end_of_line(text, length)? })
        }
        _ => {
            let (line, used) = first_line(text);
            // A comment begins after a space, also where there is no value before it.
            let before = line.find(" #").map_or(line, |comment| &line[..comment]);
            let value = before.trim();
            let length = before.len() - before.trim_start().len() + value.len();
            Ok(ReadValue { value: FileValue { text: value.to_owned(), expands: true }, length, used })
        }
    }
}

fn parse_double_quoted(body: &str) -> Result<(String, usize), String> {
    let mut value = String::new();
    let mut characters = body.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return Ok((value, place + 1)),
            '\\' => match characters.next().map(|(_, escaped)| escaped) {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some(escaped @ ('"' | '\\' | '`')) => value.push(escaped),
                // Stays escaped until variables are put in, so that `\$` is a dollar sign.
                Some('$') => value.push_str("\\$"),
                Some(other) => value.extend(['\\', other]),
                None => break,
            },
            _ => value.push(character),
        }
    }
    Err("opens a `\"` that nothing closes".into())
}

/// After a closing quote only white space or a comment may follow.
fn end_of_line(text: &str, from: usize) -> Result<usize, String> {
    let (rest, length) = first_line(&text[from..]);
    let rest = rest.trim();
    if rest.is_empty() || rest.starts_with('#') {
        Ok(from + length)
    } else {
        Err("has text after its closing quote".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, key: &str) -> String {
        parse_env(text).unwrap()[key].text.clone()
    }

    #[test]
    fn env_files_are_read_in_every_spelling() {
        let text = "\u{feff}# comment\r\nA=1\r\nexport B = two words # comment\nC='it ${A} #x'\nD=\"l1\\nl2\\\"\"\nE=\nF=a#b\nG=\"x\ny\"\nH=last";
        assert_eq!(value(text, "A"), "1");
        assert_eq!(value(text, "B"), "two words");
        assert_eq!(value(text, "C"), "it ${A} #x");
        assert_eq!(value(text, "D"), "l1\nl2\"");
        assert_eq!(value(text, "E"), "");
        assert_eq!(value(text, "F"), "a#b");
        assert_eq!(value(text, "G"), "x\ny");
        assert_eq!(value(text, "H"), "last");
        assert!(!parse_env(text).unwrap()["C"].expands);
    }

    #[test]
    fn a_malformed_line_is_named_without_its_value() {
        for (text, line) in
            [("A=1\nsecret-value", 2), ("A='1\nB=2", 1), ("A=1\n\nB-C=secret-value", 3), ("A=\"x\" y", 1)]
        {
            let (found, reason) = parse_env(text).unwrap_err();
            assert_eq!(found, line, "{text}");
            assert!(!reason.contains("secret-value"), "{reason}");
        }
    }

    #[test]
    fn an_error_shows_a_key_and_nothing_that_may_be_a_value() {
        let long = format!("{}=hunter2", "k-".repeat(33));
        for (line, reason) in [
            ("ALPHA_KEY: s3cr3t=", "`ALPHA_KEY` is not followed by `=`"),
            ("ALPHA_KEY hunter2secret=", "`ALPHA_KEY` is not followed by `=`"),
            ("export ALPHA_KEY\thunter2", "`ALPHA_KEY` is not followed by `=`"),
            ("ALPHA_KEY", "`ALPHA_KEY` is not followed by `=`"),
            ("KEY", "`KEY` is not followed by `=`"),
            ("export\tkey2", "`key2` is not followed by `=`"),
            ("PASS-WORD=hunter2", "`PASS-WORD` is no variable name"),
            ("2FA=hunter2", "`2FA` is no variable name"),
            ("ALPHA_KEY='hunter2", "`ALPHA_KEY` opens a `'` that nothing closes"),
            ("ALPHA_KEY=hunter\0two", "`ALPHA_KEY` holds a NUL byte"),
            ("ALPHA_KEY='one\nhunter\0two'", "`ALPHA_KEY` holds a NUL byte"),
            ("# hunter\0two", "the line holds a NUL byte"),
            ("MIIEvQ/sec+ret==", "the line is no KEY=VALUE"),
            ("MIIEvQ-sec_ret==", "the line is no KEY=VALUE"),
            ("MIIEvQ-sec_ret=", "the line is no KEY=VALUE"),
            ("hunter2", "the line is no KEY=VALUE"),
            ("JBSWY3DPEHPK3PXP", "the line is no KEY=VALUE"),
            ("-----BEGIN PRIVATE KEY-----", "the line is no KEY=VALUE"),
            ("eyJhbGci.eyJzdWIi.c2VjcmV0", "the line is no KEY=VALUE"),
            ("=hunter2", "the line is no KEY=VALUE"),
            (long.as_str(), "the line is no KEY=VALUE"),
        ] {
            let found = parse_env(&format!("A=1\n{line}\nB=2\n")).unwrap_err();
            assert_eq!(found, (2, reason.to_owned()), "{line}");
        }
    }

    #[test]
    fn a_tab_stands_behind_export_and_a_carriage_return_ends_a_line() {
        assert_eq!(value("export\tKEY=1\n", "KEY"), "1");
        let text = "# comment\rA=1\rB='x\ry'\rC=\"z\" # comment\rD=2";
        for (key, expected) in [("A", "1"), ("B", "x\ry"), ("C", "z"), ("D", "2")] {
            assert_eq!(value(text, key), expected);
        }
        assert_eq!(parse_env("A=1\r\n\rB='x\r\ny'\rC\r").unwrap_err().0, 5);
    }

    #[test]
    fn an_assignment_says_where_its_value_stands() {
        let text = "\u{feff}A=1 # x\r\nexport B = 'x\ny' # z\nC=\nD=   # x\n";
        let places = assignments(text).unwrap();
        let places: Vec<(&str, &str)> = places.iter().map(|found| (&*found.key, &text[found.place.clone()])).collect();
        assert_eq!(places, [("A", "1"), ("B", " 'x\ny'"), ("C", ""), ("D", "  ")]);
    }
}
