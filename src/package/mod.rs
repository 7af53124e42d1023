//! Packages: from a release to a checked folder in staging. Owns downloads into staging, archive safety, the manifest
//! and the choice of a recipe; knows no engine, no receipts and no folder of installed plugins.
//!
//! The order cannot be turned round: [`fetch::fetch`] or [`archive::Archive::open_local`] make an archive, only
//! [`archive::Archive::unpack`] and [`Package::from_folder`] make a [`Package`], and a [`recipe::Recipe`] is chosen from
//! that alone.

mod active;
pub mod archive;
pub mod error;
pub mod fetch;
mod files;
mod folder;
pub mod manifest;
pub mod pack;
mod path;
pub mod recipe;
mod tree;

#[cfg(test)]
mod test_archives;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::error::PackageError;
use self::manifest::Manifest;
use crate::name::Digest;

/// The most bytes that an archive may hold when unpacked, and the most that a download may have when the registry
/// tells no size.
pub const LARGEST_PACKAGE: u64 = 256 * 1024 * 1024;
/// The most bytes of one file in a package.
pub const LARGEST_FILE: u64 = 64 * 1024 * 1024;
/// The most files and folders in an archive.
pub const MOST_ENTRIES: usize = 20_000;
/// The name of the manifest in a package.
pub const MANIFEST_FILE: &str = "plugin.json";

/// What happens when a registry offers no digest for an archive. A wrong digest is refused under every policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifyPolicy {
    /// Refuse the archive.
    Require,
    /// Accept it; the reason is kept for the user and the receipt.
    Warn,
    /// Accept it; the user asked not to be told.
    Off,
}

/// What is known of where a package comes from; receipts keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    /// The archive has the digest that the registry states.
    Digest,
    /// Nothing was proven; the text says why.
    Unverified(String),
    /// A folder or archive on this machine, named by the user.
    Local,
}

/// An unpacked, checked archive or copied folder in staging.
#[derive(Debug)]
pub struct Package {
    root: PathBuf,
    manifest: Manifest,
    digest: Option<Digest>,
    proof: Proof,
    source: String,
}

impl Package {
    /// The folder in staging that holds the package; its last component is the plugin's name.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What the package says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The sha256 of the archive; none for a copied folder.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// What is known of where it comes from.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// The address, archive or folder that it was made from.
    pub fn source(&self) -> &str {
        &self.source
    }
}
