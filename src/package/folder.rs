//! A package from a folder on this machine: a copy in staging under the rules that hold for archives.

use std::fs;
use std::path::Path;

use super::archive::note_host_scripts;
use super::error::failed;
use super::files::{make_folder, make_folders, new_file, open_regular, shown_path};
use super::manifest::{LARGEST_MANIFEST, Manifest};
use super::tree::{Content, Item, Scope, list};
use super::{MANIFEST_FILE, Package, PackageError, Proof};

/// Reads the manifest of a folder that is to become a package.
pub(super) fn read_manifest(folder: &Path) -> Result<Manifest, PackageError> {
    use std::io::Read;
    let path = folder.join(MANIFEST_FILE);
    let is_there = fs::symlink_metadata(&path).is_ok();
    if !is_there {
        return Err(PackageError::NoManifest { place: shown_path(folder) });
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(LARGEST_MANIFEST + 1).unwrap_or(u64::MAX);
    open_regular(&path)?.take(limit).read_to_end(&mut bytes).map_err(failed("read", &path))?;
    Manifest::read(&bytes).map_err(|source| PackageError::Manifest { place: shown_path(folder), source })
}

impl Package {
    /// Copies a folder into a new folder `staging/NAME`. Links and special files are refused; `.git`, `node_modules`
    /// and a `target` at the top are left out. Nothing stays in staging when it fails.
    pub fn from_folder(folder: &Path, staging: &Path) -> Result<Self, PackageError> {
        let items = list(folder, Scope::Sources)?;
        let mut manifest = read_manifest(folder)?;
        note_host_scripts(&mut manifest, items.iter().map(|item| item.path.as_str()));
        let root = staging.join(manifest.name.as_str());
        make_folder(&root)?;
        if let Err(error) = copy(folder, &items, &root) {
            // The first error is the one to tell; staging is swept by the next command in any case.
            let _ = fs::remove_dir_all(&root);
            return Err(error);
        }
        let source = fs::canonicalize(folder).map_or_else(|_| shown_path(folder), |full| shown_path(&full));
        Ok(Self { root, manifest, digest: None, proof: Proof::Local, source })
    }
}

fn copy(folder: &Path, items: &[Item], root: &Path) -> Result<(), PackageError> {
    for item in items {
        match item.content {
            Content::Folder => make_folders(root, &item.path)?,
            Content::File { executable, .. } => {
                let from = folder.join(&item.path);
                let target = root.join(&item.path);
                let mut file = new_file(&target, executable)?;
                std::io::copy(&mut open_regular(&from)?, &mut file).map_err(failed("copy", &from))?;
            }
        }
    }
    Ok(())
}
