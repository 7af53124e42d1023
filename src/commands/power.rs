//! `start`, `stop`, `restart`: the containers of installed plugins. Waits until what it starts is healthy.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::install::{self, Extent, Outcome, Renewal};
use crate::apply::Proof;
use crate::cli::NamesArguments;
use crate::context::Context;
use crate::docker::Restarts;
use crate::environment::Variables;
use crate::error::Error;
use crate::health::Verdict;
use crate::name::PluginName;
use crate::project::Project;
use crate::state::Receipt;
use crate::ui::{Event, Report, Style, error_json};
use crate::undo;
use crate::values::Values;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    Start,
    Stop,
    Restart,
}

impl Power {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Start => ("nself.plugin.start/1", "started"),
            Self::Stop => ("nself.plugin.stop/1", "stopped"),
            Self::Restart => ("nself.plugin.restart/1", "restarted"),
        }
    }
}

/// What happened to each plugin.
#[derive(Debug)]
pub struct PowerReport {
    power: Power,
    results: Vec<(Receipt, Result<Done, Error>)>,
}

/// What was done to one.
#[derive(Debug)]
struct Done {
    /// `started`, `reconfigured`, …
    word: &'static str,
    /// Of what was started.
    verdict: Option<Verdict>,
    /// The missing variables because of which a changed configuration was not applied.
    lost: Vec<String>,
}

/// Starts, stops or restarts the plugins named, or all, at the same time. A restart recreates those whose configuration
/// has changed.
pub async fn run(cx: &Context, arguments: &NamesArguments, power: Power) -> Result<PowerReport, Error> {
    let project = cx.project_to_change()?;
    let receipts = super::chosen_receipts(cx, &project.name, &arguments.plugins)?;
    let renewal = if power == Power::Restart { renew(cx, &project, &receipts).await? } else { Renewal::default() };
    // Interrupted: stop here. Everything started so far has been rolled back.
    if cx.interrupt.is_wanted() {
        return Err(Error::Interrupted);
    }
    let mut renewed: BTreeMap<String, Outcome> = renewal.results.into_iter().collect();
    let kept: BTreeMap<PluginName, Vec<String>> = renewal.kept.into_iter().collect();
    let work = receipts.into_iter().map(|receipt| {
        let renewed = renewed.remove(receipt.plugin.as_str());
        let lost = kept.get(&receipt.plugin).cloned().unwrap_or_default();
        async {
            let result = match renewed {
                Some(Outcome::Failed(error)) => Err(*error),
                Some(outcome) => Ok(Done { word: "reconfigured", verdict: outcome.verdict().cloned(), lost }),
                None => {
                    let verdict = act(cx, &project, &receipt.plugin, power).await;
                    verdict.map(|verdict| Done { word: power.words().1, verdict, lost })
                }
            };
            (receipt, result)
        }
    });
    let mut results = futures_util::future::join_all(work).await;
    if arguments.plugins.is_empty() {
        // All that are installed: one that another command removed meanwhile is not.
        results.retain(|(_, result)| !matches!(result, Err(Error::NotInstalled { .. })));
    }
    Ok(PowerReport { power, results })
}

/// Recreates those whose configuration has changed. Where an env file cannot be read it is not known what has.
async fn renew(cx: &Context, project: &Project, receipts: &[Receipt]) -> Result<Renewal, Error> {
    if !project.warnings.is_empty() {
        return Ok(Renewal::default());
    }
    let plugins: Vec<PluginName> = receipts.iter().map(|receipt| receipt.plugin.clone()).collect();
    install::renew(cx, project, &plugins, Extent::All).await
}

async fn act(cx: &Context, project: &Project, plugin: &PluginName, power: Power) -> Result<Option<Verdict>, Error> {
    let _lock = cx.lock(plugin).await?;
    undo::recover_plugin(cx, &project.name, plugin).await?;
    // Read under the lock: another command may have replaced or removed it meanwhile.
    let receipt = &super::installed(cx, &project.name, plugin)?;
    let docker = cx.docker().await?;
    let name = match receipt.containers.first() {
        Some(container) => container.id.clone(),
        None => project.object_name(plugin.as_str()),
    };
    let what = match power {
        Power::Start => "starting",
        Power::Stop => "stopping",
        Power::Restart => "restarting",
    };
    cx.reporter.event(Event::Started { plugin: receipt.plugin.as_str(), what });
    if power != Power::Stop {
        join_backend(cx, project, receipt, &name).await?;
    }
    match power {
        Power::Stop => {
            docker.stop_container(&name).await?;
            return Ok(None);
        }
        Power::Start => docker.start_container(&name, Restarts::Always).await?,
        Power::Restart => docker.restart_container(&name).await?,
    }
    wait(cx, receipt, &name).await.map(Some)
}

/// A plugin that was installed before the backend ran joins the backend's network as soon as there is one.
async fn join_backend(cx: &Context, project: &Project, receipt: &Receipt, name: &str) -> Result<(), Error> {
    let docker = cx.docker().await?;
    let values = Values::read(&cx.settings.config_dir, &project.name)?;
    let variables = Variables { flags: &[], process: &cx.process_environment, project, values: &values };
    let backend = variables.backend_network(receipt.plugin.as_str());
    let observed = docker.observe(&cx.state.home_id()?).await?;
    let container = receipt.container_in(&observed);
    let is_missing = container.is_some_and(|found| !found.networks.contains(&backend));
    if is_missing && observed.network(&backend).is_some() {
        docker.join_network(&backend, name, &receipt.plugin.aliases()).await?;
    }
    Ok(())
}

async fn wait(cx: &Context, receipt: &Receipt, container: &str) -> Result<Verdict, Error> {
    let proof = Proof { docker: cx.docker().await?, container, probe: receipt.probe() };
    let verdict = tokio::select! {
        verdict = proof.within(cx.settings.ready_timeout) => verdict,
        () = cx.interrupt.wanted() => return Err(Error::Interrupted),
    };
    verdict.map_err(|verdict| Error::Sick { plugin: receipt.plugin.clone(), verdict })
}

impl Report for PowerReport {
    fn schema(&self) -> &'static str {
        self.power.words().0
    }

    fn exit_code(&self) -> u8 {
        let codes: Vec<u8> = self.errors().into_iter().map(Error::exit_code).collect();
        match codes.as_slice() {
            [] => 0,
            codes if codes.len() < self.results.len() => 10,
            [first, ..] => *first,
        }
    }

    fn errors(&self) -> Vec<&Error> {
        self.results.iter().filter_map(|(_, result)| result.as_ref().err()).collect()
    }

    fn json(&self) -> Map<String, Value> {
        let results = self.results.iter().map(|(receipt, result)| match result {
            Ok(Done { word, verdict, lost }) => json!({
                "plugin": receipt.plugin,
                "result": word,
                "health": verdict.as_ref().map(Verdict::word),
                "not_applied_without": lost,
            }),
            Err(error) => json!({ "plugin": receipt.plugin, "result": "failed", "error": error_json(error) }),
        });
        let mut fields = Map::new();
        fields.insert("results".into(), results.collect());
        fields
    }

    fn text(&self, style: Style) -> String {
        let lines = self.results.iter().map(|(receipt, result)| match result {
            Ok(Done { word, verdict: Some(verdict), .. }) => {
                format!("{} is {word} and {}", receipt.plugin, verdict.word())
            }
            Ok(Done { word, verdict: None, .. }) => format!("{} is {word}", receipt.plugin),
            Err(_) => format!("{} is {}", receipt.plugin, style.failed("not as wanted")),
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}
