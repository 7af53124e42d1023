//! `setup`: from an empty project to verified plugins. Chooses, asks for what is missing, shows what would be done, asks
//! once, writes `.env.plugins`, and leaves the rest to `install`. Until the last answer nothing is changed.

mod choose;
mod file;
mod report;

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::{InstallArguments, SetupArguments};
use crate::context::Context;
use crate::environment::Variables;
use crate::error::Error;
use crate::project::{Project, Strictness};
use crate::ui::{Event, shell_word, table};
use crate::values::Values;

use super::install::{self, Downloads, Grants, Request, Surveyed};

pub use report::SetupReport;

/// The plugins that can be installed, by the word that asked for each.
type Plan = Vec<(String, Surveyed)>;

/// Guided where somebody is there and `--yes` is not given; else by the flags alone.
pub async fn run(cx: &Context, arguments: SetupArguments) -> Result<SetupReport, Error> {
    let is_guided = !arguments.yes && cx.output.has_person() && !cx.output.is_json();
    if !is_guided && !arguments.yes {
        return Err(Error::Usage {
            message: "nobody can be asked what to set up: there is no terminal, or --json was given".into(),
            hint: Some(format!("say it with flags: nself plugin setup {} --yes", asked(&arguments))),
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
    let mut plan = survey(cx, &Request::new(&wanted, &project, &downloads)).await?;
    // What is said by a flag is kept in the file like an answer.
    let mut answers: BTreeMap<String, String> = install::parse_variables(&arguments.env)?.into_iter().collect();
    let mut grants = Grants::default();
    if is_guided {
        grants = grant(cx, &mut plan).await?;
        ask_missing(cx, &plan, &mut answers).await?;
    }
    // In a guided set-up every missing value was asked for.
    if !is_guided && is_all_blocked(&plan) {
        return Err(Error::Preflight(plan.iter().flat_map(|(_, known)| known.all_problems()).collect()));
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
    let request = Request { grants, ..Request::new(&wanted, &project, &downloads) };
    let mut installed = install::install(cx, &request).await?;
    // What was installed before may read a variable that is new in the file.
    install::restart_after(cx, &project, &mut installed, arguments.skip_restart).await?;
    installed.is_set = true;
    let report = SetupReport { is_ignored_by_git: file.is_ignored_by_git(), file, installed };
    if let Some(text) = report.git_warning() {
        cx.reporter.event(Event::Warning { text: &text });
    }
    Ok(report)
}

/// The plugins and sets of the command line, in its words.
fn asked(arguments: &SetupArguments) -> String {
    let sets = &arguments.sets;
    let flags = [(sets.core_only, "--core-only"), (sets.with_auth, "--with-auth"), (sets.all, "--all")];
    let flags = flags.into_iter().filter(|(is_given, _)| *is_given).map(|(_, flag)| flag.to_owned());
    let named = sets.sets.iter().map(|set| format!("--set {}", shell_word(set)));
    let words: Vec<String> = arguments.plugins.iter().map(|word| shell_word(word)).chain(flags).chain(named).collect();
    if words.is_empty() { "--core-only".to_owned() } else { words.join(" ") }
}

fn installation(arguments: &SetupArguments) -> InstallArguments {
    InstallArguments {
        plugins: arguments.plugins.clone(),
        services: arguments.services.clone(),
        sets: arguments.sets.clone(),
        registries: arguments.registries.clone(),
        env: arguments.env.clone(),
        allow_privileged: arguments.allow_privileged,
        // What comes along stands in the plan that is agreed to.
        yes: true,
        ..InstallArguments::default()
    }
}

/// What can be installed; the rest is named with the reason, which `install` says again at the end.
async fn survey(cx: &Context, request: &Request<'_>) -> Result<Plan, Error> {
    let mut plan = Vec::new();
    let mut refused = Vec::new();
    for (name, known) in install::survey(cx, request).await? {
        match known {
            Ok(known) if known.problems.is_empty() => plan.push((name, known)),
            Ok(known) => refused.push((name, Error::Preflight(known.all_problems()))),
            Err(error) => refused.push((name, error)),
        }
    }
    // Where nothing is left, the error is a plugin's own, not that of one which needs it, and one that the user can mend
    // on this machine before one that others must.
    refused.sort_by_key(|(_, error)| match error {
        error if error.is_consequence() => 0,
        error if error.exit_code() == 6 => 2,
        _ => 1,
    });
    let last = if plan.is_empty() { refused.pop() } else { None };
    for (name, error) in &refused {
        let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        cx.reporter.event(Event::Warning { text: &format!("{name} is left out: {error}{hint}") });
    }
    match last {
        Some((_, error)) => Err(error),
        None => Ok(plan),
    }
}

/// Whether something stands in the way of every plugin, its own or that of one which it needs or comes along for.
fn is_all_blocked(plan: &Plan) -> bool {
    let known = all_of(plan);
    let own = known.iter().filter(|known| !known.all_problems().is_empty()).map(|known| known.manifest.name.clone());
    let needs = install::needs_of(&known);
    let mut blocked = needs.with_dependents(own.collect());
    blocked.extend(needs.idle_without(&blocked));
    known.iter().all(|known| blocked.contains(&known.manifest.name))
}

fn all_of(plan: &Plan) -> Vec<&Surveyed> {
    plan.iter().map(|(_, known)| known).collect()
}

/// Asks for each plugin that wants power over this machine whether it may have it. One that may not is left out, with what
/// needs it and what comes along for it alone.
async fn grant(cx: &Context, plan: &mut Plan) -> Result<Grants, Error> {
    let mut granted = Vec::new();
    let mut denied = BTreeSet::new();
    for known in all_of(plan) {
        let Some(problem) = &known.ungranted else { continue };
        let question = format!("{}: power over this machine. Grant it? (no leaves it out)", problem.message);
        let name = known.manifest.name.clone();
        if cx.agree(&question).await? {
            granted.push(name);
        } else {
            denied.insert(name);
        }
    }
    let needs = install::needs_of(&all_of(plan));
    let mut denied = needs.with_dependents(denied);
    denied.extend(needs.idle_without(&denied));
    plan.retain(|(_, known)| !denied.contains(&known.manifest.name));
    if plan.is_empty() {
        return Err(Error::Usage { message: "nothing was changed: no plugin is left".into(), hint: None });
    }
    Ok(Grants { granted, denied: denied.into_iter().collect() })
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
    let count = if plan.len() == 1 { "1 plugin".to_owned() } else { format!("{} plugins", plan.len()) };
    let question = format!("Install {count} into project {}?", project.name);
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
