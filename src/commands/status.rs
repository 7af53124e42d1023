//! `status` and `health`: what is installed, what the engine runs of it, what each plugin answers, and what interrupted
//! commands left. Changes nothing, except that `status --repair` recovers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::next;
use crate::address;
use crate::cli::{NamesArguments, StatusArguments};
use crate::context::Context;
use crate::docker::Observed;
use crate::environment::{Variables, assemble};
use crate::error::Error;
use crate::health::Verdict;
use crate::name::PluginName;
use crate::package::Package;
use crate::project::{Project, Strictness};
use crate::state::Receipt;
use crate::ui::{Report, Style, table};
use crate::undo::{self, Unfinished};
use crate::values::Values;

/// One plugin's state.
#[derive(Debug)]
pub struct PluginState {
    receipt: Receipt,
    container_name: String,
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
    unfinished: Unfinished,
}

/// `status`: with `--repair`, recovers first.
pub async fn status(cx: &Context, arguments: &StatusArguments) -> Result<StatusReport, Error> {
    if arguments.repair {
        repair(cx, arguments).await?;
    }
    run(cx, &arguments.names, "nself.plugin.status/1").await
}

/// `health`.
pub async fn health(cx: &Context, arguments: &NamesArguments) -> Result<StatusReport, Error> {
    run(cx, arguments, "nself.plugin.health/1").await
}

/// Recovers what interrupted commands left, and asks about what cannot be recovered.
async fn repair(cx: &Context, arguments: &StatusArguments) -> Result<(), Error> {
    let names: Vec<PluginName> = arguments.names.plugins.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    let may_give_up = async |plugin: &str, left: &[String]| {
        if arguments.yes {
            return Ok(true);
        }
        if !cx.output.has_person() || cx.output.is_json() {
            return Ok(false);
        }
        for line in left {
            cx.warn(&format!("{plugin}: {line}"));
        }
        cx.agree(&format!("Give up the recovery of `{plugin}`, and keep what is left?")).await
    };
    for given in undo::repair(cx, &names, may_give_up).await? {
        cx.warn(&format!("{}: the recovery was given up", given.plugin));
        for line in given.left {
            cx.warn(&format!("{}: {line}", given.plugin));
        }
    }
    Ok(())
}

/// Looks at the plugins named, or all. `schema` tells which verb asked.
async fn run(cx: &Context, arguments: &NamesArguments, schema: &'static str) -> Result<StatusReport, Error> {
    let project = cx.project(Strictness::Lenient)?;
    let unfinished = undo::warn_of_unfinished(cx)?;
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
    Ok(StatusReport { schema, project: project.name, plugins, broken, unfinished })
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
    let container = receipt.container_in(observed).or_else(|| observed.container(&name));
    let container_name = container.map_or(name.as_str(), |container| container.name.as_str()).to_owned();
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
    PluginState { receipt, container_name, container_state, verdict, unset }
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
        let is_unhealthy = self.plugins.iter().any(|plugin| !plugin.verdict.is_usable());
        u8::from(is_unhealthy || !self.broken.is_empty())
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
                "container": plugin.container_name,
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
        fields.insert("unfinished".into(), json!(self.unfinished.plugins()));
        fields.insert("unreadable_records".into(), json!(self.unfinished.unreadable_paths()));
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
                    plugin.container_name.clone(),
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
