//! `list`: what there is, from the registries, or what is installed, from the receipts. Connects to nothing else.

use serde_json::{Map, Value, json};

use crate::address;
use crate::cli::ListArguments;
use crate::context::Context;
use crate::error::Error;
use crate::http::Http;
use crate::project::Strictness;
use crate::registries;
use crate::registry::{Catalog, LicenceNeed, Release};
use crate::state::Receipt;
use crate::ui::{Event, Report, Style, table};
use crate::undo;

/// The plugins that there are.
#[derive(Debug)]
pub struct ListReport {
    rows: Vec<Available>,
    origins: Vec<(String, String)>,
    warnings: Vec<String>,
    is_detailed: bool,
}

#[derive(Debug)]
struct Available {
    release: Release,
    installed: Option<semver::Version>,
}

/// The plugins that are installed.
#[derive(Debug)]
pub struct InstalledReport {
    project: String,
    receipts: Vec<Receipt>,
    broken: Vec<String>,
    unfinished: Vec<String>,
    is_detailed: bool,
}

/// Lists.
pub async fn run(cx: &Context, arguments: &ListArguments) -> Result<Box<dyn Report>, Error> {
    if arguments.installed {
        return Ok(Box::new(installed(cx, arguments)?));
    }
    Ok(Box::new(available(cx, arguments).await?))
}

async fn available(cx: &Context, arguments: &ListArguments) -> Result<ListReport, Error> {
    let http = Http::new(arguments.registries.allow_http)?;
    let catalog = registries::catalog(cx, &arguments.registries, &http)?;
    let has_key = cx.settings.license_key.is_some();
    let (releases, origins, warnings): (Vec<Release>, Vec<(String, String)>, Vec<String>) =
        if let Some(name) = &arguments.registries.registry {
            let loaded = catalog.whole(name).await?;
            let warnings = loaded.notes.iter().chain(&loaded.contents.warnings).cloned().collect();
            (newest_of_each(&loaded.contents.releases), vec![(name.clone(), loaded.origin.to_string())], warnings)
        } else {
            let merged = catalog.merged(has_key).await?;
            let origins = merged.origins.iter().map(|(name, origin)| ((*name).to_owned(), origin.to_string()));
            (merged.releases.into_iter().cloned().collect(), origins.collect(), merged.warnings)
        };
    for warning in &warnings {
        cx.reporter.event(Event::Warning { text: warning });
    }
    let project = cx.project(Strictness::Lenient)?;
    let receipts: Vec<Receipt> = cx.state.receipts(&project.name)?.into_iter().flatten().collect();
    let rows = releases
        .into_iter()
        .map(|release| of_plugins_alone(release, &catalog))
        .filter(|release| {
            arguments.category.as_ref().is_none_or(|category| release.category.eq_ignore_ascii_case(category))
        })
        .map(|release| Available {
            installed: receipts
                .iter()
                .find(|receipt| receipt.plugin == release.name)
                .map(|receipt| receipt.version.clone()),
            release,
        })
        .collect();
    Ok(ListReport { rows, origins, warnings, is_detailed: arguments.detailed })
}

/// The newest release of each plugin: a document's contents are sorted by name, the newest version first.
fn newest_of_each(releases: &[Release]) -> Vec<Release> {
    let plugins = releases.chunk_by(|left, right| left.name == right.name);
    plugins.filter_map(|plugin| plugin.first()).cloned().collect()
}

fn installed(cx: &Context, arguments: &ListArguments) -> Result<InstalledReport, Error> {
    let project = cx.project(Strictness::Lenient)?;
    let (mut receipts, mut broken) = (Vec::new(), Vec::new());
    for receipt in cx.state.receipts(&project.name)? {
        match receipt {
            Ok(receipt) => receipts.push(receipt),
            Err(error) => broken.push(error.to_string()),
        }
    }
    for text in &broken {
        cx.reporter.event(Event::Warning { text });
    }
    let unfinished = undo::warn_of_unfinished(cx)?;
    let unfinished = unfinished.plugins().into_iter().map(ToOwned::to_owned).collect();
    Ok(InstalledReport { project: project.name, receipts, broken, unfinished, is_detailed: arguments.detailed })
}

/// What keeps a release from being installed, in a few words.
fn obstacle(release: &Release) -> String {
    match (&release.licence_need, &release.not_installable) {
        (LicenceNeed::Required(_), _) => "needs a licence".into(),
        (_, Some(reason)) => reason.clone(),
        _ => String::new(),
    }
}

/// A release with those of its dependencies that are plugins: registries also name packages of other ecosystems there.
pub(crate) fn of_plugins_alone(mut release: Release, catalog: &Catalog<'_>) -> Release {
    release.dependencies = catalog.plugin_dependencies(&release).iter().map(ToString::to_string).collect();
    release
}

/// A release as data, for `list` and `info`.
pub(crate) fn release_json(release: &Release) -> Value {
    json!({
        "plugin": release.name,
        "version": release.version,
        "description": release.description,
        "category": release.category,
        "author": release.author,
        "license": release.license,
        "homepage": release.homepage,
        "tags": release.tags,
        "status": release.status,
        "replaced_by": release.replaced_by,
        "not_installable": release.not_installable,
        "requires_license": matches!(release.licence_need, LicenceNeed::Required(_)),
        "port": release.port,
        "dependencies": release.dependencies,
        "digest": release.digest,
        "min_nself_version": release.min_host,
        "registry": release.registry,
    })
}

impl Report for ListReport {
    fn schema(&self) -> &'static str {
        "nself.plugin.list/1"
    }

    fn json(&self) -> Map<String, Value> {
        let plugins = self.rows.iter().map(|row| {
            let mut value = release_json(&row.release);
            value["installed"] = json!(row.installed);
            value
        });
        let mut fields = Map::new();
        fields.insert("plugins".into(), plugins.collect());
        let origins = self.origins.iter().map(|(name, origin)| json!({ "registry": name, "origin": origin }));
        fields.insert("registries".into(), origins.collect());
        fields.insert("warnings".into(), json!(self.warnings));
        fields
    }

    fn text(&self, style: Style) -> String {
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| {
                let release = &row.release;
                let mut cells = vec![
                    release.name.as_str().to_owned(),
                    release.version.to_string(),
                    row.installed.as_ref().map(ToString::to_string).unwrap_or_default(),
                    release.registry.clone(),
                    release.category.clone(),
                    obstacle(release),
                ];
                if self.is_detailed {
                    cells.push(release.description.clone());
                }
                cells
            })
            .collect();
        let mut headings = vec!["PLUGIN", "VERSION", "INSTALLED", "REGISTRY", "CATEGORY", "NOTE"];
        if self.is_detailed {
            headings.push("DESCRIPTION");
        }
        table::render(&headings, &rows, style)
    }
}

impl Report for InstalledReport {
    fn schema(&self) -> &'static str {
        "nself.plugin.list/1"
    }

    fn json(&self) -> Map<String, Value> {
        let plugins = self.receipts.iter().map(|receipt| {
            json!({
                "plugin": receipt.plugin,
                "version": receipt.version,
                "installed": receipt.version,
                "description": receipt.description,
                "registry": receipt.registry,
                "digest": receipt.digest,
                "proof": receipt.proof,
                "addresses": receipt.ports.iter().map(|port| json!({ "name": port.name, "address": address::of(port) })).collect::<Vec<_>>(),
                "container": receipt.containers.first().map(|container| &container.name),
            })
        });
        let mut fields = Map::new();
        fields.insert("project".into(), self.project.as_str().into());
        fields.insert("plugins".into(), plugins.collect());
        fields.insert("broken".into(), json!(self.broken));
        fields.insert("unfinished".into(), json!(self.unfinished));
        fields
    }

    fn text(&self, style: Style) -> String {
        if self.receipts.is_empty() && style.is_terminal {
            return format!("no plugins are installed in project {}", self.project);
        }
        let rows: Vec<Vec<String>> = self
            .receipts
            .iter()
            .map(|receipt| {
                let mut cells = vec![
                    receipt.plugin.as_str().to_owned(),
                    receipt.version.to_string(),
                    receipt.registry.clone(),
                    receipt.ports.first().map(address::of).unwrap_or_default(),
                ];
                if self.is_detailed {
                    cells.push(receipt.description.clone());
                }
                cells
            })
            .collect();
        let mut headings = vec!["PLUGIN", "VERSION", "REGISTRY", "ADDRESS"];
        if self.is_detailed {
            headings.push("DESCRIPTION");
        }
        table::render(&headings, &rows, style)
    }
}
