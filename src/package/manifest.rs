//! The manifest (plugin.json): versions 1 and 2 and our superset of 2, read into one model.
//! Owns the shapes and their defaults; opens no files.

mod actions;
mod fields;
mod json;
mod service;
mod values;
mod variables;
mod wire;

#[cfg(test)]
mod tests;

pub use actions::{Action, ActionKind, Argument, Call, Each};

use semver::Version;

use crate::name::PluginName;
use crate::needs::ServiceNeed;

/// The most bytes of a manifest.
pub const LARGEST_MANIFEST: usize = 64 * 1024;

/// Why a manifest is refused. Foreign words in it are already fit for a terminal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// More than [`LARGEST_MANIFEST`] bytes.
    #[error("it is larger than 64 KiB")]
    TooLarge,
    /// Not JSON, or JSON that says one thing twice.
    #[error("it is not usable as JSON: {0}")]
    Json(String),
    /// A field has a value that cannot be accepted.
    #[error("`{field}` {problem}")]
    Field {
        /// Where, as in `service.port` or `ports[1].name`.
        field: String,
        /// What is wrong, as the rest of the sentence.
        problem: String,
    },
}

/// What a package says of itself. Its JSON form is described in `registry-schema/plugin.schema.json`.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub name: PluginName,
    pub version: Version,
    pub description: String,
    /// 1 or 2.
    pub generation: u8,
    pub category: String,
    pub requires: Requires,
    pub service: Service,
    /// All ports of the main container; the first is the main one, where health is asked if it speaks HTTP.
    pub ports: Vec<Port>,
    pub variables: Vec<Variable>,
    pub privileges: Privileges,
    /// Hooks and scripts that the package would like to run on the host (never run unasked): their names.
    pub hooks: Vec<String>,
    /// What users may ask of it by name.
    pub actions: Vec<Action>,
    /// Why it cannot be installed, where the package says so itself.
    pub not_installable: Option<String>,
    /// The program inside the container that takes actions, where the package names one.
    pub program: Option<String>,
    /// The text licence, as written (`MIT`, `free`); empty when unsaid.
    pub license: String,
    pub author: String,
    /// `docs_url`, else `homepage`.
    pub homepage: Option<String>,
    pub tags: Vec<String>,
    /// `implemented`, `experimental`, …; empty when unsaid.
    pub maturity: String,
}

impl Manifest {
    /// Reads a plugin.json of any generation. Unknown fields are ignored; what is known must be right.
    pub fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > LARGEST_MANIFEST {
            return Err(ManifestError::TooLarge);
        }
        wire::manifest(&json::parse(bytes)?)
    }
}

/// What must be there for the plugin to work.
#[derive(Debug, Clone, Default)]
pub struct Requires {
    /// A semver range for the backend CLI.
    pub host: Option<String>,
    /// Dependencies as written: plugins, or foreign packages that no registry knows.
    pub dependencies: Vec<String>,
    pub services: Vec<ServiceNeed>,
}

/// How the main container runs.
#[derive(Debug, Clone)]
pub struct Service {
    /// `container`, `compose`, `cli`, `library` or `service`.
    pub kind: String,
    /// An image to run as it is.
    pub image: Option<String>,
    /// A compose fragment, relative to the package.
    pub compose: Option<String>,
    /// The Dockerfile, relative to the package; `Dockerfile` when unset.
    pub dockerfile: Option<String>,
    /// The path of the health request; `None` is `/health`.
    pub health_path: Option<String>,
    /// Bytes.
    pub memory: Option<u64>,
    pub cpus: Option<f64>,
    pub pids: Option<i64>,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// Folders that are in memory and start empty.
    pub tmpfs: Vec<String>,
    pub volumes: Vec<Volume>,
    /// `uid[:gid]`, when the image's own is not meant.
    pub user: Option<String>,
    pub command: Option<Vec<String>>,
    /// Seconds between SIGTERM and SIGKILL.
    pub stop_grace_seconds: u32,
}

/// A named volume that keeps data across updates and removals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    pub name: String,
    /// Where the container sees it, absolute.
    pub path: String,
}

/// A port of the container, published on loopback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// `http`, `dashboard`, …
    pub name: String,
    /// Inside the container, and on the host unless `variable` is set by the user.
    pub port: u16,
    /// The variable that moves the published port (`REALTIME_PORT`).
    pub variable: Option<String>,
    /// The name under which people open it (`realtime.localhost`).
    pub hostname: Option<String>,
    pub description: String,
    pub protocol: Protocol,
    /// Whether the plugin does without being published on the host when somebody else has the port.
    pub optional: bool,
}

/// What is spoken on a port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    #[default]
    Http,
    /// Anything else: it has no address to open, and health cannot be asked on it.
    Tcp,
}

/// A variable that the container is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    pub required: bool,
    pub default: Option<String>,
    pub description: String,
    pub secret: bool,
    /// Other names under which the user may have set it.
    pub aliases: Vec<String>,
    /// Made at random at the first install when nobody set it: the number of characters.
    pub generated: Option<usize>,
}

/// What the container asks for beyond the hardened defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Privileges {
    /// Linux capabilities, such as `NET_ADMIN`.
    pub capabilities: Vec<String>,
    pub privileged: bool,
    pub docker_socket: bool,
    /// `host:container[:ro]`.
    pub host_mounts: Vec<String>,
}

/// Reads an amount of memory as manifests and `<NAME>_MEMORY` write it (`256m`, `0.5g`, `512MiB`, bytes), in bytes.
pub fn parse_memory(text: &str) -> Option<u64> {
    values::memory(text.trim()).ok()
}
