//! Health: what keeps a plugin from being kept, and how soon that is known.

use std::time::Duration;

use serde_json::json;

use crate::support::{Package, Sandbox, State};

/// Installs a sick package and asserts that nothing is left of it.
fn sick(package: &Package, timeout: &str, words: &[&str]) -> crate::support::Outcome {
    let sandbox = Sandbox::new();
    package.folder(&sandbox.work());
    let before = State::of(&sandbox);
    let place = format!("./{}", package.name);
    let outcome = sandbox.plugin(&["install", &place, "--timeout", timeout]).ends_with(7).says(words);
    before.assert_unchanged(&sandbox, &outcome);
    outcome
}

#[test]
fn a_container_that_exits_ends_the_wait_at_once_with_its_last_words() {
    let package = Package::new("probe").mode("die");
    let outcome = sick(
        &package,
        "60s",
        &["did not become healthy: its container exited with code 3", "| the probe cannot go on: ", "hint:"],
    )
    .hides(&["\u{1b}"]);
    assert!(outcome.took < Duration::from_secs(55), "the deadline of 60 s is not waited for\n{outcome}");
}

#[test]
fn secrets_that_a_plugin_logs_are_not_shown() {
    let package = Package::new("probe").mode("die").edit(|manifest| {
        manifest["env"] = json!({ "optional": [
            { "name": "PROBE_SECRET", "default": "canary-hunter2", "secret": true },
        ] });
    });
    sick(&package, "60s", &["with secret ***"]).hides(&["canary-hunter2"]);
}

#[test]
fn a_plugin_that_answers_500_is_not_kept() {
    let package = Package::new("probe").mode("error");
    sick(&package, "8s", &["not within 8 s: answered 500: the flux is down", "| probe starts in mode"]);
}

#[test]
fn a_plugin_that_never_answers_is_told_from_one_that_is_not_there() {
    let package = Package::new("probe").mode("mute");
    sick(&package, "8s", &["is open, but `/health` gave no answer within 5 s"]);
    let package = Package::new("probe").mode("idle");
    sick(&package, "1s", &["not within 1 s:"]);
}

#[test]
fn a_plugin_that_takes_its_time_is_waited_for() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe").mode("slow").slow_for(1_500);
    let outcome = sandbox.install(&package, &[]).ok().answers(&["is installed and healthy after"]);
    assert!(outcome.took > Duration::from_millis(1500), "{outcome}");
}

#[test]
fn another_path_for_health_is_asked_when_the_manifest_says_so() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe").mode("error").edit(|manifest| {
        manifest["service"]["healthcheck"] = "/environment".into();
    });
    sandbox.install(&package, &[]).ok();
}
