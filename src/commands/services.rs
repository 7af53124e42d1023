//! Where a service that plugins need is already: a plugin of this project, or the backend's container. Looks only; what
//! `install` brings where there is none is its own.

use crate::docker::{Docker, EngineError};
use crate::environment::Variables;
use crate::name::PluginName;
use crate::needs::{address_of, is_service, password_variable};
use crate::package::Package;
use crate::state::{Receipt, State};

/// Where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Present {
    /// A plugin of the service's name is installed.
    Plugin,
    /// A container of the backend, by name.
    Backend(String),
}

/// Looks in that order. Without an engine the backend is not looked at.
pub(crate) async fn present(
    state: &State,
    docker: Option<&Docker>,
    variables: &Variables<'_>,
    service: &str,
) -> Result<Option<Present>, EngineError> {
    let name = service.parse::<PluginName>().ok();
    let receipt = name.map(|name| state.receipt(&variables.project.name, &name));
    if matches!(receipt, Some(Ok(Some(_)))) {
        return Ok(Some(Present::Plugin));
    }
    let Some(docker) = docker else { return Ok(None) };
    let network = variables.backend_network(service);
    let own_name = format!("{}_{service}", variables.project.name);
    let container = docker.service_on_network(&network, service, &own_name).await?;
    // One whose address cannot be written is of no use.
    Ok(container.filter(|_| is_service(service)).map(Present::Backend))
}

/// The address of the backend's own service, with the account that the project's env files name; or why there is none.
pub(crate) fn backend_address(variables: &Variables<'_>, service: &str, container: &str) -> Result<String, String> {
    address_of(service, container, &|key| variables.find(service, key).map(|(value, _)| value))
}

/// The address of a service that is a plugin of ours, with its password where it asks for one.
pub(crate) fn plugin_address(state: &State, variables: &Variables<'_>, service: &str) -> Option<String> {
    let receipt = service.parse().ok().and_then(|name| state.receipt(&variables.project.name, &name).ok().flatten());
    let has_password = receipt.is_some_and(|receipt| has_password(state, &receipt));
    let setting = |key: &str| if has_password { variables.find(service, key).map(|(value, _)| value) } else { None };
    address_of(service, &variables.project.object_name(service), &setting).ok()
}

/// Whether an installed service asks for its password: it was given one, and its manifest knows the variable. Before 0.11
/// the variable reached the container and meant nothing there.
pub(crate) fn has_password(state: &State, receipt: &Receipt) -> bool {
    let Some(key) = password_variable(receipt.plugin.as_str()) else { return false };
    let manifest = Package::peek(&state.active_package(receipt.plugin.as_str()));
    let is_declared = manifest.is_ok_and(|manifest| manifest.variables.iter().any(|variable| variable.name == key));
    is_declared && receipt.variables.iter().any(|name| name == key)
}
