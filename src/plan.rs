//! Deciding: what is to be done, as an ordered list of steps with reasons. Pure: values in, a plan out; nothing is
//! read, asked or changed here. `--dry-run` prints what this gives.

mod removal;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::docker::{ContainerSpec, Mount, Observed, ObservedContainer, PublishedPort, label};
use crate::name::{Digest, PluginName};
use crate::package::manifest::{Manifest, Port, Protocol};
use crate::project::Project;
use crate::state::{Finish, Receipt, Undo};

pub use removal::{Removal, remove};

/// Processes and threads that a container may have unless its manifest says otherwise.
const DEFAULT_PIDS: i64 = 256;
/// Memory of a container unless its manifest or `<NAME>_MEMORY` says otherwise: 512 MiB.
pub const DEFAULT_MEMORY: u64 = 512 * 1024 * 1024;

/// One side effect: one call of the engine or one file operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Store values that were generated.
    StoreValues {
        keys: Vec<String>,
    },
    /// Use an image that the engine has.
    UseImage {
        reference: String,
        id: String,
    },
    /// Build the image from the package.
    BuildImage {
        tag: String,
    },
    /// Pull the image.
    PullImage {
        reference: String,
    },
    CreateNetwork {
        name: String,
    },
    CreateVolume {
        name: String,
    },
    CreateContainer {
        spec: Box<ContainerSpec>,
    },
    JoinNetwork {
        network: String,
        container: String,
    },
    StopContainer {
        name: String,
        id: String,
    },
    StartContainer {
        name: String,
    },
    WaitHealthy {
        container: String,
        port: Option<u16>,
        path: String,
    },
    RenameContainer {
        from: String,
        to: String,
        /// The container's id; `None` for the one that the transaction creates.
        id: Option<String>,
    },
    /// Make the staged package the active one.
    ActivatePackage {
        path: PathBuf,
    },
    /// The commit point.
    WriteReceipt,
    /// After the commit point.
    Finish(Finish),
}

/// An action and why it is needed.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub action: Action,
    pub reason: String,
}

/// All that is done for one plugin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    pub plugin: PluginName,
    pub version: semver::Version,
    pub project: String,
    pub steps: Vec<Step>,
    /// What the user should know before it is done.
    pub notes: Vec<String>,
}

/// The image that the container will run, as the engine was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageNeed {
    /// It is there; `owned` when this home made it.
    Present { reference: String, id: String, owned: bool },
    /// It must be built from the package's Dockerfile.
    Build { tag: String },
    /// It must be pulled.
    Pull { reference: String },
}

/// What a plugin should be like, all sources put together.
#[derive(Debug)]
pub struct Wanted<'a> {
    pub manifest: &'a Manifest,
    pub project: &'a Project,
    pub home: &'a str,
    pub transaction: &'a str,
    pub digest: Option<Digest>,
    /// `KEY=VALUE`.
    pub environment: Vec<String>,
    /// Each port of the manifest with its port on the host.
    pub ports: Vec<(Port, u16)>,
    /// `<NAME>_MEMORY`, in bytes.
    pub memory: Option<u64>,
    /// The backend's network, when it exists.
    pub backend_network: Option<String>,
}

/// What an installation starts from besides what is wanted.
#[derive(Debug)]
pub struct Situation<'a> {
    pub observed: &'a Observed,
    pub receipt: Option<&'a Receipt>,
    pub image: ImageNeed,
    /// Names of values that were generated now.
    pub generated: Vec<String>,
    /// Where the package will be active; `None` when it is active already.
    pub activate: Option<Activation>,
    /// Whether the project's network was there before the command.
    pub had_network: bool,
    /// Other projects of this home in which the plugin is installed.
    pub other_projects: Vec<String>,
    /// Whether the earlier version runs and does not answer well.
    pub is_unhealthy: bool,
}

/// How a staged package becomes the active one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    pub staged: PathBuf,
    pub active: PathBuf,
    /// Where the earlier package is kept afterwards, if there is one.
    pub keep_earlier_at: Option<PathBuf>,
}

impl Wanted<'_> {
    /// The name of the plugin's main container.
    pub fn container_name(&self) -> String {
        self.project.object_name(self.manifest.name.as_str())
    }

    /// The container, but for its image. Equal wishes give an equal specification.
    pub fn container(&self) -> ContainerSpec {
        let service = &self.manifest.service;
        let plugin = self.manifest.name.as_str();
        let name = self.container_name();
        let volumes = service.volumes.iter().map(|volume| Mount::Volume {
            name: self.project.object_name(&format!("{plugin}_{}", volume.name)),
            path: volume.path.clone(),
        });
        let privileges = &self.manifest.privileges;
        let socket = privileges.docker_socket.then(|| "/var/run/docker.sock:/var/run/docker.sock".to_owned());
        let host_mounts = privileges.host_mounts.iter().cloned().chain(socket).map(Mount::Host);
        let mut spec = ContainerSpec {
            image: String::new(),
            environment: self.environment.clone(),
            labels: BTreeMap::new(),
            ports: self.published(),
            network: self.project.network(),
            aliases: self.manifest.name.aliases().into_iter().chain([name.clone()]).collect(),
            memory: Some(self.memory.or(service.memory).unwrap_or(DEFAULT_MEMORY)),
            cpus: service.cpus,
            pids: service.pids.unwrap_or(DEFAULT_PIDS),
            read_only: service.read_only,
            tmpfs: service.tmpfs.clone(),
            mounts: volumes.chain(host_mounts).collect(),
            user: service.user.clone(),
            command: service.command.clone(),
            capabilities: privileges.capabilities.clone(),
            privileged: privileges.privileged,
            stop_grace_seconds: service.stop_grace_seconds,
            name,
        };
        spec.labels = self.labels(&spec);
        spec
    }

    /// The port on the host where health is asked: the main one, if it is published and speaks HTTP.
    fn health_port(&self) -> Option<u16> {
        let main = self.manifest.ports.first().filter(|port| port.protocol == Protocol::Http)?;
        self.ports.iter().find(|(port, _)| port.name == main.name).map(|(_, host)| *host)
    }

    fn published(&self) -> Vec<PublishedPort> {
        self.ports.iter().map(|(port, host)| PublishedPort { host: *host, container: port.port }).collect()
    }

    fn labels(&self, spec: &ContainerSpec) -> BTreeMap<String, String> {
        let plugin = self.manifest.name.as_str();
        let digest = self.digest.map(|digest| digest.to_string()).unwrap_or_default();
        let fixed = [
            (label::PLUGIN, plugin.to_owned()),
            (label::VERSION, self.manifest.version.to_string()),
            (label::PROJECT, self.project.name.clone()),
            (label::SERVICE, plugin.to_owned()),
            (label::HOME, self.home.to_owned()),
            (label::DIGEST, digest),
        ];
        let mut labels: BTreeMap<String, String> =
            fixed.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let hash = config_hash(spec, &labels);
        labels.insert(label::CONFIG_HASH.to_owned(), hash);
        labels.insert(label::TRANSACTION.to_owned(), self.transaction.to_owned());
        labels
    }

    /// What tells whether a container is as wanted: [`label::CONFIG_HASH`].
    pub fn config_hash(&self) -> String {
        self.container().labels.remove(label::CONFIG_HASH).unwrap_or_default()
    }
}

/// A digest over everything that makes a container what it is, but for its image's id and its transaction.
fn config_hash(spec: &ContainerSpec, labels: &BTreeMap<String, String>) -> String {
    let text =
        format!("{:?} {labels:?}", ContainerSpec { labels: BTreeMap::new(), image: String::new(), ..spec.clone() });
    Digest::from_bytes(Sha256::digest(text.as_bytes()).into()).to_hex()[..16].to_owned()
}

/// The plan of an installation, an update or a repair, and what undoes it.
pub fn install(wanted: &Wanted<'_>, situation: &Situation<'_>) -> (Plan, Vec<Undo>) {
    let mut draft = Draft::default();
    let plugin = wanted.manifest.name.as_str();
    let spec = wanted.container();
    let name = spec.name.clone();
    let old = own_containers(situation.observed, situation.receipt, &wanted.project.name, plugin, &name);

    prepare(wanted, situation, &mut draft);
    let fresh = if old.is_empty() { name.clone() } else { beside(&name, "next", wanted.transaction) };
    let network = spec.network.clone();
    let aliases_reason = format!("version {} of `{plugin}`", wanted.manifest.version);
    draft.step(
        Action::CreateContainer { spec: Box::new(ContainerSpec { name: fresh.clone(), ..spec }) },
        &aliases_reason,
    );
    let parked = beside(&name, "prev", wanted.transaction);
    for earlier in &old {
        // Undone in reverse: the new container must be gone before the earlier one gets its name and ports back.
        draft.undo.push(restore(earlier, &parked, situation.is_unhealthy));
    }
    draft.undo.push(Undo::RemoveNewContainers);
    if let Some(backend) = &wanted.backend_network {
        draft.step(
            Action::JoinNetwork { network: backend.clone(), container: fresh.clone() },
            "the backend's services are on it",
        );
    }
    for earlier in &old {
        let reason = format!("the earlier container ({}) holds the ports", earlier.version);
        draft.step(Action::StopContainer { name: earlier.name.clone(), id: earlier.id.clone() }, &reason);
    }
    draft.step(Action::StartContainer { name: fresh.clone() }, "it must become healthy before anything is kept");
    let path = wanted.manifest.service.health_path.clone().unwrap_or_else(|| "/health".to_owned());
    let port = wanted.health_port();
    draft.step(Action::WaitHealthy { container: fresh.clone(), port, path }, "only a healthy plugin is kept");
    if let Some(earlier) = old.iter().find(|earlier| earlier.name == name) {
        let id = Some(earlier.id.clone());
        let park = Action::RenameContainer { from: name.clone(), to: parked.clone(), id };
        draft.step(park, "kept until the commit point");
    }
    if !old.is_empty() {
        draft.step(Action::RenameContainer { from: fresh, to: name.clone(), id: None }, "it takes the name over");
    }
    if let Some(activation) = &situation.activate {
        draft.step(Action::ActivatePackage { path: activation.active.clone() }, "other nself tools look there");
        draft.undo.push(Undo::RestorePackage {
            active: activation.active.clone(),
            staged: activation.staged.clone(),
            staged_inode: None,
        });
    }
    draft.step(Action::WriteReceipt, "the commit point: from here on it is installed");
    let keep = Finish::KeepRunning { name: name.clone() };
    draft.step(Action::Finish(keep), "from here on the engine restarts it, after its own restarts too");
    finish(&old, &name, &parked, situation, &mut draft);
    let notes = notes(wanted, situation, &network);
    (draft.plan(wanted, notes), draft.undo)
}

/// The name of a container beside the plugin's own while a transaction runs. No plugin's name has a dot.
fn beside(name: &str, word: &str, transaction: &str) -> String {
    format!("{name}.{word}.{}", transaction.rsplit('.').next().unwrap_or_default())
}

/// The plugin's containers: those that its receipt lists, and those that this program created under the plugin's name.
/// Labels alone are not enough: a container that somebody starts from a plugin's image inherits the image's.
pub fn own_containers<'a>(
    observed: &'a Observed,
    receipt: Option<&Receipt>,
    project: &str,
    plugin: &str,
    name: &str,
) -> Vec<&'a ObservedContainer> {
    let is_listed = |id: &str| receipt.is_some_and(|receipt| receipt.containers.iter().any(|listed| listed.id == id));
    let is_named = |found: &str| {
        found.strip_prefix(name).is_some_and(|rest| {
            matches!(rest, "" | "-next" | "-prev") || rest.starts_with(".next.") || rest.starts_with(".prev.")
        })
    };
    let is_own = |found: &&ObservedContainer| {
        let is_of_plugin = found.project == project && found.plugin == plugin;
        is_of_plugin && (is_listed(&found.id) || (is_named(&found.name) && !found.config_hash.is_empty()))
    };
    observed.containers.iter().filter(is_own).collect()
}

/// What gives an earlier container its name and its state back.
fn restore(earlier: &ObservedContainer, parked: &str, is_unhealthy: bool) -> Undo {
    let is_running = earlier.is_running();
    let state = if is_running && (is_unhealthy || earlier.fails_its_check) { "unhealthy" } else { &earlier.state };
    Undo::RestoreContainer {
        id: Some(earlier.id.clone()),
        name: earlier.name.clone(),
        parked: parked.to_owned(),
        state: Some(state.to_owned()),
        was_running: is_running,
    }
}

/// Values, image, network, volumes: what the container needs before it exists.
fn prepare(wanted: &Wanted<'_>, situation: &Situation<'_>, draft: &mut Draft) {
    if !situation.generated.is_empty() {
        let keys = situation.generated.clone();
        draft.step(Action::StoreValues { keys: keys.clone() }, "not set; generated and kept");
        draft.undo.push(Undo::DiscardValues { keys });
    }
    match &situation.image {
        ImageNeed::Present { reference, id, .. } => {
            draft.step(Action::UseImage { reference: reference.clone(), id: id.clone() }, "the engine has it already");
        }
        ImageNeed::Build { tag } => {
            draft.step(Action::BuildImage { tag: tag.clone() }, "the engine has no image of this archive");
            draft.undo.push(Undo::RemoveBuiltImages);
        }
        ImageNeed::Pull { reference } => {
            draft.step(Action::PullImage { reference: reference.clone() }, "the engine does not have it");
            draft.undo.push(Undo::RemovePulledImage { reference: reference.clone() });
        }
    }
    let network = wanted.project.network();
    if situation.observed.network(&network).is_none() {
        draft.step(Action::CreateNetwork { name: network.clone() }, "the project's plugins talk to one another on it");
    }
    if !situation.had_network {
        // Also where another plugin of the command has made it: that one cannot remove it while this one is on it.
        draft.undo.push(Undo::RemoveNetwork { name: network });
    }
    for mount in wanted.container().mounts {
        if let Mount::Volume { name, path } = mount {
            draft.step(Action::CreateVolume { name: name.clone() }, &format!("data of `{path}` is kept in it"));
            draft.undo.push(Undo::RemoveVolume { name });
        }
    }
}

fn finish(old: &[&ObservedContainer], name: &str, parked: &str, situation: &Situation<'_>, draft: &mut Draft) {
    for container in old {
        let name = if container.name == name { parked } else { &container.name };
        let remove = Finish::RemoveContainer { name: name.to_owned(), id: Some(container.id.clone()) };
        draft.step(Action::Finish(remove), "the earlier container is not needed any more");
    }
    if let Some(Activation { staged, keep_earlier_at: Some(to), .. }) = &situation.activate {
        let keep = Finish::KeepEarlierPackage { from: staged.clone(), to: to.clone() };
        draft.step(Action::Finish(keep), "a way back");
    }
    let earlier_image = situation.receipt.map(|receipt| &receipt.image).filter(|image| image.owned);
    let replaced =
        earlier_image.filter(|image| !matches!(&situation.image, ImageNeed::Present { id, .. } if *id == image.id));
    if let Some(image) = replaced {
        let remove = Finish::RemoveImage { reference: image.id.clone() };
        draft.step(Action::Finish(remove), "the earlier version's image, unless something uses it");
    }
}

fn notes(wanted: &Wanted<'_>, situation: &Situation<'_>, network: &str) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(taken) = situation.observed.network(network)
        && taken.home.as_deref() != Some(wanted.home)
    {
        notes.push(format!("the network `{network}` was not made by this installation; it is used as it is"));
    }
    if !situation.other_projects.is_empty() {
        notes.push(format!(
            "`{}` is installed in {} too: its containers stay as they are, its package folder is shared",
            wanted.manifest.name,
            situation.other_projects.join(", ")
        ));
    }
    if !wanted.manifest.hooks.is_empty() {
        notes.push(format!("scripts of the package that are not run: {}", wanted.manifest.hooks.join(", ")));
    }
    notes
}

#[derive(Debug, Default)]
struct Draft {
    steps: Vec<Step>,
    undo: Vec<Undo>,
}

impl Draft {
    fn step(&mut self, action: Action, reason: &str) {
        self.steps.push(Step { action, reason: reason.to_owned() });
    }

    fn plan(&mut self, wanted: &Wanted<'_>, notes: Vec<String>) -> Plan {
        Plan {
            plugin: wanted.manifest.name.clone(),
            version: wanted.manifest.version.clone(),
            project: wanted.project.name.clone(),
            steps: std::mem::take(&mut self.steps),
            notes,
        }
    }
}

impl Plan {
    /// The steps after the commit point.
    pub fn finish(&self) -> Vec<Finish> {
        let after = self.steps.iter().filter_map(|step| match &step.action {
            Action::Finish(finish) => Some(finish.clone()),
            _ => None,
        });
        after.collect()
    }
}
