//! Registries: ordered lists of releases with an address. Owns where a release is looked up and which registry wins;
//! fetches no archive and judges no package.
//!
//! `wire` turns a document into releases (`entry`, `release`, `address` and `loose` are its parts) · `cache` keeps
//! documents as they were received · `source` gets one registry's document from wherever it is to be had · `catalog`
//! chooses between registries · `reach` tells how each address does.

mod address;
mod availability;
pub mod cache;
pub mod catalog;
#[cfg(test)]
mod catalog_tests;
mod entry;
mod error;
mod loose;
pub mod reach;
mod release;
mod services;
pub mod source;
#[cfg(test)]
mod source_tests;
#[cfg(test)]
pub(crate) mod test_server;
#[cfg(test)]
mod upstream_tests;
pub mod wire;
#[cfg(test)]
mod wire_tests;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use semver::Version;
use url::Url;

use crate::name::{Digest, PluginName};
use crate::needs::ServiceNeed;

pub use availability::Ask;
pub use catalog::{Catalog, Merged, PassedOver, Selection};
pub use error::{Attempt, LoadFailure, RegistryError};
pub use source::{Access, Loaded, Location, Source};

/// Where an archive is to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchiveAddress {
    /// On the network.
    Url(Url),
    /// On this machine.
    Path(PathBuf),
}

/// Whether a release can be had without a licence key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LicenceNeed {
    /// Free.
    None,
    /// A key is needed; the text says why (`requires_license`, or the tier).
    Required(String),
}

/// One version of one plugin, as a registry describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    pub name: PluginName,
    pub version: Version,
    pub description: String,
    pub category: String,
    pub author: String,
    /// The text licence, as written ("MIT").
    pub license: String,
    pub homepage: Option<String>,
    pub tags: Vec<String>,
    /// "stable" where the registry says nothing.
    pub status: String,
    /// What replaces a deprecated plugin, when the registry says.
    pub replaced_by: Option<String>,
    /// Why the registry itself says that it cannot be installed (`installable: false`, status planned).
    pub not_installable: Option<String>,
    pub licence_need: LicenceNeed,
    /// The port of the plugin's main address on the host.
    pub port: Option<u16>,
    /// All its ports on the host, the main one first.
    pub ports: Vec<u16>,
    /// Every dependency as written; which of them are plugins is decided against the names the registry knows.
    pub dependencies: Vec<String>,
    /// The services that it uses, as far as the registry says.
    pub services: Vec<ServiceNeed>,
    pub digest: Option<Digest>,
    /// The archive's size in bytes, when told.
    pub size: Option<u64>,
    /// In the order in which they are tried.
    pub archives: Vec<ArchiveAddress>,
    /// The lowest version of the backend CLI.
    pub min_host: Option<Version>,
    /// The Ed25519 signature as the registry spells it; not yet checked.
    pub signature: Option<String>,
    /// The key that the registry says it was signed with; proves nothing unless it is pinned.
    pub author_public_key: Option<String>,
    /// The registry's name (`nself`, `bundled`, …).
    pub registry: String,
    /// Whether that registry's key is pinned, so that its digests prove where an archive comes from.
    pub pinned: bool,
}

/// Where a registry's document came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// From this address, now.
    Network(Url),
    /// From the cache, younger than the time to live, or confirmed by a conditional request.
    Cache { age: Duration },
    /// From the cache, too old, since no address answered.
    StaleCache { age: Duration },
    /// A folder or file on this machine.
    Folder(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(url) => formatter.write_str(&crate::http::shown(url)),
            Self::Cache { age } => write!(formatter, "cache, {} old", age_text(*age)),
            Self::StaleCache { age } => write!(formatter, "stale cache, {} old", age_text(*age)),
            Self::Folder(path) => write!(formatter, "{}", path.display()),
        }
    }
}

/// An age in its largest unit, as people say it.
pub fn age_text(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
