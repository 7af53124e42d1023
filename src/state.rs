//! What survives between commands: receipts (what is installed, verified how), the journal of transactions, the id of
//! this installation, and locks. Owns their files under `~/.nself`; touches no engine.

mod journal;
mod lock;
mod receipt;
mod record;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use journal::{Ending, Journal};
pub use lock::Lock;
pub use receipt::{RECEIPT_SCHEMA, Receipt, ReceiptContainer, ReceiptImage, ReceiptPort};
pub use record::{Finish, RECORD_SCHEMA, Record, Undo, UnreadableRecord, plugin_of};

use crate::fs::{self, FileError};
use crate::name::PluginName;

/// Why state could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("another process works on `{what}`: {holder}")]
    Busy { what: String, holder: String },
    #[error("the receipt `{}` cannot be read: {reason}", path.display())]
    BrokenReceipt { path: PathBuf, reason: String },
    #[error("the receipt `{}` cannot be read: its format is `{schema}`, and this version reads `{RECEIPT_SCHEMA}`", path.display())]
    LaterReceipt { path: PathBuf, schema: String },
    #[error("the record `{}` cannot be read: {reason}", path.display())]
    BrokenRecord { path: PathBuf, reason: String },
    #[error("the values in `{}` cannot be read: {reason}", path.display())]
    BrokenValues { path: PathBuf, reason: String },
    #[error(transparent)]
    File(#[from] FileError),
}

impl StateError {
    /// The command that helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Busy { .. } => Some("wait for it, or give it more time: NSELF_LOCK_TIMEOUT=5m nself plugin …".into()),
            Self::BrokenReceipt { path, .. } => path
                .file_stem()
                .map(|name| format!("install it again: nself plugin install {} --force", name.to_string_lossy())),
            Self::LaterReceipt { .. } => Some("use the later version of this program that wrote it".into()),
            Self::BrokenRecord { path, .. } => {
                let plugin = path.file_name().and_then(|name| name.to_str()?.split('.').next()).unwrap_or_default();
                Some(format!(
                    "use the version that wrote it, or give it up: nself plugin status --repair {plugin} --yes"
                ))
            }
            Self::BrokenValues { path, .. } => Some(format!("mend or move the file: {}", path.display())),
            Self::File(_) => None,
        }
    }
}

/// The state's folders.
#[derive(Debug, Clone)]
pub struct State {
    root: PathBuf,
    plugin_dir: PathBuf,
    queues: lock::Queues,
}

impl State {
    /// Names the folders; nothing is made yet.
    pub fn new(root: &Path, plugin_dir: &Path) -> Self {
        Self { root: root.to_path_buf(), plugin_dir: plugin_dir.to_path_buf(), queues: lock::Queues::default() }
    }

    /// Where the active package of a plugin lies.
    pub fn active_package(&self, name: &str) -> PathBuf {
        self.plugin_dir.join(name)
    }

    /// Where earlier packages are kept.
    pub fn earlier_package(&self, name: &PluginName, version: &semver::Version) -> PathBuf {
        self.root.join("versions").join(name.as_str()).join(version.to_string())
    }

    /// Where the package of an archive with this digest is kept while its image outlives a removal.
    pub fn kept_package(&self, name: &PluginName, digest: &crate::name::Digest) -> PathBuf {
        self.root.join("versions").join(name.as_str()).join(digest.to_hex())
    }

    /// A transaction's own folder, on the file system of the active packages so that a rename suffices.
    pub fn staging(&self, transaction: &str) -> PathBuf {
        self.spool().join(transaction)
    }

    /// The id of this installation, made at the first need.
    pub fn home_id(&self) -> Result<String, StateError> {
        let path = self.root.join("home-id");
        if let Some(bytes) = fs::read_optional(&path)? {
            let id = String::from_utf8_lossy(&bytes).trim().to_owned();
            if is_home_id(&id) {
                return Ok(id);
            }
        }
        fs::create_folder(&self.root)?;
        let id = fs::random_id();
        // Two first commands at once must use the same id: the first write stands.
        if fs::write_once(&path, id.as_bytes())? {
            return Ok(id);
        }
        match fs::read_optional(&path)?.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()) {
            Some(other) if is_home_id(&other) => Ok(other),
            // What is there is no id, and so nothing was ever made in its name.
            _ => fs::write_atomic(&path, id.as_bytes()).map(|()| id).map_err(StateError::from),
        }
    }

    /// The id of this installation if it has one; makes none.
    pub fn known_home_id(&self) -> Option<String> {
        let bytes = fs::read_optional(&self.root.join("home-id")).ok()??;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned()).filter(|id| is_home_id(id))
    }

    fn receipt_path(&self, project: &str, name: &str) -> PathBuf {
        self.root.join("receipts").join(project).join(format!("{name}.json"))
    }

    /// The receipt of a plugin in a project, if it is installed there.
    pub fn receipt(&self, project: &str, name: &PluginName) -> Result<Option<Receipt>, StateError> {
        let path = self.receipt_path(project, name.as_str());
        let Some(bytes) = fs::read_optional(&path).map_err(|error| unreadable(&path, &error))? else { return Ok(None) };
        read_receipt(&path, &bytes).map(Some)
    }

    /// Every receipt of a project by name; a broken one does not hide the others.
    pub fn receipts(&self, project: &str) -> Result<Vec<Result<Receipt, StateError>>, StateError> {
        let folder = self.root.join("receipts").join(project);
        let mut receipts = Vec::new();
        for name in fs::list_folder(&folder)? {
            let path = folder.join(&name);
            if name.strip_suffix(".json").is_none_or(|name| name.parse::<PluginName>().is_err()) {
                continue;
            }
            match fs::read_optional(&path) {
                Ok(Some(bytes)) => receipts.push(read_receipt(&path, &bytes)),
                Ok(None) => {}
                Err(error) => receipts.push(Err(unreadable(&path, &error))),
            }
        }
        Ok(receipts)
    }

    /// The projects that have receipts.
    pub fn projects(&self) -> Result<Vec<String>, StateError> {
        Ok(fs::list_folder(&self.root.join("receipts"))?)
    }

    /// Writes a receipt: the commit point of an installation.
    pub fn write_receipt(&self, receipt: &Receipt) -> Result<(), StateError> {
        let path = self.receipt_path(&receipt.project, receipt.plugin.as_str());
        fs::create_private_folder(path.parent().unwrap_or(&self.root))?;
        Ok(fs::write_atomic(&path, &json(receipt))?)
    }

    /// Removes a receipt that may be absent.
    pub fn remove_receipt(&self, project: &str, name: &PluginName) -> Result<(), StateError> {
        Ok(fs::remove_file(&self.receipt_path(project, name.as_str()))?)
    }

    fn owed_restart(&self, project: &str) -> PathBuf {
        self.root.join("restarts").join(project)
    }

    /// Whether the project's backend has still to be restarted after a change.
    pub fn owes_restart(&self, project: &str) -> bool {
        self.owed_restart(project).exists()
    }

    /// Notes that the project's backend has to be restarted.
    pub fn owe_restart(&self, project: &str) -> Result<(), StateError> {
        let path = self.owed_restart(project);
        fs::create_private_folder(path.parent().unwrap_or(&self.root))?;
        Ok(fs::write_atomic(&path, b"")?)
    }

    /// Notes that it was restarted.
    pub fn settle_restart(&self, project: &str) -> Result<(), StateError> {
        Ok(fs::remove_file(&self.owed_restart(project))?)
    }

    fn image_path(&self, digest: &crate::name::Digest) -> PathBuf {
        self.root.join("images").join(digest.to_hex())
    }

    /// The image that this installation made from the archive with this digest, by id. Only what is written here is
    /// believed: anybody can put a label on an image.
    pub fn image_of(&self, digest: &crate::name::Digest) -> Result<Option<String>, StateError> {
        let bytes = fs::read_optional(&self.image_path(digest))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
    }

    /// Notes an image that was made from an archive.
    pub fn remember_image(&self, digest: &crate::name::Digest, id: &str) -> Result<(), StateError> {
        let path = self.image_path(digest);
        fs::create_private_folder(path.parent().unwrap_or(&self.root))?;
        Ok(fs::write_atomic(&path, id.as_bytes())?)
    }

    /// Every image that this installation keeps, by id.
    pub fn known_images(&self) -> Result<Vec<String>, StateError> {
        let folder = self.root.join("images");
        let mut ids = Vec::new();
        for name in fs::list_folder(&folder)? {
            let bytes = fs::read_optional(&folder.join(name))?;
            ids.extend(bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()));
        }
        Ok(ids)
    }

    /// Forgets an image that is removed.
    pub fn forget_image(&self, id: &str) -> Result<(), StateError> {
        let folder = self.root.join("images");
        for name in fs::list_folder(&folder)? {
            let path = folder.join(name);
            if fs::read_optional(&path)?.is_some_and(|bytes| bytes == id.as_bytes()) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// Directory for anonymous spill files (downloads too large for memory) and staging folders.
    pub fn spool(&self) -> PathBuf {
        self.plugin_dir.join(".staging")
    }
}

/// Plain data as the text of a file.
pub(crate) fn json(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).expect("receipts and records are plain data");
    text.push(b'\n');
    text
}

fn unreadable(path: &Path, error: &FileError) -> StateError {
    StateError::BrokenReceipt { path: path.to_path_buf(), reason: error.source.to_string() }
}

fn read_receipt(path: &Path, bytes: &[u8]) -> Result<Receipt, StateError> {
    let broken = |reason: String| StateError::BrokenReceipt { path: path.to_path_buf(), reason };
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
    if let Some(schema) = value["schema"].as_str().filter(|schema| *schema != RECEIPT_SCHEMA) {
        let (path, schema) = (path.to_path_buf(), crate::name::shown(schema));
        return Err(StateError::LaterReceipt { path, schema });
    }
    let receipt: Receipt = serde_json::from_value(value).map_err(|error| broken(error.to_string()))?;
    let folder = path.parent().and_then(Path::file_name);
    if folder.is_none_or(|project| project != receipt.project.as_str())
        || path.file_stem().is_none_or(|name| name != receipt.plugin.as_str())
    {
        return Err(broken(format!("it is the receipt of `{}` in project `{}`", receipt.plugin, receipt.project)));
    }
    Ok(receipt)
}

fn is_home_id(word: &str) -> bool {
    word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(folder: &Path) -> State {
        State::new(&folder.join("home"), &folder.join("home/plugins"))
    }

    #[test]
    fn the_home_id_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(folder.path());
        let id = state.home_id().unwrap();
        assert_eq!(state.home_id().unwrap(), id);
        assert_eq!(id.len(), 16);
    }

    #[test]
    fn a_broken_receipt_does_not_hide_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(folder.path());
        let receipts = folder.path().join("home/receipts/demo");
        std::fs::create_dir_all(&receipts).unwrap();
        std::fs::write(receipts.join("a.json"), "{\"schema\":").unwrap();
        std::fs::write(receipts.join("b.json"), "{}").unwrap();
        let read = state.receipts("demo").unwrap();
        assert_eq!(read.len(), 2);
        assert!(read.iter().all(Result::is_err));
    }
}
