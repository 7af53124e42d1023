//! Faults of the engine at every request that changes something: what was begun is undone, or on record.

use crate::support::{Engine, Fault, Package, Proxy, Registry, Sandbox, State, ask};
use crate::walk::{Walk, fresh_install, removal, replacement};

/// After a fault that the program survives: undone completely, or past the commit point and tidied by the next command.
fn undone(walk: &Walk<'_>) {
    match walk.outcome.code {
        0 => walk.assert_finished(),
        1 | 7 => walk.assert_undone(),
        _ => panic!("{walk}"),
    }
}

#[test]
fn an_engine_that_answers_500_at_any_step_of_an_installation_leaves_nothing() {
    fresh_install(Fault::Answer500, undone);
}

#[test]
fn a_request_that_is_lost_at_any_step_of_an_installation_leaves_nothing() {
    fresh_install(Fault::DropRequest, undone);
}

#[test]
fn an_answer_that_is_lost_at_any_step_of_an_installation_leaves_nothing() {
    fresh_install(Fault::DropReply, undone);
}

#[test]
fn an_engine_that_answers_500_at_any_step_of_a_replacement_leaves_the_old_version_running() {
    replacement(Fault::Answer500, undone);
}

#[test]
fn an_answer_that_is_lost_at_any_step_of_a_replacement_leaves_the_old_version_running() {
    replacement(Fault::DropReply, undone);
}

#[test]
fn a_removal_that_fails_at_any_step_is_finished_by_the_next_command() {
    removal(Fault::Answer500, |walk| {
        assert!(matches!(walk.outcome.code, 0 | 8), "{walk}");
        walk.assert_finished();
    });
}

#[test]
fn an_engine_that_stops_at_any_step_leaves_what_the_next_command_cleans() {
    fresh_install(Fault::Stop, |walk| {
        // Past the commit point it is installed, and what could not be done then is a warning.
        assert!(matches!(walk.outcome.code, 0 | 1 | 8), "{walk}");
        assert!(walk.outcome.stderr.contains("stopped answering"), "{walk}");
        if walk.outcome.code == 8 {
            assert!(walk.outcome.stderr.contains("| left: "), "{walk}");
            assert!(walk.outcome.stderr.contains("recover: nself plugin status --repair"), "{walk}");
        }
        walk.assert_recovered();
    });
}

#[test]
fn an_engine_that_stops_at_any_step_of_a_replacement_leaves_what_the_next_command_cleans() {
    replacement(Fault::Stop, |walk| {
        // Past the commit point the new version is installed, and what could not be tidied is a warning.
        assert!(matches!(walk.outcome.code, 0 | 8), "{walk}");
        walk.assert_recovered();
    });
}

#[test]
fn a_build_that_fails_shows_its_last_lines_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    // The label is for the test alone: it finds the steps that the engine keeps for the next build.
    let label = format!("org.nself.test={}", package.name);
    let dockerfile = format!("FROM scratch\nLABEL {label}\nCOPY id probe /\nRUN [\"/probe\", \"die\"]\n");
    let package = package.file("Dockerfile", dockerfile.as_bytes());
    let folder = package.folder(&sandbox.work());
    let before = State::of(&sandbox);
    let outcome = sandbox
        .plugin(&["install", folder.to_str().unwrap(), "--allow-build"])
        .ends_with(1)
        .says(&["could not build the image", "code: 3", "the probe cannot go on"])
        .hides(&["\u{1b}"]);
    before.assert_unchanged(&sandbox, &outcome);
    Engine::remove_labelled(&label);
}

#[test]
fn reading_commands_report_what_is_unfinished_and_status_repair_recovers() {
    let mut sandbox = Sandbox::new();
    let package = Package::new("probe");
    let proxy = Proxy::start(&sandbox);
    sandbox.set("DOCKER_HOST", proxy.address());
    let folder = package.folder(&sandbox.work());
    let before = State::of(&sandbox);
    proxy.arm(3, Fault::Stop);
    sandbox.plugin(&["install", folder.to_str().unwrap()]).ends_with(8);
    proxy.disarm();
    let unfinished = State::of(&sandbox);
    for words in [&["list", "--installed"][..], &["status"], &["health"]] {
        let told = sandbox.plugin(words).ok().says(&["unfinished", "nself plugin status --repair"]);
        unfinished.assert_unchanged(&sandbox, &told);
    }
    let document = sandbox.plugin(&["status", "--json"]).ok().json();
    assert_eq!(document["unfinished"], serde_json::json!([package.name]), "{document}");
    let cleaned = sandbox.plugin(&["status", "--repair"]).ok().says(&["rolled back what an interrupted command had"]);
    before.assert_unchanged(&sandbox, &cleaned);
    sandbox.plugin(&["status", "--repair"]).ok().hides(&["rolled back", "unfinished"]);
}

#[test]
fn the_old_version_comes_back_when_the_engine_stops_in_the_middle_of_a_replacement() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    registry.add(&package.clone().version("1.1.0"));
    let mut sandbox = Sandbox::of(&registry);
    let proxy = Proxy::start(&sandbox);
    sandbox.set("DOCKER_HOST", proxy.address());
    sandbox.plugin(&["install", &format!("{}@1.0.0", package.name)]).ok();
    proxy.disarm();
    sandbox.plugin(&["install", &format!("{}@1.1.0", package.name)]).ok();
    let start = proxy.mutating().iter().position(|line| line.contains("/start")).unwrap() + 1;
    sandbox.plugin(&["install", &format!("{}@1.0.0", package.name)]).ok();
    let before = State::of(&sandbox);
    let id = sandbox.container_id(&package.name);
    proxy.arm(start, Fault::Stop);
    sandbox
        .plugin(&["install", &format!("{}@1.1.0", package.name)])
        .ends_with(8)
        .says(&["| left: the earlier container"]);
    assert!(!Engine::is_running(&id), "the engine did not let it be started again");
    proxy.disarm();
    let cleaned = sandbox.plugin(&["status", "--repair"]).ok().answers(&["healthy"]).says(&["rolled back"]);
    before.assert_unchanged(&sandbox, &cleaned);
    assert_eq!(ask(package.number(), "/health").0, 200);
}
