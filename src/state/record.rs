//! The record of a transaction: how each of its steps is undone, and what is done after its commit point.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::name::PluginName;

/// What is undone when a transaction does not reach its commit point. Each can be done any number of times, and
/// whether or not the step that it undoes was ever done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "undo")]
pub enum Undo {
    /// Remove the containers that carry the transaction's label.
    RemoveNewContainers,
    /// Give the earlier container its name back and start it if it ran.
    RestoreContainer { name: String, parked: String, was_running: bool },
    /// Remove the network, which was not there before the command, if nothing is on it and nothing of the project is
    /// installed, or the transaction made it.
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
