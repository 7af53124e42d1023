//! Containers, networks and volumes: each function is one call of the engine, and each call has a deadline.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, EndpointSettings, HostConfig, HostConfigLogConfig, Mount as EngineMount,
    MountType, NetworkConnectRequest, NetworkingConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum,
    VolumeCreateRequest,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, InspectNetworkOptions, ListContainersOptionsBuilder,
    LogsOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptions, RenameContainerOptionsBuilder,
    RestartContainerOptionsBuilder, StartContainerOptions, StopContainerOptionsBuilder,
};
use futures_util::{Stream, StreamExt};
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Incoming;

use super::connect::{RequestError, request};
use super::{Docker, EngineError, accept};

/// Labels that a container never takes over from its image: those that say what a container is.
const RESERVED_LABELS: &[&str] = &["com.docker.compose.", "org.nself."];

/// How often, and after what pause, a removal is asked for that the engine refuses for the moment.
const REMOVAL_TRIES: u32 = 100;
const REMOVAL_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Whether a removal may succeed a moment later: somebody, perhaps this program before it was killed, has asked for the
/// same (409); or the engine notes the container's end in the folder that it takes away.
fn is_refused_for_the_moment(error: &EngineError) -> bool {
    match error {
        EngineError::Failed { status: Some(409), .. } => true,
        EngineError::Failed { message, .. } => message.contains("directory not empty"),
        _ => false,
    }
}

/// A port on loopback and the container's port behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublishedPort {
    pub host: u16,
    pub container: u16,
}

/// A folder that the container gets from outside.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mount {
    /// A named volume at a path.
    Volume { name: String, path: String },
    /// A folder of the host, as the manifest wrote it: `host:container[:ro]`.
    Host(String),
}

/// All that a container is made from. Two equal specifications give equal containers.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerSpec {
    pub name: String,
    /// The image's id, so that a moved tag changes nothing.
    pub image: String,
    /// `KEY=VALUE`, in order.
    pub environment: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub ports: Vec<PublishedPort>,
    pub network: String,
    pub aliases: Vec<String>,
    /// Bytes.
    pub memory: Option<u64>,
    pub cpus: Option<f64>,
    pub pids: i64,
    pub read_only: bool,
    pub tmpfs: Vec<String>,
    pub mounts: Vec<Mount>,
    pub user: Option<String>,
    pub command: Option<Vec<String>>,
    pub capabilities: Vec<String>,
    pub privileged: bool,
    pub stop_grace_seconds: u32,
}

/// Whether the engine starts a container again when it ends, and when the engine itself starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restarts {
    /// A committed plugin. Not `unless-stopped`: after a crash of the engine, its successor leaves those down.
    Always,
    /// A candidate, a parked container, a stopped plugin.
    Never,
}

impl Restarts {
    fn policy(self) -> RestartPolicy {
        let name = match self {
            Self::Always => RestartPolicyNameEnum::ALWAYS,
            Self::Never => RestartPolicyNameEnum::NO,
        };
        RestartPolicy { name: Some(name), maximum_retry_count: None }
    }
}

/// What the engine says of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerState {
    pub running: bool,
    /// How often the engine has started it again after it ended.
    pub restarts: i64,
    pub exit_code: i64,
    pub out_of_memory: bool,
    /// The engine's own health verdict, where the image has a check.
    pub health: Option<String>,
    pub image: String,
}

/// One line of a container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub is_error_stream: bool,
    pub text: String,
}

impl ContainerSpec {
    fn body(&self) -> ContainerCreateBody {
        let bindings = self.ports.iter().map(|port| {
            let host = PortBinding { host_ip: Some("127.0.0.1".into()), host_port: Some(port.host.to_string()) };
            (format!("{}/tcp", port.container), Some(vec![host]))
        });
        let endpoint = EndpointSettings { aliases: Some(self.aliases.clone()), ..Default::default() };
        ContainerCreateBody {
            image: Some(self.image.clone()),
            env: Some(self.environment.clone()),
            labels: Some(self.labels.clone().into_iter().collect()),
            exposed_ports: Some(self.ports.iter().map(|port| format!("{}/tcp", port.container)).collect()),
            user: self.user.clone(),
            cmd: self.command.clone(),
            stop_timeout: Some(i64::from(self.stop_grace_seconds)),
            networking_config: Some(NetworkingConfig {
                endpoints_config: Some(HashMap::from([(self.network.clone(), endpoint)])),
            }),
            host_config: Some(HostConfig { port_bindings: Some(bindings.collect()), ..self.host_config() }),
            ..Default::default()
        }
    }

    fn host_config(&self) -> HostConfig {
        // 1 CPU = 1e9 nano-CPUs; a manifest's value is validated to be small and positive.
        #[expect(clippy::cast_possible_truncation, reason = "at most a few thousand CPUs times 1e9")]
        let nano_cpus = self.cpus.map(|cpus| (cpus * 1e9) as i64);
        let tmpfs = self.tmpfs.iter().map(|path| (path.clone(), "rw,nosuid,nodev,noexec,size=64m".to_owned()));
        let volumes = self.mounts.iter().filter_map(|mount| match mount {
            Mount::Volume { name, path } => Some(EngineMount {
                typ: Some(MountType::VOLUME),
                source: Some(name.clone()),
                target: Some(path.clone()),
                ..Default::default()
            }),
            Mount::Host(_) => None,
        });
        let binds = self.mounts.iter().filter_map(|mount| match mount {
            Mount::Host(bind) => Some(bind.clone()),
            Mount::Volume { .. } => None,
        });
        HostConfig {
            network_mode: Some(self.network.clone()),
            memory: self.memory.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
            nano_cpus,
            pids_limit: Some(self.pids),
            cap_drop: Some(vec!["ALL".into()]),
            cap_add: Some(self.capabilities.clone()),
            security_opt: Some(vec!["no-new-privileges".into()]),
            privileged: Some(self.privileged),
            readonly_rootfs: Some(self.read_only),
            tmpfs: Some(tmpfs.collect()),
            mounts: Some(volumes.collect()),
            binds: Some(binds.collect()),
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".into()),
                config: Some(HashMap::from([
                    ("max-size".to_owned(), "10m".to_owned()),
                    ("max-file".to_owned(), "3".to_owned()),
                ])),
            }),
            // Only what is committed outlives a crash or a restart of the engine: see `Restarts`.
            restart_policy: Some(Restarts::Never.policy()),
            ..Default::default()
        }
    }
}

/// Reports a container's exit. The `die` event carries the exit code; a later inspect does not, once the engine has
/// restarted the container.
#[derive(Debug)]
pub struct ExitWatch {
    body: Incoming,
}

impl ExitWatch {
    /// Waits for the end and gives the exit code; `None` when the engine went away or could not say.
    pub async fn code(self) -> Option<i64> {
        let mut chunks = self.body.into_data_stream();
        let mut text = Vec::new();
        // The watch is for one kind of event, so the first whole line is the one.
        while !text.contains(&b'\n') {
            text.extend_from_slice(&chunks.next().await?.ok()?);
        }
        let event: serde_json::Value = serde_json::Deserializer::from_slice(&text).into_iter().next()?.ok()?;
        event["Actor"]["Attributes"]["exitCode"].as_str()?.parse().ok()
    }
}

impl Docker {
    /// Creates a network for plugins and returns its id; false where one of that name exists.
    pub async fn create_network(&self, name: &str, labels: BTreeMap<String, String>) -> Result<bool, EngineError> {
        // The engine of API 1.41 creates a second network of one name unless it is asked to check, which the client
        // library cannot ask.
        let body = serde_json::json!({"Name": name, "Labels": labels, "CheckDuplicate": true});
        let created = self.post("/networks/create", &body, &format!("create the network `{name}`")).await;
        accept(created, &[409])
    }

    /// The addresses of this machine on a network: where connections to a published port come from.
    pub async fn gateways(&self, network: &str) -> Result<Vec<String>, EngineError> {
        let found = self.client.inspect_network(network, None::<InspectNetworkOptions>);
        let found = self.call(format!("look at the network `{network}`"), found).await?;
        let configured = found.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        // With its prefix where the engine was given one.
        let address = |text: String| text.split('/').next().unwrap_or_default().to_owned();
        // An engine that was started for the first time reports a subnet alone: it takes the first address itself.
        let gateway = |entry: bollard::models::IpamConfig| match entry.gateway.filter(|gateway| !gateway.is_empty()) {
            Some(gateway) => Some(address(gateway)),
            None => first_address(&entry.subnet?),
        };
        Ok(configured.into_iter().filter_map(gateway).collect())
    }

    /// Removes a network by id; false when it was gone, or when containers still use it.
    pub async fn remove_network(&self, id: &str) -> Result<bool, EngineError> {
        let removed = self.call(format!("remove the network `{id}`"), self.client.remove_network(id)).await;
        accept(removed, &[403, 404, 409])
    }

    /// The names of the containers that are on a network, running or not.
    pub async fn containers_on_network(&self, id: &str) -> Result<Vec<String>, EngineError> {
        let filters = HashMap::from([("network".to_owned(), vec![id.to_owned()])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let listed = self.client.list_containers(Some(options));
        let listed = self.call(format!("list the containers on the network `{id}`"), listed).await?;
        let name =
            |container: bollard::models::ContainerSummary| container.names.unwrap_or_default().into_iter().next();
        Ok(listed.into_iter().filter_map(name).map(|name| name.trim_start_matches('/').to_owned()).collect())
    }

    /// Joins a container to a further network.
    pub async fn join_network(&self, network: &str, container: &str, aliases: &[String]) -> Result<(), EngineError> {
        let request = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: Some(EndpointSettings { aliases: Some(aliases.to_vec()), ..Default::default() }),
        };
        let joined = self.client.connect_network(network, request);
        self.call(format!("join `{container}` to the network `{network}`"), joined).await
    }

    /// Creates a container and returns its id. Labels that its image carries and that would make it something else, of
    /// compose's or of ours, are blanked: the engine cannot leave them out.
    pub async fn create_container(&self, spec: &ContainerSpec) -> Result<String, EngineError> {
        let options = CreateContainerOptionsBuilder::new().name(&spec.name).build();
        let mut body = spec.body();
        let image = self.inspect_image(&spec.image).await?;
        let labels = body.labels.get_or_insert_default();
        for inherited in image.into_iter().flat_map(|image| image.labels) {
            if RESERVED_LABELS.iter().any(|prefix| inherited.starts_with(prefix)) {
                labels.entry(inherited).or_default();
            }
        }
        let created = self.client.create_container(Some(options), body);
        let created = self.call(format!("create the container `{}`", spec.name), created).await;
        created.map(|answer| answer.id).map_err(|error| error.if_name_taken(&spec.name))
    }

    /// Sets whether the engine restarts a container; one that is gone is fine.
    pub async fn set_restarts(&self, container: &str, restarts: Restarts) -> Result<(), EngineError> {
        let current = self.client.inspect_container(container, None::<InspectContainerOptions>);
        let current = match self.call(format!("look at the container `{container}`"), current).await {
            Err(error) if error.is_not_found() => return Ok(()),
            current => current?,
        };
        let policy = current.host_config.and_then(|config| config.restart_policy).and_then(|policy| policy.name);
        if policy == restarts.policy().name {
            return Ok(());
        }
        let mut tries = 0;
        loop {
            let update = ContainerUpdateBody { restart_policy: Some(restarts.policy()), ..Default::default() };
            let updated = self.client.update_container(container, update);
            let updated = self.call(format!("set the restart policy of the container `{container}`"), updated).await;
            tries += 1;
            match updated {
                // It ends at this moment, and the engine has not noticed yet.
                Err(EngineError::Failed { message, .. })
                    if message.contains("cannot update a stopped container") && tries < REMOVAL_TRIES => {}
                updated => return accept(updated.map(drop), &[404]).map(drop),
            }
            tokio::time::sleep(REMOVAL_PAUSE).await;
        }
    }

    /// Starts a container, one that runs already included, and sets what becomes of it when the engine restarts.
    pub async fn start_container(&self, container: &str, restarts: Restarts) -> Result<(), EngineError> {
        // First, so that the engine restarts one that ends at once.
        self.set_restarts(container, restarts).await?;
        let started = self.client.start_container(container, None::<StartContainerOptions>);
        accept(self.call(format!("start the container `{container}`"), started).await, &[304]).map(drop)
    }

    /// Stops a container after its own grace time, for good: the engine does not start it again, whenever it restarts
    /// itself. One that is gone or stopped already is fine.
    pub async fn stop_container(&self, container: &str) -> Result<(), EngineError> {
        self.set_restarts(container, Restarts::Never).await?;
        let options = StopContainerOptionsBuilder::new().build();
        let stopped = self.client.stop_container(container, Some(options));
        accept(self.call(format!("stop the container `{container}`"), stopped).await, &[304, 404]).map(drop)
    }

    /// Stops and starts a container, which is kept running from then on.
    pub async fn restart_container(&self, container: &str) -> Result<(), EngineError> {
        let options = RestartContainerOptionsBuilder::new().build();
        let restarted = self.client.restart_container(container, Some(options));
        self.call(format!("restart the container `{container}`"), restarted).await?;
        self.set_restarts(container, Restarts::Always).await
    }

    /// Gives a container another name.
    pub async fn rename_container(&self, container: &str, name: &str) -> Result<(), EngineError> {
        let options = RenameContainerOptionsBuilder::new().name(name).build();
        let renamed = self.client.rename_container(container, options);
        self.call(format!("rename the container `{container}` to `{name}`"), renamed).await
    }

    /// Removes a container, running or not, and its anonymous volumes; false when it was gone.
    pub async fn remove_container(&self, container: &str) -> Result<bool, EngineError> {
        let (mut tries, mut was_refused) = (0, false);
        loop {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            let removed = self.client.remove_container(container, Some(options));
            let removed = self.call(format!("remove the container `{container}`"), removed).await;
            tries += 1;
            match removed {
                Err(error) if is_refused_for_the_moment(&error) && tries < REMOVAL_TRIES => was_refused = true,
                removed => return accept(removed, &[404]).map(|is_removed| is_removed || was_refused),
            }
            tokio::time::sleep(REMOVAL_PAUSE).await;
        }
    }

    /// What the engine says of a container.
    pub async fn inspect_container(&self, container: &str) -> Result<ContainerState, EngineError> {
        let answer = self.client.inspect_container(container, None::<InspectContainerOptions>);
        let answer = self.call(format!("look at the container `{container}`"), answer).await?;
        let state = answer.state.unwrap_or_default();
        Ok(ContainerState {
            running: state.running.unwrap_or(false) && !state.restarting.unwrap_or(false),
            restarts: answer.restart_count.unwrap_or(0),
            exit_code: state.exit_code.unwrap_or(0),
            out_of_memory: state.oom_killed.unwrap_or(false),
            health: state.health.and_then(|health| health.status).map(|status| status.to_string()),
            image: answer.image.unwrap_or_default(),
        })
    }

    /// Watches for a container's first end. The engine answers before it begins to watch, so it is asked for what it
    /// remembers too: a container that is started afterwards and ends at once is not missed. Takes the whole id, since
    /// the engine's filter also takes containers whose names only begin like the one asked for.
    pub async fn watch_exit(&self, container: &str) -> Result<ExitWatch, EngineError> {
        let action = format!("watch the container `{container}`");
        let filters =
            serde_json::json!({"type": ["container"], "container": [container], "event": ["die"]}).to_string();
        let filters: String = url::form_urlencoded::byte_serialize(filters.as_bytes()).collect();
        let path = format!("/v{}/events?since=1&filters={filters}", self.client.client_version());
        match self.call_stream(&action, request(&self.endpoint, Method::GET, &path, None)).await? {
            Ok(answer) if answer.status().is_success() => Ok(ExitWatch { body: answer.into_body() }),
            Ok(answer) => {
                let status = answer.status();
                Err(EngineError::Failed { action, message: status.to_string(), status: Some(status.as_u16()) })
            }
            Err(RequestError::Connect(_) | RequestError::Http(_)) => {
                Err(EngineError::Gone { endpoint: self.endpoint.to_string(), action })
            }
        }
    }

    /// The last lines of a container's log.
    pub async fn last_lines(&self, container: &str, count: u32) -> Result<Vec<LogLine>, EngineError> {
        let mut lines = Vec::new();
        let mut stream = Box::pin(self.log(container, count, false));
        while let Some(line) = self.call_stream("read the log", stream.next()).await? {
            lines.push(line?);
        }
        Ok(lines)
    }

    /// A container's log as it comes; with `follow` it ends when the container does.
    pub fn log(
        &self,
        container: &str,
        count: u32,
        follow: bool,
    ) -> impl Stream<Item = Result<LogLine, EngineError>> + '_ {
        let options =
            LogsOptionsBuilder::new().stdout(true).stderr(true).follow(follow).tail(&count.to_string()).build();
        let action = format!("read the log of the container `{container}`");
        self.client.logs(container, Some(options)).map(move |item| {
            let output = item.map_err(self.failed(action.clone()))?;
            let is_error_stream = matches!(output, bollard::container::LogOutput::StdErr { .. });
            let text = String::from_utf8_lossy(&output.into_bytes()).trim_end_matches(['\n', '\r']).to_owned();
            Ok(LogLine { is_error_stream, text })
        })
    }

    /// Makes a volume; one that is there already stays as it is.
    pub async fn create_volume(&self, name: &str, labels: BTreeMap<String, String>) -> Result<(), EngineError> {
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels.into_iter().collect()),
            ..Default::default()
        };
        self.call(format!("create the volume `{name}`"), self.client.create_volume(request)).await.map(drop)
    }

    /// The transaction that made a volume; `None` when there is none or it is not ours.
    pub async fn volume_transaction(&self, name: &str) -> Result<Option<String>, EngineError> {
        match self.call(format!("look at the volume `{name}`"), self.client.inspect_volume(name)).await {
            Ok(mut volume) => Ok(volume.labels.remove(super::label::TRANSACTION)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes a volume; false when it was gone or is in use.
    pub async fn remove_volume(&self, name: &str) -> Result<bool, EngineError> {
        let removed = self.client.remove_volume(name, None::<RemoveVolumeOptions>);
        accept(self.call(format!("remove the volume `{name}`"), removed).await, &[404, 409])
    }
}

/// The first address of an IPv4 subnet (`172.17.0.0/16` gives `172.17.0.1`).
fn first_address(subnet: &str) -> Option<String> {
    let network: std::net::Ipv4Addr = subnet.split('/').next()?.parse().ok()?;
    Some(std::net::Ipv4Addr::from(u32::from(network).checked_add(1)?).to_string())
}

impl ContainerSpec {
    /// The names of its volumes.
    pub fn volume_names(&self) -> Vec<String> {
        let names = self.mounts.iter().filter_map(|mount| match mount {
            Mount::Volume { name, .. } => Some(name.clone()),
            Mount::Host(_) => None,
        });
        names.collect()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_subnet_gives_its_first_address() {
        assert_eq!(super::first_address("172.17.0.0/16").as_deref(), Some("172.17.0.1"));
        assert_eq!(super::first_address("fd00::/64"), None);
    }
}
