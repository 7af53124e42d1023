//! The project: its folder, its name, and the variables in its env files. Owns the reading of env files; writes none.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::io;
use std::path::{Path, PathBuf};

use crate::env_file::{FileValue, Parsed, line_ends, parse};
use crate::fs::{self, FileError};
use crate::ui::shell_path;

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
    /// A link whose target is missing: an env file that is to be written, or this program's own directory.
    #[error("`{}` is a link to `{}`, which is missing", path.display(), folder.display())]
    DanglingLink { path: PathBuf, folder: PathBuf },
    #[error(
        "{given_by}the project name `{name}` is not usable: it must begin with a lower-case letter or a digit, and may hold \
         these, `_` and `-`, at most 63"
    )]
    Name { name: String, given_by: NameSource },
    #[error(transparent)]
    File(#[from] FileError),
}

impl ProjectError {
    /// The command that helps.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoFolder(_) => "name the folder that holds the project's env files: --project-dir ./backend".into(),
            Self::MalformedLine { path, line, .. } => format!("mend it: ${{EDITOR:-vi}} +{line} {}", shell_path(path)),
            Self::DanglingLink { folder, .. } => {
                format!("mount or make the directory: mkdir -p {}", shell_path(folder))
            }
            Self::Name { given_by: NameSource::File { path, line, .. }, .. } => {
                format!("change it there: ${{EDITOR:-vi}} +{line} {}", shell_path(path))
            }
            Self::Name { given_by: NameSource::Process(key), .. } => {
                format!("set it to another, or unset it: unset {key}")
            }
            Self::Name { given_by: NameSource::Flag, .. } => "give another: --project my-project".into(),
            Self::File(error) if error.source.kind() == io::ErrorKind::IsADirectory => {
                let aside = error.path.with_added_extension("folder");
                format!(
                    "a file is wanted there; move the folder away: mv {} {}",
                    shell_path(&error.path),
                    shell_path(&aside)
                )
            }
            Self::File(_) => return None,
        })
    }
}

/// What gave the project its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameSource {
    /// `--project`.
    Flag,
    /// A variable of the process environment.
    Process(&'static str),
    /// A line of an env file.
    File { path: PathBuf, line: usize, key: &'static str },
}

impl std::fmt::Display for NameSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag => Ok(()),
            Self::Process(key) => write!(formatter, "{key} in the environment: "),
            Self::File { path, line, key } => write!(formatter, "`{}` line {line}, {key}: ", path.display()),
        }
    }
}

/// The variables that name the project, the first that is set counts.
const NAME_KEYS: [&str; 2] = ["PROJECT_NAME", "COMPOSE_PROJECT_NAME"];

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
    /// The same as [`Project::read_in`] where the process environment names no project.
    pub fn read(
        working_dir: &Path,
        project_dir: Option<&Path>,
        project: Option<&str>,
        strictness: Strictness,
    ) -> Result<Self, ProjectError> {
        Self::read_in(&HashMap::new(), (working_dir, project_dir), project, strictness)
    }

    /// Finds and reads the project: `--project-dir`, else the working folder, else `backend` in it. The name is the
    /// flag's, else the process environment's, else the env files'.
    pub fn read_in(
        process: &HashMap<String, String>,
        (working_dir, project_dir): (&Path, Option<&Path>),
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
                Ok(Some(parsed)) => {
                    warnings.extend(skipped(&path, &parsed));
                    files.push(EnvFile { path, values: parsed.values() });
                }
                Ok(None) => {}
                Err(error) if strictness == Strictness::Lenient => warnings.push(format!("passed over: {error}")),
                Err(error) => return Err(error),
            }
        }
        let name = match project.map(|name| (name.to_owned(), NameSource::Flag)).or_else(|| named(process, &files)) {
            Some((name, source)) => check_name(name, source)?,
            None => DEFAULT_PROJECT.to_owned(),
        };
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

/// The name that the process environment or an env file gives, and where.
pub fn named<S: BuildHasher>(process: &HashMap<String, String, S>, files: &[EnvFile]) -> Option<(String, NameSource)> {
    let is_full = |value: &String| !value.is_empty();
    let in_process = NAME_KEYS.into_iter().find_map(|key| {
        let value = process.get(key).filter(|value| is_full(value))?;
        Some((value.clone(), NameSource::Process(key)))
    });
    let in_file = |key: &'static str| {
        files.iter().find_map(|file| {
            let value = file.values.get(key)?;
            let mut lookup = |name: &str| {
                let in_file = || files.iter().find_map(|file| file.values.get(name)).map(|value| value.text.clone());
                process.get(name).cloned().or_else(|| if name == key { None } else { in_file() })
            };
            let name = value.template.expand(&mut lookup, &mut Vec::new()).filter(is_full)?;
            Some((name, NameSource::File { path: file.path.clone(), line: value.line, key }))
        })
    };
    in_process.or_else(|| NAME_KEYS.into_iter().find_map(in_file))
}

/// One warning for all that was skipped in a file.
fn skipped(path: &Path, parsed: &Parsed) -> Option<String> {
    let lines: Vec<String> = parsed.skipped.iter().map(|(line, what)| format!("line {line}: {what}")).collect();
    (!lines.is_empty()).then(|| format!("skipped in `{}`: {}", path.display(), lines.join("; ")))
}

/// A project's name becomes part of container, network and folder names.
fn check_name(name: String, source: NameSource) -> Result<String, ProjectError> {
    if is_name(&name) {
        Ok(name)
    } else {
        Err(ProjectError::Name { name: crate::name::shown(&name), given_by: source })
    }
}

/// Whether a word can be a project's name.
pub fn is_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    first && name.len() <= 63 && name.bytes().all(legal)
}

fn read_env_file(path: &Path) -> Result<Option<Parsed>, ProjectError> {
    let Some(text) = read_env_text(path)? else { return Ok(None) };
    parse(&text).map(Some).map_err(|(line, reason)| malformed(path, line, reason))
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let process = HashMap::from([("COMPOSE_PROJECT_NAME".to_owned(), "process".to_owned())]);
        let read = |flag| Project::read_in(&process, (folder.path(), None), flag, Strictness::Strict).unwrap().name;
        assert_eq!((read(None).as_str(), read(Some("flag")).as_str()), ("process", "flag"));
    }

    #[test]
    fn an_unusable_name_is_reported_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".env"), "A=1\nCOMPOSE_PROJECT_NAME=KAST\n").unwrap();
        let error = Project::read(folder.path(), None, None, Strictness::Strict).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(".env` line 2, COMPOSE_PROJECT_NAME: ") && text.contains("`KAST`"), "{text}");
        assert!(error.hint().unwrap().starts_with("change it there: ${EDITOR:-vi} +2 "));
        std::fs::write(folder.path().join(".env"), "PROJECT_NAME=${STAGE:-demo}\n").unwrap();
        assert_eq!(Project::read(folder.path(), None, None, Strictness::Strict).unwrap().name, "demo");
    }
}
