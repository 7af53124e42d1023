//! Why an update of the program itself failed.

use semver::Version;

use crate::http::HttpError;

/// Each variant has its exit code: 6, 5, 4 and 1.
#[derive(Debug, thiserror::Error)]
pub enum SelfUpdateError {
    /// Another tool owns the program, or nothing says who does.
    #[error("could not update {program}: {cause}")]
    Owner { program: String, cause: String, hint: String },
    /// A release that is not what its publisher signed.
    #[error("could not verify {what}: {cause}")]
    Verification { what: String, cause: String },
    /// The releases could not be had.
    #[error("could not get {url}: it {source}")]
    Network { url: String, source: HttpError },
    /// A verified release could not be put in place.
    #[error("could not install nself {version}: {cause}")]
    Install { version: Version, cause: String },
}

impl SelfUpdateError {
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Owner { .. } => 6,
            Self::Verification { .. } => 5,
            Self::Network { .. } => 4,
            Self::Install { .. } => 1,
        }
    }

    /// A stable identifier for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Owner { .. } => "self_update.owner",
            Self::Verification { .. } => "self_update.verification",
            Self::Network { .. } => "network",
            Self::Install { .. } => "self_update.install",
        }
    }

    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Owner { hint, .. } => hint.clone(),
            Self::Verification { .. } => {
                "nothing was changed; NSELF_RELEASES and NSELF_RELEASE_KEY choose the releases and the key to trust"
                    .into()
            }
            Self::Network { .. } => {
                "nothing was changed; check the network, or choose a mirror with NSELF_RELEASES=ADDRESS".into()
            }
            Self::Install { .. } => "the previous program is still in place; try again: nself self-update".into(),
        })
    }
}
