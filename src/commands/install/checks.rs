//! Everything that can be known to fail is found here, before anything on the engine changes.

use super::pipeline::{Before, Shared, variables};
use crate::commands::target::{Found, Source, Target};
use crate::docker::{Docker, Observed};
use crate::environment::{Assembled, Variables};
use crate::error::Error;
use crate::name::PluginName;
use crate::package::Package;
use crate::package::manifest::{Manifest, Port, Variable};
use crate::plan::Wanted;
use crate::preflight::{self, PortMover, Problem};
use crate::values::Values;

pub(super) fn wanted_ports(manifest: &Manifest, variables: &Variables<'_>) -> Result<Vec<(Port, u16)>, Problem> {
    let ports = manifest.ports.iter().map(|port| {
        let host = preflight::host_port(&manifest.name, port.variable.as_deref(), port.port, variables);
        host.map(|host| (port.clone(), host))
    });
    ports.collect()
}

/// A port that is not published although the manifest names it.
pub(super) struct LeftOut {
    pub(super) text: String,
    /// Whether the user has set its variable, and so counts on it.
    pub(super) is_asked_for: bool,
}

/// Leaves out ports that need not be published and that somebody else has. What was left out once stays so, lest a
/// container is made anew because a port became free, unless the user names the plugin and has set the port.
pub(super) fn leave_out_taken(
    shared: &Shared<'_>,
    wanted: &mut Wanted<'_>,
    before: &Before,
    variables: &Variables<'_>,
) -> Vec<LeftOut> {
    let plugin = wanted.manifest.name.as_str();
    let mut left_out = Vec::new();
    wanted.ports.retain(|(port, host)| {
        let is_asked_for = port.variable.as_ref().is_some_and(|key| variables.find(plugin, key).is_some());
        let was_left_out = before
            .receipt
            .as_ref()
            .is_some_and(|receipt| receipt.ports.iter().all(|earlier| earlier.name != port.name));
        let mut of_plugin = before.observed.of_plugin(&shared.project.name, plugin);
        let is_own = of_plugin.any(|container| container.ports.iter().any(|published| published.host == *host));
        let may_be = !was_left_out || (is_asked_for && shared.named.contains(&wanted.manifest.name));
        let stays = !port.optional || (may_be && (is_own || preflight::is_port_free(*host)));
        if !stays {
            let moved =
                port.variable.as_deref().map_or_else(String::new, |key| format!("; {key}=PORT publishes another"));
            let text = format!("`{plugin}` is not published on port {host}, which is in use or was so before{moved}");
            left_out.push(LeftOut { text, is_asked_for });
        }
        stays
    });
    left_out
}

/// Gives every port that is known beforehand to the first plugin of the command line that wants it: plugins are prepared
/// side by side, and it must not be chance which of two gets it.
pub(super) fn claim_known_ports(shared: &Shared<'_>, found: &[Found]) -> Result<(), Error> {
    let values = Values::read(&shared.cx.settings.config_dir, &shared.project.name)?;
    let variables = variables(shared, &values);
    for target in found.iter().filter_map(|(_, target)| target.as_ref().ok()) {
        let manifest = match &target.source {
            Source::Installed => Package::peek(&shared.cx.state.active_package(target.name.as_str())).ok(),
            Source::Folder(path) => Package::peek(path).ok(),
            // Too much would have to be read.
            Source::Archive(_) | Source::Release(_) => None,
        };
        let listed = manifest.iter().flat_map(|manifest| &manifest.ports).filter(|port| !port.optional);
        let mut wanted: Vec<(u16, Option<String>)> = listed.map(|port| (port.port, port.variable.clone())).collect();
        if let Source::Release(release) = &target.source {
            wanted.extend(release.port.map(|port| (port, Some(target.name.port_variable()))));
        }
        let Ok(mut claimed) = shared.claimed.lock() else { continue };
        for (port, variable) in wanted {
            // A value that is no port is told where the plugin is looked at.
            if let Ok(host) = preflight::host_port(&target.name, variable.as_deref(), port, &variables) {
                claimed.entry(host).or_insert_with(|| target.name.clone());
            }
        }
    }
    Ok(())
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
    let variable = target.name.port_variable();
    let variables = variables(shared, values);
    let host = preflight::host_port(&target.name, Some(&variable), port, &variables)
        .map_err(|problem| Error::Preflight(vec![problem]))?;
    let mover = PortMover::of(&variables, &target.name, &target.word(), Some(&variable));
    match check_port(shared, docker, &target.name, (host, mover), observed).await? {
        Some(problem) => Err(Error::Preflight(vec![problem])),
        None => Ok(()),
    }
}

/// The problem with a port, if there is one: held by somebody, or claimed by another plugin of this command.
async fn check_port(
    shared: &Shared<'_>,
    docker: &Docker,
    plugin: &PluginName,
    (port, mover): (u16, Option<PortMover>),
    observed: &Observed,
) -> Result<Option<Problem>, Error> {
    if let Ok(mut claimed) = shared.claimed.lock() {
        let owner = claimed.entry(port).or_insert_with(|| plugin.clone());
        if owner != plugin {
            return Ok(Some(preflight::port_wanted_twice(port, owner, plugin, mover.as_ref())));
        }
    }
    let is_own = observed
        .of_plugin(&shared.project.name, plugin.as_str())
        .any(|container| container.ports.iter().any(|published| published.host == port));
    if is_own || preflight::is_port_free(port) {
        return Ok(None);
    }
    let holder = preflight::port_holder(docker, port).await?;
    Ok(Some(preflight::port_taken(plugin, port, mover.as_ref(), &holder)))
}

/// Everything that can be known to fail is found here, all of it at once.
pub(super) async fn check(
    shared: &Shared<'_>,
    target: &Target,
    wanted: &Wanted<'_>,
    assembled: &Assembled,
    before: &Before,
) -> Result<(), Error> {
    let name = &wanted.manifest.name;
    let mut problems: Vec<Problem> = target.lacks.iter().map(|lack| lack.problem.clone()).collect();
    problems.extend(obstacles(shared, target, wanted, before).await?);
    let missing: Vec<Variable> = assembled.missing.iter().filter(|one| !target.tells_of(&one.name)).cloned().collect();
    problems.extend(preflight::missing_variables(name, &missing));
    problems.extend(preflight::missing_references(name, &assembled.notes));
    problems.extend(preflight::privileges(wanted.manifest, shared.grants(name)));
    if problems.is_empty() { Ok(()) } else { Err(Error::Preflight(problems)) }
}

/// What is in the way and what no answer of the user would change: versions, ports, names.
pub(super) async fn obstacles(
    shared: &Shared<'_>,
    target: &Target,
    wanted: &Wanted<'_>,
    before: &Before,
) -> Result<Vec<Problem>, Error> {
    let docker = shared.cx.docker().await?;
    let name = &wanted.manifest.name;
    let mut problems = Vec::new();
    if wanted.manifest.requires.host.is_some() || target.lowest_host().is_some() {
        let host = shared.fitness.host().await;
        problems.extend(preflight::host_too_old(wanted.manifest, target.lowest_host(), host));
    }
    let variables = variables(shared, &before.values);
    for (port, host) in &wanted.ports {
        let mover = PortMover::of(&variables, name, &target.word(), port.variable.as_deref());
        problems.extend(check_port(shared, docker, name, (*host, mover), &before.observed).await?);
    }
    let container = wanted.container_name();
    if docker.holder_of_name(&container, &shared.home).await? == Some(false) {
        problems.push(preflight::name_taken(name, &container));
    }
    Ok(problems)
}
