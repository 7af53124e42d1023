//! `logs`: the last lines, and following.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Package, Sandbox, ask, wait_until};

/// Long enough for the program to begin to follow, and for a line to reach it, on a machine that is busy with much else.
const FOLLOWS: Duration = Duration::from_secs(4);

fn installed() -> (Sandbox, Package) {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ok();
    (sandbox, package)
}

#[test]
fn the_last_lines_are_shown() {
    let (sandbox, package) = installed();
    sandbox.plugin(&["logs", &package.name]).ok().answers(&["probe starts in mode \"ok\""]);
    for number in 1..=5 {
        ask(package.number(), &format!("/log/line-{number}"));
    }
    // From the container to the engine's log it takes a moment.
    wait_until("the last line is in the log", Duration::from_secs(20), || {
        sandbox.plugin(&["logs", &package.name, "-n", "1"]).ok().stdout.contains("line-5")
    });
    let outcome = sandbox.plugin(&["logs", &package.name, "-n", "2"]).ok();
    assert_eq!(outcome.stdout, "line-4\nline-5\n", "{outcome}");
    let document = sandbox.plugin(&["logs", &package.name, "-n", "1", "--json"]).ok().json();
    assert_eq!(document["lines"], serde_json::json!([{ "stream": "stdout", "text": "line-5" }]));
}

#[test]
fn following_goes_on_until_ctrl_c() {
    let (sandbox, package) = installed();
    let running = sandbox.start(&["plugin", "logs", &package.name, "-f"]);
    std::thread::sleep(FOLLOWS);
    ask(package.number(), "/log/while-it-follows");
    std::thread::sleep(FOLLOWS);
    running.signal(Signal::INT);
    let outcome = running.wait().answers(&["probe starts", "while-it-follows"]);
    assert!(matches!(outcome.code, 0 | 130), "{outcome}");
}

#[test]
fn following_with_json_gives_a_document_a_line() {
    let (sandbox, package) = installed();
    let running = sandbox.start(&["plugin", "logs", &package.name, "-f", "--json"]);
    std::thread::sleep(FOLLOWS);
    running.signal(Signal::INT);
    let outcome = running.wait();
    let first: serde_json::Value = serde_json::from_str(outcome.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(first["schema"], "nself.plugin.log-line/1", "{outcome}");
    for line in outcome.stdout.lines() {
        let document: Result<serde_json::Value, _> = serde_json::from_str(line);
        assert!(document.is_ok(), "each line is a document: {line}\n{outcome}");
    }
}
