//! Renewal: installed plugins whose configuration has changed since their container was made are made anew; all others
//! stay as they are, sick ones too.

use super::pipeline::{Before, Shared, now};
use super::report::Outcome;
use super::schedule::install_all;
use super::target::{Found, Source, Target};
use super::{Downloads, with_targets};
use crate::cli::{InstallArguments, RegistryFlags, ServiceFlags};
use crate::context::Context;
use crate::environment::ValueOrigin;
use crate::error::Error;
use crate::name::PluginName;
use crate::project::Project;
use crate::ui::Event;
use crate::values::Values;

/// What came of it.
#[derive(Debug, Default)]
pub struct Renewal {
    /// The plugins that were made anew, or failed to be.
    pub results: Vec<(String, Outcome)>,
    /// The plugins that would have been, had it been wanted.
    pub pending: Vec<String>,
}

/// How a plugin's container stands to its configuration.
enum Configuration {
    /// As it was made, or nothing that could be told.
    Same,
    Changed,
    /// These values were given for the installation alone: without them it would become another.
    Lost(Vec<String>),
}

/// Looks at the plugins named and makes those anew whose configuration has changed, unless that is to be skipped.
pub async fn renew(
    cx: &Context,
    project: &Project,
    plugins: &[PluginName],
    is_skipped: bool,
) -> Result<Renewal, Error> {
    if plugins.is_empty() {
        return Ok(Renewal::default());
    }
    // What is installed is on this machine; a service that went is no reason to bring one.
    let arguments = InstallArguments {
        plugins: plugins.iter().map(ToString::to_string).collect(),
        registries: RegistryFlags { offline: true, ..RegistryFlags::default() },
        services: ServiceFlags { no_services: true, ..ServiceFlags::default() },
        ..InstallArguments::default()
    };
    with_targets(cx, &arguments, (project, &Downloads::default()), async |shared, found| {
        let mut changed: Vec<Found> = Vec::new();
        for (word, target) in found {
            let Ok(mut target) = target else { continue };
            if !plugins.contains(&target.name) || !target.problems.is_empty() {
                continue;
            }
            match configuration(shared, &target).await? {
                Configuration::Same => {}
                Configuration::Changed => {
                    // Not what the bundle may have newly.
                    target.source = Source::Installed;
                    changed.push((word, Ok(target)));
                }
                Configuration::Lost(names) => tell_lost(cx, &target.name, &names),
            }
        }
        if is_skipped {
            return Ok(Renewal { pending: changed.into_iter().map(|(word, _)| word).collect(), ..Renewal::default() });
        }
        Ok(Renewal { results: install_all(shared, changed).await, pending: Vec::new() })
    })
    .await
}

async fn configuration(shared: &Shared<'_>, target: &Target) -> Result<Configuration, Error> {
    let cx = shared.cx;
    let Ok(Some(receipt)) = cx.state.receipt(&shared.project.name, &target.name) else {
        return Ok(Configuration::Same);
    };
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
    if container.config_hash == now.config_hash {
        return Ok(Configuration::Same);
    }
    let variables = super::variables(shared, &before.values);
    let is_gone = |key: &&String| variables.find(target.name.as_str(), key).is_none();
    let mut lost: Vec<String> = receipt.given_once.iter().filter(is_gone).cloned().collect();
    lost.extend(now.assembled.missing.iter().map(|variable| variable.name.clone()));
    let is_by_service = |(_, origin): &(String, ValueOrigin)| matches!(origin, ValueOrigin::Service(_));
    lost.retain(|key| !now.assembled.values.get(key).is_some_and(is_by_service));
    lost.dedup();
    Ok(if lost.is_empty() { Configuration::Changed } else { Configuration::Lost(lost) })
}

fn tell_lost(cx: &Context, plugin: &PluginName, names: &[String]) {
    let first = names.first().map(String::as_str).unwrap_or_default();
    let text = format!(
        "{plugin} keeps its container: {} was given for its installation alone; to change its configuration keep that \
         first: nself plugin config {plugin} set {first} VALUE",
        names.join(", ")
    );
    cx.reporter.event(Event::Warning { text: &text });
}
