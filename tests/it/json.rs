//! `--json` and `--quiet`: one document on success and on failure, and nothing else on standard output.

use serde_json::json;

use crate::support::{Package, Registry, Sandbox};

#[test]
fn every_command_answers_one_document() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    let name = package.name.as_str();
    for (words, schema) in [
        (vec!["install", name], "nself.plugin.install/1"),
        (vec!["install", name], "nself.plugin.install/1"),
        (vec!["list"], "nself.plugin.list/1"),
        (vec!["list", "--installed"], "nself.plugin.list/1"),
        (vec!["info", name], "nself.plugin.info/1"),
        (vec!["status"], "nself.plugin.status/1"),
        (vec!["health", name], "nself.plugin.health/1"),
        (vec!["logs", name], "nself.plugin.logs/1"),
        (vec!["config", name, "set", "A", "b"], "nself.plugin.config/1"),
        (vec!["config", name, "get"], "nself.plugin.config/1"),
        (vec!["stop", name], "nself.plugin.stop/1"),
        (vec!["start", name], "nself.plugin.start/1"),
        (vec!["restart", name], "nself.plugin.restart/1"),
        (vec!["refresh"], "nself.plugin.refresh/1"),
        (vec!["remove", name], "nself.plugin.remove/1"),
    ] {
        let words: Vec<&str> = words.into_iter().chain(["--json"]).collect();
        let document = sandbox.plugin(&words).ok().json();
        assert_eq!((&document["schema"], &document["status"]), (&json!(schema), &json!("ok")), "{words:?}");
    }
}

#[test]
fn an_installation_is_told_as_data() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    let document = sandbox.install(&package, &["--json"]).ok().json();
    let result = &document["results"][0];
    assert_eq!(result["plugin"], package.name);
    assert_eq!(result["result"], "installed");
    assert_eq!(result["health"], "healthy");
    assert_eq!(result["addresses"][0]["address"], format!("http://127.0.0.1:{}", package.number()));
    assert!(result["healthy_after_ms"].is_u64());
    let again = sandbox.plugin(&["install", &package.name, "--json"]).ok().json();
    assert_eq!(again["results"][0]["result"], "current");
}

#[test]
fn every_failure_answers_one_document_with_its_code() {
    let registry = Registry::start();
    let sick = Package::new("probe").mode("die");
    registry.add(&sick);
    let sandbox = Sandbox::of(&registry);
    for (words, code) in [
        (vec!["plugin", "install", "../x"], 2),
        (vec!["plugin", "install", "--frobnicate"], 2),
        (vec!["build"], 2),
        (vec!["plugin", "install", "nothing-such"], 3),
        (vec!["plugin", "remove", "nothing-such"], 3),
        (vec!["plugin", "status", "nothing-such"], 3),
        (vec!["plugin", "config", "nothing-such", "get", "A"], 3),
        (vec!["plugin", "install", "nothing-such", "--registry", "elsewhere"], 3),
        (vec!["plugin", "install", &sick.name], 7),
    ] {
        let words: Vec<&str> = words.into_iter().chain(["--json"]).collect();
        let outcome = sandbox.run(&words).ends_with(code);
        let document = outcome.json();
        assert_eq!(document["status"], "failed", "{outcome}");
        assert_eq!(document["error"]["exit_code"], code, "{outcome}");
        assert!(document["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{outcome}");
    }
}

#[test]
fn a_partly_done_command_tells_each_result() {
    let sandbox = Sandbox::new();
    let (good, bad) = (Package::new("good"), Package::new("bad").mode("die"));
    let places = [good.folder(&sandbox.work()), bad.folder(&sandbox.work())];
    let words: Vec<&str> =
        ["install", "--json"].into_iter().chain(places.iter().map(|path| path.to_str().unwrap())).collect();
    let document = sandbox.plugin(&words).ends_with(10).json();
    assert_eq!(document["status"], "partial");
    assert_eq!(document["results"][0]["result"], "installed");
    assert_eq!(document["results"][1]["result"], "failed");
    assert_eq!(document["results"][1]["error"]["exit_code"], 7);
}

#[test]
fn a_sick_plugin_makes_the_status_fail() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ok();
    sandbox.plugin(&["stop"]).ok();
    let document = sandbox.plugin(&["status", "--json"]).ends_with(1).json();
    assert_eq!(document["status"], "failed");
    assert_eq!(document["plugins"][0]["health"], "unhealthy");
}

#[test]
fn quiet_says_nothing_but_the_answer_and_errors() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    let outcome = sandbox.install(&package, &["--quiet"]).ok().answers(&["is installed and healthy"]);
    assert_eq!(outcome.stderr, "", "{outcome}");
    let outcome = sandbox.plugin(&["remove", "nothing-such", "--quiet"]).ends_with(3);
    assert!(outcome.stderr.starts_with("error: "), "{outcome}");
}

#[test]
fn colour_is_used_only_where_it_is_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.plugin(&["remove", "nothing-such"]).hides(&["\u{1b}"]);
    let coloured = sandbox.plugin(&["remove", "nothing-such", "--color", "always"]);
    assert!(coloured.stderr.contains('\u{1b}'), "{coloured}");
}
