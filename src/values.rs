//! Stored values: what the user set with `config set` and what was generated, one private file per project in the
//! configuration directory. They outlive updates and removals. Values that a transaction generates lie in a file of
//! their own (`values.d/TRANSACTION.json`) until it commits, so that rolling it back removes a file and needs no room on
//! the disk. Owns these files; every change of a project's file is under its lock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fs;
use crate::state::{StateError, json};

/// The key under which values of the whole project are kept.
pub const WHOLE_PROJECT: &str = "*";

type ByPlugin = BTreeMap<String, BTreeMap<String, String>>;

/// The values that an open transaction has generated.
#[derive(Serialize, Deserialize)]
struct Generated {
    project: String,
    plugin: String,
    values: BTreeMap<String, String>,
}

fn generated_path(config_dir: &Path, transaction: &str) -> PathBuf {
    config_dir.join("values.d").join(format!("{transaction}.json"))
}

/// Writes the values that a transaction has generated; they count when [`keep_generated`] has been called.
pub fn stage_generated(
    config_dir: &Path,
    transaction: &str,
    (project, plugin): (&str, &str),
    values: &[(String, String)],
) -> Result<(), StateError> {
    let path = generated_path(config_dir, transaction);
    fs::create_private_folder(fs::folder_of(&path))?;
    let values = values.iter().cloned().collect();
    let generated = Generated { project: project.to_owned(), plugin: plugin.to_owned(), values };
    Ok(fs::write_atomic(&path, &json(&generated))?)
}

/// Adds a committed transaction's values to those of its project. Can be repeated.
pub fn keep_generated(config_dir: &Path, transaction: &str) -> Result<(), StateError> {
    let path = generated_path(config_dir, transaction);
    let Some(bytes) = fs::read_optional(&path)? else { return Ok(()) };
    let generated: Generated = serde_json::from_slice(&bytes)
        .map_err(|error| StateError::BrokenValues { path: path.clone(), reason: error.to_string() })?;
    let mut values = Values::read(config_dir, &generated.project)?;
    for (key, value) in &generated.values {
        values.set(&generated.plugin, key, value);
    }
    values.write()?;
    Ok(fs::remove_file(&path)?)
}

/// Whether a transaction has generated values that are not kept yet.
pub fn has_generated(config_dir: &Path, transaction: &str) -> bool {
    generated_path(config_dir, transaction).exists()
}

/// Forgets the values that a transaction has generated.
pub fn discard_generated(config_dir: &Path, transaction: &str) -> Result<(), StateError> {
    Ok(fs::remove_file(&generated_path(config_dir, transaction))?)
}

/// Removes the temporary files that killed commands left beside the values.
pub fn sweep(config_dir: &Path) {
    fs::sweep(&config_dir.join("values"));
    fs::sweep(&config_dir.join("values.d"));
}

/// The stored values of one project.
#[derive(Debug, Clone, Default)]
pub struct Values {
    path: PathBuf,
    by_plugin: ByPlugin,
}

impl Values {
    /// Reads the file; none is the same as an empty one.
    pub fn read(config_dir: &Path, project: &str) -> Result<Self, StateError> {
        let path = config_dir.join("values").join(format!("{project}.json"));
        let by_plugin = match fs::read_optional(&path)? {
            Some(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| StateError::BrokenValues { path: path.clone(), reason: error.to_string() })?,
            None => ByPlugin::new(),
        };
        Ok(Self { path, by_plugin })
    }

    /// A plugin's value, else the project's.
    pub fn get(&self, plugin: &str, key: &str) -> Option<&str> {
        let of = |owner: &str| self.by_plugin.get(owner).and_then(|values| values.get(key));
        of(plugin).or_else(|| of(WHOLE_PROJECT)).map(String::as_str)
    }

    /// The names of a plugin's own values.
    pub fn keys(&self, plugin: &str) -> impl Iterator<Item = &str> {
        self.by_plugin.get(plugin).into_iter().flatten().map(|(key, _)| key.as_str())
    }

    /// Whether only this owner has values.
    pub fn is_only(&self, plugin: &str) -> bool {
        self.by_plugin.keys().all(|owner| owner == plugin)
    }

    /// Sets values; call [`Values::write`] after.
    pub fn set(&mut self, plugin: &str, key: &str, value: &str) {
        self.by_plugin.entry(plugin.to_owned()).or_default().insert(key.to_owned(), value.to_owned());
    }

    /// Forgets one value; true if it was there.
    pub fn forget(&mut self, plugin: &str, key: &str) -> bool {
        let Some(values) = self.by_plugin.get_mut(plugin) else { return false };
        let was_there = values.remove(key).is_some();
        if values.is_empty() {
            self.by_plugin.remove(plugin);
        }
        was_there
    }

    /// Forgets all values of a plugin.
    pub fn forget_all(&mut self, plugin: &str) {
        self.by_plugin.remove(plugin);
    }

    /// Writes the file, readable by the owner alone; an empty one is removed.
    pub fn write(&self) -> Result<(), StateError> {
        if self.by_plugin.is_empty() {
            return Ok(fs::remove_file(&self.path)?);
        }
        fs::create_private_folder(self.path.parent().unwrap_or(Path::new(".")))?;
        Ok(fs::write_atomic(&self.path, &json(&self.by_plugin))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_values_count_from_the_commit_on_and_leave_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path();
        let generated = [("CHAT_SECRET".to_owned(), "new".to_owned())];
        let value = || Values::read(config, "demo").unwrap().get("chat", "CHAT_SECRET").map(ToOwned::to_owned);
        stage_generated(config, "chat.1", ("demo", "chat"), &generated).unwrap();
        assert_eq!(value(), None);
        discard_generated(config, "chat.1").unwrap();
        keep_generated(config, "chat.1").unwrap();
        assert_eq!(value(), None);
        stage_generated(config, "chat.2", ("demo", "chat"), &generated).unwrap();
        keep_generated(config, "chat.2").unwrap();
        discard_generated(config, "chat.1").unwrap();
        assert_eq!(value().as_deref(), Some("new"));
        assert!(!has_generated(config, "chat.2"));
        assert!(fs::list_folder(&config.join("values.d")).unwrap().is_empty());
    }
}
