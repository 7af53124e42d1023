//! Services that targets need (redis, …): given by the user, run by the backend, or a plugin of kind service that is
//! installed beforehand. Decides which; the pipeline installs.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::target::{Finder, Found, Target};
use crate::commands::services::{Present, present};
use crate::docker::Docker;
use crate::environment::Variables;
use crate::error::Error;
use crate::name::{PluginName, PluginSpec};
use crate::needs::{ServiceNeed, address_of};
use crate::preflight::{self, Problem};

/// Where a service was found.
enum Provider {
    /// A plugin, by name: it comes before what needs it.
    Plugin(PluginName),
    /// A container of the backend: its address.
    Backend(String),
}

/// Finds a provider for every needed service whose address the user has not given. Adds plugins to what is to be
/// installed, each before what needs it, and gives the addresses by the service's name. A target whose service nobody
/// can give, or that may not be installed, becomes an error that names the variable to set.
pub(super) async fn provide(
    finder: &Finder<'_>,
    docker: &Docker,
    variables: &Variables<'_>,
    (found, may_install): (&mut Vec<Found>, bool),
) -> Result<BTreeMap<String, String>, Error> {
    let wanted: BTreeSet<String> = targets(found).flat_map(|target| open_needs(target, variables)).collect();
    let mut addresses = BTreeMap::new();
    for service in wanted {
        let provider = match find(finder, docker, variables, (found, may_install), &service).await {
            Ok(provider) => provider,
            Err(reason) => {
                refuse(found, variables, &service, &reason);
                continue;
            }
        };
        match provider {
            Provider::Plugin(plugin) => {
                let host = variables.project.object_name(plugin.as_str());
                addresses.extend(address_of(&service, &host).map(|address| (service.clone(), address)));
                for (_, target) in found.iter_mut() {
                    if let Ok(target) = target
                        && open_needs(target, variables).any(|need| need == service)
                        && !target.dependencies.contains(&plugin)
                    {
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

fn targets(found: &[Found]) -> impl Iterator<Item = &Target> {
    found.iter().filter_map(|(_, target)| target.as_ref().ok())
}

/// The services that a target cannot do without and that the user gives no address of.
fn open_needs(target: &Target, variables: &Variables<'_>) -> impl Iterator<Item = String> {
    let is_open = |need: &&ServiceNeed| !need.optional && !variables.give(target.name.as_str(), need);
    target.services.iter().filter(is_open).map(|need| need.name.clone())
}

/// A plugin that is installed or named in this command, else the backend's container, else a plugin of a registry.
async fn find(
    finder: &Finder<'_>,
    docker: &Docker,
    variables: &Variables<'_>,
    (found, may_install): (&mut Vec<Found>, bool),
    service: &str,
) -> Result<Provider, String> {
    let name: PluginName = service.parse().map_err(|_| "no plugin can have that name".to_owned())?;
    let is_named = targets(found).any(|target| target.name == name);
    if is_named {
        return Ok(Provider::Plugin(name));
    }
    let present = present(&finder.cx.state, Some(docker), variables, service).await;
    match present.map_err(|error| error.to_string())? {
        Some(Present::Backend(container)) => {
            return backend_address(variables, service, &container).map(Provider::Backend);
        }
        None if !may_install => return Err("--no-services was given".to_owned()),
        // What is installed is looked at again, and repaired where it must be.
        Some(Present::Plugin) | None => {}
    }
    let spec = PluginSpec::Named { registry: None, name: name.clone(), version: None };
    for (word, target) in finder.find(vec![(service.to_owned(), spec)]).await {
        match target {
            Ok(target) if targets(found).all(|known| known.name != target.name) => found.push((word, Ok(target))),
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(Provider::Plugin(name))
}

/// The address of the backend's own service, with its password where the project's env files have one.
fn backend_address(variables: &Variables<'_>, service: &str, container: &str) -> Result<String, String> {
    let address = address_of(service, container).ok_or_else(|| "its address is not known".to_owned())?;
    let password = variables.find(service, &format!("{}_PASSWORD", service.to_ascii_uppercase()));
    let Some((password, _)) = password else { return Ok(address) };
    let mut url = Url::parse(&address).map_err(|error| error.to_string())?;
    let _ = url.set_password(Some(&password));
    Ok(url.to_string())
}

fn refuse(found: &mut [Found], variables: &Variables<'_>, service: &str, reason: &str) {
    for (_, target) in found.iter_mut() {
        let Ok(needing) = target else { continue };
        if !open_needs(needing, variables).any(|need| need == service) {
            continue;
        }
        let need = needing.services.iter().find(|need| need.name == service);
        let variable = need.and_then(|need| need.variable.as_deref());
        let problem: Problem = preflight::service_missing(&needing.name, service, variable, reason);
        *target = Err(Error::Preflight(vec![problem]));
    }
}
