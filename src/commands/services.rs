//! Where a service that plugins need is already: a plugin of this project, or the backend's container. Looks only; what
//! `install` brings where there is none is its own.

use crate::docker::{Docker, EngineError};
use crate::environment::Variables;
use crate::name::PluginName;
use crate::needs::address_of;
use crate::state::State;

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
    // One whose address takes more than its host is of no use.
    Ok(container.filter(|container| address_of(service, container).is_some()).map(Present::Backend))
}
