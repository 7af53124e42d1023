//! The project: its folder, its name, and the variables in its env files. Owns the reading of env files; writes none.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::env_file::{FileValue, line_ends, parse_env};
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
            Self::MalformedLine { path, line, .. } => format!("mend it: ${{EDITOR:-vi}} +{line} {}", shell_path(path)),
            Self::DanglingLink { folder, .. } => format!("make the folder: mkdir -p {}", shell_path(folder)),
            Self::Name { .. } => "give another: --project my-project".into(),
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
    }
}
