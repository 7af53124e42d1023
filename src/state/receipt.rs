//! The receipt's shape, as `registry-schema/receipt.schema.json` describes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::docker::{Observed, ObservedContainer, PublishedPort};
use crate::health::Probe;
use crate::name::PluginName;
use crate::package::manifest::Protocol;

/// The receipt's format; a receipt of a later one is left alone.
pub const RECEIPT_SCHEMA: &str = "nself.receipt/1";

/// What was installed, from where, proven how. Holds names of variables, never values.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Receipt {
    pub schema: String,
    pub plugin: PluginName,
    pub version: semver::Version,
    pub project: String,
    pub description: String,
    /// The registry that delivered, or `local`.
    pub registry: String,
    /// The archive's address or the folder.
    pub source: String,
    pub digest: Option<crate::name::Digest>,
    pub proof: crate::package::Proof,
    pub image: ReceiptImage,
    pub containers: Vec<ReceiptContainer>,
    pub ports: Vec<ReceiptPort>,
    pub networks: Vec<String>,
    pub volumes: Vec<String>,
    pub variables: Vec<String>,
    /// Names of those variables that were given for this installation alone: by `--env` or the process environment.
    /// `None` where that was not written down.
    #[serde(default)]
    pub given_once: Option<Vec<String>>,
    pub dependencies: Vec<PluginName>,
    /// What the container was granted beyond the hardened defaults.
    pub granted: Vec<String>,
    pub health_path: String,
    pub transaction: String,
    /// Seconds since 1970.
    pub installed_at: u64,
    pub healthy_after_milliseconds: u64,
    /// Fields of later versions, kept as they are.
    #[serde(flatten)]
    pub others: BTreeMap<String, serde_json::Value>,
}

impl Receipt {
    /// Where health is asked, if the plugin has a port that speaks HTTP.
    pub fn probe(&self) -> Option<Probe> {
        self.health_port().map(|port| Probe { port, path: self.health_path.clone() })
    }

    /// The port on the host where health is asked, if the plugin has one.
    pub fn health_port(&self) -> Option<u16> {
        self.ports.first().filter(|port| port.protocol == Protocol::Http).map(|port| port.host)
    }

    /// Its main container, by its id, whatever it is called now.
    pub fn container_in<'a>(&self, observed: &'a Observed) -> Option<&'a ObservedContainer> {
        let id = &self.containers.first()?.id;
        observed.containers.iter().find(|container| container.id == *id)
    }

    /// Whether a variable may have been given for this installation alone.
    pub fn may_be_given_once(&self, variable: &str) -> bool {
        self.given_once.as_ref().is_none_or(|names| names.iter().any(|name| name == variable))
    }
}

/// The image that the containers run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiptImage {
    pub reference: String,
    pub id: String,
    /// Whether this program brought it, and so may take it away.
    pub owned: bool,
}

/// One container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiptContainer {
    pub service: String,
    pub name: String,
    pub id: String,
    pub config_hash: String,
}

/// One published port.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiptPort {
    pub name: String,
    pub host: u16,
    pub container: u16,
    /// The name under which people open it.
    pub hostname: Option<String>,
    #[serde(default)]
    pub protocol: Protocol,
}

impl From<&ReceiptPort> for PublishedPort {
    fn from(port: &ReceiptPort) -> Self {
        Self { host: port.host, container: port.container }
    }
}
