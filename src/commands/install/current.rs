//! What is installed already: whether it is as it would be made now, and healthy. Looks only.

use super::pipeline::{Before, Shared, variables, want};
use super::report::Outcome;
use crate::commands::next::unset;
use crate::commands::target::Target;
use crate::environment::{Assembled, assemble};
use crate::error::Error;
use crate::health::Verdict;
use crate::package::Package;
use crate::package::manifest::Manifest;
use crate::state::Receipt;

/// Whether the plugin is installed, as wanted, and healthy now. Reads its package's manifest only.
pub(super) async fn find_current(
    shared: &Shared<'_>,
    target: &Target,
    before: &Before,
) -> Result<Option<Outcome>, Error> {
    let (Some(receipt), false) = (&before.receipt, shared.force) else { return Ok(None) };
    if !target.lacks.is_empty() || !target.accepts(receipt)? {
        return Ok(None);
    }
    let Some(now) = now(shared, receipt, before)? else { return Ok(None) };
    if !now.assembled.generated.is_empty() || !now.assembled.missing.is_empty() {
        return Ok(None);
    }
    let container = before.container_of(shared, target.name.as_str());
    let is_as_wanted = container
        .filter(|found| found.name == shared.project.object_name(target.name.as_str()))
        .is_some_and(|found| found.is_running() && !found.fails_its_check && found.config_hash == now.config_hash);
    if !is_as_wanted {
        return Ok(None);
    }
    let verdict = match receipt.probe() {
        Some(probe) => probe.ask().await,
        None => Verdict::Healthy,
    };
    let newer = target.newer_than(receipt);
    let unset = unset(&now.manifest, &now.assembled);
    Ok(verdict.is_usable().then(|| Outcome::Current { receipt: Box::new(receipt.clone()), verdict, newer, unset }))
}

/// What an installed plugin would be made with now.
pub(super) struct Now {
    pub(super) manifest: Manifest,
    pub(super) assembled: Assembled,
    pub(super) config_hash: String,
}

/// The same from its package; `None` where that is not there any more.
pub(super) fn now(shared: &Shared<'_>, receipt: &Receipt, before: &Before) -> Result<Option<Now>, Error> {
    let state = &shared.cx.state;
    // Another project may have activated another version since.
    let places =
        [state.active_package(receipt.plugin.as_str()), state.earlier_package(&receipt.plugin, &receipt.version)];
    let packages =
        places.iter().filter_map(|place| Package::active(place, receipt.digest, &receipt.proof, &receipt.source).ok());
    let Some(package) = packages.into_iter().find(|package| package.manifest().version == receipt.version) else {
        return Ok(None);
    };
    let manifest = package.manifest();
    let assembled = assemble(manifest, &variables(shared, &before.values), &shared.services, &shared.generator(before));
    let (wanted, _) = want(shared, (manifest, package.digest()), &assembled, before, "")?;
    Ok(Some(Now { config_hash: wanted.config_hash(), manifest: manifest.clone(), assembled }))
}
