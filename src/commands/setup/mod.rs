//! `setup`: from an empty project to verified plugins. Chooses, asks for what is missing, shows what would be done, asks
//! once, writes `.env.plugins`, and leaves the rest to `install`. Until the last answer nothing is changed.

mod choose;
mod file;
mod report;

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::{GrantAnswers, InstallArguments, SetupArguments};
use crate::context::Context;
use crate::environment::Variables;
use crate::error::Error;
use crate::name::PluginName;
use crate::project::{Project, Strictness};
use crate::ui::{Event, table};
use crate::values::Values;

use super::install::{self, Downloads, Surveyed};

pub use report::SetupReport;

/// The plugins that can be installed, by the word that asked for each.
type Plan = Vec<(String, Surveyed)>;

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
    let project = cx.project(Strictness::Prospective)?;
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
    let mut plan = survey(cx, &wanted, (&project, &downloads)).await?;
    // What is said by a flag is kept in the file like an answer.
    let mut answers: BTreeMap<String, String> = install::parse_variables(&arguments.env)?.into_iter().collect();
    if is_guided {
        wanted.answers = grant(cx, &mut plan).await?;
        ask_missing(cx, &plan, &mut answers).await?;
    }
    // In a guided set-up every missing value was asked for.
    if !is_guided && is_all_blocked(&plan) {
        return Err(Error::Preflight(plan.iter().flat_map(|(_, known)| known.obstacles()).collect()));
    }
    let manifests: Vec<_> = plan.iter().map(|(_, known)| &known.manifest).collect();
    let values = Values::read(&cx.settings.config_dir, &project.name)?;
    let variables = Variables { flags: &[], process: &cx.process_environment, project: &project, values: &values };
    let file = file::complete(&project, &manifests, &answers, &variables)?;
    if is_guided {
        confirm(cx, &project, &plan, &file).await?;
    }
    if cx.interrupt.is_wanted() {
        return Err(Error::Interrupted);
    }
    file.write()?;
    let project = cx.project(Strictness::Strict)?;
    let mut installed = install::run_in(cx, &wanted, (&project, &downloads)).await?;
    installed.is_set = true;
    Ok(SetupReport { is_ignored_by_git: file.is_ignored_by_git(), file, installed })
}

fn installation(arguments: &SetupArguments) -> InstallArguments {
    InstallArguments {
        plugins: arguments.plugins.clone(),
        services: arguments.services.clone(),
        sets: arguments.sets.clone(),
        skip_restart: arguments.skip_restart,
        registries: arguments.registries.clone(),
        env: arguments.env.clone(),
        allow_privileged: arguments.allow_privileged,
        // What comes along stands in the plan that is agreed to.
        yes: true,
        // What was installed before may read a variable that is new in the file.
        renews_others: true,
        ..InstallArguments::default()
    }
}

/// What can be installed; the rest is named with the reason, which `install` says again at the end.
async fn survey(cx: &Context, wanted: &InstallArguments, place: (&Project, &Downloads)) -> Result<Plan, Error> {
    let mut plan = Vec::new();
    let mut refused = Vec::new();
    for (name, known) in install::survey(cx, wanted, place).await? {
        match known {
            Ok(known) if known.problems.is_empty() => plan.push((name, known)),
            Ok(known) => refused.push((name, Error::Preflight(known.obstacles()))),
            Err(error) => refused.push((name, error)),
        }
    }
    // Where nothing is left, the error is a plugin's own, not that of one which needs it.
    refused.sort_by_key(|(_, error)| !matches!(error, Error::DependencyFailed { .. }));
    let last = if plan.is_empty() { refused.pop() } else { None };
    for (name, error) in &refused {
        cx.reporter.event(Event::Warning { text: &format!("{name} is left out: {error}") });
    }
    match last {
        Some((_, error)) => Err(error),
        None => Ok(plan),
    }
}

/// Whether something stands in the way of every plugin, its own or that of one which it needs.
fn is_all_blocked(plan: &Plan) -> bool {
    let mut blocked: BTreeSet<&PluginName> = BTreeSet::new();
    loop {
        let before = blocked.len();
        for (_, known) in plan {
            if !known.obstacles().is_empty() || known.needs.iter().any(|need| blocked.contains(need)) {
                blocked.insert(&known.manifest.name);
            }
        }
        if blocked.len() == before {
            return blocked.len() == plan.len();
        }
    }
}

/// Asks for each plugin that wants power over this machine whether it may have it. One that may not is left out, with what
/// needs it and what comes along for it alone.
async fn grant(cx: &Context, plan: &mut Plan) -> Result<GrantAnswers, Error> {
    let mut answers = GrantAnswers::default();
    for (_, known) in plan.iter_mut() {
        let Some(problem) = &known.ungranted else { continue };
        let question = format!("{}: power over this machine. Grant it? (no leaves it out)", problem.message);
        let name = known.manifest.name.clone();
        if cx.agree(&question).await? {
            answers.granted.push(name);
        } else {
            answers.denied.push(name);
        }
    }
    while let Some(name) = left_out_too(plan, &answers.denied) {
        answers.denied.push(name);
    }
    plan.retain(|(_, known)| !answers.denied.contains(&known.manifest.name));
    if plan.is_empty() {
        return Err(Error::Usage { message: "nothing was changed: no plugin is left".into(), hint: None });
    }
    Ok(answers)
}

/// One more plugin that has no place in the plan without the denied ones.
fn left_out_too(plan: &Plan, denied: &[PluginName]) -> Option<PluginName> {
    let left = || plan.iter().map(|(_, known)| known).filter(|known| !denied.contains(&known.manifest.name));
    let needs_denied = |known: &&Surveyed| known.needs.iter().any(|need| denied.contains(need));
    let is_idle = |known: &&Surveyed| {
        let name = &known.manifest.name;
        let was_needed = plan.iter().any(|(_, other)| other.needs.contains(name));
        !known.is_named && was_needed && !left().any(|other| other.needs.contains(name))
    };
    left().find(|known| needs_denied(known) || is_idle(known)).map(|known| known.manifest.name.clone())
}

/// Asks for the values of required variables that nobody has set, each once.
async fn ask_missing(cx: &Context, plan: &Plan, answers: &mut BTreeMap<String, String>) -> Result<(), Error> {
    for (name, known) in plan {
        for variable in &known.missing {
            if answers.contains_key(&variable.name) {
                continue;
            }
            let about = if variable.description.is_empty() { &variable.name } else { &variable.description };
            let question = format!("{name} needs {} ({})", variable.name, crate::ui::safe(about));
            let answer = cx.ask(&question, variable.secret).await?;
            answers.insert(variable.name.clone(), answer);
        }
    }
    Ok(())
}

/// Shows what would be done and asks whether to.
async fn confirm(cx: &Context, project: &Project, plan: &Plan, file: &file::EnvFile) -> Result<(), Error> {
    let rows: Vec<Vec<String>> = plan.iter().map(|(name, known)| row(name, known, plan)).collect();
    let headings = ["PLUGIN", "VERSION", "FROM", "PORTS", "MEMORY", "NOW", "FOR", "BEYOND THE DEFAULTS"];
    // What moves would be drawn over it.
    cx.reporter.clear();
    cx.output.note(&table::render(&headings, &rows, cx.output.style));
    cx.output.note(&file.summary());
    let count = plan.len();
    let question = format!("Install {count} plugins into project {}?", project.name);
    cx.confirm(&question, "nself plugin setup --yes, with the plugins or sets that you want").await
}

fn row(name: &str, known: &Surveyed, plan: &Plan) -> Vec<String> {
    let manifest = &known.manifest;
    let ports: Vec<String> = known.ports.iter().map(ToString::to_string).collect();
    let memory = manifest.service.memory.map(|bytes| format!("{} MiB", bytes / (1024 * 1024)));
    let needing = plan.iter().filter(|(_, other)| other.needs.contains(&manifest.name));
    let needing: Vec<&str> = needing.map(|(name, _)| name.as_str()).collect();
    vec![
        name.to_owned(),
        manifest.version.to_string(),
        known.registry.clone(),
        ports.join(", "),
        memory.unwrap_or_default(),
        if known.is_installed { "installed" } else { "new" }.to_owned(),
        needing.join(", "),
        crate::preflight::granted(manifest).join(", "),
    ]
}
