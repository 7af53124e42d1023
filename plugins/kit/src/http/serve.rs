//! Runs a plugin: environment, log, listener, connections, and the orderly stop.

use std::fmt::Display;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::router::{Plugin, router};
use crate::settings::{ConfigurationError, Environment, prefix};
use crate::telemetry;

/// A client that has not sent its request's head by then is let go.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// Connections that a second router takes at a time.
const BESIDE_CONNECTIONS: usize = 256;
/// How long accepting pauses when the system refuses another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long requests of a second router may take to end.
const BESIDE_WITHIN: Duration = Duration::from_secs(2);

/// The address that a connection comes from, as an extension of its requests.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Why a plugin did not start.
#[derive(Debug)]
pub enum StartError {
    /// A setting cannot be used.
    Configuration(ConfigurationError),
    /// The system refused something, such as the port.
    System(String, std::io::Error),
}

impl Display for StartError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Configuration(error) => error.fmt(formatter),
            Self::System(doing, error) => write!(formatter, "{doing}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<ConfigurationError> for StartError {
    fn from(error: ConfigurationError) -> Self {
        Self::Configuration(error)
    }
}

/// A plugin's whole `main`: builds it from the environment and serves it until a signal comes.
/// Failure is logged and becomes exit code 1.
pub fn run<B, F>(build: B) -> ExitCode
where
    B: FnOnce(Environment) -> F,
    F: Future<Output = Result<Plugin, ConfigurationError>>,
{
    let environment = Environment::from_process();
    let log = telemetry::start_log(&environment);
    let result = log.map_err(StartError::from).and_then(|()| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StartError::System("starting the runtime failed".to_owned(), error))?;
        let result = runtime.block_on(async {
            let plugin = build(environment.clone()).await?;
            warn_of_unknown(&environment, plugin.name);
            serve(plugin).await
        });
        // What still runs was given its time already.
        runtime.shutdown_background();
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Warns of variables that look like the plugin's own and have no effect.
fn warn_of_unknown(environment: &Environment, plugin: &str) {
    for (name, nearest) in environment.unknown(&prefix(plugin)) {
        let hint = nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"));
        tracing::warn!("`{name}` is set but has no effect{hint}");
    }
}

async fn serve(plugin: Plugin) -> Result<(), StartError> {
    let router = router(&plugin);
    let address = plugin.settings.address;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| StartError::System(format!("listening on {address} failed"), error))?;
    let stop = stop_signal().map_err(|error| StartError::System("listening for signals failed".to_owned(), error))?;
    tracing::info!(plugin = plugin.name, version = plugin.version, %address, "listening");
    let (connections, watcher) = watch::channel(());
    let most = plugin.settings.max_connections;
    accept_until(stop, (&listener, most), &router, &watcher).await;
    drop((listener, watcher));
    tracing::info!("stopping");
    let drained = async {
        plugin.on_stop.await;
        // Each connection holds a receiver: it finishes its request, then drops it.
        let _ = connections.send(());
        connections.closed().await;
    };
    if tokio::time::timeout(plugin.settings.stop_within, drained).await.is_ok() {
        tracing::info!("stopped");
    } else {
        tracing::warn!("stopped with requests still open");
    }
    Ok(())
}

/// Serves a second router beside the plugin's own, such as a page on another port, until `stop` completes; then
/// requests that are open get a moment to end.
pub async fn serve_beside(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let (connections, watcher) = watch::channel(());
    accept_until(stop, (&listener, BESIDE_CONNECTIONS), &router, &watcher).await;
    drop((listener, watcher));
    let _ = connections.send(());
    let _ = tokio::time::timeout(BESIDE_WITHIN, connections.closed()).await;
}

async fn accept_until(
    stop: impl Future<Output = ()>,
    (listener, most): (&TcpListener, usize),
    router: &Router,
    stopping: &watch::Receiver<()>,
) {
    let mut stop = pin!(stop);
    let places = Arc::new(Semaphore::new(most));
    loop {
        // Further connections wait in the system's queue.
        let accepted = tokio::select! {
            () = &mut stop => return,
            accepted = accept(listener, &places) => accepted,
        };
        match accepted {
            Ok((place, stream, peer)) => {
                let connection = serve_connection((stream, peer), router.clone(), stopping.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    let place = places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((place, stream, peer))
}

async fn serve_connection((stream, peer): (TcpStream, SocketAddr), router: Router, mut stopping: watch::Receiver<()>) {
    // Small messages must not wait for an acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Completes at the first SIGTERM or SIGINT; the handlers stand once this returns.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_second_router_answers_until_its_stop() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().route("/", axum::routing::get(async || "beside"));
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(serve_beside(listener, router, async {
            let _ = stopped.await;
        }));
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("beside"), "{answer}");
        stop.send(()).expect("it waits for the stop");
        serving.await.expect("it ends");
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn handlers_and_checks_see_who_is_connected() {
        use crate::http::{Class, Routes};
        use crate::settings::Settings;

        let environment = Environment::from_pairs([("HOST", "127.0.0.1")]);
        let settings = Settings::read(&environment, "sample", 1, 1024).expect("legal settings");
        let ordinary = Router::new().route("/", axum::routing::get(async || "in"));
        let router = Routes::new().group(Class::Ordinary, ordinary).into_router();
        let router = router.layer(axum::Extension(Arc::new(settings.access)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(serve_beside(listener, router, std::future::pending()));
        for (head, status) in [
            (format!("host: {address}"), "200"),
            ("host: rebind.example".to_owned(), "403"),
            (format!("host: {address}\r\norigin: http://evil.example"), "403"),
            (format!("host: {address}\r\nx-forwarded-for: 203.0.113.9"), "401"),
        ] {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            let request = format!("GET / HTTP/1.1\r\n{head}\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.expect("it reads");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("it answers");
            assert_eq!(answer.split(' ').nth(1), Some(status), "{head}: {answer}");
        }
    }
}
