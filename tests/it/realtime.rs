//! The bundled realtime plugin as it is installed, driven by the real npm client. Needs what `tests/run.sh` makes: the
//! bundled registry (NSELF_TEST_BUNDLE), Node and the modules of `tests/clients`; and Debian's redis-tools, curl and promtool.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::{Sandbox, State, bundle, free_port, node_client, passes, printed_host};

/// The largest program that is shipped, in bytes.
const LARGEST_PROGRAM: u64 = 16_000_000;
/// The largest realtime image, in bytes.
const LARGEST_IMAGE: u64 = 25_000_000;

const KEY: &str = "the key of this test";

fn sandbox() -> (Sandbox, u16) {
    let port = free_port();
    // What the client expects; the usual three seconds may pass between two of its steps on a busy machine.
    let sandbox = Sandbox::new().bundled().with("REALTIME_TYPING_TIMEOUT", "10000");
    (sandbox.with("REALTIME_PORT", port.to_string()).with("REALTIME_API_KEY", KEY), port)
}

#[test]
fn the_real_client_finds_realtime_as_its_page_says() {
    let (sandbox, port) = sandbox();
    sandbox
        .plugin(&["install", "realtime"])
        .ok()
        .answers(&[
            "(from bundled) is installed and healthy",
            &format!("http://{}:{port}", printed_host("realtime.localhost")),
        ])
        .answers(&["made at random and kept: REALTIME_JWT_SECRET"]);
    let secret = sandbox.plugin(&["config", "realtime", "get", "REALTIME_JWT_SECRET", "--reveal"]).ok().stdout;
    let mut client = node_client("realtime.mjs", &[&format!("http://127.0.0.1:{port}")]);
    client.env("REALTIME_JWT_SECRET", secret.trim()).env("REALTIME_API_KEY", KEY);
    passes(client, "the npm client", 54);
    sandbox.plugin(&["logs", "realtime"]).ok().hides(&[secret.trim()]);
    sandbox.plugin(&["remove", "realtime"]).ok();
    State::of(&sandbox).assert_tidy(&"after the removal");
}

#[test]
fn two_servers_over_redis_are_one_and_go_on_without_it() {
    let program = bundle().with_file_name("release").join("realtime");
    let client = node_client("realtime-two.mjs", &[program.to_str().unwrap()]);
    passes(client, "two servers, a Redis and the npm client", 27);
}

#[test]
fn promtool_complains_of_nothing_but_names_that_the_founding_document_fixes() {
    let (sandbox, port) = sandbox();
    sandbox.plugin(&["install", "realtime"]).ok();
    let metrics = Command::new("curl").args(["-fsS", &format!("http://127.0.0.1:{port}/metrics")]).output().unwrap();
    assert!(metrics.status.success(), "{metrics:?}");
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Debian's package prometheus holds promtool");
    promtool.stdin.take().unwrap().write_all(&metrics.stdout).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let said = [said.stdout, said.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let fixed = ["realtime_connections_total ", "realtime_latency_ms "];
    let others: Vec<_> =
        said.lines().filter(|line| !line.is_empty() && !fixed.iter().any(|name| line.starts_with(name))).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn the_image_holds_the_server_and_its_libraries_and_nothing_else() {
    let (sandbox, _) = sandbox();
    sandbox.plugin(&["install", "realtime"]).ok();
    sandbox.assert_bare("realtime", LARGEST_IMAGE, &["realtime"]);
}

#[test]
fn the_program_keeps_its_size() {
    let program = bundle().with_file_name("release").join("nself");
    let size = std::fs::metadata(&program).unwrap_or_else(|error| panic!("{}: {error}", program.display())).len();
    assert!(size <= LARGEST_PROGRAM, "{} has {size} bytes", program.display());
}
