//! Staging: a target's package brought to where it can be looked at and activated, or only its manifest read. Changes
//! nothing outside the transaction's own folder, but for a kept package that it takes.

use std::path::Path;

use super::Surveyed;
use super::pipeline::{Before, Shared, variables};
use super::target::{Source, Target};
use crate::environment::assemble;
use crate::error::Error;
use crate::fs;
use crate::name::PluginName;
use crate::package::archive::Archive;
use crate::package::manifest::Manifest;
use crate::package::{Package, Proof, fetch};
use crate::registry::Release;
use crate::ui::Event;
use crate::values::Values;

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
        return Package::active(&active, receipt.digest, &receipt.proof, &receipt.source).map_err(refused);
    }
    fs::create_folder(&staging)?;
    let package = match &target.source {
        Source::Release(release) => {
            if let Some(package) = take_kept(shared, release, &staging) {
                return Ok(package);
            }
            cx.reporter.event(Event::Started { plugin: target.name.as_str(), what: "fetching the archive" });
            let reporter = cx.reporter.clone();
            let plugin = target.name.as_str().to_owned();
            let mut progress = move |done, total| reporter.event(Event::Bytes { plugin: &plugin, done, total });
            let http = crate::http::Http::new(shared.allow_http)?;
            let archive = tokio::select! {
                archive = fetch::fetch(release, &staging, &http, shared.policy, &mut progress) => archive.map_err(refused)?,
                () = cx.interrupt.wanted() => return Err(Error::Interrupted),
            };
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

/// What is known of a plugin before it is installed.
pub(super) async fn survey(shared: &Shared<'_>, target: &Target) -> Result<Surveyed, Error> {
    let cx = shared.cx;
    let manifest = manifest_of(shared, target).await?;
    let receipt = cx.state.receipt(&shared.project.name, &target.name)?;
    let values = Values::read(&cx.settings.config_dir, &shared.project.name)?;
    let assembled = assemble(&manifest, &variables(shared, &values), &shared.services, &fs::random_secret);
    Ok(Surveyed {
        registry: target.registry_or(receipt.as_ref()),
        is_installed: receipt.is_some(),
        missing: assembled.missing,
        manifest,
    })
}

/// The manifest of what would be installed, without unpacking it; nothing stays of the archive.
async fn manifest_of(shared: &Shared<'_>, target: &Target) -> Result<Manifest, Error> {
    let cx = shared.cx;
    let refused = |source| Error::Package { plugin: target.name.as_str().to_owned(), source };
    let release = match &target.source {
        Source::Release(release) => release,
        Source::Folder(path) | Source::Archive(path) => return Package::peek(path).map_err(refused),
        Source::Installed => {
            return Package::peek(&cx.state.active_package(target.name.as_str())).map_err(refused);
        }
    };
    let staging = cx.state.staging(&format!("{}.{}", target.name, fs::random_id()));
    fs::create_folder(&staging)?;
    let http = crate::http::Http::new(shared.allow_http)?;
    let mut silent = |_, _| {};
    let fetched = tokio::select! {
        archive = fetch::fetch(release, &staging, &http, shared.policy, &mut silent) => archive.map_err(refused),
        () = cx.interrupt.wanted() => Err(Error::Interrupted),
    };
    fs::remove_tree(&staging)?;
    let mut archive = fetched?;
    beside(move || archive.manifest()).await.map_err(refused)
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
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
