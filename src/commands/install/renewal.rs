//! Renewal: installed plugins whose configuration has changed since their container was made are made anew; all others
//! stay as they are, sick ones too.

use super::current::{Now, now};
use super::pipeline::{Before, Shared};
use super::report::Outcome;
use super::schedule::install_all;
use super::{Downloads, Grants, Request, with_targets};
use crate::cli::{InstallArguments, RegistryFlags, ServiceFlags};
use crate::commands::target::{Found, Target};
use crate::context::Context;
use crate::environment::{ValueOrigin, Variables};
use crate::error::Error;
use crate::name::PluginName;
use crate::package::Package;
use crate::preflight;
use crate::project::Project;
use crate::state::Receipt;
use crate::ui::Event;
use crate::values::Values;

/// Which plugins are looked at, and what is done with those whose configuration has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of them are made anew.
    All,
    /// Those that run are made anew: what the user has stopped stays stopped.
    Running,
    /// Those that run are named.
    Named,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Renewal {
    /// The plugins that were made anew, or failed to be.
    pub results: Vec<(String, Outcome)>,
    /// The plugins that would have been, had it been wanted.
    pub pending: Vec<String>,
    /// The plugins that would become something else than what was installed, each with the variables it would be without.
    pub kept: Vec<(PluginName, Vec<String>)>,
}

/// How a plugin's container stands to its configuration.
enum Configuration {
    /// As it was made, or nothing that could be told.
    Same,
    Changed,
    /// It would be without these values: given for the installation alone, or set somewhere then.
    Lost(Vec<String>),
}

/// Looks at installed plugins and makes those anew whose configuration has changed, as far as the extent goes.
pub async fn renew(cx: &Context, project: &Project, plugins: &[PluginName], extent: Extent) -> Result<Renewal, Error> {
    if plugins.is_empty() {
        return Ok(Renewal::default());
    }
    let granted = plugins.iter().filter(|plugin| was_granted(cx, project, plugin)).cloned().collect();
    // What is installed is on this machine; a service that went is no reason to bring one.
    let arguments = InstallArguments {
        plugins: plugins.iter().map(ToString::to_string).collect(),
        registries: RegistryFlags { offline: true, ..RegistryFlags::default() },
        services: ServiceFlags { no_services: true, ..ServiceFlags::default() },
        ..InstallArguments::default()
    };
    let grants = Grants { granted, denied: Vec::new() };
    let downloads = Downloads::default();
    let request = Request { grants, is_renewal: true, ..Request::new(&arguments, project, &downloads) };
    with_targets(cx, &request, async |shared, found| {
        let mut renewal = Renewal::default();
        let mut changed: Vec<Found> = Vec::new();
        for (word, target) in found {
            let Ok(target) = target else { continue };
            if !plugins.contains(&target.name) || !target.lacks.is_empty() {
                continue;
            }
            match configuration(shared, &target, extent).await? {
                Configuration::Same => {}
                Configuration::Changed if extent == Extent::Named => renewal.pending.push(word),
                Configuration::Changed => changed.push((word, Ok(target))),
                Configuration::Lost(names) => {
                    tell_lost(cx, &target.name, &names);
                    renewal.kept.push((target.name, names));
                }
            }
        }
        renewal.results = install_all(shared, changed).await;
        Ok(renewal)
    })
    .await
}

/// Whether all that a plugin asks for beyond the hardened defaults was granted when it was installed.
fn was_granted(cx: &Context, project: &Project, plugin: &PluginName) -> bool {
    let receipt = cx.state.receipt(&project.name, plugin).ok().flatten();
    let manifest = Package::peek(&cx.state.active_package(plugin.as_str()));
    let (Some(receipt), Ok(manifest)) = (receipt, manifest) else { return false };
    preflight::granted(&manifest).iter().all(|asked| receipt.granted.contains(asked))
}

async fn configuration(shared: &Shared<'_>, target: &Target, extent: Extent) -> Result<Configuration, Error> {
    let cx = shared.cx;
    let Ok(Some(receipt)) = cx.state.receipt(&shared.project.name, &target.name) else {
        return Ok(Configuration::Same);
    };
    let active = Package::peek(&cx.state.active_package(target.name.as_str()));
    // What another project has taken to another version stays until this one does.
    if active.map_or(true, |manifest| manifest.version != receipt.version) {
        return Ok(Configuration::Same);
    }
    let before = Before {
        receipt: Some(receipt.clone()),
        observed: cx.docker().await?.observe(&shared.home).await?,
        values: Values::read(&cx.settings.config_dir, &shared.project.name)?,
    };
    let (Some(container), Ok(Some(now))) =
        (before.container_of(shared, target.name.as_str()), now(shared, &receipt, &before))
    else {
        return Ok(Configuration::Same);
    };
    let is_meant = extent == Extent::All || container.is_running();
    if !is_meant || container.config_hash == now.config_hash {
        return Ok(Configuration::Same);
    }
    let lost = lost(&super::variables(shared, &before.values), &receipt, &now);
    Ok(match lost {
        Some(names) if names.is_empty() => Configuration::Changed,
        Some(names) => Configuration::Lost(names),
        None => Configuration::Same,
    })
}

/// What was given for the installation alone and is set nowhere now, and what is missing besides; `None` where the receipt
/// is too old to tell.
fn lost(variables: &Variables<'_>, receipt: &Receipt, now: &Now) -> Option<Vec<String>> {
    let is_set = |key: &String| {
        let by_any_name = now.assembled.values.get(key).is_some_and(|(_, origin)| {
            matches!(origin, ValueOrigin::Flag | ValueOrigin::Process | ValueOrigin::File(_) | ValueOrigin::Stored)
        });
        by_any_name || variables.find(receipt.plugin.as_str(), key).is_some()
    };
    let mut lost: Vec<String> = receipt.given_once.as_ref()?.iter().filter(|key| !is_set(key)).cloned().collect();
    for missing in &now.assembled.missing {
        if !lost.contains(&missing.name) {
            lost.push(missing.name.clone());
        }
    }
    Some(lost)
}

fn tell_lost(cx: &Context, plugin: &PluginName, names: &[String]) {
    let first = names.first().map(String::as_str).unwrap_or_default();
    let text = format!(
        "{plugin} keeps its container, which has another configuration than it would get now: {} is set nowhere any \
         more; set it first: nself plugin config {plugin} set {first} VALUE",
        names.join(", ")
    );
    cx.reporter.event(Event::Warning { text: &text });
}
