//! `.env.plugins` on disk: what it is made from, whether it must be written, and whether git would take it along.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::dotenv::{self, Completed};
use crate::environment::{ValueOrigin, Variables};
use crate::error::Error;
use crate::fs;
use crate::package::manifest::Manifest;
use crate::project::{ENV_FILES, EXAMPLES, Project, ProjectError, parse_env};

/// The file's name in the project's folder.
const NAME: &str = ENV_FILES[0];

/// The file as it should be.
#[derive(Debug)]
pub(super) struct EnvFile {
    pub(super) path: PathBuf,
    pub(super) completed: Completed,
    /// The example that a new file is made from.
    pub(super) example: Option<PathBuf>,
    is_new: bool,
}

/// Reads the file, else an example of it, and adds what the plugins' variables lack. Writes nothing.
pub(super) fn complete(
    project: &Project,
    manifests: &[&Manifest],
    answers: &BTreeMap<String, String>,
    variables: &Variables<'_>,
) -> Result<EnvFile, Error> {
    let path = project.folder.join(NAME);
    let own = read(&path)?;
    let is_new = own.is_none();
    let mut example = None;
    let mut existing = own;
    if existing.is_none() {
        for name in EXAMPLES {
            let candidate = project.folder.join(name);
            if let Some(text) = read(&candidate)? {
                (existing, example) = (Some(text), Some(candidate));
                break;
            }
        }
    }
    let elsewhere = |manifest: &Manifest, names: &[&str]| {
        let mut found = names.iter().filter_map(|name| variables.find(manifest.name.as_str(), name));
        found.next().map(|(_, origin)| match origin {
            ValueOrigin::File(name) => name,
            ValueOrigin::Stored => format!("nself plugin config {}", manifest.name),
            _ => "the environment".to_owned(),
        })
    };
    let completed = dotenv::complete(existing.as_deref(), manifests, answers, &elsewhere);
    Ok(EnvFile { path, completed, example, is_new })
}

/// A file's text; one with a malformed line is an error, lest what is added to it be lost on its reader.
fn read(path: &Path) -> Result<Option<String>, Error> {
    let Some(bytes) = fs::read_optional(path)? else { return Ok(None) };
    let malformed = |line, reason| ProjectError::MalformedLine { path: path.to_path_buf(), line, reason };
    let text = String::from_utf8(bytes).map_err(|_| malformed(1, "the text is not UTF-8".to_owned()))?;
    parse_env(&text).map_err(|(line, reason)| malformed(line, reason))?;
    Ok(Some(text))
}

impl EnvFile {
    /// Whether there is anything to write.
    pub(super) fn has_changed(&self) -> bool {
        self.is_new || !self.completed.added.is_empty() || !self.completed.filled.is_empty()
    }

    /// Writes it, readable by the owner alone; a file that lacks nothing is not touched.
    pub(super) fn write(&self) -> Result<(), Error> {
        if self.has_changed() {
            fs::write_atomic(&self.path, self.completed.text.as_bytes())?;
        }
        Ok(())
    }

    /// One line for people.
    pub(super) fn summary(&self) -> String {
        let path = self.path.display();
        let Completed { added, filled, .. } = &self.completed;
        let from = self.example.as_ref().map(|example| format!(" from {}", example.display())).unwrap_or_default();
        if self.is_new {
            return format!("{path}: a new file{from} with {} variables", added.len());
        }
        match (added.len(), filled.len()) {
            (0, 0) => format!("{path}: nothing to add"),
            (added, 0) => format!("{path}: {added} variables are added"),
            (added, filled) => format!("{path}: {added} variables are added, {filled} get their value"),
        }
    }

    /// Whether git would leave the file alone; true where there is no repository, or no git that could tell.
    pub(super) fn is_ignored_by_git(&self) -> bool {
        let folder = self.path.parent().unwrap_or(&self.path);
        let asked = Command::new("git")
            .args(["check-ignore", "--quiet", NAME])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        // 1 says "not ignored"; 128 that there is no repository.
        asked.ok().and_then(|status| status.code()) != Some(1)
    }
}
