//! What can go wrong between a name and a release. Owns the words and the exit class (3 not found, 4 no registry).

use std::fmt;

use semver::Version;

use crate::http::HttpError;
use crate::name::PluginName;
use crate::version_range::VersionRange;

use super::PassedOver;
use super::wire::ReadError;

/// What one address answered.
#[derive(Debug)]
pub enum Attempt {
    /// No usable answer.
    Http(String, HttpError),
    /// An answer that is no registry document.
    Document(String, ReadError),
    /// A folder or file that cannot be read.
    File(String, std::io::Error),
    /// Not asked, since the command is to stay off the network.
    Offline(String),
}

impl fmt::Display for Attempt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(address, error) => write!(formatter, "`{address}` {error}"),
            Self::Document(address, error) => write!(formatter, "`{address}` {error}"),
            Self::File(address, error) => write!(formatter, "`{address}`: {error}"),
            Self::Offline(address) => write!(formatter, "`{address}` was not asked: --offline"),
        }
    }
}

/// Why a registry could not be read: what every one of its addresses answered, in the order in which they were tried.
#[derive(Debug)]
pub struct LoadFailure {
    /// The registry.
    pub registry: String,
    /// Every address with its answer.
    pub attempts: Vec<Attempt>,
}

impl LoadFailure {
    /// What each address answered, as one text.
    pub fn reasons(&self) -> String {
        if self.attempts.is_empty() {
            return "it has no address".to_owned();
        }
        self.attempts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for LoadFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "registry `{}`: {}", self.registry, self.reasons())
    }
}

/// Why there is no release, or no list. The text is what failed; [`RegistryError::causes`] says why.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Not one registry that was asked could be read.
    #[error("{}", unreachable_text(failures))]
    Unreachable {
        /// Every registry with what it answered.
        failures: Vec<String>,
        /// Whether the command was to stay off the network.
        offline: bool,
    },
    /// No registry of that name is configured.
    #[error("there is no registry `{name}`")]
    UnknownRegistry {
        /// As the user wrote it.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// No registry that answered knows the plugin.
    #[error("{}", if *is_certain { format!("plugin `{name}` was not found") } else { format!("plugin `{name}` could not be looked up: not every registry answered") })]
    NoPlugin {
        /// What was looked for.
        name: PluginName,
        /// What was searched, and how that went.
        searched: Vec<PassedOver>,
        /// Names that are nearly the same, the nearest first.
        nearest: Vec<PluginName>,
        /// Whether every registry answered, so that it is known not to be there.
        is_certain: bool,
    },
    /// The plugin is known, the version is not.
    #[error("plugin `{name}` has no version {version}")]
    NoVersion {
        /// What was looked for.
        name: PluginName,
        /// The version or range asked for.
        version: VersionRange,
        /// Those there are, the newest first.
        known: Vec<Version>,
        /// What was searched, and how that went.
        searched: Vec<PassedOver>,
    },
    /// The plugin is known, and no registry has a release of it that can be installed.
    #[error("plugin `{name}` cannot be installed")]
    NotUsable {
        /// What was looked for.
        name: PluginName,
        /// Why each registry's release does not count.
        searched: Vec<PassedOver>,
        /// Whether a licence key would change that.
        needs_licence: bool,
    },
}

impl RegistryError {
    /// The exit code that this failure means: 3 not found, 4 registry or network.
    pub fn exit_class(&self) -> u8 {
        match self {
            Self::Unreachable { .. } | Self::NoPlugin { is_certain: false, .. } => 4,
            Self::UnknownRegistry { .. } | Self::NoPlugin { .. } | Self::NoVersion { .. } | Self::NotUsable { .. } => 3,
        }
    }

    /// The causes, one line each.
    pub fn causes(&self) -> Vec<String> {
        match self {
            Self::Unreachable { failures, .. } => failures.clone(),
            Self::UnknownRegistry { known, .. } => vec![format!("the registries are {}", quoted(known))],
            Self::NoVersion { known, searched, .. } => {
                let mut causes = vec![format!("the versions are {}", quoted(known))];
                causes.extend(searched.iter().map(ToString::to_string));
                causes
            }
            Self::NoPlugin { searched, .. } | Self::NotUsable { searched, .. } => {
                searched.iter().map(ToString::to_string).collect()
            }
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { offline: true, .. } => {
                Some("run it once without `--offline`, so that the registry is in the cache".to_owned())
            }
            Self::Unreachable { .. } => {
                Some("see which address answers, and why others do not: nself plugin doctor".to_owned())
            }
            Self::UnknownRegistry { .. } => Some("leave `--registry` away, or name one of these".to_owned()),
            Self::NoPlugin { nearest, is_certain: false, .. } if nearest.is_empty() => {
                Some("see which registry answers, and why others do not: nself plugin doctor".to_owned())
            }
            Self::NoPlugin { nearest, .. } if nearest.is_empty() => {
                Some("`nself plugin list` shows what there is".to_owned())
            }
            Self::NoPlugin { nearest, .. } => Some(format!("did you mean {}?", quoted(nearest))),
            Self::NoVersion { name, known, .. } => {
                known.first().map(|newest| format!("`nself plugin install {name}@{newest}` takes the newest"))
            }
            Self::NotUsable { needs_licence: true, .. } => {
                Some("set NSELF_PLUGIN_LICENSE_KEY, if you have a licence".to_owned())
            }
            Self::NotUsable { .. } => None,
        }
    }
}

fn unreachable_text(failures: &[String]) -> String {
    match failures.len() {
        1 => "the registry could not be read".to_owned(),
        count => format!("none of {count} registries could be read"),
    }
}

fn quoted<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(|item| format!("`{item}`")).collect::<Vec<_>>().join(", ")
}
