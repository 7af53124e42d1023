//! What survives between commands: receipts (what is installed, proven how), records of unfinished transactions,
//! the id of this installation, and locks. Owns their files under `~/.nself`; touches no engine.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::docker::PublishedPort;
use crate::fs::{self, FileError};
use crate::name::PluginName;
use crate::package::Proof;

/// The receipt's format; a receipt of a later one is left alone.
pub const RECEIPT_SCHEMA: &str = "nself.receipt/1";

/// Why state could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("another process works on `{what}`: {holder}")]
    Busy { what: String, holder: String },
    #[error("the receipt `{}` cannot be read: {reason}", path.display())]
    BrokenReceipt { path: PathBuf, reason: String },
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
            Self::BrokenValues { path, .. } => Some(format!("mend or move the file: {}", path.display())),
            Self::File(_) => None,
        }
    }
}

/// What was installed, from where, proven how. Holds names of variables, never values.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Receipt {
    pub schema: String,
    pub plugin: PluginName,
    pub version: semver::Version,
    pub project: String,
    pub description: String,
    /// The registry that delivered, or `local`.
    pub registry: String,
    /// The archive's address or the folder.
    pub source: String,
    pub digest: Option<crate::name::Digest>,
    pub proof: Proof,
    pub image: ReceiptImage,
    pub containers: Vec<ReceiptContainer>,
    pub ports: Vec<ReceiptPort>,
    pub networks: Vec<String>,
    pub volumes: Vec<String>,
    pub variables: Vec<String>,
    pub dependencies: Vec<PluginName>,
    /// What the container was granted beyond the hardened defaults.
    pub granted: Vec<String>,
    pub health_path: String,
    pub transaction: String,
    /// Seconds since 1970.
    pub installed_at: u64,
    pub healthy_after_milliseconds: u64,
    /// Fields of later versions, kept as they are.
    #[serde(flatten)]
    pub others: BTreeMap<String, serde_json::Value>,
}

/// The image that the containers run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiptImage {
    pub reference: String,
    pub id: String,
    /// Whether this program brought it, and so may take it away.
    pub owned: bool,
}

/// One container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiptContainer {
    pub service: String,
    pub name: String,
    pub id: String,
    pub config_hash: String,
}

/// One published port.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiptPort {
    pub name: String,
    pub host: u16,
    pub container: u16,
    /// The name under which people open it.
    pub hostname: Option<String>,
}

impl ReceiptPort {
    /// The address to open.
    pub fn address(&self) -> String {
        format!("http://{}:{}", self.hostname.as_deref().unwrap_or("127.0.0.1"), self.host)
    }
}

impl From<&ReceiptPort> for PublishedPort {
    fn from(port: &ReceiptPort) -> Self {
        Self { host: port.host, container: port.container }
    }
}

/// What is undone when a transaction does not reach its commit point. Each can be done any number of times, and
/// whether or not the step that it undoes was ever done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "undo")]
pub enum Undo {
    /// Remove the containers that carry the transaction's label.
    RemoveNewContainers,
    /// Give the earlier container its name back and start it if it ran.
    RestoreContainer { name: String, parked: String, was_running: bool },
    /// Remove the network if the transaction made it.
    RemoveNetwork { name: String },
    /// Remove the volume if the transaction made it.
    RemoveVolume { name: String },
    /// Remove the images that the transaction built.
    RemoveBuiltImages,
    /// Remove an image that was not there before.
    RemovePulledImage { reference: String },
    /// Put the earlier package back.
    RestorePackage { active: PathBuf, staged: PathBuf, staged_inode: u64 },
    /// Forget values that were generated.
    ForgetValues { plugin: String, keys: Vec<String> },
}

/// What is done after the commit point; a failure here is a warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "finish")]
pub enum Finish {
    /// Remove the earlier container.
    RemoveContainer { name: String },
    /// Keep the earlier package for a way back.
    KeepEarlierPackage { from: PathBuf, to: PathBuf },
    /// Remove an image that nothing uses any more.
    RemoveImage { reference: String },
    /// Remove the network if nothing is left on it.
    RemoveEmptyNetwork { name: String },
    /// Remove a volume and its data.
    RemoveVolume { name: String },
    /// Remove the active package.
    RemovePackage { path: PathBuf },
    /// Remove the receipt.
    RemoveReceipt,
    /// Forget every stored value of the plugin.
    ForgetValues { plugin: String },
}

/// The intent of a transaction, on disk before anything changes. Whatever happens, it can be undone or finished
/// from this alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    pub id: String,
    pub plugin: PluginName,
    pub project: String,
    /// A removal is committed by its record; an installation by its receipt.
    pub is_removal: bool,
    /// In the order of the steps; undone in reverse.
    pub undo: Vec<Undo>,
    pub finish: Vec<Finish>,
}

/// The state's folders.
#[derive(Debug, Clone)]
pub struct State {
    root: PathBuf,
    plugin_dir: PathBuf,
}

/// A held lock; the kernel frees it when this process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl State {
    /// Names the folders; nothing is made yet.
    pub fn new(root: &Path, plugin_dir: &Path) -> Self {
        Self { root: root.to_path_buf(), plugin_dir: plugin_dir.to_path_buf() }
    }

    /// Where the active package of a plugin lies.
    pub fn active_package(&self, name: &str) -> PathBuf {
        self.plugin_dir.join(name)
    }

    /// Where earlier packages are kept.
    pub fn earlier_package(&self, name: &PluginName, version: &semver::Version) -> PathBuf {
        self.root.join("versions").join(name.as_str()).join(version.to_string())
    }

    /// A transaction's own folder, on the file system of the active packages so that a rename suffices.
    pub fn staging(&self, transaction: &str) -> PathBuf {
        self.plugin_dir.join(".staging").join(transaction)
    }

    /// The id of this installation, made at the first need.
    pub fn home_id(&self) -> Result<String, StateError> {
        let path = self.root.join("home-id");
        if let Some(bytes) = fs::read_optional(&path)? {
            let id = String::from_utf8_lossy(&bytes).trim().to_owned();
            if id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Ok(id);
            }
        }
        fs::create_folder(&self.root)?;
        let id = fs::random_id();
        fs::write_atomic(&path, id.as_bytes())?;
        // Two first commands at once: the later write is what both must use.
        Ok(fs::read_optional(&path)?.map_or(id, |bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn receipt_path(&self, project: &str, name: &str) -> PathBuf {
        self.root.join("receipts").join(project).join(format!("{name}.json"))
    }

    /// The receipt of a plugin in a project, if it is installed there.
    pub fn receipt(&self, project: &str, name: &PluginName) -> Result<Option<Receipt>, StateError> {
        let path = self.receipt_path(project, name.as_str());
        let Some(bytes) = fs::read_optional(&path)? else { return Ok(None) };
        read_receipt(&path, &bytes).map(Some)
    }

    /// Every receipt of a project by name; a broken one does not hide the others.
    pub fn receipts(&self, project: &str) -> Result<Vec<Result<Receipt, StateError>>, StateError> {
        let folder = self.root.join("receipts").join(project);
        let mut receipts = Vec::new();
        for name in fs::list_folder(&folder)? {
            if name.starts_with('.') || !name.ends_with(".json") {
                continue;
            }
            let path = folder.join(&name);
            if let Some(bytes) = fs::read_optional(&path)? {
                receipts.push(read_receipt(&path, &bytes));
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
        let mut text = serde_json::to_vec_pretty(receipt).expect("a receipt is plain data");
        text.push(b'\n');
        Ok(fs::write_atomic(&path, &text)?)
    }

    /// Removes a receipt that may be absent.
    pub fn remove_receipt(&self, project: &str, name: &PluginName) -> Result<(), StateError> {
        Ok(fs::remove_file(&self.receipt_path(project, name.as_str()))?)
    }

    fn records_folder(&self) -> PathBuf {
        self.root.join("transactions")
    }

    /// Puts the intent on disk, before anything changes.
    pub fn begin(&self, record: &Record) -> Result<(), StateError> {
        let folder = self.records_folder();
        fs::create_private_folder(&folder)?;
        let text = serde_json::to_vec(record).expect("a record is plain data");
        Ok(fs::write_atomic(&folder.join(format!("{}.json", record.id)), &text)?)
    }

    /// Forgets a transaction that is undone or finished, and its staging folder.
    pub fn end(&self, id: &str) -> Result<(), StateError> {
        fs::remove_tree(&self.staging(id))?;
        Ok(fs::remove_file(&self.records_folder().join(format!("{id}.json")))?)
    }

    /// The transactions whose record is still there, running or interrupted. A torn record cannot be: it is written
    /// by a rename; one that cannot be read is of a later version and left alone.
    pub fn unfinished(&self) -> Result<Vec<Record>, StateError> {
        let folder = self.records_folder();
        let mut records = Vec::new();
        for name in fs::list_folder(&folder)? {
            if let Some(bytes) = fs::read_optional(&folder.join(&name))?
                && let Ok(record) = serde_json::from_slice(&bytes)
            {
                records.push(record);
            }
        }
        Ok(records)
    }

    /// The staging folders of transactions that have no record: interrupted before anything changed.
    pub fn stray_staging(&self) -> Result<Vec<String>, StateError> {
        Ok(fs::list_folder(&self.plugin_dir.join(".staging"))?)
    }

    /// Takes the lock of a plugin or of a shared thing, waiting at most `timeout`.
    pub async fn lock(&self, what: &str, timeout: Duration) -> Result<Lock, StateError> {
        let started = tokio::time::Instant::now();
        let mut pause = Duration::from_millis(5);
        loop {
            match self.try_lock(what)? {
                Ok(lock) => return Ok(lock),
                Err(holder) if started.elapsed() >= timeout => {
                    return Err(StateError::Busy { what: what.to_owned(), holder });
                }
                Err(_) => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    /// Takes a lock if it is free; else says who holds it.
    pub fn try_lock(&self, what: &str) -> Result<Result<Lock, String>, StateError> {
        let folder = self.root.join("locks");
        fs::create_private_folder(&folder)?;
        let path = folder.join(format!("{what}.lock"));
        loop {
            let mut file = open_lock(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => return Ok(Err(holder(&mut file))),
                Err(std::fs::TryLockError::Error(error)) => return Err(fs::failed("lock", &path)(error).into()),
            }
            // Somebody may have removed the file meanwhile: a lock on a file without a name guards nothing.
            let same = std::fs::metadata(&path).ok().zip(file.metadata().ok());
            if same.is_some_and(|(named, held)| (named.dev(), named.ino()) == (held.dev(), held.ino())) {
                let _ = file.set_len(0);
                let _ = file.rewind();
                let _ = write!(file, "process {} ({})", std::process::id(), command_line());
                return Ok(Ok(Lock { _file: file }));
            }
        }
    }
}

fn open_lock(path: &Path) -> Result<File, FileError> {
    use std::os::unix::fs::OpenOptionsExt;
    #[expect(clippy::cast_possible_wrap, reason = "the flag is a small constant of the platform")]
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(no_follow)
        .open(path)
        .map_err(fs::failed("open the lock", path))
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let _ = file.take(400).read_to_string(&mut text);
    if text.is_empty() { "a process that has not said who it is".into() } else { crate::name::shown(&text) }
}

/// The program and its words, without values: what the holder of a lock is recognised by.
fn command_line() -> String {
    let words = std::env::args().skip(1).take_while(|word| !word.starts_with('-')).take(4);
    std::iter::once("nself".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

fn read_receipt(path: &Path, bytes: &[u8]) -> Result<Receipt, StateError> {
    let broken = |reason: String| StateError::BrokenReceipt { path: path.to_path_buf(), reason };
    let receipt: Receipt = serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
    if receipt.schema != RECEIPT_SCHEMA {
        return Err(broken(format!("its format is `{}`, and this program reads `{RECEIPT_SCHEMA}`", receipt.schema)));
    }
    Ok(receipt)
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

    #[tokio::test]
    async fn a_held_lock_is_refused_and_names_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(folder.path());
        let held = state.lock("realtime", Duration::ZERO).await.unwrap();
        let refused = state.lock("realtime", Duration::from_millis(20)).await.unwrap_err();
        assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
        drop(held);
        state.lock("realtime", Duration::ZERO).await.unwrap();
    }

    #[test]
    fn a_lock_file_that_is_a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(folder.path());
        let victim = folder.path().join("victim");
        std::fs::write(&victim, "untouched").unwrap();
        let locks = folder.path().join("home/locks");
        std::fs::create_dir_all(&locks).unwrap();
        std::os::unix::fs::symlink(&victim, locks.join("realtime.lock")).unwrap();
        assert!(state.try_lock("realtime").is_err());
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
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
