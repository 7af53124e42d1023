//! Packages that are active already, and a first look at local ones: what is known of them without unpacking anew.

use std::path::Path;

use super::archive::Archive;
use super::folder::read_manifest;
use super::manifest::Manifest;
use super::{Package, PackageError, Proof};
use crate::name::Digest;

impl Package {
    /// The active package, as it was proven when it was installed.
    pub fn active(folder: &Path, digest: Option<Digest>, proof: &Proof, source: &str) -> Result<Self, PackageError> {
        let manifest = read_manifest(folder)?;
        Ok(Self { root: folder.to_path_buf(), manifest, digest, proof: proof.clone(), source: source.to_owned() })
    }

    /// The manifest of a folder or archive on this machine, so that its name is known before anything is staged.
    pub fn peek(path: &Path) -> Result<Manifest, PackageError> {
        if path.is_dir() { read_manifest(path) } else { Archive::open_local(path)?.manifest(None, None) }
    }
}
