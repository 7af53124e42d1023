//! Staging: a target's package brought to where it can be looked at and activated, or only its manifest read. Changes
//! nothing outside the transaction's own folder, but for a kept package that it takes.

use std::path::Path;

use super::pipeline::{Before, Shared};
use crate::commands::target::{Source, Target};
use crate::error::Error;
use crate::fs;
use crate::name::PluginName;
use crate::package::archive::Archive;
use crate::package::manifest::Manifest;
use crate::package::{Package, Proof, fetch};
use crate::preflight;
use crate::registry::Release;

/// Brings the package into staging: downloaded and unpacked, copied, or the active one as it is.
pub(super) async fn stage(
    shared: &Shared<'_>,
    target: &Target,
    before: &Before,
    transaction: &str,
) -> Result<Package, Error> {
    let cx = shared.cx;
    let refused = |source| Error::Package { plugin: target.name.as_str().to_owned(), source };
    let staging = cx.state.staging(transaction);
    if let (Source::Installed, Some(receipt)) = (&target.source, &before.receipt) {
        let active = cx.state.active_package(target.name.as_str());
        let package = Package::active(&active, receipt.digest, &receipt.proof, &receipt.source).map_err(refused)?;
        let version = &package.manifest().version;
        if *version != receipt.version {
            return Err(Error::Preflight(vec![preflight::other_version(&target.name, version, &receipt.version)]));
        }
        return Ok(package);
    }
    fs::create_folder(&staging)?;
    let package = match &target.source {
        Source::Release(release) => {
            if let Some(package) = take_kept(shared, release, &staging) {
                return Ok(package);
            }
            let archive = shared.downloads.take(shared, release).await?;
            unpack(archive, staging, target.name.clone(), Some(release.version.clone())).await.map_err(refused)?
        }
        Source::Folder(folder) => {
            let folder = folder.clone();
            beside(move || Package::from_folder(&folder, &staging)).await.map_err(refused)?
        }
        Source::Archive(path) => {
            let archive = Archive::open_local(path).map_err(refused)?;
            unpack(archive, staging, target.name.clone(), None).await.map_err(refused)?
        }
        Source::Installed => {
            return Err(Error::NotInstalled { name: target.name.clone(), project: shared.project.name.clone() });
        }
    };
    Ok(package)
}

/// The manifest of what would be installed, without unpacking it; nothing stays of the archive.
pub(super) async fn manifest_of(shared: &Shared<'_>, target: &Target) -> Result<Manifest, Error> {
    let cx = shared.cx;
    let refused = |source| Error::Package { plugin: target.name.as_str().to_owned(), source };
    let release = match &target.source {
        Source::Release(release) => release,
        Source::Folder(path) | Source::Archive(path) => return Package::peek(path).map_err(refused),
        Source::Installed => {
            return Package::peek(&cx.state.active_package(target.name.as_str())).map_err(refused);
        }
    };
    let kept = release.digest.map(|digest| cx.state.kept_package(&release.name, &digest));
    if let Some(manifest) = kept.and_then(|kept| Package::peek(&kept).ok()) {
        return Ok(manifest);
    }
    shared.downloads.manifest(shared, release).await
}

/// The package that an earlier removal has kept with its image, moved into staging, when it was made from the very archive
/// that the release names. Whatever is wrong with it, the archive is there to be fetched.
fn take_kept(shared: &Shared<'_>, release: &Release, staging: &Path) -> Option<Package> {
    let digest = release.digest.filter(|_| !shared.dry_run)?;
    let kept = shared.cx.state.kept_package(&release.name, &digest);
    let root = staging.join(release.name.as_str());
    fs::rename(&kept, &root).ok()?;
    let source = release.archives.first().map(fetch::shown_address).unwrap_or_default();
    let package = Package::active(&root, Some(digest), &Proof::Digest, &source);
    let package = package.ok().filter(|package| package.manifest().version == release.version);
    if package.is_none() {
        fs::remove_tree(&root).ok()?;
    }
    package
}

/// Unpacks while other plugins go on.
async fn unpack(
    archive: Archive,
    staging: std::path::PathBuf,
    name: PluginName,
    version: Option<semver::Version>,
) -> Result<Package, crate::package::PackageError> {
    beside(move || archive.unpack(&staging, Some(&name), version.as_ref())).await
}

/// Runs what blocks beside the runtime.
pub(super) async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
