//! Who may call the bundled plugins after a default installation: this machine's programs, the application's own pages,
//! and nobody else without a key. Needs the bundled registry (NSELF_TEST_BUNDLE).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Sandbox, free_port};

/// A plugin, the variable of its port, an ordinary route to read and a route with power over others to call.
const PLUGINS: [(&str, &str, &str, &str); 4] = [
    ("realtime", "REALTIME_PORT", "/poll?channelId=general&since=0", "POST /api/broadcast"),
    ("notifications", "NOTIFICATIONS_PORT", "/history/ann", "PUT /templates/password_reset"),
    ("jobs", "JOBS_PORT", "/jobs", "POST /queues/default/pause"),
    ("file-processing", "FILE_PROCESSING_PORT", "/api/jobs/none", "DELETE /files/none"),
];

/// Sends a request with these headers; returns the status, and the head of the answer in lower case.
fn request(port: u16, line: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the plugin listens");
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let host = if headers.contains("Host:") { "" } else { "Host: localhost\r\n" };
    let body = if line.starts_with("GET") { "" } else { "Content-Type: application/json\r\nContent-Length: 2\r\n" };
    let text = if line.starts_with("GET") { "" } else { "{}" };
    let request = format!("{line} HTTP/1.1\r\n{host}{headers}{body}Connection: close\r\n\r\n{text}");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    let head = answer.split("\r\n\r\n").next().unwrap_or_default().to_owned();
    let status = head.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    (status.unwrap_or_else(|| panic!("{line}: {answer}")), head)
}

#[test]
fn a_default_installation_is_closed_to_strangers_and_open_to_the_application() {
    let ports: Vec<u16> = PLUGINS.iter().map(|_| free_port()).collect();
    let mut sandbox = Sandbox::new()
        .bundled()
        .with("JOBS_DASHBOARD_PORT", free_port().to_string())
        .with("REDIS_PORT", free_port().to_string());
    for ((_, variable, ..), port) in PLUGINS.iter().zip(&ports) {
        sandbox.set(variable, port.to_string());
    }
    sandbox.plugin(&["install", "--core-only"]).ok();
    for ((name, _, read, power), port) in PLUGINS.into_iter().zip(ports) {
        let read = format!("GET {read}");
        let own = "Origin: http://localhost:3000\r\n";
        for allowed in ["", own] {
            let (status, head) = request(port, &read, allowed);
            assert!(!matches!(status, 401 | 403), "{name} {read} {allowed}: {head}");
        }
        let (_, head) = request(port, &read, own);
        assert!(head.contains("access-control-allow-origin: http://localhost:3000"), "{name}: {head}");
        for refused in [
            "Origin: https://evil.example\r\n",
            "Origin: null\r\n",
            "Sec-Fetch-Site: cross-site\r\n",
            "Host: rebind.evil.example\r\n",
            "X-Forwarded-For: 203.0.113.9\r\n",
            "X-API-Key: guessed\r\n",
        ] {
            let (status, head) = request(port, &read, refused);
            assert!(matches!(status, 401 | 403), "{name} {read} {refused}: {head}");
            assert!(!head.contains("evil.example"), "{name} {refused}: {head}");
        }
        for caller in ["", own, "Origin: https://evil.example\r\n"] {
            let (status, head) = request(port, power, caller);
            assert!(matches!(status, 401 | 403), "{name} {power} {caller}: {head}");
        }
        let words =
            ["config", name, "get", &format!("{}_API_KEY", name.to_ascii_uppercase().replace('-', "_")), "--reveal"];
        let key = sandbox.plugin(&words).ok().stdout.trim().to_owned();
        let (status, head) = request(port, power, &format!("X-API-Key: {key}\r\n"));
        assert!(!matches!(status, 401 | 403), "{name} {power} with its key: {head}");
        assert_eq!(request(port, "GET /health", "Host: rebind.evil.example\r\n").0, 200, "{name}: probes are open");
    }
}
