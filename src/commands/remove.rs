//! `remove`: observe, plan, apply. A removal is committed by its record, so that an interrupted one is finished by the
//! next command rather than leaving half a plugin.

use serde_json::{Map, Value, json};

use crate::cli::RemoveArguments;
use crate::context::{Context, now, unix_seconds};
use crate::error::Error;
use crate::name::PluginName;
use crate::plan::{self, Plan, Removal};
use crate::project::Project;
use crate::state::{RECORD_SCHEMA, Record};
use crate::ui::{Event, Report, Style, error_json};
use crate::undo;

/// What happened to each plugin.
#[derive(Debug)]
pub struct RemoveReport {
    results: Vec<(String, Result<Done, Error>)>,
    is_dry_run: bool,
    deleted_data: bool,
}

/// What was done to one.
#[derive(Debug)]
enum Done {
    Removed(Box<Plan>),
    /// An interrupted command had removed it, or this one had nothing but its remains to give up.
    WasRemoved,
}

/// Removes plugins, one after the other; one that cannot be removed does not stop the others.
pub async fn run(cx: &Context, arguments: &RemoveArguments) -> Result<RemoveReport, Error> {
    let names: Vec<PluginName> = arguments.plugins.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    let project = cx.project_to_change()?;
    if arguments.delete_data && !arguments.dry_run && !arguments.yes {
        confirm_data(cx, &project, &names).await?;
    }
    let mut results = Vec::new();
    for name in &names {
        let removed = remove_one(cx, &project, name, &names, arguments).await;
        results.push((name.as_str().to_owned(), removed));
    }
    Ok(RemoveReport { results, is_dry_run: arguments.dry_run, deleted_data: arguments.delete_data })
}

async fn remove_one(
    cx: &Context,
    project: &Project,
    name: &PluginName,
    together: &[PluginName],
    arguments: &RemoveArguments,
) -> Result<Done, Error> {
    let _lock = cx.lock(name).await?;
    let is_recovered = !arguments.dry_run && recover(cx, project, name, arguments.force).await?;
    let receipt = match super::installed(cx, &project.name, name) {
        // Of a removal that is retried, an interrupted one did this part.
        Err(Error::NotInstalled { .. })
            if is_recovered || (together.len() > 1 && cx.state.was_removed(&project.name, name)) =>
        {
            return Ok(Done::WasRemoved);
        }
        Err(error @ Error::NotInstalled { .. }) if arguments.dry_run => {
            let planned = nothing_to_remove(cx, project, name).await.ok_or(error)?;
            return Ok(Done::Removed(Box::new(planned)));
        }
        receipt => receipt?,
    };
    if !arguments.force {
        check_not_needed(cx, project, name, together)?;
    }
    let docker = cx.docker().await?;
    let observed = docker.observe(&cx.state.home_id()?).await?;
    let removal = Removal {
        receipt: &receipt,
        observed: &observed,
        project,
        active: cx.state.active_package(name.as_str()),
        delete_data: arguments.delete_data,
        keep_image: arguments.keep_image,
        keep_package_at: receipt
            .digest
            .filter(|_| arguments.keep_image && receipt.image.owned)
            .map(|digest| cx.state.kept_package(name, &digest)),
        is_shared: is_elsewhere(cx, project, name)?,
    };
    let plan = plan::remove(&removal);
    if arguments.dry_run {
        return Ok(Done::Removed(Box::new(plan)));
    }
    cx.reporter.event(Event::Started { plugin: name.as_str(), what: "removing" });
    let record = Record {
        schema: RECORD_SCHEMA.to_owned(),
        id: format!("{name}.{}", crate::fs::random_id()),
        plugin: name.clone(),
        project: project.name.clone(),
        engine: Some(docker.identity().await?),
        created_at: unix_seconds(now()),
        is_removal: true,
        undo: Vec::new(),
        finish: plan.finish(),
    };
    cx.state.begin(&record)?;
    let left = undo::finish(cx, &record).await;
    if left.is_empty() {
        return Ok(Done::Removed(Box::new(plan)));
    }
    let message = format!("could not remove `{name}` completely");
    Err(Error::RollbackIncomplete { cause: Box::new(Error::Failed { message, hint: None }), left })
}

/// Recovers the plugin; with `--force`, what cannot be recovered is given up. Returns whether that removed it.
async fn recover(cx: &Context, project: &Project, name: &PluginName, force: bool) -> Result<bool, Error> {
    match undo::recover_plugin(cx, &project.name, name).await {
        Ok(recovered) => {
            if recovered.is_any {
                undo::forget_unused_secret(cx, &project.name).await?;
            }
            Ok(recovered.is_removed)
        }
        Err(error) if force => {
            cx.warn(&error.to_string());
            for left in undo::give_up(cx, &project.name, name)? {
                cx.warn(&format!("{name}: given up, and perhaps left: {left}"));
            }
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// The plan for a plugin that a registry has and that is not installed; `None` where none has it.
async fn nothing_to_remove(cx: &Context, project: &Project, name: &PluginName) -> Option<Plan> {
    let http = crate::http::Http::new(false).ok()?;
    let catalog = crate::registries::catalog(cx, &crate::cli::RegistryFlags::default(), &http).ok()?;
    let ask = crate::registry::Ask { registry: None, name, version: None, has_licence_key: true };
    let release = catalog.select(&ask).await.ok()?.release;
    Some(Plan {
        plugin: name.clone(),
        version: release.version,
        project: project.name.clone(),
        steps: Vec::new(),
        notes: vec!["it is not installed: nothing would be removed".to_owned()],
    })
}

/// Data is deleted only when somebody said so twice: with the flag, and at the question or with `--yes`.
async fn confirm_data(cx: &Context, project: &Project, names: &[PluginName]) -> Result<(), Error> {
    let mut volumes = Vec::new();
    for name in names {
        volumes.extend(cx.state.receipt(&project.name, name)?.map(|receipt| receipt.volumes).unwrap_or_default());
    }
    let what = match volumes.as_slice() {
        [] => "the stored values".to_owned(),
        volumes => format!("the stored values and the volumes {}", volumes.join(", ")),
    };
    let words = names.iter().map(PluginName::as_str).collect::<Vec<_>>().join(" ");
    let question = format!("Delete {what} of {words} for good?");
    cx.confirm(&question, &format!("nself plugin remove {words} --delete-data --yes")).await
}

fn is_elsewhere(cx: &Context, project: &Project, name: &PluginName) -> Result<bool, Error> {
    let mut others = cx.state.projects()?.into_iter().filter(|other| *other != project.name);
    Ok(others.any(|other| cx.state.receipt(&other, name).is_ok_and(|receipt| receipt.is_some())))
}

/// What other plugins need stays, unless they go too.
fn check_not_needed(cx: &Context, project: &Project, name: &PluginName, together: &[PluginName]) -> Result<(), Error> {
    let needed_by: Vec<String> = cx
        .state
        .receipts(&project.name)?
        .into_iter()
        .flatten()
        .filter(|receipt| receipt.dependencies.contains(name) && !together.contains(&receipt.plugin))
        .map(|receipt| receipt.plugin.as_str().to_owned())
        .collect();
    if needed_by.is_empty() { Ok(()) } else { Err(Error::StillNeeded { name: name.clone(), needed_by }) }
}

impl Report for RemoveReport {
    fn schema(&self) -> &'static str {
        "nself.plugin.remove/1"
    }

    fn status(&self) -> &'static str {
        match self.exit_code() {
            0 => "ok",
            10 => "partial",
            _ => "failed",
        }
    }

    fn exit_code(&self) -> u8 {
        let codes: Vec<u8> = self.errors().into_iter().map(Error::exit_code).collect();
        match codes.as_slice() {
            [] => 0,
            codes if codes.len() < self.results.len() => 10,
            [first, rest @ ..] if rest.iter().all(|code| code == first) => *first,
            _ => 1,
        }
    }

    fn errors(&self) -> Vec<&Error> {
        self.results.iter().filter_map(|(_, result)| result.as_ref().err()).collect()
    }

    fn json(&self) -> Map<String, Value> {
        let results = self.results.iter().map(|(name, result)| match result {
            Ok(Done::WasRemoved) => json!({ "plugin": name, "result": "removed" }),
            Ok(Done::Removed(plan)) if self.is_dry_run => json!({ "plugin": name, "result": "planned", "plan": plan }),
            Ok(Done::Removed(plan)) => json!({ "plugin": name, "result": "removed", "version": plan.version }),
            Err(error) => json!({ "plugin": name, "result": "failed", "error": error_json(error) }),
        });
        let mut fields = Map::new();
        fields.insert("results".into(), results.collect());
        if let Some(error) = self.errors().first() {
            fields.insert("error".into(), error_json(error));
        }
        fields
    }

    fn text(&self, style: Style) -> String {
        let kept = if self.deleted_data { "data and values deleted" } else { "data and values kept" };
        let lines = self.results.iter().map(|(name, result)| match result {
            Ok(Done::WasRemoved) => format!("{name} was removed by an interrupted command"),
            Ok(Done::Removed(plan)) if self.is_dry_run => plan.to_string(),
            Ok(Done::Removed(plan)) => format!("{name} {} is removed ({kept})", plan.version),
            Err(_) => format!("{name} is {}", style.failed("not removed")),
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}
