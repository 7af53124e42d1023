//! The Docker Engine API: the only module that names bollard. Owns the connection, the calls in words of this
//! program, labels and container defaults; decides nothing about plugins.

mod check;
mod connect;
mod containers;
mod exec;
mod identity;
mod images;
mod info;
mod observe;
mod pause;

pub use connect::{Endpoint, OLDEST_API};
pub use containers::{ContainerSpec, ContainerState, ExitWatch, LogLine, Mount, PublishedPort, Restarts};
pub use exec::ExecOutput;
pub use identity::{EngineIdentity, MARKER_VOLUME, SameEngine};
pub use images::{Build, BuildNews, ImageFacts, ListedImage};
pub use info::EngineInfo;
pub use observe::{Observed, ObservedContainer, ObservedNetwork, OthersContainer, PortHolder};

use std::pin::Pin;
use std::sync::Arc;

use bollard::errors::Error as BollardError;

/// Labels that other tools rely on (design §7).
pub mod label {
    /// The plugin's name.
    pub const PLUGIN: &str = "org.nself.plugin";
    /// The plugin's version.
    pub const VERSION: &str = "org.nself.version";
    /// The project.
    pub const PROJECT: &str = "org.nself.project";
    /// The service inside the plugin; the main one has the plugin's name.
    pub const SERVICE: &str = "org.nself.service";
    /// The id of the installation (HOME) that made it.
    pub const HOME: &str = "org.nself.home";
    /// The archive's digest.
    pub const DIGEST: &str = "org.nself.digest";
    /// A digest over all that the container was configured with.
    pub const CONFIG_HASH: &str = "org.nself.config-hash";
    /// The transaction that made it.
    pub const TRANSACTION: &str = "org.nself.transaction";
    /// On the marker volume: the random word that identifies the engine.
    pub const ENGINE: &str = "org.nself.engine";
}

/// Why the engine could not be used, or what it refused.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("no Docker engine answers at `{endpoint}`: {reason}")]
    NotThere { endpoint: String, reason: String },
    #[error("this user may not use the Docker engine at `{endpoint}`")]
    NotPermitted { endpoint: String },
    #[error("the Docker engine at `{endpoint}` speaks API {version}; {OLDEST_API} or later is needed")]
    TooOld { endpoint: String, version: String },
    #[error("the Docker engine at `{endpoint}` is not on this machine, and ports are probed on this machine")]
    Remote { endpoint: String },
    #[error("the Docker context `{context}` cannot be used: {reason}")]
    Context { context: String, reason: String },
    #[error("could not {action}: {message}")]
    Failed { action: String, message: String, status: Option<u16> },
    /// Something that was there when it was looked for, an image or a network, is needed and gone.
    #[error("could not {action}: {message}")]
    Vanished { action: String, message: String },
    /// Another installation, or the user, created a container or network of this name at the same moment.
    #[error("the name `{name}` was taken by another installation at the same moment")]
    NameTaken { name: String },
    #[error("the Docker engine at `{endpoint}` stopped answering while this was tried: {action}")]
    Gone { endpoint: String, action: String },
}

impl EngineError {
    /// Whether it was found before anything changed.
    pub fn is_preflight(&self) -> bool {
        !matches!(self, Self::Failed { .. } | Self::Vanished { .. } | Self::Gone { .. })
    }

    /// Whether the engine said that the thing does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Failed { status: Some(404), .. })
    }

    /// What is not there although it was found a moment ago: told as [`EngineError::Vanished`], so that it is begun anew.
    #[must_use]
    pub fn if_vanished(self) -> Self {
        match self {
            Self::Failed { action, message, status: Some(404) } => Self::Vanished { action, message },
            other => other,
        }
    }

    /// The engine's refusal of a container's name that is in use.
    #[must_use]
    fn if_name_taken(self, name: &str) -> Self {
        match self {
            Self::Failed { message, status: Some(409), .. } if message.contains("container name") => {
                Self::NameTaken { name: name.to_owned() }
            }
            other => other,
        }
    }

    /// The command that helps.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotThere { .. } => {
                "start it: sudo systemctl start docker (or, from the sources: ./install.sh --with-docker)".into()
            }
            Self::NotPermitted { .. } => {
                "join the docker group: sudo usermod -aG docker \"$USER\" && newgrp docker".into()
            }
            Self::TooOld { .. } => "update the engine: sudo apt-get install docker.io".into(),
            Self::Remote { .. } => {
                "use this machine's engine: DOCKER_HOST=unix:///var/run/docker.sock nself plugin …".into()
            }
            Self::Context { .. } => "choose another: docker context use default".into(),
            Self::Gone { .. } => "start the engine again, then clean up with: nself plugin status".into(),
            Self::NameTaken { .. } => "use another project: nself plugin install … --project NAME".into(),
            Self::Vanished { .. } => "it was removed at this moment; run the same command again".into(),
            Self::Failed { .. } => return None,
        })
    }
}

/// A connection to an engine on this machine, its API version agreed.
#[derive(Debug, Clone)]
pub struct Docker {
    client: bollard::Docker,
    endpoint: Endpoint,
    remembered: Arc<identity::Remembered>,
}

impl Docker {
    /// Where the engine is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Waits for an answer no longer than any answer may take, body included. Boxed: the client's futures are large.
    fn call<'a, T: 'a>(
        &'a self,
        action: impl Into<String>,
        answer: impl Future<Output = Result<T, BollardError>> + Send + 'a,
    ) -> Pin<Box<dyn Future<Output = Result<T, EngineError>> + Send + 'a>> {
        let action = action.into();
        Box::pin(async move { self.call_stream(&action, answer).await?.map_err(self.failed(action)) })
    }

    /// The same for one item of an answer that comes in pieces.
    async fn call_stream<T>(&self, action: &str, item: impl Future<Output = T>) -> Result<T, EngineError> {
        let mute = |_| EngineError::Gone { endpoint: self.endpoint.to_string(), action: action.to_owned() };
        tokio::time::timeout(connect::CALL_DEADLINE, item).await.map_err(mute)
    }

    fn failed(&self, action: impl Into<String>) -> impl FnOnce(BollardError) -> EngineError {
        let endpoint = self.endpoint.to_string();
        let action = action.into();
        move |error| match error {
            BollardError::DockerResponseServerError { status_code, message } => {
                EngineError::Failed { action, message, status: Some(status_code) }
            }
            BollardError::DockerStreamError { error } => {
                EngineError::Failed { action, message: error.trim().to_owned(), status: None }
            }
            BollardError::HyperLegacyError { .. }
            | BollardError::HyperResponseError { .. }
            | BollardError::RequestTimeoutError
            | BollardError::IOError { .. }
            | BollardError::SocketNotFoundError(_) => EngineError::Gone { endpoint, action },
            other => EngineError::Failed { action, message: other.to_string(), status: None },
        }
    }
}

/// Turns "it was not there" and "it was so already" into success.
fn accept(result: Result<(), EngineError>, statuses: &[u16]) -> Result<bool, EngineError> {
    match result {
        Ok(()) => Ok(true),
        Err(EngineError::Failed { status: Some(status), .. }) if statuses.contains(&status) => Ok(false),
        Err(error) => Err(error),
    }
}
