//! What follows when plugins have changed: other plugins whose configuration is another now are made anew, and the running
//! backend is restarted through its own CLI.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::renewal::{Extent, renew};
use super::report::InstallReport;
use crate::backend;
use crate::context::Context;
use crate::error::Error;
use crate::name::PluginName;
use crate::project::Project;
use crate::ui::Event;
use crate::values::Values;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    Done,
    /// `--skip-restart` was given.
    Skipped,
    /// It ended with another exit code than 0.
    Failed(i32),
}

impl Restart {
    /// As the report's document holds it.
    pub fn json(self) -> Value {
        let (result, code) = match self {
            Self::Done => ("done", Some(0)),
            Self::Skipped => ("skipped", None),
            Self::Failed(code) => ("failed", Some(code)),
        };
        json!({ "command": "nself restart", "result": result, "exit_code": code })
    }

    /// For people.
    pub fn text(self) -> String {
        match self {
            Self::Done => "the backend was restarted".to_owned(),
            Self::Skipped => "the backend does not know of the change yet; run: nself restart".to_owned(),
            Self::Failed(code) => format!("the backend could not be restarted (exit code {code}); run: nself restart"),
        }
    }
}

/// Restarts the backend of this project if there is one: a backend CLI, and its network on the engine. Without them the
/// plugins have seen the change already, since their containers were made anew.
async fn restart_backend(cx: &Context, project: &Project, is_skipped: bool) -> Result<Option<Restart>, Error> {
    let Some(program) = backend::find() else { return Ok(None) };
    let values = Values::read(&cx.settings.config_dir, &project.name)?;
    let variables =
        crate::environment::Variables { flags: &[], process: &cx.process_environment, project, values: &values };
    let network = variables.backend_network("");
    if cx.docker().await?.observe(&cx.state.home_id()?).await?.network(&network).is_none() {
        return Ok(None);
    }
    if is_skipped {
        return Ok(Some(Restart::Skipped));
    }
    cx.reporter.event(Event::Started { plugin: "backend", what: "nself restart" });
    // Until it has succeeded the next command has it to do, whatever becomes of this one.
    cx.state.owe_restart(&project.name)?;
    let code = backend::run(&program, &["restart"], &project.folder).await;
    if code == 0 {
        cx.state.settle_restart(&project.name)?;
    } else {
        let text = format!("the backend could not be restarted: nself restart ended with exit code {code}");
        cx.reporter.event(Event::Warning { text: &text });
    }
    cx.reporter.event(Event::Finished { plugin: "backend", text: if code == 0 { "restarted" } else { "failed" } });
    Ok(Some(if code == 0 { Restart::Done } else { Restart::Failed(code) }))
}

/// After plugins were installed: makes those of the others anew whose configuration has changed, then restarts the
/// backend where something was done, now or before a restart that failed. With `--skip-restart` both are left to the
/// commands that the report names.
pub async fn restart_after(
    cx: &Context,
    project: &Project,
    report: &mut InstallReport,
    is_skipped: bool,
) -> Result<(), Error> {
    // Who has enough of it wants nothing more to happen.
    if cx.interrupt.is_wanted() {
        return Ok(());
    }
    let done: BTreeSet<&str> = report.results.iter().map(|(name, _)| name.as_str()).collect();
    let receipts = cx.state.receipts(&project.name)?.into_iter().flatten().map(|receipt| receipt.plugin);
    let others: Vec<PluginName> = receipts.filter(|plugin| !done.contains(plugin.as_str())).collect();
    let extent = if is_skipped { Extent::Named } else { Extent::Running };
    let renewal = renew(cx, project, &others, extent).await?;
    report.results.extend(renewal.results);
    report.pending = renewal.pending;
    let is_due = report.has_changed() || cx.state.owes_restart(&project.name);
    if is_due && !cx.interrupt.is_wanted() {
        report.restart = restart_backend(cx, project, is_skipped).await?;
    }
    Ok(())
}
