//! A changed configuration: what a restart, a set-up and the installation of a set make anew, and what they leave alone.

use serde_json::json;

use crate::setup::{env_file, powerful_world, world};
use crate::support::{Engine, Package, Registry, Sandbox, assert_valid_output};

/// realtime and stripe are installed, realtime with a key from `.env`.
fn installed_world() -> (Registry, Sandbox) {
    let (registry, sandbox) = world();
    sandbox.write_env("REALTIME_KEY=one\n");
    sandbox.plugin(&["install", "realtime", "stripe"]).ok();
    (registry, sandbox)
}

fn key_of_realtime(sandbox: &Sandbox) -> String {
    let variables = sandbox.container("realtime").unwrap()["Config"]["Env"].as_array().unwrap().clone();
    let mut keys = variables.iter().filter_map(|line| line.as_str()?.strip_prefix("REALTIME_KEY="));
    keys.next().unwrap_or_default().to_owned()
}

#[test]
fn a_restart_applies_a_changed_configuration_and_restarts_the_others_as_they_are() {
    let (_registry, sandbox) = installed_world();
    let stripe = sandbox.container_id("stripe");
    sandbox.write_env("REALTIME_KEY=two\n");
    let outcome = sandbox.plugin(&["restart"]).ok();
    outcome.answers(&["realtime is reconfigured and healthy", "stripe is restarted and healthy"]);
    assert_eq!((key_of_realtime(&sandbox), sandbox.container_id("stripe")), ("two".to_owned(), stripe));
    let id = sandbox.container_id("realtime");
    assert_valid_output(&sandbox.plugin(&["restart", "--json"]).ok().json());
    assert_eq!(sandbox.container_id("realtime"), id);
}

#[test]
fn with_skip_restart_the_command_is_named_and_nothing_else_is_made_anew() {
    let (_registry, sandbox) = installed_world();
    sandbox.write_env("REALTIME_KEY=two\n");
    let words = ["setup", "stripe", "--yes", "--skip-restart"];
    sandbox
        .plugin(&words)
        .ok()
        .answers(&["the configuration of realtime has changed; run: nself plugin restart realtime"]);
    assert_eq!(key_of_realtime(&sandbox), "one");
    let document = sandbox.plugin(&[&words[..], &["--json"]].concat()).ok().json();
    assert_valid_output(&document);
    assert_eq!(document["pending"], json!(["realtime"]));
    sandbox.plugin(&["setup", "stripe", "--yes"]).ok().answers(&["realtime 1.0.0 (from nself) is reconfigured"]);
    assert_eq!(key_of_realtime(&sandbox), "two");
}

#[test]
fn what_was_given_for_one_installation_is_not_lost_to_a_restart() {
    let (_registry, sandbox) = world();
    let port = crate::support::free_port();
    let once = ["REALTIME_KEY=once".to_owned(), format!("REALTIME_PORT={port}")];
    sandbox.plugin(&["install", "realtime", "--env", &once[0], "--env", &once[1]]).ok();
    let id = sandbox.container_id("realtime");
    sandbox.write_env("REALTIME_GREETING=hello\n");
    let outcome = sandbox.plugin(&["restart"]).ok();
    outcome.says(&["realtime keeps its container", "REALTIME_KEY", "nself plugin config realtime set"]);
    assert_eq!(sandbox.container_id("realtime"), id);
    for line in &once {
        let (key, value) = line.split_once('=').unwrap();
        sandbox.plugin(&["config", "realtime", "set", key, value]).ok();
    }
    sandbox.plugin(&["restart"]).ok().answers(&["realtime is reconfigured"]);
    assert_ne!(sandbox.container_id("realtime"), id);
    assert_eq!(crate::support::ask(port, "/health").0, 200);
}

#[test]
fn what_was_granted_at_the_installation_stays_granted_at_a_restart() {
    let (_registry, sandbox) = powerful_world();
    sandbox.write_env("REALTIME_KEY=one\n");
    sandbox.plugin(&["install", "realtime", "--allow-privileged"]).ok();
    sandbox.write_env("REALTIME_KEY=two\n");
    sandbox.plugin(&["restart"]).ok().answers(&["realtime is reconfigured"]);
    assert_eq!(key_of_realtime(&sandbox), "two");
}

#[test]
fn what_was_stopped_stays_stopped_when_others_are_set_up() {
    let (_registry, sandbox) = installed_world();
    sandbox.plugin(&["stop", "realtime"]).ok();
    sandbox.write_env("REALTIME_KEY=two\n");
    sandbox.plugin(&["setup", "stripe", "--yes"]).ok();
    assert!(!Engine::is_running(&sandbox.container_name("realtime")));
    assert_eq!(key_of_realtime(&sandbox), "one");
}

#[test]
fn a_plugin_that_fails_is_tried_once() {
    let (_registry, sandbox) = installed_world();
    sandbox.write_env("REALTIME_KEY=two\n");
    sandbox.write(".env.plugins", "REALTIME_MEMORY=nonsense\n");
    let document = sandbox.plugin(&["setup", "realtime", "stripe", "--yes", "--json"]).ends_with(10).json();
    let names: Vec<&str> =
        document["results"].as_array().unwrap().iter().map(|one| one["plugin"].as_str().unwrap()).collect();
    assert_eq!(names, ["realtime", "stripe"]);
}

#[test]
fn an_address_given_once_is_not_exchanged_for_a_service_of_our_own() {
    let registry = Registry::start();
    let package = Package::named("stripe").edit(|manifest| {
        manifest["env"] = json!({ "required": [{ "name": "STRIPE_REDIS_URL", "aliases": ["SHARED_REDIS"] }] });
    });
    registry.add(&package);
    let port = crate::support::free_port().to_string();
    let sandbox = Sandbox::of(&registry).bundled().with("REDIS_PORT", port);
    sandbox.plugin(&["install", "redis"]).ok();
    sandbox.plugin(&["install", "stripe", "--env", "SHARED_REDIS=redis://elsewhere:6379"]).ok();
    let id = sandbox.container_id("stripe");
    sandbox.write_env("STRIPE_EXTRA=1\n");
    let document = sandbox.plugin(&["restart", "stripe", "--json"]).ok().json();
    assert_eq!(document["results"][0]["not_applied_without"], json!(["STRIPE_REDIS_URL"]));
    assert_eq!(sandbox.container_id("stripe"), id);
}

#[test]
fn a_changed_value_makes_only_its_own_plugin_anew() {
    let (_registry, sandbox) = world();
    sandbox.plugin(&["setup", "realtime", "stripe", "--yes", "--env", "REALTIME_KEY=k"]).ok();
    let ids = || (sandbox.container_id("realtime"), sandbox.container_id("stripe"));
    let before = ids();
    let text = env_file(&sandbox).unwrap().replace("REALTIME_KEY=k\n", "REALTIME_KEY=other\n");
    sandbox.write(".env.plugins", &text);
    sandbox.plugin(&["setup", "stripe", "--yes"]).ok();
    let after = ids();
    assert_ne!(after.0, before.0);
    assert_eq!(after.1, before.1);
}
