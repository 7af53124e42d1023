//! The record of a transaction: how each of its steps is rolled back, and what is done after its commit point. Its
//! JSON is read by later versions of this program: every variant has a golden file in the tests.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::docker::EngineIdentity;
use crate::name::PluginName;

/// The record's format. Version 0.10 wrote none.
pub const RECORD_SCHEMA: &str = "nself.record/1";

/// What is rolled back when a transaction does not reach its commit point. Each can be done any number of times, and
/// whether or not the step that it undoes was ever done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "undo")]
pub enum Undo {
    /// Remove the containers that the transaction created.
    RemoveNewContainers,
    /// Give the earlier container its name back and put it into the state that it had.
    RestoreContainer {
        /// Its id; 0.10 wrote none.
        #[serde(default)]
        id: Option<String>,
        name: String,
        parked: String,
        /// The engine's word for its state (`running`, `paused`, `exited`, …), or `unhealthy` for one that ran and did
        /// not answer well; 0.10 wrote none.
        #[serde(default)]
        state: Option<String>,
        was_running: bool,
    },
    /// Remove the network, which was not there before the command, if nothing is on it and nothing of the project is
    /// installed, or the transaction created it.
    RemoveNetwork { name: String },
    /// Remove the volume if the transaction created it.
    RemoveVolume { name: String },
    /// Remove the images that the transaction built.
    RemoveBuiltImages,
    /// Remove an image that was not there before.
    RemovePulledImage { reference: String },
    /// Put the earlier package back, if the active one is the transaction's.
    RestorePackage {
        active: PathBuf,
        staged: PathBuf,
        /// Written by 0.10 alone, which recognised its package by it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        staged_inode: Option<u64>,
    },
    /// Forget the values that were generated: they lie in a file of the transaction.
    DiscardValues { keys: Vec<String> },
    /// Written by 0.10 alone: forget generated values among those that are stored.
    ForgetValues { plugin: String, keys: Vec<String> },
}

/// What is done after the commit point; a failure here is a warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "finish")]
pub enum Finish {
    /// Let the engine restart the new container from now on.
    KeepRunning { name: String },
    /// Remove the earlier container.
    RemoveContainer {
        name: String,
        /// 0.10 wrote none.
        #[serde(default)]
        id: Option<String>,
    },
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

/// The intent of a transaction, on disk before anything changes. Whatever happens, it can be rolled back or finished
/// from this alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`RECORD_SCHEMA`]; empty where 0.10 wrote it.
    #[serde(default)]
    pub schema: String,
    pub id: String,
    pub plugin: PluginName,
    pub project: String,
    /// The engine that it works on; 0.10 wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineIdentity>,
    /// Seconds since 1970.
    #[serde(default)]
    pub created_at: u64,
    /// A removal is committed by its record; an installation by its receipt.
    pub is_removal: bool,
    /// In the order of the steps; undone in reverse.
    pub undo: Vec<Undo>,
    pub finish: Vec<Finish>,
}

/// A file among the records that is none that this version can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableRecord {
    pub path: PathBuf,
    pub reason: String,
}

impl UnreadableRecord {
    /// The transaction that it would be of, by its name.
    pub fn id(&self) -> Option<&str> {
        self.path.file_name()?.to_str()?.strip_suffix(".json").filter(|id| plugin_of(id).is_some())
    }

    /// The plugin that it would be of, by its name.
    pub fn plugin(&self) -> Option<&str> {
        plugin_of(self.id()?)
    }
}

/// The plugin of a transaction's id, `<plugin>.<16 hex>`; `None` for anything else.
pub fn plugin_of(id: &str) -> Option<&str> {
    let (plugin, random) = id.split_once('.')?;
    let is_random = random.len() == 16 && random.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_random && plugin.parse::<PluginName>().is_ok()).then_some(plugin)
}

/// Reads a record that lies under the name of this id; the error says what it is instead.
pub(super) fn parse(id: &str, bytes: &[u8]) -> Result<Record, String> {
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| format!("it is torn: {error}"))?;
    match value.get("schema").map(serde_json::Value::as_str) {
        None | Some(Some(RECORD_SCHEMA)) => {}
        Some(other) => {
            let other = other.map_or_else(|| "no text".to_owned(), crate::name::shown);
            return Err(format!("its format is `{other}`, and this version reads `{RECORD_SCHEMA}`"));
        }
    }
    let record: Record = serde_json::from_value(value).map_err(|error| format!("it is not a record: {error}"))?;
    if record.id != id || plugin_of(id) != Some(record.plugin.as_str()) {
        return Err(format!("it is the record of `{}`", crate::name::shown(&record.id)));
    }
    if !crate::project::is_name(&record.project) {
        return Err(format!("`{}` is not a project name", crate::name::shown(&record.project)));
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each variant, as this version writes them.
    const OF_THIS_VERSION: &str = include_str!("../../tests/fixtures/records/every-variant.json");
    /// One of each variant, as 0.10.0 wrote them.
    const OF_0_10: &str = include_str!("../../tests/fixtures/records/every-variant-0.10.json");

    #[test]
    fn every_variant_is_written_as_it_was_and_read_again() {
        let record = parse("chat.0123456789abcdef", OF_THIS_VERSION.as_bytes()).unwrap();
        assert_eq!((record.undo.len(), record.finish.len()), (9, 9));
        let written = String::from_utf8(super::super::json(&record)).unwrap();
        assert_eq!(written, OF_THIS_VERSION);
    }

    #[test]
    fn records_of_0_10_are_read() {
        let record = parse("chat.0123456789abcdef", OF_0_10.as_bytes()).unwrap();
        assert_eq!((record.undo.len(), record.finish.len()), (8, 8));
        assert!(record.schema.is_empty());
        let restored = record.undo.iter().find(|undo| matches!(undo, Undo::RestoreContainer { .. })).unwrap();
        assert!(matches!(restored, Undo::RestoreContainer { id: None, state: None, was_running: true, .. }));
    }

    #[test]
    fn what_is_no_record_says_what_it_is() {
        let reason = |text: &str| parse("chat.0123456789abcdef", text.as_bytes()).unwrap_err();
        assert!(reason(&OF_THIS_VERSION[..100]).contains("torn"));
        assert!(reason(&OF_THIS_VERSION.replace("record/1", "record/2")).contains("its format is `nself.record/2`"));
        assert!(reason(&OF_THIS_VERSION.replace("0123456789abcdef\"", "0123456789abcdee\"")).contains("the record of"));
        assert!(reason(&OF_THIS_VERSION.replace("\"demo\"", "\"../demo\"")).contains("not a project name"));
        assert!(reason("{}").contains("not a record"));
    }

    #[test]
    fn only_plugin_and_sixteen_digits_name_a_record() {
        assert_eq!(plugin_of("chat.0123456789abcdef"), Some("chat"));
        for name in
            ["chat", "chat.0123456789abcde", "chat.0123456789ABCDEF", ".chat.0123456789abcdef", "a/b.0123456789abcdef"]
        {
            assert_eq!(plugin_of(name), None, "{name}");
        }
    }
}
