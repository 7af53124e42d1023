//! The bundled notifications plugin as it is installed, driven over HTTP, with a real mail server on this machine. Needs
//! what `tests/run.sh` makes: the bundled registry (NSELF_TEST_BUNDLE), Node and Debian's python3-aiosmtpd.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{Engine, Sandbox, ask, free_port, node_client, passes, printed_host};

/// The API key of the installed plugin: power over templates, broadcasts and webhooks needs it.
const KEY: &str = "the key of the notifications tests";
/// The largest image, in bytes.
const LARGEST_IMAGE: u64 = 30_000_000;

/// A sandbox beside which the bundled registry is installed, and the port that notifications gets.
fn sandbox() -> (Sandbox, u16) {
    let port = free_port();
    let sandbox = Sandbox::new().bundled().with("NOTIFICATIONS_PORT", port.to_string());
    (sandbox.with("NOTIFICATIONS_API_KEY", KEY), port)
}

/// A mail server that containers reach under the engine's own address.
struct Sink {
    process: Child,
    host: String,
    port: u16,
}

impl Sink {
    fn start(output: &Path) -> Self {
        let bridge = Engine::request("GET", "/networks/bridge", None).1;
        let host = gateway_of(&bridge["IPAM"]["Config"][0]);
        let port = free_port();
        let mut process = Command::new("/usr/bin/python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/smtp_sink.py"))
            .arg(output)
            .args(["--host", &host, "--port", &port.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is there");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("listening"), "the mail server needs Debian's python3-aiosmtpd");
        Self { process, host, port }
    }
}

/// The engine's own address on a network. An engine that was started for the first time reports the subnet alone, and takes
/// its first address.
fn gateway_of(config: &Value) -> String {
    if let Some(gateway) = config["Gateway"].as_str() {
        return gateway.to_owned();
    }
    let subnet = config["Subnet"].as_str().expect("the engine has its bridge");
    let network: std::net::Ipv4Addr = subnet.split('/').next().unwrap().parse().unwrap();
    std::net::Ipv4Addr::from(u32::from(network) + 1).to_string()
}

#[test]
fn a_bridge_without_a_gateway_has_the_first_address_of_its_subnet() {
    assert_eq!(gateway_of(&serde_json::json!({ "Subnet": "172.17.0.0/16" })), "172.17.0.1");
    let told = serde_json::json!({ "Subnet": "172.17.0.0/16", "Gateway": "172.17.0.9" });
    assert_eq!(gateway_of(&told), "172.17.0.9");
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn json_at(port: u16, path: &str) -> Value {
    let (status, body) = ask(port, path);
    assert_eq!(status, 200, "{path}: {body}");
    // The body may come in chunks of its own; these answers do not.
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

#[test]
fn an_app_sends_through_the_installed_plugin_and_its_data_outlives_a_removal() {
    let (sandbox, port) = sandbox();
    let mails = sandbox.path("mails");
    let sink = Sink::start(&mails);
    let sandbox = sandbox
        .with("NOTIFICATIONS_SMTP_HOST", &sink.host)
        .with("NOTIFICATIONS_SMTP_PORT", sink.port.to_string())
        .with("NOTIFICATIONS_RETRY_DELAY", "200");
    sandbox.plugin(&["install", "notifications"]).ok().answers(&[
        "(from bundled) is installed and healthy",
        &format!("http://{}:{port}", printed_host("notifications.localhost")),
    ]);
    let base = format!("http://127.0.0.1:{port}");
    let mut app = node_client("notifications.mjs", &[&base, &mails.display().to_string()]);
    app.env("NOTIFICATIONS_API_KEY", KEY);
    passes(app, "an app", 22);

    let before = json_at(port, "/api/stats/delivery?days=1");
    assert!(before["stats"].as_array().is_some_and(|stats| !stats.is_empty()), "{before}");
    sandbox.plugin(&["remove", "notifications"]).ok();
    sandbox.plugin(&["install", "notifications"]).ok();
    assert_eq!(json_at(port, "/api/stats/delivery?days=1"), before);
    sandbox.plugin(&["remove", "notifications"]).ok();
}

#[test]
fn the_image_is_small_runs_without_privileges_and_writes_to_its_volume_alone() {
    let (sandbox, port) = sandbox();
    sandbox.plugin(&["install", "notifications"]).ok();
    assert_eq!(json_at(port, "/health")["status"], "healthy");
    sandbox.assert_bare("notifications", LARGEST_IMAGE, &["notifications"]);
    let container = sandbox.container("notifications").unwrap();
    let mounts = container["Mounts"].as_array().unwrap();
    assert!(mounts.iter().any(|mount| mount["Type"] == "volume" && mount["Destination"] == "/data"), "{mounts:?}");
    sandbox.plugin(&["remove", "notifications"]).ok();
}
