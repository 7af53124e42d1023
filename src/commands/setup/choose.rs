//! The choice of plugins: those of the sets first, the core ones chosen beforehand, then whatever else the registries have.

use std::collections::BTreeSet;

use crate::cli::RegistryFlags;
use crate::context::Context;
use crate::error::Error;
use crate::http::Http;
use crate::name::PluginName;
use crate::needs::is_service;
use crate::project::Project;
use crate::registries;
use crate::registry::{LicenceNeed, Release};
use crate::sets::{BUILT_IN, built_in};
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
    let mut names: Vec<PluginName> = Vec::new();
    let mut choices = Vec::new();
    for (set, _, _) in BUILT_IN {
        for name in built_in(set).unwrap_or_default() {
            let release = merged.releases.iter().find(|release| release.name == name);
            choices.push(Choice { text: line(&name, Some(set), release.copied()), is_chosen: *set == "core" });
            names.push(name);
        }
    }
    for release in merged.releases.iter().filter(|release| is_offered(release)) {
        if !names.contains(&release.name) {
            choices.push(Choice { text: line(&release.name, None, Some(release)), is_chosen: false });
            names.push(release.name.clone());
        }
    }
    for (name, choice) in names.iter().zip(&mut choices) {
        choice.is_chosen |= installed.contains(name);
    }
    let chosen = cx.output.choose(&cx.interrupt, "Which plugins? (space chooses, Enter goes on)", choices).await?;
    if chosen.is_empty() {
        let hint = Some("choose with the space bar: nself plugin setup".into());
        return Err(Error::Usage { message: "nothing was changed: no plugin was chosen".into(), hint });
    }
    Ok(chosen.into_iter().filter_map(|place| names.get(place)).map(ToString::to_string).collect())
}

/// Services come by themselves with what needs them.
fn is_offered(release: &Release) -> bool {
    let is_service = is_service(release.name.as_str());
    release.not_installable.is_none() && release.licence_need == LicenceNeed::None && !is_service
}

fn line(name: &PluginName, set: Option<&str>, release: Option<&Release>) -> String {
    let Some(release) = release else {
        return format!("{name} ({}): no registry delivers it yet", set.unwrap_or_default());
    };
    let size = release.size.map(|bytes| format!("{:.1} MB", bytes_in_megabytes(bytes)));
    let needs: Vec<&str> =
        release.services.iter().filter(|need| !need.optional).map(|need| need.name.as_str()).collect();
    let facts = [
        set.map(ToOwned::to_owned),
        size,
        release.port.map(|port| format!("port {port}")),
        (!needs.is_empty()).then(|| format!("needs {}", needs.join(", "))),
    ];
    let facts = facts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    safe(&format!("{name} ({facts}): {}", release.description))
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn bytes_in_megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
