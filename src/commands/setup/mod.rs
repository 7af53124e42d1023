//! `setup`: from an empty project to verified plugins. Chooses, asks for what is missing, shows what would be done, asks
//! once, writes `.env.plugins`, and leaves the rest to `install`. Until the last answer nothing is changed.

mod choose;
mod file;
mod report;

use std::collections::BTreeMap;

use crate::cli::{InstallArguments, SetupArguments};
use crate::context::Context;
use crate::environment::Variables;
use crate::error::Error;
use crate::project::{Project, Strictness};
use crate::ui::{Event, table};
use crate::values::Values;

use super::install::{self, Downloads, Surveyed};

pub use report::SetupReport;

/// Guided where somebody is there and `--yes` is not given; else by the flags alone.
pub async fn run(cx: &Context, arguments: SetupArguments) -> Result<SetupReport, Error> {
    let is_guided = !arguments.yes && cx.output.has_person() && !cx.output.is_json();
    if !is_guided && !arguments.yes {
        return Err(Error::Usage {
            message: "nobody can be asked what to set up: there is no terminal, or --json was given".into(),
            hint: Some("say it with flags: nself plugin setup --core-only --yes".into()),
        });
    }
    // Until the plan is accepted, the project is only looked at; what is wrong with it is found first.
    let project = cx.project(Strictness::Strict)?;
    cx.docker().await?;
    let mut wanted = installation(&arguments);
    if wanted.plugins.is_empty() && wanted.sets.is_empty() {
        if is_guided {
            wanted.plugins = choose::plugins(cx, &project, &arguments.registries).await?;
        } else {
            wanted.sets.core_only = true;
        }
    }
    let downloads = Downloads::default();
    let surveyed = survey(cx, &wanted, (&project, &downloads)).await?;
    let answers = if is_guided { ask_missing(cx, &surveyed).await? } else { BTreeMap::new() };
    let manifests: Vec<_> = surveyed.iter().map(|(_, known)| &known.manifest).collect();
    let values = Values::read(&cx.settings.config_dir, &project.name)?;
    let variables = Variables { flags: &[], process: &cx.process_environment, project: &project, values: &values };
    let file = file::complete(&project, &manifests, &answers, &variables)?;
    if is_guided {
        confirm(cx, &project, &surveyed, &file).await?;
    }
    if cx.interrupt.is_wanted() {
        return Err(Error::Interrupted);
    }
    file.write()?;
    // What was installed before may read a variable that is new: it is made anew where its configuration has changed.
    let before = cx.state.receipts(&project.name)?.into_iter().flatten();
    wanted.plugins.extend(before.map(|receipt| receipt.plugin.as_str().to_owned()));
    let project = cx.project(Strictness::Strict)?;
    let mut installed = install::run_in(cx, &wanted, (&project, &downloads)).await?;
    installed.is_set = true;
    if installed.restart.is_none() && installed.has_changed() {
        installed.restart = install::restart_backend(cx, arguments.skip_restart).await?;
    }
    Ok(SetupReport { is_ignored_by_git: file.is_ignored_by_git(), file, installed })
}

fn installation(arguments: &SetupArguments) -> InstallArguments {
    InstallArguments {
        plugins: arguments.plugins.clone(),
        services: arguments.services.clone(),
        sets: arguments.sets.clone(),
        skip_restart: arguments.skip_restart,
        registries: arguments.registries.clone(),
        dry_run: false,
        env: arguments.env.clone(),
        verify: None,
        allow_privileged: false,
        force: false,
        yes: true,
    }
}

/// What can be installed; the rest is named with the reason, which `install` says again at the end.
async fn survey(
    cx: &Context,
    wanted: &InstallArguments,
    place: (&Project, &Downloads),
) -> Result<Vec<(String, Surveyed)>, Error> {
    let mut surveyed = Vec::new();
    let mut refused = Vec::new();
    for (name, known) in install::survey(cx, wanted, place).await? {
        match known {
            Ok(known) => surveyed.push((name, known)),
            Err(error) => refused.push((name, error)),
        }
    }
    if surveyed.is_empty()
        && let Some((_, error)) = refused.pop()
    {
        return Err(error);
    }
    for (name, error) in &refused {
        cx.reporter.event(Event::Warning { text: &format!("{name} is left out: {error}") });
    }
    Ok(surveyed)
}

/// Values of required variables that nobody has set, each asked for once.
async fn ask_missing(cx: &Context, surveyed: &[(String, Surveyed)]) -> Result<BTreeMap<String, String>, Error> {
    let mut answers = BTreeMap::new();
    for (name, known) in surveyed {
        for variable in &known.missing {
            if answers.contains_key(&variable.name) {
                continue;
            }
            let about = if variable.description.is_empty() { &variable.name } else { &variable.description };
            let question = format!("{name} needs {} ({})", variable.name, crate::ui::safe(about));
            let answer = cx.output.ask(&cx.interrupt, &question, variable.secret).await?;
            answers.insert(variable.name.clone(), answer);
        }
    }
    Ok(answers)
}

/// Shows what would be done and asks whether to.
async fn confirm(
    cx: &Context,
    project: &Project,
    surveyed: &[(String, Surveyed)],
    file: &file::EnvFile,
) -> Result<(), Error> {
    let rows: Vec<Vec<String>> = surveyed.iter().map(|(name, known)| row(name, known)).collect();
    cx.output.note(&table::render(&["PLUGIN", "VERSION", "FROM", "PORTS", "MEMORY", "NOW"], &rows, cx.output.style));
    cx.output.note(&file.summary());
    let count = surveyed.len();
    let question = format!("Install {count} plugins into project {}?", project.name);
    cx.output
        .confirm(&cx.interrupt, &question, "nself plugin setup --yes, with the plugins or sets that you want")
        .await
}

fn row(name: &str, known: &Surveyed) -> Vec<String> {
    let manifest = &known.manifest;
    let ports: Vec<String> = manifest.ports.iter().map(|port| port.port.to_string()).collect();
    let memory = manifest.service.memory.map(|bytes| format!("{} MiB", bytes / (1024 * 1024)));
    vec![
        name.to_owned(),
        manifest.version.to_string(),
        known.registry.clone(),
        ports.join(", "),
        memory.unwrap_or_default(),
        if known.is_installed { "installed" } else { "new" }.to_owned(),
    ]
}
