//! `install`: finds what is meant, then runs the pipeline for each plugin, dependencies first and independent ones at
//! the same time. One bad plugin does not stop the others.

mod checks;
mod pipeline;
mod receipt;
mod report;
mod services;
mod target;

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use crate::cli::{InstallArguments, VerifyChoice};
use crate::context::Context;
use crate::environment::{INTERNAL_SECRET, Variables};
use crate::error::Error;
use crate::fs;
use crate::http::Http;
use crate::name::{NameError, PluginName, PluginSpec};
use crate::package::VerifyPolicy;
use crate::project::{Strictness, is_variable_name};
use crate::registries;
use crate::ui::Event;
use crate::undo;
use crate::values::{Values, WHOLE_PROJECT};

pub use report::{How, InstallReport, Outcome};

use pipeline::Shared;
use target::{Finder, Found, Target, levels};

/// Installs all that is named.
pub async fn run(cx: &Context, arguments: &InstallArguments) -> Result<InstallReport, Error> {
    let specs = parse_specs(&arguments.plugins)?;
    let flags = parse_variables(&arguments.env)?;
    let project = cx.project(Strictness::Strict)?;
    let home = cx.state.home_id()?;
    undo::recover(cx).await?;
    let http = Http::new(arguments.registries.allow_http)?;
    let catalog = registries::catalog(cx, &arguments.registries, &http)?;
    let finder = Finder {
        cx,
        catalog: &catalog,
        project: &project.name,
        registry: arguments.registries.registry.as_deref(),
        force: arguments.force,
    };
    let mut found = finder.find(specs).await;
    let mut services = BTreeMap::new();
    if found.iter().any(|(_, target)| target.is_ok()) {
        // Without an engine nothing can be done for any of them, and nothing should be downloaded.
        let docker = cx.docker().await?;
        let values = Values::read(&cx.settings.config_dir, &project.name)?;
        let variables =
            Variables { flags: &flags, process: &cx.process_environment, project: &project, values: &values };
        services = services::provide(&finder, docker, &variables, &mut found).await?;
    }
    let shared = Shared {
        cx,
        project: &project,
        home,
        flags,
        services,
        policy: policy(arguments.verify),
        allow_http: arguments.registries.allow_http,
        allow_privileged: arguments.allow_privileged,
        force: arguments.force,
        dry_run: arguments.dry_run,
        claimed: Mutex::new(HashMap::new()),
    };
    if !arguments.dry_run {
        ensure_internal_secret(cx, &project.name).await?;
    }
    let results = install_all(&shared, found).await?;
    if results.iter().all(|(_, outcome)| matches!(outcome, Outcome::Failed(_))) && !arguments.dry_run {
        undo::forget_unused_secret(cx, &project.name).await?;
    }
    Ok(InstallReport { project: project.name, results })
}

fn parse_specs(words: &[String]) -> Result<Vec<(String, PluginSpec)>, Error> {
    words
        .iter()
        .map(|word| Ok((word.clone(), word.parse::<PluginSpec>()?)))
        .collect::<Result<_, NameError>>()
        .map_err(Error::from)
}

fn parse_variables(words: &[String]) -> Result<Vec<(String, String)>, Error> {
    let parse = |word: &String| match word.split_once('=') {
        Some((key, value)) if is_variable_name(key) => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Error::Usage {
            message: "what follows --env is not KEY=VALUE with a variable's name before the `=`".into(),
            hint: Some("write it so: --env REALTIME_PORT=3111".into()),
        }),
    };
    words.iter().map(parse).collect()
}

fn policy(choice: Option<VerifyChoice>) -> VerifyPolicy {
    match choice {
        Some(VerifyChoice::Require) => VerifyPolicy::Require,
        Some(VerifyChoice::Off) => VerifyPolicy::Off,
        Some(VerifyChoice::Warn) | None => VerifyPolicy::Warn,
    }
}

/// What the plugins of a project know each other by is made before the first of them needs it.
async fn ensure_internal_secret(cx: &Context, project: &str) -> Result<(), Error> {
    let is_there = |values: &Values| values.get(WHOLE_PROJECT, INTERNAL_SECRET).is_some();
    if is_there(&Values::read(&cx.settings.config_dir, project)?) {
        return Ok(());
    }
    let _lock = cx.state.lock("_values", cx.settings.lock_timeout).await?;
    let mut values = Values::read(&cx.settings.config_dir, project)?;
    if !is_there(&values) {
        values.set(WHOLE_PROJECT, INTERNAL_SECRET, &fs::random_secret(48));
        values.write()?;
    }
    Ok(())
}

/// Level by level; the order of the results is that of the command line, with what was needed after it.
async fn install_all(shared: &Shared<'_>, found: Vec<Found>) -> Result<Vec<(String, Outcome)>, Error> {
    let order: Vec<String> = found.iter().map(|(name, _)| name.clone()).collect();
    let mut outcomes: BTreeMap<String, Outcome> = BTreeMap::new();
    let mut targets: BTreeMap<PluginName, Target> = BTreeMap::new();
    for (name, target) in found {
        match target {
            Ok(target) => {
                targets.insert(target.name.clone(), target);
            }
            Err(error) => {
                outcomes.insert(name, Outcome::Failed(Box::new(error)));
            }
        }
    }
    let dependencies = targets.iter().map(|(name, target)| (name.clone(), target.dependencies.clone())).collect();
    let levels = levels(&dependencies).map_err(Error::DependencyCycle)?;
    for level in levels {
        let work = level.iter().filter_map(|name| targets.get(name)).map(|target| {
            let failed = failed_dependencies(target, &outcomes);
            async move {
                let result = if failed.is_empty() {
                    Box::pin(pipeline::install(shared, target)).await
                } else {
                    Err(Error::DependencyFailed { name: target.name.clone(), missing: failed })
                };
                (target.name.as_str().to_owned(), result)
            }
        });
        for (name, result) in futures_util::future::join_all(work).await {
            let outcome = result.unwrap_or_else(|error| Outcome::Failed(Box::new(error)));
            tell(shared, &name, &outcome);
            outcomes.insert(name, outcome);
        }
    }
    Ok(order.into_iter().filter_map(|name| outcomes.remove(&name).map(|outcome| (name, outcome))).collect())
}

fn failed_dependencies(target: &Target, outcomes: &BTreeMap<String, Outcome>) -> Vec<String> {
    let has_failed = |name: &&PluginName| matches!(outcomes.get(name.as_str()), Some(Outcome::Failed(_)));
    target.dependencies.iter().filter(has_failed).map(|name| format!("`{name}`, which was not installed")).collect()
}

fn tell(shared: &Shared<'_>, name: &str, outcome: &Outcome) {
    let text = match outcome {
        Outcome::Failed(_) => "failed",
        Outcome::Planned(_) => "planned",
        Outcome::Current { .. } => "nothing to do",
        Outcome::Installed { .. } => "healthy",
    };
    shared.cx.reporter.event(Event::Finished { plugin: name, text });
    if let Outcome::Installed { passed_over, .. } = outcome {
        for reason in passed_over {
            shared.cx.reporter.event(Event::Detail { plugin: name, text: reason });
        }
    }
}
