//! `status` and `health`: what is installed, what the engine runs of it, and what each plugin answers. Changes nothing
//! but what an interrupted command left behind.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::next;
use crate::address;
use crate::cli::NamesArguments;
use crate::context::Context;
use crate::docker::Observed;
use crate::environment::{Variables, assemble};
use crate::error::Error;
use crate::health::Verdict;
use crate::package::Package;
use crate::project::{Project, Strictness};
use crate::state::Receipt;
use crate::ui::{Report, Style, table};
use crate::undo;
use crate::values::Values;

/// One plugin's state.
#[derive(Debug)]
pub struct PluginState {
    receipt: Receipt,
    /// As the engine calls it; `missing` when there is no container.
    container_state: String,
    verdict: Verdict,
    /// Optional variables that have no value now.
    unset: Vec<String>,
}

/// The plugins' states.
#[derive(Debug)]
pub struct StatusReport {
    schema: &'static str,
    project: String,
    plugins: Vec<PluginState>,
    broken: Vec<String>,
}

/// Looks at the plugins named, or all. `schema` tells which verb asked.
pub async fn run(cx: &Context, arguments: &NamesArguments, schema: &'static str) -> Result<StatusReport, Error> {
    let project = cx.project(Strictness::Lenient)?;
    undo::recover(cx).await?;
    let receipts = super::chosen_receipts(cx, &project.name, &arguments.plugins)?;
    let broken = cx.state.receipts(&project.name)?.into_iter().filter_map(Result::err).map(|error| error.to_string());
    let broken = broken.collect();
    let observed = if receipts.is_empty() {
        Observed::default()
    } else {
        cx.docker().await?.observe(&cx.state.home_id()?).await?
    };
    let values = Values::read(&cx.settings.config_dir, &project.name)?;
    let variables = Variables { flags: &[], process: &cx.process_environment, project: &project, values: &values };
    let states = receipts.into_iter().map(|receipt| {
        let unset = unset_now(cx, &variables, &receipt);
        look(&project, &observed, receipt, unset)
    });
    let plugins = futures_util::future::join_all(states).await;
    Ok(StatusReport { schema, project: project.name, plugins, broken })
}

/// What its manifest offers and nobody has set. A package that cannot be read offers nothing.
fn unset_now(cx: &Context, variables: &Variables<'_>, receipt: &Receipt) -> Vec<String> {
    let manifest = Package::peek(&cx.state.active_package(receipt.plugin.as_str()));
    let unset = |manifest| {
        let assembled = assemble(&manifest, variables, &BTreeMap::new(), &|_, length| Some("x".repeat(length)));
        next::unset(&manifest, &assembled)
    };
    manifest.map(unset).unwrap_or_default()
}

async fn look(project: &Project, observed: &Observed, receipt: Receipt, unset: Vec<String>) -> PluginState {
    let name = project.object_name(receipt.plugin.as_str());
    let container = observed.container(&name);
    let container_state = container.map_or("missing", |container| container.state.as_str()).to_owned();
    let verdict = match (container, receipt.probe()) {
        (None, _) => Verdict::Unhealthy(format!("there is no container `{name}`")),
        (Some(container), _) if !container.is_running() => {
            Verdict::Unhealthy(format!("its container is {}", container.state))
        }
        (Some(_), Some(probe)) => probe.ask().await,
        (Some(container), None) if container.fails_its_check => {
            Verdict::Unhealthy("the image's own health check fails".to_owned())
        }
        (Some(_), None) => Verdict::Healthy,
    };
    PluginState { receipt, container_state, verdict, unset }
}

impl StatusReport {
    /// What may be done next with the plugins that can be used.
    fn steps(&self) -> Vec<String> {
        let usable = self.plugins.iter().filter(|plugin| plugin.verdict.is_usable());
        next::steps(usable.map(|plugin| (&plugin.receipt, plugin.unset.as_slice())))
    }
}

impl Report for StatusReport {
    fn schema(&self) -> &'static str {
        self.schema
    }

    fn exit_code(&self) -> u8 {
        let is_sick = self.plugins.iter().any(|plugin| !plugin.verdict.is_usable());
        u8::from(is_sick || !self.broken.is_empty())
    }

    fn json(&self) -> Map<String, Value> {
        let plugins = self.plugins.iter().map(|plugin| {
            let receipt = &plugin.receipt;
            let reason = match &plugin.verdict {
                Verdict::Degraded(reason) | Verdict::Unhealthy(reason) => Some(reason),
                Verdict::Healthy => None,
            };
            let addresses = receipt.ports.iter().map(|port| json!({ "name": port.name, "address": address::of(port) }));
            json!({
                "plugin": receipt.plugin,
                "version": receipt.version,
                "container": receipt.containers.first().map(|container| &container.name),
                "container_state": plugin.container_state,
                "addresses": addresses.collect::<Vec<_>>(),
                "health": plugin.verdict.word(),
                "reason": reason,
                "healthy_after_ms": receipt.healthy_after_milliseconds,
            })
        });
        let mut fields = Map::new();
        fields.insert("project".into(), self.project.as_str().into());
        fields.insert("plugins".into(), plugins.collect());
        fields.insert("broken".into(), json!(self.broken));
        fields.insert("next".into(), json!(self.steps()));
        fields
    }

    fn text(&self, style: Style) -> String {
        if self.plugins.is_empty() && style.is_terminal {
            return format!("no plugins are installed in project {}", self.project);
        }
        let rows: Vec<Vec<String>> = self
            .plugins
            .iter()
            .map(|plugin| {
                let receipt = &plugin.receipt;
                let health = match &plugin.verdict {
                    Verdict::Healthy => "healthy".to_owned(),
                    Verdict::Degraded(reason) => format!("degraded: {reason}"),
                    Verdict::Unhealthy(reason) => format!("unhealthy: {reason}"),
                };
                vec![
                    receipt.plugin.as_str().to_owned(),
                    receipt.version.to_string(),
                    receipt.containers.first().map(|container| container.name.clone()).unwrap_or_default(),
                    plugin.container_state.clone(),
                    receipt.ports.iter().map(address::of).collect::<Vec<_>>().join(", "),
                    health,
                    format!("{:.1} s", Duration::from_millis(receipt.healthy_after_milliseconds).as_secs_f64()),
                ]
            })
            .collect();
        let headings = ["PLUGIN", "VERSION", "CONTAINER", "STATE", "ADDRESS", "HEALTH", "HEALTHY AFTER"];
        let mut lines = vec![table::render(&headings, &rows, style)];
        if style.is_terminal {
            lines.extend(self.steps().into_iter().map(|step| format!("next: {step}")));
        }
        lines.join("\n")
    }
}
