//! One snapshot of what the engine holds of ours: containers by label, networks by name.

use std::collections::HashMap;

use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListContainersOptionsBuilder, ListNetworksOptions, ListVolumesOptionsBuilder};

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
    pub name: String,
    /// The transaction that made it, when it is ours.
    pub transaction: Option<String>,
    /// The home that made it, when it is ours.
    pub home: Option<String>,
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
        let (containers, networks) = tokio::join!(
            self.client.list_containers(Some(options)),
            self.client.list_networks(None::<ListNetworksOptions>)
        );
        let containers = containers.map_err(self.failed("list the containers"))?;
        let networks = networks.map_err(self.failed("list the networks"))?;
        Ok(Observed {
            containers: containers.into_iter().filter(has_name).map(observed_container).collect(),
            networks: networks
                .into_iter()
                .map(|network| {
                    let mut labels = network.labels.unwrap_or_default();
                    ObservedNetwork {
                        name: network.name.unwrap_or_default(),
                        transaction: labels.remove(label::TRANSACTION),
                        home: labels.remove(label::HOME),
                    }
                })
                .collect(),
        })
    }

    /// The containers that carry a project's label and were made from another home.
    pub async fn of_other_homes(&self, project: &str, home: Option<&str>) -> Result<Vec<String>, EngineError> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{}={project}", label::PROJECT)])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let containers = self.client.list_containers(Some(options)).await;
        let containers = containers.map_err(self.failed("list the containers"))?;
        let is_other = |container: &&ContainerSummary| {
            let owner = container.labels.as_ref().and_then(|labels| labels.get(label::HOME));
            owner.is_some_and(|owner| Some(owner.as_str()) != home)
        };
        Ok(containers.iter().filter(is_other).map(plain_name).collect())
    }

    /// The name of the running container that publishes a port on the host, whoever made it.
    pub async fn container_on_port(&self, port: u16) -> Result<Option<String>, EngineError> {
        let options = ListContainersOptionsBuilder::new().build();
        let containers = self.client.list_containers(Some(options)).await;
        let containers = containers.map_err(self.failed("list the containers"))?;
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
        let containers = self.client.list_containers(Some(options)).await;
        let containers = containers.map_err(self.failed(format!("list the containers on the network `{network}`")))?;
        let is_it = |container: &ContainerSummary| {
            let labels = container.labels.as_ref();
            let composed = labels.and_then(|labels| labels.get("com.docker.compose.service"));
            composed.is_some_and(|name| name == service) || plain_name(container) == own_name
        };
        Ok(containers.iter().find(|container| is_it(container)).map(plain_name))
    }

    /// Whether a container of this name exists, and whether it carries this home's label.
    pub async fn holder_of_name(&self, name: &str, home: &str) -> Result<Option<bool>, EngineError> {
        let filters = HashMap::from([("name".to_owned(), vec![format!("^/{name}$")])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let containers = self.client.list_containers(Some(options)).await;
        let containers = containers.map_err(self.failed("list the containers"))?;
        Ok(containers.first().map(|container| {
            container.labels.as_ref().and_then(|labels| labels.get(label::HOME)).is_some_and(|owner| owner == home)
        }))
    }

    /// The names of the volumes that carry these labels.
    pub async fn volumes_with(&self, labels: &[(&str, &str)]) -> Result<Vec<String>, EngineError> {
        let wanted = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let filters = HashMap::from([("label".to_owned(), wanted)]);
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let answer = self.client.list_volumes(Some(options)).await.map_err(self.failed("list the volumes"))?;
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
