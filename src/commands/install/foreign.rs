//! Packages that lie on other machines: fetched before anything is decided, since what they need may be told in their
//! manifests alone. Installs nothing.

use super::checks::check_port_early;
use super::pipeline::Shared;
use super::stage::manifest_of;
use crate::commands::target::{Finder, Found, Target};
use crate::error::Error;
use crate::name::PluginSpec;
use crate::package::manifest::Manifest;
use crate::values::Values;

/// Looks into the packages of other machines, all at the same time: what they need may be told in their manifests alone.
/// What they name is found too, and looked into in its turn. One that cannot be started in any case is not fetched.
pub(super) async fn read_foreign(
    shared: &Shared<'_>,
    finder: &Finder<'_>,
    found: &mut Vec<Found>,
) -> Result<(), Error> {
    let mut read = 0;
    while read < found.len() {
        let unread = found[read..].iter().map(|(_, target)| async {
            let target = target.as_ref().ok()?;
            foreign_manifest(shared, target).await.transpose()
        });
        let manifests = futures_util::future::join_all(unread).await;
        let mut named = Vec::new();
        for ((_, target), manifest) in found[read..].iter_mut().zip(manifests) {
            match (target.as_mut(), manifest) {
                (Ok(known), Some(Ok(manifest))) => {
                    finder.take_needs(known, &manifest).await;
                    named.extend(known.dependencies.iter().map(PluginSpec::of));
                }
                (Ok(_), Some(Err(error))) => *target = Err(error),
                _ => {}
            }
        }
        read = found.len();
        let more = finder.find_beside(found, named).await;
        found.extend(more);
    }
    Ok(())
}

/// The manifest of what would have to be downloaded.
async fn foreign_manifest(shared: &Shared<'_>, target: &Target) -> Result<Option<Manifest>, Error> {
    // The bundled registry is made from the manifests, so it says the same.
    if !target.is_foreign() {
        return Ok(None);
    }
    let cx = shared.cx;
    // Another process that works on it fetches it too, and most often leaves nothing to be done; it is waited for later,
    // since whoever waits here might hold what that one waits for.
    let Ok(lock) = cx.state.try_lock(target.name.as_str())? else { return Ok(None) };
    let receipt = cx.state.receipt(&shared.project.name, &target.name).ok().flatten();
    if receipt.is_some_and(|receipt| target.accepts(&receipt).unwrap_or(true)) && !shared.force {
        return Ok(None);
    }
    let values = Values::read(&cx.settings.config_dir, &shared.project.name)?;
    let observed = cx.docker().await?.observe(&shared.home).await?;
    let fitness = shared.fitness.check(shared).await;
    if fitness.is_err() || check_port_early(shared, target, &values, &observed).await.is_err() {
        return Ok(None);
    }
    let manifest = manifest_of(shared, target).await?;
    if let Ok(mut locks) = shared.locks.lock() {
        locks.insert(target.name.clone(), lock);
    }
    Ok(Some(manifest))
}
