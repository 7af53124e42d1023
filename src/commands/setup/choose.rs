//! The choice: sets first, the core one chosen beforehand; then plugins, those of the chosen sets chosen beforehand, and
//! whatever else the registries have.

use std::collections::BTreeSet;

use crate::cli::RegistryFlags;
use crate::commands::sets;
use crate::context::Context;
use crate::error::Error;
use crate::http::Http;
use crate::name::PluginName;
use crate::needs::is_service;
use crate::project::Project;
use crate::registries;
use crate::registry::{LicenceNeed, Release};
use crate::sets::purpose;
use crate::ui::{Choice, Event, safe};

/// Shows what there is and gives the names of what was chosen.
pub(super) async fn plugins(cx: &Context, project: &Project, flags: &RegistryFlags) -> Result<Vec<String>, Error> {
    let http = Http::new(flags.allow_http)?;
    let catalog = registries::catalog(cx, flags, &http)?;
    let merged = catalog.merged(cx.settings.license_key.is_some()).await?;
    for warning in &merged.warnings {
        cx.reporter.event(Event::Warning { text: warning });
    }
    let installed: BTreeSet<PluginName> =
        cx.state.receipts(&project.name)?.into_iter().flatten().map(|receipt| receipt.plugin).collect();
    let sets = sets::all(&catalog).await;
    let of_sets = choose_sets(cx, &sets, &installed).await?;
    let mut names: Vec<PluginName> = Vec::new();
    let mut choices = Vec::new();
    for (set, plugins) in &sets {
        for name in plugins {
            if names.contains(name) {
                continue;
            }
            let release = merged.releases.iter().find(|release| release.name == *name);
            choices.push(line(name, Some(set), release.copied()));
            names.push(name.clone());
        }
    }
    for release in merged.releases.iter().filter(|release| is_offered(release)) {
        if !names.contains(&release.name) {
            choices.push(line(&release.name, None, Some(release)));
            names.push(release.name.clone());
        }
    }
    let is_chosen = |name: &PluginName| of_sets.contains(name) || installed.contains(name);
    let choices =
        names.iter().zip(choices).map(|(name, text)| Choice { text, is_chosen: is_chosen(name) }).collect::<Vec<_>>();
    let chosen = cx.choose("Which plugins? (space chooses, Enter goes on)", choices).await?;
    if chosen.is_empty() {
        let hint = Some("choose with the space bar: nself plugin setup".into());
        return Err(Error::Usage { message: "nothing was changed: no plugin was chosen".into(), hint });
    }
    Ok(chosen.into_iter().filter_map(|place| names.get(place)).map(ToString::to_string).collect())
}

/// The plugins of the chosen sets.
async fn choose_sets(
    cx: &Context,
    sets: &[(String, Vec<PluginName>)],
    installed: &BTreeSet<PluginName>,
) -> Result<BTreeSet<PluginName>, Error> {
    let choice = |(set, plugins): &(String, Vec<PluginName>)| {
        let names: Vec<&str> = plugins.iter().map(PluginName::as_str).collect();
        let purpose = purpose(set).map(|purpose| format!(" ({purpose})")).unwrap_or_default();
        let is_installed = !plugins.is_empty() && plugins.iter().all(|plugin| installed.contains(plugin));
        Choice {
            text: safe(&format!("{set}: {}{purpose}", names.join(", "))),
            is_chosen: set == "core" || is_installed,
        }
    };
    let choices = sets.iter().map(choice).collect();
    let question = "Which sets? (space chooses, Enter goes on to their plugins)";
    let chosen = cx.choose(question, choices).await?;
    Ok(chosen
        .into_iter()
        .filter_map(|place| sets.get(place))
        .flat_map(|(_, plugins)| plugins.iter().cloned())
        .collect())
}

/// Services come by themselves with what needs them.
fn is_offered(release: &Release) -> bool {
    let is_usable = release.not_installable.is_none() && release.licence_need == LicenceNeed::None;
    is_usable && !is_service(release.name.as_str())
}

fn line(name: &PluginName, set: Option<&str>, release: Option<&Release>) -> String {
    let Some(release) = release else {
        return format!("{name} ({}): no registry delivers it yet", set.unwrap_or_default());
    };
    let size = release.size.map(|bytes| format!("{:.1} MB", bytes_in_megabytes(bytes)));
    let needs: Vec<&str> =
        release.services.iter().filter(|need| !need.optional).map(|need| need.name.as_str()).collect();
    let ports: Vec<String> = release.ports.iter().map(ToString::to_string).collect();
    let facts = [
        set.map(ToOwned::to_owned),
        size,
        match ports.as_slice() {
            [] => None,
            [port] => Some(format!("port {port}")),
            _ => Some(format!("ports {}", ports.join(" and "))),
        },
        (!needs.is_empty()).then(|| format!("needs {}", needs.join(", "))),
    ];
    let facts = facts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    safe(&format!("{name} ({facts}): {}", release.description))
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn bytes_in_megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
