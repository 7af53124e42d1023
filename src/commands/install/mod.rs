//! `install`: finds what is meant, then runs the pipeline for all plugins at the same time; each is started when what it
//! needs is there. One bad plugin does not stop the others.

mod along;
mod builds;
mod checks;
mod current;
mod downloads;
mod fitness;
mod foreign;
mod pipeline;
mod preview;
mod receipt;
mod renewal;
mod report;
mod restart;
mod schedule;
mod services;
mod stage;
mod survey;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, OnceLock};

use semver::Version;

use crate::cli::{InstallArguments, VerifyChoice};
use crate::context::Context;
use crate::env_file::is_variable_name;
use crate::environment::INTERNAL_SECRET;
use crate::error::Error;
use crate::fs;
use crate::http::Http;
use crate::name::{NameError, PluginName, PluginSpec};
use crate::package::VerifyPolicy;
use crate::project::{Project, Strictness};
use crate::registries;
use crate::ui::Report;
use crate::undo;
use crate::values::{Values, WHOLE_PROJECT};

pub use downloads::Downloads;
pub use renewal::{Extent, Renewal, renew};
pub use report::{How, InstallReport, Outcome};
pub use restart::{Restart, restart_after};
pub use survey::{Surveyed, needs_of};

use crate::commands::target::{Finder, Found};
use fitness::Fitness;
use pipeline::{Shared, variables};

/// What is to be installed, where, and what was settled before.
#[derive(Debug)]
pub struct Request<'a> {
    pub arguments: &'a InstallArguments,
    pub project: &'a Project,
    /// What was fetched for it already.
    pub downloads: &'a Downloads,
    pub grants: Grants,
    /// Whether the plugins are installed ones that are to stay what they are but for their configuration.
    pub is_renewal: bool,
}

/// What the user has settled for single plugins that ask for more than the hardened defaults.
#[derive(Debug, Default)]
pub struct Grants {
    /// They may have it.
    pub granted: Vec<PluginName>,
    /// They may not, and are left out.
    pub denied: Vec<PluginName>,
}

impl<'a> Request<'a> {
    /// As the command line says, with nothing settled.
    pub fn new(arguments: &'a InstallArguments, project: &'a Project, downloads: &'a Downloads) -> Self {
        Self { arguments, project, downloads, grants: Grants::default(), is_renewal: false }
    }
}

/// Installs all that is named, and the plugins of the sets; after a set has changed something, what must see it is
/// restarted.
pub async fn run(cx: &Context, arguments: &InstallArguments) -> Result<Box<dyn Report>, Error> {
    if (arguments.dry_run || arguments.order_only) && !arguments.check {
        return Ok(Box::new(preview::run(cx, arguments).await?));
    }
    let project = cx.project(Strictness::Strict)?;
    let downloads = Downloads::default();
    let mut report = install(cx, &Request::new(arguments, &project, &downloads)).await?;
    let is_due = report.has_changed() || (cx.state.owes_restart(&project.name) && !arguments.check);
    if !arguments.sets.is_empty() && is_due {
        restart_after(cx, &project, &mut report, arguments.skip_restart).await?;
    }
    Ok(Box::new(report))
}

/// Installs, and restarts nothing else.
pub async fn install(cx: &Context, request: &Request<'_>) -> Result<InstallReport, Error> {
    let arguments = request.arguments;
    with_targets(cx, request, async |shared, found| {
        if !arguments.check {
            ensure_internal_secret(cx, &shared.project.name).await?;
        }
        shared.fitness.begin(shared).await?;
        let mut results = schedule::install_all(shared, found).await;
        if results.iter().all(|(_, outcome)| matches!(outcome, Outcome::Failed(_))) && !arguments.check {
            undo::forget_unused_secret(cx, &shared.project.name).await?;
        }
        if let Some(error) = report::only_unfit(&mut results) {
            return Err(error);
        }
        Ok(InstallReport {
            project: shared.project.name.clone(),
            unchanged: unchanged(cx, &shared.project.name, &results),
            results,
            restart: None,
            pending: Vec::new(),
            is_set: !arguments.sets.is_empty(),
        })
    })
    .await
}

/// The plugins that could not be changed and are installed nevertheless. Of one whose undo was incomplete nobody knows.
fn unchanged(cx: &Context, project: &str, results: &[(String, Outcome)]) -> BTreeMap<String, Version> {
    let is_whole = |error: &Error| !matches!(error, Error::RollbackIncomplete { .. });
    let failed = results.iter().filter(|(_, outcome)| outcome.error().is_some_and(is_whole));
    let installed = failed.filter_map(|(word, _)| {
        let receipt = cx.state.receipt(project, &word.parse().ok()?).ok()??;
        Some((word.clone(), receipt.version))
    });
    installed.collect()
}

/// All that [`install`] would install, dependencies included, by the word that asked for it; changes nothing.
pub async fn survey(cx: &Context, request: &Request<'_>) -> Result<Vec<(String, Result<Surveyed, Error>)>, Error> {
    with_targets(cx, request, async |shared, found| survey::survey(shared, found).await).await
}

/// Finds the targets of a command line, what they need included, and does something with them.
async fn with_targets<T>(
    cx: &Context,
    request: &Request<'_>,
    work: impl AsyncFnOnce(&Shared<'_>, Vec<Found>) -> Result<T, Error>,
) -> Result<T, Error> {
    let Request { arguments, project, downloads, grants, is_renewal } = request;
    let mut specs = specs(arguments)?;
    let flags = parse_variables(&arguments.env)?;
    let home = cx.state.home_id()?;
    let http = Http::new(arguments.registries.allow_http)?;
    let catalog = registries::catalog(cx, &arguments.registries, &http)?;
    for set in arguments.sets.names() {
        specs.extend(super::sets::plugins(&catalog, &set).await?.iter().map(PluginSpec::of));
    }
    recover(cx, request, &specs).await;
    let finder = Finder {
        cx,
        catalog: &catalog,
        project: &project.name,
        registry: arguments.registries.registry.as_deref(),
        force: arguments.force,
        is_renewal: *is_renewal,
    };
    let mut named = named(&specs);
    let mut found = tokio::select! {
        found = finder.find(specs) => found,
        () = cx.interrupt.wanted() => return Err(Error::Interrupted),
    };
    let is_denied = |(_, target): &Found| target.as_ref().is_ok_and(|target| grants.denied.contains(&target.name));
    found.retain(|entry| !is_denied(entry));
    named.extend(found.iter().filter_map(|(_, target)| target.as_ref().ok()?.local_name()));
    let mut shared = Shared {
        cx,
        project,
        home,
        flags,
        services: BTreeMap::new(),
        passwords: BTreeMap::new(),
        policy: policy(arguments.verify),
        allow_http: arguments.registries.allow_http,
        is_offline: arguments.registries.offline,
        allow_privileged: arguments.allow_privileged,
        allow_build: arguments.allow_build,
        granted: &grants.granted,
        force: arguments.force,
        dry_run: arguments.check,
        downloads,
        locks: Mutex::default(),
        named,
        makes_images: makes_images(cx, &project.name, &found),
        fitness: Fitness::default(),
        had_network: OnceLock::new(),
        claimed: Mutex::new(HashMap::new()),
    };
    checks::claim_known_ports(&shared, &found)?;
    if found.iter().any(|(_, target)| target.is_ok()) {
        let named = found.len();
        bring_along(&mut shared, &finder, request, &mut found).await?;
        checks::claim_known_ports(&shared, &found[named..])?;
        found.retain(|entry| !is_denied(entry));
    }
    work(&shared, found).await
}

fn makes_images(cx: &Context, project: &str, found: &[Found]) -> bool {
    found.iter().filter_map(|(_, target)| target.as_ref().ok()).any(|target| target.makes_image(cx, project))
}

async fn recover(cx: &Context, request: &Request<'_>, specs: &[(String, PluginSpec)]) {
    if !request.arguments.check {
        undo::recover_named(cx, &request.project.name, named(specs)).await;
    }
}

fn named(specs: &[(String, PluginSpec)]) -> BTreeSet<PluginName> {
    specs.iter().filter_map(|(_, spec)| spec.name().cloned()).collect()
}

/// What only manifests name, and the services that plugins need. Without an engine nothing can be done for any of them, and
/// nothing should be downloaded.
async fn bring_along(
    shared: &mut Shared<'_>,
    finder: &Finder<'_>,
    request: &Request<'_>,
    found: &mut Vec<Found>,
) -> Result<(), Error> {
    let cx = shared.cx;
    let docker = cx.docker().await?;
    if !request.is_renewal {
        foreign::read_foreign(shared, finder, found).await?;
    }
    let values = Values::read(&cx.settings.config_dir, &shared.project.name)?;
    let variables = variables(shared, &values);
    let can_ask = cx.output.has_person() && !cx.output.is_json();
    let policy = services::Policy::of(request.arguments, &variables, can_ask);
    let addresses = services::provide(finder, docker, &variables, (found, policy)).await?;
    let passwords = services::passwords(shared, &variables, (&addresses, found)).await?;
    shared.services = services::with_passwords(&variables, addresses, &passwords);
    shared.passwords = passwords;
    Ok(())
}

/// What the command line names.
fn specs(arguments: &InstallArguments) -> Result<Vec<(String, PluginSpec)>, Error> {
    let parse = |word: &String| Ok((word.clone(), word.parse::<PluginSpec>()?));
    let Some(version) = &arguments.version else {
        return arguments.plugins.iter().map(parse).collect::<Result<_, NameError>>().map_err(Error::from);
    };
    match arguments.plugins.as_slice() {
        [one] if !one.contains('@') => Ok(vec![parse(&format!("{one}@{version}"))?]),
        _ => Err(Error::Usage {
            message: "--version is for one plugin without a version of its own".into(),
            hint: Some("name each version: nself plugin install jobs@1.0.0 realtime@1.0.0".into()),
        }),
    }
}

/// The variables that `--env KEY=VALUE` sets.
pub fn parse_variables(words: &[String]) -> Result<Vec<(String, String)>, Error> {
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
