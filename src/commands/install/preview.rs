//! `install --dry-run`: the plan as far as registries tell it. Fetches no package, asks no engine, changes nothing.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::cli::InstallArguments;
use crate::commands::target::{Finder, Found, Source, Target};
use crate::context::Context;
use crate::environment::Variables;
use crate::error::Error;
use crate::http::Http;
use crate::name::{PluginName, PluginSpec};
use crate::needs::is_service;
use crate::package::Package;
use crate::project::{Project, Strictness};
use crate::registries;
use crate::ui::{Report, Style, error_json};
use crate::values::Values;

/// What only `--check` looks at.
const NOT_CHECKED: &[&str] = &["package", "variables", "ports", "memory", "disk", "privileges", "engine"];

/// What would be installed, in order.
#[derive(Debug)]
pub(super) struct Preview {
    project: String,
    rows: Vec<Row>,
    failures: Vec<(String, Error)>,
    is_order_only: bool,
}

#[derive(Debug)]
struct Row {
    name: PluginName,
    version: String,
    from: String,
    port: Option<u16>,
    needs: Vec<String>,
    is_installed: bool,
}

/// Finds what is meant and what it requires.
pub(super) async fn run(cx: &Context, arguments: &InstallArguments) -> Result<Preview, Error> {
    let project = cx.project(Strictness::Lenient)?;
    let http = Http::new(arguments.registries.allow_http)?;
    let catalog = registries::catalog(cx, &arguments.registries, &http)?;
    let mut specs = super::specs(arguments)?;
    for set in arguments.sets.names() {
        specs.extend(crate::commands::sets::plugins(&catalog, &set).await?.iter().map(PluginSpec::of));
    }
    let finder = Finder {
        cx,
        catalog: &catalog,
        project: &project.name,
        registry: arguments.registries.registry.as_deref(),
        force: arguments.force,
        is_renewal: false,
    };
    let mut found = finder.find(specs).await;
    let services = services(cx, &project, &found)?;
    let more = finder.find_beside(&found, services.iter().map(PluginSpec::of).collect()).await;
    // A service that no registry has may be the backend's: a dry run does not look.
    found.extend(more.into_iter().filter(|(_, target)| target.is_ok()));
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for (word, target) in found {
        match target {
            Ok(target) => rows.push(row(cx, &project, &target)),
            Err(error) => failures.push((word, error)),
        }
    }
    Ok(Preview { project: project.name, rows: ordered(rows), failures, is_order_only: arguments.order_only })
}

/// The services that targets require, whose addresses are not set, and that are plugins.
fn services(cx: &Context, project: &Project, found: &[Found]) -> Result<BTreeSet<PluginName>, Error> {
    let values = Values::read(&cx.settings.config_dir, &project.name)?;
    let variables = Variables { flags: &[], process: &cx.process_environment, project, values: &values };
    let targets = found.iter().filter_map(|(_, target)| target.as_ref().ok());
    let needs = targets.flat_map(|target| target.services.iter().map(move |need| (target.name.as_str(), need)));
    let open = needs.filter(|(plugin, need)| !need.optional && !need.is_guess && !variables.give(plugin, need));
    Ok(open.filter(|(_, need)| is_service(&need.name)).filter_map(|(_, need)| need.name.parse().ok()).collect())
}

fn row(cx: &Context, project: &Project, target: &Target) -> Row {
    let receipt = cx.state.receipt(&project.name, &target.name).ok().flatten();
    let (version, from, port) = match &target.source {
        Source::Release(release) => (release.version.to_string(), release.registry.clone(), release.port),
        Source::Installed => {
            let version = receipt.as_ref().map(|receipt| receipt.version.to_string()).unwrap_or_default();
            (version, target.registry_or(receipt.as_ref()), None)
        }
        Source::Folder(path) | Source::Archive(path) => {
            let manifest = Package::peek(path).ok();
            let port = manifest.as_ref().and_then(|manifest| manifest.ports.first()).map(|port| port.port);
            let version = manifest.map(|manifest| manifest.version.to_string()).unwrap_or_default();
            (version, path.display().to_string(), port)
        }
    };
    let services = target.services.iter().filter(|need| !need.optional).map(|need| need.name.clone());
    let plugins = target.dependencies.iter().map(ToString::to_string);
    let needs: BTreeSet<String> = plugins.chain(services).collect();
    Row {
        name: target.name.clone(),
        version,
        from,
        port,
        needs: needs.into_iter().collect(),
        is_installed: receipt.is_some(),
    }
}

/// What is required comes first; else the order in which things were named.
fn ordered(mut rows: Vec<Row>) -> Vec<Row> {
    let mut placed: Vec<Row> = Vec::with_capacity(rows.len());
    while !rows.is_empty() {
        let waiting: BTreeSet<String> = rows.iter().map(|row| row.name.to_string()).collect();
        let ready = rows.iter().position(|row| row.needs.iter().all(|need| !waiting.contains(need)));
        // A circle is an error of the installation itself.
        placed.push(rows.remove(ready.unwrap_or(0)));
    }
    placed
}

impl Report for Preview {
    fn schema(&self) -> &'static str {
        "nself.plugin.install/1"
    }

    fn exit_code(&self) -> u8 {
        match self.failures.first() {
            None => 0,
            Some(_) if !self.rows.is_empty() => 10,
            Some((_, error)) => error.exit_code(),
        }
    }

    fn status(&self) -> &'static str {
        match self.exit_code() {
            0 => "ok",
            10 => "partial",
            _ => "failed",
        }
    }

    fn errors(&self) -> Vec<&Error> {
        self.failures.iter().map(|(_, error)| error).collect()
    }

    fn json(&self) -> Map<String, Value> {
        let planned = self.rows.iter().map(|row| {
            json!({
                "plugin": row.name,
                "result": if row.is_installed { "current" } else { "planned" },
                "version": row.version,
                "registry": row.from,
                "port": row.port,
                "requires": row.needs,
            })
        });
        let failed = self
            .failures
            .iter()
            .map(|(word, error)| json!({ "plugin": word, "result": "failed", "error": error_json(error) }));
        let mut fields = Map::new();
        fields.insert("project".into(), self.project.as_str().into());
        fields.insert("results".into(), planned.chain(failed).collect());
        fields.insert("not_checked".into(), json!(NOT_CHECKED));
        if let Some((_, error)) = self.failures.first() {
            fields.insert("error".into(), error_json(error));
        }
        fields
    }

    fn text(&self, _: Style) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        if self.is_order_only {
            return self.rows.iter().map(|row| row.name.to_string()).collect::<Vec<_>>().join("\n");
        }
        let mut lines = vec![format!("Dry run: would install in project {}, in this order:", self.project)];
        for (number, row) in self.rows.iter().enumerate() {
            let Row { name, version, from, .. } = row;
            let port = row.port.map(|port| format!(", port {port}")).unwrap_or_default();
            let needs =
                if row.needs.is_empty() { String::new() } else { format!(", requires {}", row.needs.join(", ")) };
            let installed = if row.is_installed { " (installed already)" } else { "" };
            lines.push(format!("  {:>2}. {name} {version} from {from}{port}{needs}{installed}", number + 1));
        }
        lines.push(format!("not checked: {}; the same with --check looks at them", NOT_CHECKED.join(", ")));
        lines.join("\n")
    }
}
