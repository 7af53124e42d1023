//! Env files as text: how `KEY=VALUE` lines are read, as docker compose reads them. Knows of no files.

mod template;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::Range;

pub use template::{Note, Template};

/// A longer run of letters and digits is more likely a secret than a key.
const LONGEST_SHOWN_KEY: usize = 64;
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A value in an env file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileValue {
    /// As it stands in the file, without its quotes.
    pub text: String,
    /// The same with its references.
    pub template: Template,
    /// The number of the line that it begins in.
    pub line: usize,
    /// The value that the same file gives the key before, which this one may refer to.
    pub earlier: Option<Box<FileValue>>,
}

/// A line of an env file that gives a variable a value, and where in the file's text the value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub key: String,
    pub value: FileValue,
    /// From behind the `=` to the value's end: with its quotes, without a comment behind it.
    pub place: Range<usize>,
}

/// What an env file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    pub assignments: Vec<Assignment>,
    /// What was skipped or dropped, by line.
    pub skipped: Vec<(usize, String)>,
}

impl Parsed {
    /// The values; of a key that is there more than once, the last one.
    pub fn values(self) -> HashMap<String, FileValue> {
        let mut values: HashMap<String, FileValue> = HashMap::new();
        for Assignment { key, mut value, .. } in self.assignments {
            value.earlier = values.remove(&key).map(Box::new);
            values.insert(key, value);
        }
        values
    }
}

/// The values of an env file.
pub fn parse_env(text: &str) -> Result<HashMap<String, FileValue>, (usize, String)> {
    parse(text).map(Parsed::values)
}

/// The assignments of an env file.
pub fn assignments(text: &str) -> Result<Vec<Assignment>, (usize, String)> {
    parse(text).map(|parsed| parsed.assignments)
}

/// Reads `KEY=VALUE` and `KEY: VALUE` lines: `export`, comments, single quotes (literal), double quotes (escapes), values
/// over several lines in quotes, BOM, lines that end with LF, CRLF or CR. Skips names that no variable can have. An error
/// names the line and the key, never the value.
pub fn parse(text: &str) -> Result<Parsed, (usize, String)> {
    let mut parsed = Parsed::default();
    let mut at = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    let mut number = 1;
    while at < text.len() {
        let rest = &text[at..];
        let (line, mut used) = first_line(rest);
        let trimmed = line.trim();
        if !trimmed.is_empty() && !trimmed.starts_with('#') {
            match parse_key(line).map_err(|reason| (number, reason))? {
                Key::Named { key, before } => {
                    let wrong = |reason: &str| (number, format!("{} {reason}", subject(line)));
                    let read = parse_value(&rest[before..]).map_err(wrong)?;
                    used = before + read.used;
                    if read.has_tail {
                        parsed.skipped.push((number, format!("what follows the closing quote of {}", subject(line))));
                    }
                    let template = read.template().ok_or_else(|| wrong("has a malformed `${…}`"))?;
                    let value = FileValue { text: read.text, template, line: number, earlier: None };
                    parsed.assignments.push(Assignment {
                        key: key.to_owned(),
                        value,
                        place: at + before..at + before + read.length,
                    });
                }
                Key::PassedThrough => {}
                Key::Skipped(what) => parsed.skipped.push((number, what)),
            }
        }
        // No environment can hold one.
        if rest[..used].contains('\0') {
            return Err((number, format!("{} holds a NUL byte", subject(line))));
        }
        number += line_ends(&rest[..used]);
        at += used;
    }
    Ok(parsed)
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

/// What a line's key is.
enum Key<'a> {
    /// A variable's name, and how many bytes of the line it takes up to behind its `=` or `:`.
    Named { key: &'a str, before: usize },
    /// A name alone, whose value is the one of the process environment, which goes before the file.
    PassedThrough,
    /// A key that is skipped, in words.
    Skipped(String),
}

fn parse_key(line: &str) -> Result<Key<'_>, String> {
    for mark in ['=', ':'] {
        if let Some((before, _)) = line.split_once(mark) {
            let key = without_export(before.trim());
            if is_variable_name(key) {
                return Ok(Key::Named { key, before: before.len() + 1 });
            }
        }
    }
    let word = line.trim();
    Err(match shown_key(line) {
        Some(key) if is_variable_name(key) && without_export(word) == key => return Ok(Key::PassedThrough),
        Some(key) if is_variable_name(key) => format!("`{key}` is not followed by `=`"),
        // Written for another program, such as a Java one.
        Some(key) => return Ok(Key::Skipped(format!("`{key}`, which is not a variable name"))),
        None if is_variable_name(word) => return Ok(Key::Skipped("a line without `=`".to_owned())),
        None => "the line is not KEY=VALUE".to_owned(),
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
    text: String,
    quotes: Quotes,
    /// To the value's end.
    length: usize,
    /// To the beginning of the next line.
    used: usize,
    /// Whether text follows the closing quote.
    has_tail: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    None,
    Single,
    Double,
}

impl ReadValue {
    fn template(&self) -> Option<Template> {
        match self.quotes {
            Quotes::Single => Some(Template::literal(&self.text)),
            Quotes::Double => Template::parse(&self.text, true),
            Quotes::None => Template::parse(&self.text, false),
        }
    }
}

fn parse_value(text: &str) -> Result<ReadValue, &'static str> {
    let start = text.len() - text.trim_start_matches([' ', '\t']).len();
    let body = &text[start..];
    let (value, quotes, length) = match body.chars().next() {
        Some('\'') => {
            let end = body[1..].find('\'').ok_or("opens a `'` that nothing closes")?;
            (body[1..=end].to_owned(), Quotes::Single, start + end + 2)
        }
        Some('"') => {
            let (value, quoted) = parse_double_quoted(&body[1..])?;
            (value, Quotes::Double, start + 1 + quoted)
        }
        _ => {
            let (line, used) = first_line(text);
            let before = &line[..comment_in(line)];
            let value = before.trim();
            let length = before.len() - before.trim_start().len() + value.len();
            return Ok(ReadValue { text: value.to_owned(), quotes: Quotes::None, length, used, has_tail: false });
        }
    };
    let (tail, used) = first_line(&text[length..]);
    let tail = tail.trim();
    let has_tail = !tail.is_empty() && !tail.starts_with('#');
    Ok(ReadValue { text: value, quotes, length, used: length + used, has_tail })
}

/// Where a comment begins, with the white space before it: also where there is no value before that.
fn comment_in(line: &str) -> usize {
    let mut hashes = line.match_indices('#').map(|(place, _)| place);
    hashes.find(|place| line[..*place].ends_with([' ', '\t'])).map_or(line.len(), |place| place - 1)
}

fn parse_double_quoted(body: &str) -> Result<(String, usize), &'static str> {
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
    Err("opens a `\"` that nothing closes")
}
