//! The project: its folder, its name, and the variables in its env files. Owns the reading of env files; writes none.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::fs::{self, FileError};
use crate::ui::quoted;

/// The env files in the order in which they are asked, the first answer counts (design §7).
pub const ENV_FILES: &[&str] = &[".env.plugins", ".env.local", ".env.dev", ".env"];
/// Where an example of the first of them may lie, relative to the project's folder.
pub const EXAMPLES: &[&str] = &[".env.plugins.example", "../.backend/.env.plugins.example"];
/// What the backend CLI writes into its project.
pub const COMPOSE_FILE: &str = "docker-compose.yml";
/// The project's name when nothing says otherwise.
pub const DEFAULT_PROJECT: &str = "nself";
const LARGEST_ENV_FILE: usize = 1024 * 1024;
/// A longer run of letters and digits is more likely a secret than a key.
const LONGEST_SHOWN_KEY: usize = 64;
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Why the project could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    #[error("there is no project folder `{}`", .0.display())]
    NoFolder(PathBuf),
    #[error("`{}` line {line}: {reason}", path.display())]
    MalformedLine { path: PathBuf, line: usize, reason: String },
    /// An env file that is to be written.
    #[error("`{}` is a link into the folder `{}`, which is not there", path.display(), folder.display())]
    DanglingLink { path: PathBuf, folder: PathBuf },
    #[error(
        "`{name}` is no project name: lower-case letters, digits, `_` and `-` are allowed, at most 63, a letter or digit first"
    )]
    Name { name: String },
    #[error(transparent)]
    File(#[from] FileError),
}

impl ProjectError {
    /// The command that helps.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoFolder(_) => "name the folder that holds the project's env files: --project-dir ./backend".into(),
            Self::MalformedLine { path, line, .. } => format!("mend it: ${{EDITOR:-vi}} +{line} {}", in_shell(path)),
            Self::DanglingLink { folder, .. } => format!("make the folder: mkdir -p {}", in_shell(folder)),
            Self::Name { .. } => "give another: --project my-project".into(),
            Self::File(error) if error.source.kind() == io::ErrorKind::IsADirectory => {
                let aside = error.path.with_added_extension("folder");
                format!(
                    "a file is wanted there; move the folder away: mv {} {}",
                    in_shell(&error.path),
                    in_shell(&aside)
                )
            }
            Self::File(_) => return None,
        })
    }
}

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

/// One env file.
#[derive(Debug, Clone)]
pub struct EnvFile {
    pub path: PathBuf,
    pub values: HashMap<String, FileValue>,
}

/// The project that a command works for.
#[derive(Debug, Clone)]
pub struct Project {
    pub folder: PathBuf,
    pub name: String,
    pub files: Vec<EnvFile>,
    /// What was wrong with env files that were passed over (when reading leniently).
    pub warnings: Vec<String>,
}

/// How strictly env files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// As `Strict`, and an example of `.env.plugins` counts as that file where there is none: for what would make it.
    Prospective,
    /// A malformed line is an error: for what changes something.
    Strict,
    /// A malformed file is passed over with a warning: for what only looks.
    Lenient,
}

impl Project {
    /// Finds and reads the project: `--project-dir`, else the working folder, else `backend` in it.
    pub fn read(
        working_dir: &Path,
        project_dir: Option<&Path>,
        project: Option<&str>,
        strictness: Strictness,
    ) -> Result<Self, ProjectError> {
        let folder = find_folder(working_dir, project_dir)?;
        let mut files = Vec::new();
        let mut warnings = Vec::new();
        for name in ENV_FILES {
            let path = folder.join(name);
            let mut read = read_env_file(&path);
            if matches!(read, Ok(None)) && *name == ENV_FILES[0] && strictness == Strictness::Prospective {
                let mut examples = EXAMPLES.iter().map(|example| read_env_file(&folder.join(example)));
                read = examples.find(|example| !matches!(example, Ok(None))).unwrap_or(Ok(None));
            }
            match read {
                Ok(Some(values)) => files.push(EnvFile { path, values }),
                Ok(None) => {}
                Err(error) if strictness == Strictness::Lenient => warnings.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        let written = |key| files.iter().find_map(|file| file.values.get(key)).map(|value| value.text.clone());
        let name = project
            .map(ToOwned::to_owned)
            .or_else(|| written("PROJECT_NAME"))
            .or_else(|| written("COMPOSE_PROJECT_NAME"))
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| DEFAULT_PROJECT.to_owned());
        check_name(&name)?;
        Ok(Self { folder, name, files, warnings })
    }

    /// Our own network of the project.
    pub fn network(&self) -> String {
        format!("{}_plugins", self.name)
    }

    /// The name of a plugin's container or volume: `<project>_plugin_<name>`.
    pub fn object_name(&self, plugin: &str) -> String {
        format!("{}_plugin_{plugin}", self.name)
    }
}

fn find_folder(working_dir: &Path, project_dir: Option<&Path>) -> Result<PathBuf, ProjectError> {
    if let Some(named) = project_dir {
        let folder = working_dir.join(named);
        return if folder.is_dir() { Ok(folder) } else { Err(ProjectError::NoFolder(folder)) };
    }
    let backend = working_dir.join("backend");
    let prefers_backend = !looks_like_project(working_dir) && looks_like_project(&backend);
    Ok(if prefers_backend { backend } else { working_dir.to_path_buf() })
}

/// Whether a folder holds anything of a project.
pub fn looks_like_project(folder: &Path) -> bool {
    ENV_FILES.iter().chain(&[COMPOSE_FILE, ".env.plugins.example"]).any(|name| folder.join(name).exists())
}

/// What is wrong with each env file of a folder that cannot be read.
pub fn env_file_problems(folder: &Path) -> Vec<ProjectError> {
    ENV_FILES.iter().filter_map(|name| read_env_file(&folder.join(name)).err()).collect()
}

/// A project's name becomes part of container, network and folder names.
fn check_name(name: &str) -> Result<(), ProjectError> {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    if first && name.len() <= 63 && name.bytes().all(legal) {
        Ok(())
    } else {
        Err(ProjectError::Name { name: crate::name::shown(name) })
    }
}

fn read_env_file(path: &Path) -> Result<Option<HashMap<String, FileValue>>, ProjectError> {
    let Some(text) = read_env_text(path)? else { return Ok(None) };
    let values = parse_env(&text).map_err(|(line, reason)| malformed(path, line, reason))?;
    Ok(Some(values))
}

/// The text of an env file that may be absent.
pub fn read_env_text(path: &Path) -> Result<Option<String>, ProjectError> {
    let Some(bytes) = fs::read_optional(path)? else { return Ok(None) };
    if bytes.len() > LARGEST_ENV_FILE {
        return Err(malformed(path, 1, "the file is larger than 1 MiB".to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let legible = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        malformed(path, line_ends(&legible) + 1, "the text is not UTF-8".to_owned())
    })?;
    Ok(Some(text))
}

/// The error for a line that cannot be read.
pub fn malformed(path: &Path, line: usize, reason: String) -> ProjectError {
    ProjectError::MalformedLine { path: path.to_path_buf(), line, reason }
}

/// A path as a word of a command that is told.
fn in_shell(path: &Path) -> String {
    quoted(&path.to_string_lossy())
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

fn line_ends(text: &str) -> usize {
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

    #[test]
    fn a_folder_in_the_place_of_an_env_file_has_a_hint_that_can_be_pasted() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("it's mine");
        std::fs::create_dir_all(folder.join(".env.plugins")).unwrap();
        let read = || Project::read(&folder, None, None, Strictness::Strict);
        let hint = read().unwrap_err().hint().unwrap();
        let (_, command) = hint.split_once("away: ").unwrap();
        assert!(std::process::Command::new("sh").args(["-c", command]).status().unwrap().success());
        read().unwrap();
    }

    #[test]
    fn the_project_name_comes_from_the_first_env_file_that_has_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("backend")).unwrap();
        std::fs::write(folder.path().join("backend/.env"), "PROJECT_NAME=base\n").unwrap();
        let read = |project| Project::read(folder.path(), None, project, Strictness::Strict);
        assert_eq!(read(None).unwrap().name, "base");
        std::fs::write(folder.path().join("backend/.env.local"), "PROJECT_NAME=local\n").unwrap();
        assert_eq!(read(None).unwrap().name, "local");
        assert_eq!(read(Some("flag")).unwrap().name, "flag");
        assert!(matches!(read(Some("../x")), Err(ProjectError::Name { .. })));
    }
}
