//! The bundled jobs plugin as it is installed, with the bundled Redis, driven by the real npm client and a real browser.
//! Needs what `tests/run.sh` makes: the bundled registry (NSELF_TEST_BUNDLE), Node and the modules of `tests/clients`.

use crate::support::{Sandbox, State, free_port, node_client, passes, printed_host};

/// The largest jobs image, in bytes.
const LARGEST_IMAGE: u64 = 30_000_000;

/// The ports on the host that one installation gets.
struct Ports {
    http: u16,
    dashboard: u16,
    redis: u16,
}

fn sandbox() -> (Sandbox, Ports) {
    let ports = Ports { http: free_port(), dashboard: free_port(), redis: free_port() };
    let sandbox = Sandbox::new()
        .bundled()
        .with("JOBS_PORT", ports.http.to_string())
        .with("JOBS_DASHBOARD_PORT", ports.dashboard.to_string())
        .with("REDIS_PORT", ports.redis.to_string())
        // The jobs of the checks call the server itself.
        .with("JOBS_ALLOWED_HOSTS", "127.0.0.1");
    (sandbox, ports)
}

#[test]
fn npms_bullmq_and_a_browser_find_jobs_as_its_page_says() {
    let (sandbox, ports) = sandbox();
    sandbox
        .plugin(&["install", "jobs"])
        .ok()
        .answers(&[
            "(from bundled) is installed and healthy",
            &format!("http://{}:{}", printed_host("jobs.localhost"), ports.http),
        ])
        .answers(&[&format!("http://{}:{}", printed_host("queues.localhost"), ports.dashboard)]);
    let reveal = ["config", "jobs", "get", "JOBS_DASHBOARD_PASSWORD", "--reveal"];
    let password = sandbox.plugin(&reveal).ok().stdout.trim().to_owned();
    assert!(password.len() >= 16, "no password was made");
    let key = sandbox.plugin(&["config", "jobs", "get", "JOBS_API_KEY", "--reveal"]).ok().stdout.trim().to_owned();
    let base = format!("http://127.0.0.1:{}", ports.http);
    let dashboard = format!("http://127.0.0.1:{}", ports.dashboard);
    let redis = sandbox.server_variable("REDIS_URL");
    // The last is where it listens inside of its container.
    for (package, checks) in [("bullmq", 26), ("bullmq6", 25)] {
        let mut client = node_client("jobs.mjs", &[&base, &redis, "http://127.0.0.1:3105"]);
        client.env("BULLMQ", package).env("JOBS_API_KEY", &key);
        passes(client, package, checks);
    }
    let mut browser = node_client("dashboard.mjs", &[&dashboard, &base]);
    browser.env("JOBS_DASHBOARD_PASSWORD", &password);
    passes(browser, "Chromium", 17);
    sandbox.plugin(&["logs", "jobs"]).ok().hides(&[password.as_str()]);
    sandbox.plugin(&["remove", "jobs", "redis", "--delete-data", "--yes"]).ok();
    State::of(&sandbox).assert_tidy(&"after the removal");
}

#[test]
fn the_jobs_image_holds_the_server_and_its_libraries_and_nothing_else() {
    let (sandbox, _) = sandbox();
    sandbox.plugin(&["install", "jobs"]).ok();
    sandbox.assert_bare("jobs", LARGEST_IMAGE, &["jobs"]);
}
