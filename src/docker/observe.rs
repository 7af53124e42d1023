//! One snapshot of what the engine holds of ours: containers by label, networks by name.

use std::collections::HashMap;

use bollard::models::ContainerSummary;
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptionsBuilder, ListNetworksOptions, ListVolumesOptionsBuilder,
};

use super::{Docker, EngineError, PublishedPort, label};

/// What the engine held at one moment.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Every container that carries this installation's home label.
    pub containers: Vec<ObservedContainer>,
    /// Every network.
    pub networks: Vec<ObservedNetwork>,
}

/// A container of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedContainer {
    pub id: String,
    pub name: String,
    pub image: String,
    /// `created`, `running`, `exited`, …
    pub state: String,
    /// Whether the image has a health check and the engine finds that it fails.
    pub fails_its_check: bool,
    pub plugin: String,
    pub project: String,
    pub service: String,
    pub version: String,
    pub digest: String,
    pub config_hash: String,
    pub transaction: String,
    pub ports: Vec<PublishedPort>,
    pub networks: Vec<String>,
}

impl ObservedContainer {
    /// Whether the engine runs it now.
    pub fn is_running(&self) -> bool {
        self.state == "running"
    }
}

/// A network, ours or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedNetwork {
    pub id: String,
    pub name: String,
    /// The transaction that made it, when it is ours.
    pub transaction: Option<String>,
    /// The home that made it, when it is ours.
    pub home: Option<String>,
}

/// A container that another installation created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OthersContainer {
    pub name: String,
    /// The id of that installation.
    pub home: String,
}

/// Who holds a port of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortHolder {
    /// A container, by name.
    Container(String),
    /// A process, by name and process id.
    Process(String, u32),
    /// Nobody who can be seen by this user.
    Unknown,
}

impl Observed {
    /// The container of this name.
    pub fn container(&self, name: &str) -> Option<&ObservedContainer> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// The containers of one plugin in one project.
    pub fn of_plugin<'a>(&'a self, project: &'a str, plugin: &'a str) -> impl Iterator<Item = &'a ObservedContainer> {
        self.containers.iter().filter(move |container| container.project == project && container.plugin == plugin)
    }

    /// A network by its exact name.
    pub fn network(&self, name: &str) -> Option<&ObservedNetwork> {
        self.networks.iter().find(|network| network.name == name)
    }

    /// Every network of a name: the engine may have several, and cannot start a container on any of them.
    pub fn networks_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a ObservedNetwork> {
        self.networks.iter().filter(move |network| network.name == name)
    }
}

/// Whether a container has a name still. The engine takes it away as the last act of a removal, and may list the container
/// for good afterwards: where its end is noted at the very moment of its removal (seen with 20.10).
fn has_name(container: &ContainerSummary) -> bool {
    container.names.as_ref().is_some_and(|names| !names.is_empty())
}

impl Docker {
    /// Takes the snapshot: two calls, side by side.
    pub async fn observe(&self, home: &str) -> Result<Observed, EngineError> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{}={home}", label::HOME)])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let (containers, networks) = tokio::try_join!(
            self.call("list the containers", self.client.list_containers(Some(options))),
            self.call("list the networks", self.client.list_networks(None::<ListNetworksOptions>))
        )?;
        let mut containers: Vec<_> = containers.into_iter().filter(has_name).map(observed_container).collect();
        for container in containers.iter_mut().filter(|container| container.state == "restarting") {
            container.ports = self.configured_ports(&container.id).await?;
        }
        Ok(Observed {
            containers,
            networks: networks
                .into_iter()
                .map(|network| {
                    let mut labels = network.labels.unwrap_or_default();
                    ObservedNetwork {
                        id: network.id.unwrap_or_default(),
                        name: network.name.unwrap_or_default(),
                        transaction: labels.remove(label::TRANSACTION),
                        home: labels.remove(label::HOME),
                    }
                })
                .collect(),
        })
    }

    /// The ports that a container is configured to publish: the list has them only while they are published.
    async fn configured_ports(&self, container: &str) -> Result<Vec<PublishedPort>, EngineError> {
        let answer = self.client.inspect_container(container, None::<InspectContainerOptions>);
        let answer = match self.call(format!("look at the container `{container}`"), answer).await {
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            answer => answer?,
        };
        let bindings = answer.host_config.and_then(|config| config.port_bindings).unwrap_or_default();
        let ports = bindings.into_iter().flat_map(|(port, bindings)| {
            let container = port.split('/').next().and_then(|port| port.parse().ok());
            let hosts = bindings.unwrap_or_default().into_iter().filter_map(|binding| binding.host_port?.parse().ok());
            hosts.filter_map(move |host| Some(PublishedPort { host, container: container? })).collect::<Vec<_>>()
        });
        Ok(ports.collect())
    }

    /// The containers that carry a project's label and were created by another installation.
    pub async fn of_other_homes(&self, project: &str, home: Option<&str>) -> Result<Vec<OthersContainer>, EngineError> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{}={project}", label::PROJECT)])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let containers = self.call("list the containers", self.client.list_containers(Some(options))).await?;
        let others = containers.iter().filter(|container| has_name(container)).filter_map(|container| {
            let owner = container.labels.as_ref()?.get(label::HOME).filter(|owner| !owner.is_empty())?;
            (Some(owner.as_str()) != home).then(|| OthersContainer { name: plain_name(container), home: owner.clone() })
        });
        Ok(others.collect())
    }

    /// The name of the running container that publishes a port on the host, whoever made it.
    pub async fn container_on_port(&self, port: u16) -> Result<Option<String>, EngineError> {
        let options = ListContainersOptionsBuilder::new().build();
        let containers = self.call("list the containers", self.client.list_containers(Some(options))).await?;
        Ok(containers
            .into_iter()
            .find(|container| published(container).iter().any(|published| published.host == port))
            .map(|container| plain_name(&container)))
    }

    /// The name of the running container on a network that is a service: named so by its compose project, or by itself.
    pub async fn service_on_network(
        &self,
        network: &str,
        service: &str,
        own_name: &str,
    ) -> Result<Option<String>, EngineError> {
        let filters = HashMap::from([("network".to_owned(), vec![network.to_owned()])]);
        let options = ListContainersOptionsBuilder::new().filters(&filters).build();
        let containers = self.client.list_containers(Some(options));
        let containers = self.call(format!("list the containers on the network `{network}`"), containers).await?;
        let is_it = |container: &ContainerSummary| {
            let labels = container.labels.as_ref();
            // A plugin is never a service of the backend, whatever its image says.
            let is_plugin = labels.is_some_and(|labels| labels.get(label::HOME).is_some_and(|home| !home.is_empty()));
            if is_plugin {
                return false;
            }
            let composed = labels.and_then(|labels| labels.get("com.docker.compose.service"));
            composed.is_some_and(|name| name == service) || plain_name(container) == own_name
        };
        Ok(containers.iter().find(|container| is_it(container)).map(plain_name))
    }

    /// Whether a container of this name exists, and whether it carries this home's label.
    pub async fn holder_of_name(&self, name: &str, home: &str) -> Result<Option<bool>, EngineError> {
        let filters = HashMap::from([("name".to_owned(), vec![format!("^/{name}$")])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let containers = self.call("list the containers", self.client.list_containers(Some(options))).await?;
        Ok(containers.first().map(|container| {
            container.labels.as_ref().and_then(|labels| labels.get(label::HOME)).is_some_and(|owner| owner == home)
        }))
    }

    /// The names of the volumes that carry these labels.
    pub async fn volumes_with(&self, labels: &[(&str, &str)]) -> Result<Vec<String>, EngineError> {
        let wanted = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let filters = HashMap::from([("label".to_owned(), wanted)]);
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let answer = self.call("list the volumes", self.client.list_volumes(Some(options))).await?;
        Ok(answer.volumes.unwrap_or_default().into_iter().map(|volume| volume.name).collect())
    }
}

fn observed_container(container: ContainerSummary) -> ObservedContainer {
    let ports = published(&container);
    let name = plain_name(&container);
    let mut labels = container.labels.unwrap_or_default();
    let mut take = |key: &str| labels.remove(key).unwrap_or_default();
    ObservedContainer {
        id: container.id.unwrap_or_default(),
        name,
        image: container.image_id.unwrap_or_default(),
        state: container.state.map(|state| state.to_string()).unwrap_or_default(),
        // The list tells health in its words for people alone: `Up 2 minutes (unhealthy)`.
        fails_its_check: container.status.is_some_and(|status| status.contains("(unhealthy)")),
        plugin: take(label::PLUGIN),
        project: take(label::PROJECT),
        service: take(label::SERVICE),
        version: take(label::VERSION),
        digest: take(label::DIGEST),
        config_hash: take(label::CONFIG_HASH),
        transaction: take(label::TRANSACTION),
        ports,
        networks: container
            .network_settings
            .and_then(|settings| settings.networks)
            .map(|networks| networks.into_keys().collect())
            .unwrap_or_default(),
    }
}

fn plain_name(container: &ContainerSummary) -> String {
    let names = container.names.as_deref().unwrap_or_default();
    names.first().map(|name| name.trim_start_matches('/').to_owned()).unwrap_or_default()
}

fn published(container: &ContainerSummary) -> Vec<PublishedPort> {
    let mut ports: Vec<PublishedPort> = container
        .ports
        .iter()
        .flatten()
        .filter_map(|port| Some(PublishedPort { host: port.public_port?, container: port.private_port }))
        .collect();
    ports.sort_by_key(|port| (port.container, port.host));
    ports.dedup();
    ports
}
