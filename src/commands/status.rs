//! `status` and `health`: what is installed, what the engine runs of it, and what each plugin answers. Changes nothing
//! but what an interrupted command left behind.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::cli::NamesArguments;
use crate::context::Context;
use crate::docker::{Observed, ObservedContainer};
use crate::error::Error;
use crate::health::{Probe, Verdict};
use crate::project::{Project, Strictness};
use crate::state::Receipt;
use crate::ui::{Report, Style, table};
use crate::undo;

/// One plugin's state.
#[derive(Debug)]
pub struct PluginState {
    receipt: Receipt,
    /// As the engine calls it; `missing` when there is no container.
    container_state: String,
    verdict: Verdict,
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
    let states = receipts.into_iter().map(|receipt| look(&project, &observed, receipt));
    let plugins = futures_util::future::join_all(states).await;
    Ok(StatusReport { schema, project: project.name, plugins, broken })
}

async fn look(project: &Project, observed: &Observed, receipt: Receipt) -> PluginState {
    let name = project.object_name(receipt.plugin.as_str());
    let container: Option<&ObservedContainer> =
        observed.of_plugin(&project.name, receipt.plugin.as_str()).find(|container| container.name == name);
    let container_state = container.map_or("missing", |container| container.state.as_str()).to_owned();
    let verdict = match (container, receipt.health_port()) {
        (None, _) => Verdict::Unhealthy(format!("there is no container `{name}`")),
        (Some(container), _) if !container.is_running() => {
            Verdict::Unhealthy(format!("its container is {}", container.state))
        }
        (Some(_), Some(port)) => Probe { port, path: receipt.health_path.clone() }.ask().await,
        (Some(container), None) if container.fails_its_check => {
            Verdict::Unhealthy("the image's own health check fails".to_owned())
        }
        (Some(_), None) => Verdict::Healthy,
    };
    PluginState { receipt, container_state, verdict }
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
            let addresses = receipt.ports.iter().map(|port| json!({ "name": port.name, "address": port.address() }));
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
                    plugin.container_state.clone(),
                    receipt.ports.first().map(crate::state::ReceiptPort::address).unwrap_or_default(),
                    health,
                    format!("{:.1} s", Duration::from_millis(receipt.healthy_after_milliseconds).as_secs_f64()),
                ]
            })
            .collect();
        table::render(&["PLUGIN", "VERSION", "CONTAINER", "ADDRESS", "HEALTH", "HEALTHY AFTER"], &rows, style)
    }
}
