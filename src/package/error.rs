//! Why a package could not be had, and the exit class and hint of each reason.

use std::io;
use std::path::{Path, PathBuf};

use semver::Version;

use super::manifest::ManifestError;
use crate::http::HttpError;
use crate::name::{Digest, PluginName};

/// Why a package could not be fetched, unpacked, packed or run. Foreign words in it are already fit for a terminal.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// A file operation on this machine failed.
    #[error("could not {action} `{}`", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// An address gave no archive.
    #[error("could not download `{address}`")]
    Network { address: String, source: Box<HttpError> },
    /// The registry says nowhere where the archive is.
    #[error("registry `{registry}` gives no address for the archive of `{name}` {version}")]
    NoAddress { name: PluginName, version: Version, registry: String },
    /// The archive is on another machine, and no network is to be used.
    #[error("the archive was not fetched from `{address}`: --offline")]
    Offline { address: String },
    /// The bytes are not those that the registry describes.
    #[error(
        "the archive from `{address}` is not the one that the registry describes: its digest is {actual}, not {expected}"
    )]
    DigestMismatch { expected: Digest, actual: Digest, address: String },
    /// The policy wants a digest and there is none.
    #[error("registry `{registry}` states no digest for `{name}` {version}, and verification is required")]
    DigestMissing { name: PluginName, version: Version, registry: String },
    /// The number of bytes is not the one that the registry states.
    #[error("the archive from `{address}` has {actual} bytes, not the {expected} that the registry states")]
    SizeMismatch { expected: u64, actual: u64, address: String },
    /// More bytes than are accepted.
    #[error("the archive from `{address}` has more than {limit} bytes")]
    TooLarge { limit: u64, address: String },
    /// Not a tar.gz at all.
    #[error("`{archive}` is not a .tar.gz archive: it is {seen}")]
    NotGzip { archive: String, seen: &'static str },
    /// The archive as a whole is damaged or suspicious.
    #[error("could not unpack `{archive}`: {reason}")]
    Archive { archive: String, reason: String },
    /// One entry of an archive, or one file of a folder, is refused.
    #[error("could not accept `{place}`: entry `{entry}` {reason}")]
    Entry { place: String, entry: String, reason: String },
    /// No manifest where one is needed.
    #[error("`{place}` holds no plugin.json")]
    NoManifest { place: String },
    /// The package is of another plugin.
    #[error("`{place}` holds another plugin's manifest: `{found}`, not `{expected}`")]
    AnotherPlugin { place: String, expected: PluginName, found: String },
    /// The package is of another version.
    #[error("`{place}` holds version {found} of `{name}`, not {expected}")]
    AnotherVersion { place: String, name: PluginName, expected: String, found: String },
    /// Which plugin is meant cannot be decided.
    #[error("`{place}` holds several plugins: {}", names.join(", "))]
    SeveralPlugins { place: String, names: Vec<String> },
    /// The manifest is refused.
    #[error("could not use the plugin.json in `{place}`")]
    Manifest { place: String, source: ManifestError },
    /// Nothing in the package says how it runs.
    #[error("nothing in the package of `{name}` says how it runs; looked for {looked_for}")]
    NoRecipe { name: PluginName, looked_for: String },
    /// The package runs in a way that this version does not know yet.
    #[error("`{name}` is run from {found}, which this version cannot do yet")]
    UnknownRecipe { name: PluginName, found: String },
    /// The Dockerfile wants what the package lacks.
    #[error("`{dockerfile}` of `{name}` needs files that are not in the package: {}", missing.join(", "))]
    BuildIncomplete { name: PluginName, dockerfile: String, missing: Vec<String> },
}

impl PackageError {
    /// The exit code of a command that ends with this error: 1 (this machine), 4 (network) or 5 (verification).
    pub fn exit_class(&self) -> u8 {
        match self {
            Self::Io { .. } => 1,
            Self::Network { .. } | Self::NoAddress { .. } | Self::Offline { .. } => 4,
            Self::DigestMismatch { .. }
            | Self::DigestMissing { .. }
            | Self::SizeMismatch { .. }
            | Self::TooLarge { .. }
            | Self::NotGzip { .. }
            | Self::Archive { .. }
            | Self::Entry { .. }
            | Self::NoManifest { .. }
            | Self::AnotherPlugin { .. }
            | Self::AnotherVersion { .. }
            | Self::SeveralPlugins { .. }
            | Self::Manifest { .. }
            | Self::NoRecipe { .. }
            | Self::UnknownRecipe { .. }
            | Self::BuildIncomplete { .. } => 5,
        }
    }

    /// One line that says what to do, where something can be done.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Network { .. } => {
                Some("try again later, or install the bundled plugin: nself plugin install bundled/NAME".into())
            }
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } => {
                Some("the registry's document may be old: add --refresh; if it stays, tell the plugin's author".into())
            }
            Self::DigestMissing { name, .. } => {
                Some(format!("accept it unverified: nself plugin install {name} --verify warn"))
            }
            Self::NotGzip { .. } => Some("an author makes an archive with: nself plugin pack FOLDER".into()),
            Self::UnknownRecipe { .. } | Self::NoRecipe { .. } | Self::BuildIncomplete { .. } => {
                Some("an author can state an image in plugin.json: \"service\": {\"image\": \"…\"}".into())
            }
            Self::Io { .. }
            | Self::NoAddress { .. }
            | Self::Offline { .. }
            | Self::TooLarge { .. }
            | Self::Archive { .. }
            | Self::Entry { .. }
            | Self::NoManifest { .. }
            | Self::AnotherPlugin { .. }
            | Self::AnotherVersion { .. }
            | Self::SeveralPlugins { .. }
            | Self::Manifest { .. } => None,
        }
    }
}

/// Turns an [`io::Error`] into [`PackageError::Io`]; for `map_err`.
pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PackageError {
    let path = path.to_path_buf();
    move |source| PackageError::Io { action, path, source }
}
