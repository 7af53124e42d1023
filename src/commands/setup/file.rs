//! `.env.plugins` on disk: what it is made from, whether it must be written, and whether git would take it along.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::dotenv::{self, Completed};
use crate::env_file::parse_env;
use crate::environment::{ValueOrigin, Variables};
use crate::error::Error;
use crate::fs::{self, behind_links, folder_of};
use crate::package::manifest::Manifest;
use crate::project::{ENV_FILES, EXAMPLES, Project, ProjectError, malformed, read_env_text};
use crate::ui::shell_path;

/// The file's name in the project's folder.
const NAME: &str = ENV_FILES[0];

/// The file as it should be.
#[derive(Debug)]
pub(super) struct EnvFile {
    pub(super) path: PathBuf,
    /// What `path` leads to where it is a link, else the same.
    target: PathBuf,
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
    let target = behind_links(&path);
    let folder = folder_of(&target);
    if !folder.is_dir() {
        return Err(ProjectError::DanglingLink { path, folder: folder.to_path_buf() }.into());
    }
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
    Ok(EnvFile { path, target, completed, example, is_new })
}

/// A file's text; one with a malformed line is an error, lest what is added to it be lost on its reader.
fn read(path: &Path) -> Result<Option<String>, ProjectError> {
    let text = read_env_text(path)?;
    if let Some(text) = &text {
        parse_env(text).map_err(|(line, reason)| malformed(path, line, reason))?;
    }
    Ok(text)
}

impl EnvFile {
    /// Whether there is anything to write.
    pub(super) fn has_changed(&self) -> bool {
        self.is_new || !self.completed.added.is_empty() || !self.completed.filled.is_empty()
    }

    /// Writes it, through a link to where that leads; a file that lacks nothing is not touched.
    pub(super) fn write(&self) -> Result<(), Error> {
        if self.has_changed() {
            fs::replace(&self.target, self.completed.text.as_bytes())?;
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

    /// Whether git would leave the file alone; `None` where there is no repository, or no git that could tell.
    pub(super) fn is_ignored_by_git(&self) -> Option<bool> {
        // 0 says "ignored", 1 says "not ignored"; 128 that there is no repository.
        match self.ask_git(&["check-ignore", "--quiet"]) {
            Some(0) => Some(true),
            Some(1) => Some(false),
            _ => None,
        }
    }

    /// The command after which git leaves the file alone, wherever it is run: a tracked file is committed whatever
    /// `.gitignore` says.
    pub(super) fn ignoring_command(&self) -> String {
        let folder = folder_of(&self.target);
        let name = shell_path(Path::new(self.target.file_name().unwrap_or_default()));
        // `git add` may have been given another text than the file has now; `--cached` leaves the file itself alone.
        let untrack = format!("git -C {} rm --quiet --force --cached {name}", shell_path(folder));
        let ignore = format!(r"printf '\n%s\n' {name} >> {}", shell_path(&folder.join(".gitignore")));
        let is_tracked = self.ask_git(&["ls-files", "--error-unmatch"]) == Some(0);
        let is_listed = self.ask_git(&["check-ignore", "--quiet", "--no-index"]) == Some(0);
        match (is_tracked, is_listed) {
            (true, true) => untrack,
            (true, false) => format!("{untrack} && {ignore}"),
            (false, _) => ignore,
        }
    }

    /// The exit code of a question to git about the file itself: of a link, git keeps only where it leads.
    fn ask_git(&self, words: &[&str]) -> Option<i32> {
        let asked = Command::new("git")
            .args(words)
            .arg("--")
            .arg(self.target.file_name()?)
            .current_dir(folder_of(&self.target))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        asked.ok()?.code()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fs::{create_dir, metadata, read_to_string, set_permissions, write};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    use super::*;
    use crate::project::Strictness;
    use crate::values::Values;

    const STRIPE: &str = r#"{"manifest_version": 2, "name": "stripe", "version": "1.0.0", "description": "Payments",
        "env": {"required": [{"name": "STRIPE_KEY", "description": "The key"}]}}"#;

    /// The file of a project's folder, with an answer for the plugin's one variable.
    fn completed(folder: &Path) -> Result<EnvFile, Error> {
        let project = Project::read(folder, None, None, Strictness::Strict).unwrap();
        let manifest = Manifest::read(STRIPE.as_bytes()).unwrap();
        let values = Values::read(Path::new("/nonexistent"), "nself").unwrap();
        let process = HashMap::new();
        let variables = Variables { flags: &[], process: &process, project: &project, values: &values };
        let answers = BTreeMap::from([("STRIPE_KEY".to_owned(), "k".to_owned())]);
        complete(&project, &[&manifest], &answers, &variables)
    }

    fn mode(path: &Path) -> u32 {
        metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_file_that_is_there_keeps_its_mode_and_owner_and_a_new_one_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        completed(folder.path()).unwrap().write().unwrap();
        assert_eq!(mode(&path), 0o600);
        for kept in [0o400, 0o600, 0o640] {
            write(&path, "STRIPE_KEY=\n").unwrap();
            set_permissions(&path, PermissionsExt::from_mode(kept)).unwrap();
            // Only root can give a file away.
            let _ = chown(&path, Some(1234), Some(1234));
            let before = metadata(&path).unwrap();
            completed(folder.path()).unwrap().write().unwrap();
            let after = metadata(&path).unwrap();
            assert_eq!((mode(&path), after.uid(), after.gid()), (kept, before.uid(), before.gid()));
            assert_eq!(read_to_string(&path).unwrap(), "STRIPE_KEY=k\n");
            fs::remove_file(&path).unwrap();
        }
        assert!(fs::list_folder(folder.path()).unwrap().is_empty(), "no temporary file is left");
    }

    #[test]
    fn a_link_stays_one_and_the_file_behind_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (project, shared) = (folder.path().join("project"), folder.path().join("shared"));
        create_dir(&project).unwrap();
        symlink("../shared/link", project.join(NAME)).unwrap();
        let absent = completed(&project).unwrap_err();
        assert!(absent.to_string().contains("is a link to"), "{absent}");
        assert!(absent.hint().unwrap().contains("mkdir -p "), "{absent:?}");
        create_dir(&shared).unwrap();
        symlink("secrets", shared.join("link")).unwrap();
        for is_there in [false, true] {
            if is_there {
                write(shared.join("secrets"), "# mine\n").unwrap();
            }
            completed(&project).unwrap().write().unwrap();
            let text = read_to_string(shared.join("secrets")).unwrap();
            assert!(text.contains("STRIPE_KEY=k\n") && text.contains("# mine\n") == is_there, "{text}");
            assert!(project.join(NAME).is_symlink() && shared.join("link").is_symlink());
            assert_eq!(mode(&shared.join("secrets")), 0o600);
        }
        assert_eq!(fs::list_folder(&shared).unwrap(), ["link", "secrets"]);
    }

    #[test]
    fn the_command_of_the_warning_makes_git_leave_the_file_alone() {
        let parent = tempfile::tempdir().unwrap();
        let prepare: [(&str, &str); 6] = [
            ("nothing", ""),
            ("a last line without its end", "printf '*.log' > .gitignore"),
            ("added", "git add .env.plugins"),
            ("added and changed", "git add .env.plugins && echo OTHER=1 >> .env.plugins"),
            ("committed", "git add -A && git commit -qm x"),
            ("committed and listed", "git add -A && git commit -qm x && echo .env.plugins > .gitignore"),
        ];
        for (case, script) in prepare {
            let folder = parent.path().join(format!("it's {case}"));
            create_dir(&folder).unwrap();
            let run = |script: &str, folder: &Path| {
                let done = Command::new("sh").args(["-ec", script]).current_dir(folder).output().unwrap();
                assert!(done.status.success(), "{case}: {script}: {done:?}");
            };
            completed(&folder).unwrap().write().unwrap();
            assert_eq!(completed(&folder).unwrap().is_ignored_by_git(), None, "{case}: there is no repository");
            run("git init -q && git config user.name x && git config user.email x@example.org", &folder);
            run(script, &folder);
            let file = completed(&folder).unwrap();
            assert_eq!(file.is_ignored_by_git(), Some(false), "{case}");
            let text = read_to_string(&file.path).unwrap();
            run(&file.ignoring_command(), Path::new("/"));
            assert_eq!(file.is_ignored_by_git(), Some(true), "{case}");
            assert_eq!(read_to_string(&file.path).unwrap(), text, "{case}");
        }
    }
}
