//! Looking after what is installed: `status`, `health`, `start`, `stop`, `restart`.

use serde_json::{Value, json};

use crate::support::{Engine, Package, Sandbox, assert_valid_output};

#[test]
fn nothing_installed_is_an_empty_answer() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.plugin(&["status"]).ok();
    assert_eq!(outcome.stdout.trim(), "", "{outcome}");
}

#[test]
fn a_stopped_plugin_is_sick_until_it_is_started() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ok();
    let id = sandbox.container_id(&package.name);
    sandbox.plugin(&["stop", &package.name]).ok().answers(&["is stopped"]);
    assert!(!Engine::is_running(&id));
    sandbox.plugin(&["status"]).ends_with(1).answers(&["exited", "unhealthy: its container is exited"]);
    sandbox.plugin(&["health"]).ends_with(1);
    sandbox.plugin(&["start", &package.name]).ok().answers(&["is started and healthy"]);
    sandbox.plugin(&["restart", &package.name]).ok().answers(&["is restarted and healthy"]);
    assert_eq!(sandbox.container_id(&package.name), id, "the same container all along");
    sandbox.plugin(&["health"]).ok();
}

#[test]
fn the_state_of_a_plugin_comes_with_its_container_and_what_may_be_done_next() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe").edit(|manifest| manifest["env"] = json!({ "optional": ["PROBE_EXTRA"] }));
    sandbox.install(&package, &[]).ok();
    let container = sandbox.container_name(&package.name);
    let document = sandbox.plugin(&["status", "--json"]).ok().json();
    assert_valid_output(&document);
    assert_eq!(document["plugins"][0]["container"], container.as_str());
    let command = format!("nself plugin config {} set PROBE_EXTRA VALUE", package.name);
    let has_step = |document: &Value| {
        document["next"].as_array().unwrap().iter().any(|step| step.as_str().unwrap().contains(&command))
    };
    assert!(has_step(&document), "{document}");
    let row =
        format!("{}\t1.0.0\t{container}\trunning\thttp://127.0.0.1:{}\thealthy\t", package.name, package.number());
    sandbox.plugin(&["status"]).ok().answers(&[&row]);
    let mut terminal = sandbox.terminal(&["plugin", "status"]);
    let shown = terminal.exp_eof().unwrap();
    assert!(shown.contains("next: ") && shown.contains("PROBE_EXTRA"), "{shown}");
    sandbox.write_env("PROBE_EXTRA=1\n");
    assert!(!has_step(&sandbox.plugin(&["status", "--json"]).ok().json()));
}

#[test]
fn a_plugin_that_is_not_installed_is_told_for_every_verb() {
    let sandbox = Sandbox::new();
    for verb in ["status", "health", "start", "stop", "restart", "logs", "remove"] {
        sandbox.plugin(&[verb, "nothing-such"]).ends_with(3).says(&["`nothing-such` is not installed"]);
    }
}

#[test]
fn without_a_backend_cli_the_shared_words_are_this_programs() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ok();
    sandbox.run(&["status"]).ok().answers(&[&package.name, "healthy"]);
    sandbox.run(&["logs", &package.name]).ok().answers(&["probe starts"]);
    sandbox.run(&["stop", &package.name]).ok();
    sandbox.run(&["start", &package.name]).ok();
}

#[test]
fn a_broken_receipt_does_not_hide_the_others() {
    let sandbox = Sandbox::new();
    let (broken, good) = (Package::new("broken"), Package::new("good"));
    sandbox.install(&broken, &[]).ok();
    sandbox.install(&good, &[]).ok();
    let receipts = sandbox.home().join(".nself/receipts").join(&sandbox.project);
    std::fs::write(receipts.join(format!("{}.json", broken.name)), "{").unwrap();
    sandbox.plugin(&["list", "--installed"]).ok().answers(&[&good.name]).says(&["cannot be read"]);
    sandbox.plugin(&["status"]).ends_with(1).answers(&[&good.name]).says(&["cannot be read"]);
    sandbox.install(&broken, &["--force"]).ok();
    sandbox.plugin(&["status"]).ok().answers(&[&broken.name, &good.name]);
}
