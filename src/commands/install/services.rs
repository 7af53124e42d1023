//! Services that targets need (redis, …): given by the user, run by the backend, or a plugin of kind service that is
//! installed beforehand. Decides which; the pipeline installs.

use std::collections::{BTreeMap, BTreeSet};

use super::pipeline::Shared;
use super::stage::manifest_of;
use crate::cli::InstallArguments;
use crate::commands::services::{Present, backend_address, plugin_address, present};
use crate::commands::target::{Finder, Found, Lack, Source, Target};
use crate::docker::Docker;
use crate::environment::Variables;
use crate::error::Error;
use crate::fs;
use crate::name::{PluginName, PluginSpec};
use crate::needs::{ServiceNeed, address_of, password_variable};
use crate::preflight;
use crate::ui::Event;

/// Where a service was found.
enum Provider {
    /// A plugin, by name: it comes before what needs it.
    Plugin(PluginName),
    /// A container of the backend: its address.
    Backend(String),
}

/// What becomes of a service that nobody gives and that could be installed as a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    Install,
    /// A backend may be meant to run it: the user decides.
    Ask,
    Refuse,
}

impl Policy {
    /// What the flags say; beside a backend, the person at the terminal, but for sets, which ask nothing.
    pub(super) fn of(arguments: &InstallArguments, variables: &Variables<'_>, can_ask: bool) -> Self {
        let has_flag = arguments.services.with_services || arguments.yes || arguments.check;
        let is_decided = has_flag || !arguments.sets.is_empty();
        match arguments.services.no_services {
            true => Self::Refuse,
            false if !is_decided && can_ask && variables.expect_backend() => Self::Ask,
            false => Self::Install,
        }
    }
}

/// Finds a provider for every needed service whose address the user has not given. Adds plugins to what is to be
/// installed, each before what needs it, and gives the addresses by the service's name. A service that nobody can give,
/// or that may not be installed, is a problem of the targets that need it.
pub(super) async fn provide(
    finder: &Finder<'_>,
    docker: &Docker,
    variables: &Variables<'_>,
    (found, policy): (&mut Vec<Found>, Policy),
) -> Result<BTreeMap<String, String>, Error> {
    let wanted: BTreeSet<String> =
        targets(found).flat_map(|target| open(target, variables)).map(|need| need.name.clone()).collect();
    let mut addresses = BTreeMap::new();
    for service in wanted {
        let provider = match find(finder, docker, variables, (found, policy), &service).await? {
            Ok(provider) => provider,
            Err(reason) => {
                refuse(found, variables, &service, &reason);
                continue;
            }
        };
        match provider {
            Provider::Plugin(plugin) => {
                addresses.extend(
                    plugin_address(&finder.cx.state, variables, &service).map(|address| (service.clone(), address)),
                );
                for target in found.iter_mut().filter_map(|(_, target)| target.as_mut().ok()) {
                    let is_needed = open(target, variables).any(|need| need.name == service && !need.is_guess);
                    if is_needed && !target.dependencies.contains(&plugin) {
                        target.dependencies.push(plugin.clone());
                    }
                }
            }
            Provider::Backend(address) => {
                addresses.insert(service, address);
            }
        }
    }
    Ok(addresses)
}

/// Generates the passwords of services that are plugins and that this command installs for the first time, by variable:
/// what uses a service is given its password in the address.
pub(super) async fn passwords(
    shared: &Shared<'_>,
    variables: &Variables<'_>,
    (addresses, found): (&BTreeMap<String, String>, &[Found]),
) -> Result<BTreeMap<String, String>, Error> {
    let mut passwords = BTreeMap::new();
    for target in targets(found).filter(|target| addresses.contains_key(target.name.as_str())) {
        let Some(key) = password_variable(target.name.as_str()) else { continue };
        // Only our own service is known to ask for the password that it is given.
        let is_ours = matches!(&target.source, Source::Release(release) if release.pinned);
        let is_installed =
            shared.cx.state.receipt(&shared.project.name, &target.name).is_ok_and(|found| found.is_some());
        if !is_ours || is_installed {
            continue;
        }
        let manifest = manifest_of(shared, target).await?;
        let declared = manifest.variables.iter().find(|variable| variable.name == key);
        if let Some(length) = declared.and_then(|variable| variable.generated) {
            let known = variables.find(target.name.as_str(), key).map(|(value, _)| value);
            passwords.insert(key.to_owned(), known.unwrap_or_else(|| fs::random_secret(length)));
        }
    }
    Ok(passwords)
}

/// The addresses of services with the passwords that they get in this command.
pub(super) fn with_passwords(
    variables: &Variables<'_>,
    addresses: BTreeMap<String, String>,
    passwords: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let complete = |(service, address): (String, String)| {
        let has_one = password_variable(&service).is_some_and(|key| passwords.contains_key(key));
        let host = variables.project.object_name(&service);
        let with_password = address_of(&service, &host, &|key| passwords.get(key).cloned());
        let address = if has_one { with_password.unwrap_or(address) } else { address };
        (service, address)
    };
    addresses.into_iter().map(complete).collect()
}

fn targets(found: &[Found]) -> impl Iterator<Item = &Target> {
    found.iter().filter_map(|(_, target)| target.as_ref().ok())
}

/// What a target wants of services and the user gives no address of.
fn open<'a>(target: &'a Target, variables: &'a Variables<'_>) -> impl Iterator<Item = &'a ServiceNeed> {
    target.services.iter().filter(|need| !need.optional && !variables.give(target.name.as_str(), need))
}

/// A plugin that is installed or named in this command, else the backend's container, else a plugin of a registry; or
/// why there is none.
async fn find(
    finder: &Finder<'_>,
    docker: &Docker,
    variables: &Variables<'_>,
    (found, policy): (&mut Vec<Found>, Policy),
    service: &str,
) -> Result<Result<Provider, String>, Error> {
    let Ok(name) = service.parse::<PluginName>() else {
        return Ok(Err("no plugin can have that name".to_owned()));
    };
    let is_named = targets(found).any(|target| target.name == name);
    if is_named {
        return Ok(Ok(Provider::Plugin(name)));
    }
    let is_there = match present(&finder.cx.state, Some(docker), variables, service).await {
        Err(error) => return Ok(Err(error.to_string())),
        Ok(Some(Present::Backend(container))) => {
            let address = backend_address(variables, service, &container);
            let unusable = |reason| format!("the backend's container `{container}` has no usable address: {reason}");
            return Ok(address.map(Provider::Backend).map_err(unusable));
        }
        Ok(None) if policy == Policy::Refuse => return Ok(Err("--no-services was given".to_owned())),
        // It is looked at again, and repaired where it must be.
        Ok(Some(Present::Plugin)) => true,
        Ok(None) => false,
    };
    let mut along = finder.find_beside(found, vec![PluginSpec::of(&name)]).await;
    if let Some((_, Err(error))) = along.iter().find(|(_, target)| target.is_err()) {
        return Ok(Err(error.to_string()));
    }
    if !is_there && variables.expect_backend() {
        let needing = targets(found).filter(|target| open(target, variables).any(|need| need.name == service));
        let needing = needing.map(|target| target.name.to_string()).collect::<Vec<_>>().join(" and ");
        if policy == Policy::Ask {
            let question = format!(
                "{service} is needed by {needing}, and the backend runs none that was found. Install it as a plugin too?"
            );
            if !finder.cx.agree(&question).await? {
                return Ok(Err("it was not to be installed as a plugin".to_owned()));
            }
        } else {
            let what = format!("installed as a plugin too: {needing} needs it, and the backend runs none");
            finder.cx.reporter.event(Event::Started { plugin: service, what: &what });
        }
    }
    found.append(&mut along);
    Ok(Ok(Provider::Plugin(name)))
}

fn refuse(found: &mut [Found], variables: &Variables<'_>, service: &str, reason: &str) {
    for (_, target) in found.iter_mut() {
        let Ok(needing) = target else { continue };
        let need = open(needing, variables).find(|need| need.name == service && !need.is_guess);
        let Some(variable) = need.map(|need| need.variable.clone()) else { continue };
        let problem = preflight::service_missing(&needing.name, service, variable.as_deref(), reason);
        needing.lacks.push(Lack { variable, problem });
    }
}
