//! Everything that can be known to fail is found here, before anything on the engine changes.

use super::pipeline::{Before, Shared, variables};
use crate::commands::target::{Source, Target};
use crate::docker::{Docker, Observed};
use crate::environment::{Assembled, Variables};
use crate::error::Error;
use crate::name::PluginName;
use crate::package::manifest::{Manifest, Port, Variable};
use crate::plan::Wanted;
use crate::preflight::{self, Problem};
use crate::values::Values;

pub(super) fn wanted_ports(manifest: &Manifest, variables: &Variables<'_>) -> Result<Vec<(Port, u16)>, Problem> {
    let ports = manifest.ports.iter().map(|port| {
        let host = preflight::host_port(&manifest.name, port.variable.as_deref(), port.port, variables);
        host.map(|host| (port.clone(), host))
    });
    ports.collect()
}

/// Leaves out ports that need not be published and that somebody else has; gives a note for each. What was left out once
/// stays so, lest a container is made anew because a port became free.
pub(super) fn leave_out_taken(shared: &Shared<'_>, wanted: &mut Wanted<'_>, before: &Before) -> Vec<String> {
    let plugin = wanted.manifest.name.as_str();
    let mut notes = Vec::new();
    wanted.ports.retain(|(port, host)| {
        let was_left_out = before
            .receipt
            .as_ref()
            .is_some_and(|receipt| receipt.ports.iter().all(|earlier| earlier.name != port.name));
        let mut of_plugin = before.observed.of_plugin(&shared.project.name, plugin);
        let is_own = of_plugin.any(|container| container.ports.iter().any(|published| published.host == *host));
        let stays = !port.optional || (!was_left_out && (is_own || preflight::is_port_free(*host)));
        if !stays {
            let moved =
                port.variable.as_deref().map_or_else(String::new, |key| format!("; {key}=PORT publishes another"));
            notes.push(format!("`{plugin}` is not published on port {host}, which is in use or was so before{moved}"));
        }
        stays
    });
    notes
}

/// The port that the registry tells, before anything is downloaded.
pub(super) async fn check_port_early(
    shared: &Shared<'_>,
    target: &Target,
    values: &Values,
    observed: &Observed,
) -> Result<(), Error> {
    let docker = shared.cx.docker().await?;
    let Source::Release(release) = &target.source else { return Ok(()) };
    let Some(port) = release.port else { return Ok(()) };
    let variable = format!("{}_PORT", target.name.variable_prefix());
    let variables = variables(shared, values);
    let host = preflight::host_port(&target.name, Some(&variable), port, &variables)
        .map_err(|problem| Error::Preflight(vec![problem]))?;
    match check_port(shared, docker, target.name.clone(), (host, Some(&variable)), observed).await? {
        Some(problem) => Err(Error::Preflight(vec![problem])),
        None => Ok(()),
    }
}

/// The problem with a port, if there is one: held by somebody, or claimed by another plugin of this command.
async fn check_port(
    shared: &Shared<'_>,
    docker: &Docker,
    plugin: PluginName,
    (port, variable): (u16, Option<&str>),
    observed: &Observed,
) -> Result<Option<Problem>, Error> {
    if let Ok(mut claimed) = shared.claimed.lock() {
        let owner = claimed.entry(port).or_insert_with(|| plugin.clone());
        if *owner != plugin {
            let moved = |variable| format!("{variable}={}", port.saturating_add(10));
            let hint = variable
                .map(|variable| format!("move one of them: nself plugin install {plugin} --env {}", moved(variable)));
            let message = format!("port {port} is wanted by both `{owner}` and `{plugin}`");
            return Ok(Some(Problem { code: "port.twice", message, hint }));
        }
    }
    let is_own = observed
        .of_plugin(&shared.project.name, plugin.as_str())
        .any(|container| container.ports.iter().any(|published| published.host == port));
    if is_own || preflight::is_port_free(port) {
        return Ok(None);
    }
    let holder = preflight::port_holder(docker, port).await?;
    Ok(Some(preflight::port_taken(&plugin, port, variable, &holder)))
}

/// Everything that can be known to fail is found here, all of it at once.
pub(super) async fn check(
    shared: &Shared<'_>,
    target: &Target,
    wanted: &Wanted<'_>,
    assembled: &Assembled,
    observed: &Observed,
) -> Result<(), Error> {
    let name = &wanted.manifest.name;
    let mut problems: Vec<Problem> = target.lacks.iter().map(|lack| lack.problem.clone()).collect();
    problems.extend(obstacles(shared, target, wanted, observed).await?);
    let missing: Vec<Variable> = assembled.missing.iter().filter(|one| !target.tells_of(&one.name)).cloned().collect();
    problems.extend(preflight::missing_variables(name, &missing));
    problems.extend(preflight::privileges(wanted.manifest, shared.grants(name)));
    if problems.is_empty() { Ok(()) } else { Err(Error::Preflight(problems)) }
}

/// What is in the way and what no answer of the user would change: versions, ports, names.
pub(super) async fn obstacles(
    shared: &Shared<'_>,
    target: &Target,
    wanted: &Wanted<'_>,
    observed: &Observed,
) -> Result<Vec<Problem>, Error> {
    let docker = shared.cx.docker().await?;
    let name = &wanted.manifest.name;
    let mut problems = Vec::new();
    if wanted.manifest.requires.host.is_some() || target.lowest_host().is_some() {
        let host = shared.fitness.host().await;
        problems.extend(preflight::host_too_old(wanted.manifest, target.lowest_host(), host));
    }
    for (port, host) in &wanted.ports {
        let claim = (*host, port.variable.as_deref());
        problems.extend(check_port(shared, docker, name.clone(), claim, observed).await?);
    }
    let container = wanted.container_name();
    if docker.holder_of_name(&container, &shared.home).await? == Some(false) {
        problems.push(preflight::name_taken(name, &container));
    }
    Ok(problems)
}
