//! Finding the engine: DOCKER_HOST, DOCKER_CONTEXT, the docker CLI's current context, the default socket, in the
//! docker CLI's own order; then the agreement on an API version.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, ClientVersion};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Docker, EngineError};
use crate::name::Digest;
use crate::settings::DockerSettings;

/// The oldest API that every call here works with (engine 20.10 speaks 1.41; 19.03 speaks 1.40).
pub const OLDEST_API: &str = "1.40";

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// How long the engine may take to say that it is there.
const PING_DEADLINE: Duration = Duration::from_secs(10);
/// The longest that one call may take to answer; stopping a container waits for its grace time within it.
pub(super) const CALL_DEADLINE: Duration = Duration::from_mins(2);

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

    /// What decided on the endpoint, in words.
    pub fn chosen_by(settings: &DockerSettings) -> String {
        if settings.host.is_some() {
            return "DOCKER_HOST".to_owned();
        }
        match settings.context.clone().or_else(|| current_context(&settings.config_dir)) {
            Some(context) => format!("the Docker context `{}`", crate::name::shown(&context)),
            None => "the default context".to_owned(),
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
    /// Connects and agrees on an API version: the engine's own, or the latest that bollard knows.
    pub async fn connect(settings: &DockerSettings) -> Result<Self, EngineError> {
        let endpoint = Endpoint::find(settings)?;
        let offered =
            tokio::time::timeout(PING_DEADLINE, ping(&endpoint)).await.map_err(|_| EngineError::NotThere {
                endpoint: endpoint.to_string(),
                reason: format!("it accepts connections but did not answer within {} s", PING_DEADLINE.as_secs()),
            })??;
        let version = agree(&offered).ok_or_else(|| EngineError::TooOld {
            endpoint: endpoint.to_string(),
            version: crate::name::shown(&offered),
        })?;
        let seconds = CALL_DEADLINE.as_secs();
        let client = match &endpoint {
            Endpoint::Socket(path) => bollard::Docker::connect_with_unix(&path.to_string_lossy(), seconds, &version),
            Endpoint::Loopback(address) => {
                bollard::Docker::connect_with_http(&format!("tcp://{address}"), seconds, &version)
            }
        };
        let client = client
            .map_err(|error| EngineError::NotThere { endpoint: endpoint.to_string(), reason: error.to_string() })?;
        Ok(Self { client, endpoint, remembered: std::sync::Arc::default() })
    }
}

/// The version to speak, `None` when the engine's is older than [`OLDEST_API`].
fn agree(offered: &str) -> Option<ClientVersion> {
    let read = |version: &str| -> Option<(usize, usize)> {
        let (major, minor) = version.trim().split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    let offered = read(offered).filter(|offered| read(OLDEST_API).is_some_and(|oldest| *offered >= oldest))?;
    let latest = (API_DEFAULT_VERSION.major_version, API_DEFAULT_VERSION.minor_version);
    let (major_version, minor_version) = offered.min(latest);
    Some(ClientVersion { major_version, minor_version })
}

/// Asks `/_ping` for the engine's API version (Docker Engine API, "Ping"). `/version`, which bollard negotiates by,
/// makes the engine run other programs to ask for theirs, which takes it tens of milliseconds.
async fn ping(endpoint: &Endpoint) -> Result<String, EngineError> {
    let no_engine = |reason: String| EngineError::NotThere { endpoint: endpoint.to_string(), reason };
    let answer = request(endpoint, Method::GET, "/_ping", None).await.map_err(|error| match error {
        RequestError::Connect(error) => unreachable(endpoint, &error),
        RequestError::Http(error) => no_engine(format!("what answers there is no Docker engine: {error}")),
    })?;
    let version = answer.headers().get("api-version").and_then(|value| value.to_str().ok());
    version
        .map(ToOwned::to_owned)
        .ok_or_else(|| no_engine(format!("what answers there ({}) tells no API version", answer.status())))
}

impl Docker {
    /// Posts JSON that bollard cannot say; an answer other than success is an error with the engine's message.
    pub(super) async fn post(&self, path: &str, body: &serde_json::Value, action: &str) -> Result<(), EngineError> {
        let path = format!("/v{}{path}", self.client.client_version());
        let gone = || EngineError::Gone { endpoint: self.endpoint.to_string(), action: action.to_owned() };
        let asked = async {
            let answer = request(&self.endpoint, Method::POST, &path, Some(body.to_string().into())).await;
            let answer = answer.map_err(|_| gone())?;
            let status = answer.status();
            let body = answer.into_body().collect().await.map_err(|_| gone())?.to_bytes();
            if status.is_success() {
                return Ok(());
            }
            let told: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            let message = told["message"].as_str().unwrap_or("no reason given").to_owned();
            Err(EngineError::Failed { action: action.to_owned(), message, status: Some(status.as_u16()) })
        };
        self.call_stream(action, asked).await?
    }
}

/// Why a request of our own came to nothing.
pub(super) enum RequestError {
    Connect(io::Error),
    Http(String),
}

/// One request on a connection of its own, for what bollard does not let see: an answer's headers. It returns when the
/// headers are there; the connection lives as long as the answer's body is wanted. A body is JSON.
pub(super) async fn request(
    endpoint: &Endpoint,
    method: Method,
    path: &str,
    body: Option<Bytes>,
) -> Result<Response<Incoming>, RequestError> {
    match endpoint {
        Endpoint::Socket(socket) => {
            let stream = tokio::net::UnixStream::connect(socket).await.map_err(RequestError::Connect)?;
            send(stream, method, path, body).await
        }
        Endpoint::Loopback(address) => {
            let stream = tokio::net::TcpStream::connect(address).await.map_err(RequestError::Connect)?;
            send(stream, method, path, body).await
        }
    }
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    method: Method,
    path: &str,
    body: Option<Bytes>,
) -> Result<Response<Incoming>, RequestError> {
    let broken = |error: hyper::Error| RequestError::Http(error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ends by itself when the answer was read or dropped.
    tokio::spawn(connection);
    let request = hyper::Request::builder()
        .method(method)
        .uri(path)
        .header(hyper::header::HOST, "docker")
        .header(hyper::header::CONTENT_TYPE, "application/json")
        .body(Full::new(body.unwrap_or_default()))
        .map_err(|error| RequestError::Http(error.to_string()))?;
    sender.send_request(request).await.map_err(broken)
}

/// The kernel's answer tells "absent" from "not permitted".
fn unreachable(endpoint: &Endpoint, error: &io::Error) -> EngineError {
    let endpoint = endpoint.to_string();
    match error.kind() {
        io::ErrorKind::PermissionDenied => EngineError::NotPermitted { endpoint },
        io::ErrorKind::NotFound => EngineError::NotThere { endpoint, reason: "there is no such socket".into() },
        io::ErrorKind::ConnectionRefused => EngineError::NotThere { endpoint, reason: "nothing listens there".into() },
        _ => EngineError::NotThere { endpoint, reason: error.to_string() },
    }
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
    fn the_older_of_both_versions_is_spoken_and_too_old_ones_are_refused() {
        let spoken = |offered| agree(offered).map(|version| version.to_string());
        assert_eq!(spoken("1.41").as_deref(), Some("1.41"));
        assert_eq!(spoken("1.999").as_deref(), Some(API_DEFAULT_VERSION.to_string().as_str()));
        for refused in ["1.39", "1.24", "0.99", "", "new"] {
            assert_eq!(spoken(refused), None, "{refused}");
        }
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
