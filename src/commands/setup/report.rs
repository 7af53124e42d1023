//! What a set-up tells at the end: what `install` tells, the file, and what to do next.

use serde_json::{Map, Value, json};

use super::file::EnvFile;
use crate::commands::install::InstallReport;
use crate::error::Error;
use crate::ui::{Report, Style};

/// The outcome of a set-up.
#[derive(Debug)]
pub struct SetupReport {
    pub(super) installed: InstallReport,
    pub(super) file: EnvFile,
    /// `None` where there is no repository.
    pub(super) is_ignored_by_git: Option<bool>,
}

impl SetupReport {
    /// What is to be warned of where git would take the file along.
    pub(super) fn git_warning(&self) -> Option<String> {
        let EnvFile { path, .. } = &self.file;
        let warning = || {
            let command = self.file.ignoring_command();
            format!("git would commit {}, which holds secrets; run: {command}", path.display())
        };
        (self.is_ignored_by_git == Some(false)).then(warning)
    }
}

impl Report for SetupReport {
    fn schema(&self) -> &'static str {
        "nself.plugin.setup/1"
    }

    fn status(&self) -> &'static str {
        self.installed.status()
    }

    fn exit_code(&self) -> u8 {
        self.installed.exit_code()
    }

    fn errors(&self) -> Vec<&Error> {
        self.installed.errors()
    }

    fn json(&self) -> Map<String, Value> {
        let mut fields = self.installed.json();
        let file = json!({
            "path": self.file.path.display().to_string(),
            "changed": self.file.has_changed(),
            "added": self.file.completed.added,
            "filled": self.file.completed.filled,
            "ignored_by_git": self.is_ignored_by_git,
        });
        fields.insert("env_file".into(), file);
        fields
    }

    fn text(&self, style: Style) -> String {
        [self.installed.text(style), self.file.summary()].join("\n")
    }
}
