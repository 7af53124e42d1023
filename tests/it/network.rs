//! Networks: our own, and the backend's where there is one.

use serde_json::{Value, json};

use crate::support::{Engine, Package, Sandbox};

fn networks_of(sandbox: &Sandbox, package: &Package) -> Value {
    sandbox.container(&package.name).unwrap()["NetworkSettings"]["Networks"].clone()
}

fn exists(name: &str) -> bool {
    Engine::networks(&json!({ "name": [name] })).iter().any(|network| network["Name"] == name)
}

#[test]
fn without_a_backend_only_our_own_network_is_made() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ok();
    let own = format!("{}_plugins", sandbox.project);
    let networks = networks_of(&sandbox, &package);
    assert_eq!(networks.as_object().unwrap().keys().collect::<Vec<_>>(), [&own]);
    assert!(!exists(&format!("{}_network", sandbox.project)), "the backend's network is never made");
    let aliases = networks[&own]["Aliases"].as_array().unwrap();
    for alias in [package.name.clone(), format!("plugin-{}", package.name)] {
        assert!(aliases.contains(&json!(alias)), "{aliases:?}");
    }
}

#[test]
fn the_backends_network_is_joined_when_it_exists_and_never_removed() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    let backend = format!("{}_network", sandbox.project);
    sandbox.foreign_network(&backend);
    sandbox.install(&package, &[]).ok();
    let networks = networks_of(&sandbox, &package);
    assert!(networks.get(&backend).is_some(), "{networks}");
    assert!(networks.get(format!("{}_plugins", sandbox.project)).is_some(), "{networks}");
    sandbox.plugin(&["remove", &package.name]).ok();
    assert!(exists(&backend));
    assert!(!exists(&format!("{}_plugins", sandbox.project)));
}

#[test]
fn the_backends_network_may_have_another_name() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    let backend = format!("{}_elsewhere", sandbox.project);
    sandbox.foreign_network(&backend);
    sandbox.write_env(&format!("DOCKER_NETWORK={backend}"));
    sandbox.install(&package, &[]).ok();
    assert!(networks_of(&sandbox, &package).get(&backend).is_some());
}

#[test]
fn a_network_of_our_name_that_somebody_else_made_is_used_and_left() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    let own = format!("{}_plugins", sandbox.project);
    sandbox.foreign_network(&own);
    sandbox.install(&package, &["--verbose"]).ok().says(&["was not made by this installation"]);
    sandbox.plugin(&["remove", &package.name]).ok();
    assert!(exists(&own));
}
