//! Removing: what goes, what stays, and what a second removal says.

use serde_json::json;

use crate::support::{Engine, Package, Registry, Sandbox, State, ask};

fn with_data() -> Package {
    Package::new("probe").edit(|manifest| {
        manifest["service"]["volumes"] = json!([{ "name": "data", "path": "/data" }]);
        manifest["env"] =
            json!({ "required": [{ "name": "PROBE_SECRET", "secret": true, "generated": { "length": 32 } }] });
    })
}

#[test]
fn a_removal_takes_everything_but_data_and_values_and_a_second_finds_nothing() {
    let sandbox = Sandbox::new();
    let package = with_data();
    sandbox.install(&package, &[]).ok();
    let volume = format!("{}_data", sandbox.container_name(&package.name));
    assert_eq!(ask(package.number(), "/store").1, "Ok(())");
    sandbox.plugin(&["remove", &package.name]).ok().answers(&["1.0.0 is removed (data and values kept)"]);
    let state = State::of(&sandbox);
    for kind in
        ["container", "image", "network", "file .nself/plugins", "folder .nself/plugins", "file .nself/receipts"]
    {
        assert!(state.of_kind(kind).is_empty(), "{kind}: {state:?}");
    }
    assert_eq!(state.of_kind("volume"), [format!("volume {volume}")]);
    sandbox
        .plugin(&["remove", &package.name])
        .ends_with(3)
        .says(&[&format!("`{}` is not installed in project `{}`", package.name, sandbox.project), "hint:"]);
    sandbox.install(&package, &[]).ok();
    assert_eq!(ask(package.number(), "/stored").1, "kept");
}

#[test]
fn data_is_deleted_on_request() {
    let sandbox = Sandbox::new();
    let package = with_data();
    sandbox.install(&package, &[]).ok();
    let before = State::of(&sandbox);
    let unanswered = sandbox
        .plugin(&["remove", &package.name, "--delete-data"])
        .ends_with(2)
        .says(&["nobody can be asked", "--delete-data --yes"]);
    before.assert_unchanged(&sandbox, &unanswered);
    sandbox.plugin(&["remove", &package.name, "--delete-data", "--yes"]).ok().answers(&["data and values deleted"]);
    let state = State::of(&sandbox);
    assert!(state.of_kind("volume").is_empty(), "{state:?}");
    let values = sandbox.home().join(".config/nself/values").join(format!("{}.json", sandbox.project));
    let values = std::fs::read_to_string(values).unwrap_or_default();
    assert!(!values.contains("PROBE_SECRET"), "{values}");
}

#[test]
fn a_removal_leaves_the_other_plugins_and_their_network() {
    let sandbox = Sandbox::new();
    let (going, staying) = (Package::new("going"), Package::new("staying"));
    sandbox.install(&going, &[]).ok();
    sandbox.install(&staying, &[]).ok();
    let id = sandbox.container_id(&staying.name);
    sandbox.plugin(&["remove", &going.name]).ok();
    assert_eq!(sandbox.container_id(&staying.name), id);
    assert_eq!(ask(staying.number(), "/health").0, 200);
    assert_eq!(Engine::networks(&json!({ "name": [format!("{}_plugins", sandbox.project)] })).len(), 1);
}

#[test]
fn the_image_is_kept_on_request() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ok();
    sandbox.plugin(&["remove", &package.name, "--keep-image"]).ok();
    assert_eq!(State::of(&sandbox).of_kind("image").len(), 1);
}

#[test]
fn a_kept_image_keeps_its_package_and_neither_is_made_again() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    let install = || sandbox.plugin(&["install", &package.name]).ok();
    install();
    let files = || std::fs::read(sandbox.active(&package.name).join("plugin.json")).unwrap();
    let before = files();
    sandbox.plugin(&["remove", &package.name, "--keep-image"]).ok();
    assert!(!sandbox.active(&package.name).exists());
    install();
    assert_eq!((registry.downloads(&package), files()), (1, before));
    // Of another archive, nothing is kept.
    sandbox.plugin(&["remove", &package.name, "--keep-image"]).ok();
    let changed = package.clone().file("more", b"x");
    registry.forget(&package);
    registry.add(&changed);
    sandbox.plugin(&["refresh"]).ok();
    install();
    assert_eq!(registry.downloads(&package), 2);
    assert!(sandbox.active(&package.name).join("more").exists());
}

#[test]
fn a_kept_package_that_was_damaged_is_fetched_again() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["install", &package.name]).ok();
    sandbox.plugin(&["remove", &package.name, "--keep-image"]).ok();
    let versions = sandbox.home().join(".nself/versions").join(&package.name);
    let kept = std::fs::read_dir(versions).unwrap().next().unwrap().unwrap().path();
    std::fs::write(kept.join("plugin.json"), "{").unwrap();
    sandbox.plugin(&["install", &package.name]).ok();
    assert_eq!(registry.downloads(&package), 2);
}

#[test]
fn a_dry_run_of_a_removal_changes_nothing() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ok();
    let before = State::of(&sandbox);
    let planned =
        sandbox.plugin(&["remove", &package.name, "--dry-run"]).ok().answers(&["remove container", "remove receipt"]);
    before.assert_unchanged(&sandbox, &planned);
}

#[test]
fn of_several_the_unknown_one_does_not_stop_the_others() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ok();
    sandbox.plugin(&["remove", "nothing-such", &package.name]).ends_with(10).says(&["`nothing-such` is not installed"]);
    assert!(sandbox.container(&package.name).is_none());
}

#[test]
fn without_an_engine_nothing_is_removed() {
    let mut sandbox = Sandbox::new();
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ok();
    let before = State::of(&sandbox);
    sandbox.set("DOCKER_HOST", format!("unix://{}", sandbox.path("absent.sock").display()));
    let outcome = sandbox.plugin(&["remove", &package.name]).ends_with(6);
    before.assert_unchanged(&sandbox, &outcome);
}

#[test]
fn a_plugin_whose_container_was_removed_by_hand_can_be_removed() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ok();
    Engine::remove_container(&sandbox.container_name(&package.name));
    sandbox.plugin(&["remove", &package.name]).ok();
    assert!(State::of(&sandbox).of_kind("image").is_empty());
}

#[test]
fn a_plugin_of_two_projects_keeps_its_package_until_the_last_is_gone() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ok();
    let second = crate::support::unique("it");
    let port = crate::support::free_port().to_string();
    let value = format!("{}={port}", package.port_variable());
    sandbox.install(&package, &["--project", &second, "--env", &value]).ok();
    sandbox.plugin(&["remove", &package.name]).ok();
    assert!(sandbox.active(&package.name).join("plugin.json").is_file());
    assert!(Engine::is_running(&format!("{second}_plugin_{}", package.name)));
    sandbox.plugin(&["remove", &package.name, "--project", &second]).ok();
    assert!(!sandbox.active(&package.name).exists());
}
