//! Stored values: what the user set with `config set` and what was generated, one private file a project in the
//! configuration folder. They outlive updates and removals. Owns that file; every change is under its lock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::fs;
use crate::state::{StateError, json};

/// The key under which values of the whole project are kept.
pub const WHOLE_PROJECT: &str = "*";

type ByPlugin = BTreeMap<String, BTreeMap<String, String>>;

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

    /// Whether nobody but this owner has values.
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
