//! The project: its folder, its name, and the variables in its env files. Owns the reading of env files; writes none.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::fs::{self, FileError};

/// The env files in the order in which they are asked, the first answer counts (design §7).
pub const ENV_FILES: &[&str] = &[".env.plugins", ".env.local", ".env.dev", ".env"];
/// Where an example of the first of them may lie, relative to the project's folder.
pub const EXAMPLES: &[&str] = &[".env.plugins.example", "../.backend/.env.plugins.example"];
/// What the backend CLI writes into its project.
pub const COMPOSE_FILE: &str = "docker-compose.yml";
/// The project's name when nothing says otherwise.
pub const DEFAULT_PROJECT: &str = "nself";
const LARGEST_ENV_FILE: usize = 1024 * 1024;

/// Why the project could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    #[error("there is no project folder `{}`", .0.display())]
    NoFolder(PathBuf),
    #[error("`{}` line {line}: {reason}", path.display())]
    MalformedLine { path: PathBuf, line: usize, reason: String },
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
            Self::MalformedLine { path, line, .. } => format!("mend it: ${{EDITOR:-vi}} +{line} {}", path.display()),
            Self::Name { .. } => "give another: --project my-project".into(),
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
    let Some(bytes) = fs::read_optional(path)? else { return Ok(None) };
    let malformed =
        |line, reason: &str| ProjectError::MalformedLine { path: path.to_path_buf(), line, reason: reason.to_owned() };
    if bytes.len() > LARGEST_ENV_FILE {
        return Err(malformed(1, "the file is larger than 1 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|byte| *byte == b'\n').count();
        malformed(line, "the text is not UTF-8")
    })?;
    let values = parse_env(&text).map_err(|(line, reason)| malformed(line, &reason))?;
    Ok(Some(values))
}

/// Reads `KEY=VALUE` lines: `export`, comments, single quotes (literal), double quotes (escapes), values over several
/// lines in quotes, BOM, CRLF. An error names the line and the key, never the value.
pub fn parse_env(text: &str) -> Result<HashMap<String, FileValue>, (usize, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut values = HashMap::new();
    let mut rest = text;
    let mut line = 1;
    while !rest.is_empty() {
        let end = rest.find('\n').unwrap_or(rest.len());
        let current = rest[..end].trim();
        if current.is_empty() || current.starts_with('#') {
            rest = rest.get(end + 1..).unwrap_or("");
            line += 1;
            continue;
        }
        let Some(equals) = rest[..end].find('=') else {
            return Err((line, "there is no `=` in the line".to_owned()));
        };
        let key = rest[..equals].trim();
        let key = key.strip_prefix("export ").map_or(key, str::trim_start);
        if !is_variable_name(key) {
            return Err((line, format!("`{}` is no variable name", crate::name::shown(key))));
        }
        let (value, used) = parse_value(&rest[equals + 1..]).map_err(|reason| (line, format!("`{key}` {reason}")))?;
        line += rest[..equals + 1 + used].matches('\n').count();
        rest = &rest[equals + 1 + used..];
        values.insert(key.to_owned(), value);
    }
    Ok(values)
}

/// Whether a word is a variable's name as shells know it.
pub fn is_variable_name(word: &str) -> bool {
    let first = word.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Reads a value and how many bytes of the text it took, its line's end included.
fn parse_value(text: &str) -> Result<(FileValue, usize), String> {
    let start = text.len() - text.trim_start_matches([' ', '\t']).len();
    let body = &text[start..];
    match body.chars().next() {
        Some('\'') => {
            let end = body[1..].find('\'').ok_or("opens a `'` that nothing closes")?;
            let used = end_of_line(text, start + end + 2)?;
            Ok((FileValue { text: body[1..=end].to_owned(), expands: false }, used))
        }
        Some('"') => {
            let (value, length) = parse_double_quoted(&body[1..])?;
            let used = end_of_line(text, start + 1 + length)?;
            Ok((FileValue { text: value, expands: true }, used))
        }
        _ => {
            let end = text.find('\n').unwrap_or(text.len());
            // A comment begins after a space, also where there is no value before it.
            let line = &text[..end];
            let value = line.find(" #").map_or(line, |comment| &line[..comment]).trim();
            Ok((FileValue { text: value.to_owned(), expands: true }, (end + 1).min(text.len())))
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
                Some(escaped @ ('"' | '\\')) => value.push(escaped),
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
    let end = text[from..].find('\n').map_or(text.len(), |end| from + end);
    let rest = text[from..end].trim();
    if rest.is_empty() || rest.starts_with('#') {
        Ok((end + 1).min(text.len()))
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
