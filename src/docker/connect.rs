//! Finding the engine: DOCKER_HOST, DOCKER_CONTEXT, the docker CLI's current context, the default socket, in the
//! docker CLI's own order; then the agreement on an API version.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::API_DEFAULT_VERSION;
use sha2::{Digest as _, Sha256};

use super::{Docker, EngineError};
use crate::name::Digest;
use crate::settings::DockerSettings;

/// The oldest API that every call here works with (engine 20.10 speaks 1.41; 19.03 speaks 1.40).
pub const OLDEST_API: &str = "1.40";

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// The longest that one call may take to answer; stopping a container waits for its grace time within it.
const CALL_DEADLINE: Duration = Duration::from_mins(2);

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket.
    Socket(PathBuf),
    /// Plain TCP on loopback, `host:port`.
    Loopback(String),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(formatter, "unix://{}", path.display()),
            Self::Loopback(address) => write!(formatter, "tcp://{address}"),
        }
    }
}

impl Endpoint {
    /// Finds the endpoint without touching it.
    pub fn find(settings: &DockerSettings) -> Result<Self, EngineError> {
        if let Some(host) = &settings.host {
            return Self::parse(host);
        }
        let named = settings.context.clone().or_else(|| current_context(&settings.config_dir));
        match named {
            Some(context) if context != "default" => Self::of_context(&settings.config_dir, &context),
            _ => Ok(Self::Socket(DEFAULT_SOCKET.into())),
        }
    }

    fn parse(host: &str) -> Result<Self, EngineError> {
        if let Some(path) = host.strip_prefix("unix://") {
            return Ok(Self::Socket(path.into()));
        }
        if let Some(address) = host.strip_prefix("tcp://").or_else(|| host.strip_prefix("http://")) {
            let address = address.trim_end_matches('/');
            let name = address.rsplit_once(':').map_or(address, |(name, _)| name);
            let is_loopback =
                name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
            if name == "localhost" || is_loopback {
                return Ok(Self::Loopback(address.to_owned()));
            }
        }
        Err(EngineError::Remote { endpoint: host.to_owned() })
    }

    fn of_context(config_dir: &Path, context: &str) -> Result<Self, EngineError> {
        let refused = |reason: String| EngineError::Context { context: context.to_owned(), reason };
        // The docker CLI keeps a context's metadata in a folder named by the sha256 of the context's name.
        let folder = Digest::from_bytes(Sha256::digest(context.as_bytes()).into()).to_hex();
        let path = config_dir.join("contexts/meta").join(folder).join("meta.json");
        let text = std::fs::read(&path).map_err(|error| refused(format!("`{}`: {error}", path.display())))?;
        let meta: serde_json::Value = serde_json::from_slice(&text).map_err(|error| refused(error.to_string()))?;
        let host = meta["Endpoints"]["docker"]["Host"].as_str().unwrap_or_default();
        if host.is_empty() {
            return Err(refused("it names no docker endpoint".into()));
        }
        Self::parse(host)
    }
}

fn current_context(config_dir: &Path) -> Option<String> {
    let text = std::fs::read(config_dir.join("config.json")).ok()?;
    let config: serde_json::Value = serde_json::from_slice(&text).ok()?;
    config["currentContext"].as_str().filter(|context| !context.is_empty()).map(ToOwned::to_owned)
}

impl Docker {
    /// Connects and agrees on an API version.
    pub async fn connect(settings: &DockerSettings) -> Result<Self, EngineError> {
        let endpoint = Endpoint::find(settings)?;
        check_reachable(&endpoint).await?;
        let seconds = CALL_DEADLINE.as_secs();
        let client = match &endpoint {
            Endpoint::Socket(path) => {
                bollard::Docker::connect_with_unix(&path.to_string_lossy(), seconds, API_DEFAULT_VERSION)
            }
            Endpoint::Loopback(address) => {
                bollard::Docker::connect_with_http(&format!("tcp://{address}"), seconds, API_DEFAULT_VERSION)
            }
        };
        let not_there = |reason: String| EngineError::NotThere { endpoint: endpoint.to_string(), reason };
        let client = client.map_err(|error| not_there(error.to_string()))?;
        let asked = tokio::time::timeout(Duration::from_secs(10), client.negotiate_version()).await;
        let client = asked
            .map_err(|_| not_there("it accepts connections but did not answer within 10 s".into()))?
            .map_err(|error| not_there(error.to_string()))?;
        let version = client.client_version();
        let oldest =
            OLDEST_API.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        if oldest.is_some_and(|oldest: (usize, usize)| (version.major_version, version.minor_version) < oldest) {
            return Err(EngineError::TooOld { endpoint: endpoint.to_string(), version: version.to_string() });
        }
        Ok(Self { client, endpoint })
    }
}

/// Opens the socket once, because the kernel's answer tells "absent" from "not permitted" and bollard's does not.
async fn check_reachable(endpoint: &Endpoint) -> Result<(), EngineError> {
    let opened = match endpoint {
        Endpoint::Socket(path) => tokio::net::UnixStream::connect(path).await.map(drop),
        Endpoint::Loopback(address) => tokio::net::TcpStream::connect(address).await.map(drop),
    };
    opened.map_err(|error| {
        let endpoint = endpoint.to_string();
        match error.kind() {
            io::ErrorKind::PermissionDenied => EngineError::NotPermitted { endpoint },
            io::ErrorKind::NotFound => EngineError::NotThere { endpoint, reason: "there is no such socket".into() },
            io::ErrorKind::ConnectionRefused => {
                EngineError::NotThere { endpoint, reason: "nothing listens there".into() }
            }
            _ => EngineError::NotThere { endpoint, reason: error.to_string() },
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(host: Option<&str>, context: Option<&str>, config_dir: &Path) -> DockerSettings {
        DockerSettings {
            host: host.map(ToOwned::to_owned),
            context: context.map(ToOwned::to_owned),
            config_dir: config_dir.to_path_buf(),
        }
    }

    #[test]
    fn docker_host_goes_before_the_context_and_the_context_before_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let digest = Digest::from_bytes(Sha256::digest(b"lab").into()).to_hex();
        let meta = folder.path().join("contexts/meta").join(digest);
        std::fs::create_dir_all(&meta).unwrap();
        std::fs::write(meta.join("meta.json"), r#"{"Endpoints":{"docker":{"Host":"unix:///lab.sock"}}}"#).unwrap();
        std::fs::write(folder.path().join("config.json"), r#"{"currentContext":"lab"}"#).unwrap();

        let find = |host, context| Endpoint::find(&settings(host, context, folder.path())).unwrap().to_string();
        assert_eq!(find(Some("unix:///own.sock"), Some("lab")), "unix:///own.sock");
        assert_eq!(find(None, Some("default")), "unix:///var/run/docker.sock");
        assert_eq!(find(None, None), "unix:///lab.sock");
        assert_eq!(find(Some("tcp://127.0.0.1:2375"), None), "tcp://127.0.0.1:2375");
    }

    #[test]
    fn an_engine_on_another_machine_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for host in ["tcp://192.0.2.1:2375", "ssh://user@server", "tcp://127.evil.example:1"] {
            let found = Endpoint::find(&settings(Some(host), None, folder.path()));
            assert!(matches!(found, Err(EngineError::Remote { .. })), "{host}");
        }
    }
}
