//! `install --dry-run`: the plan from registries alone.

use serde_json::json;

use crate::support::{Package, Registry, Sandbox, assert_valid_output};

#[test]
fn a_dry_run_plans_in_order_without_download_or_engine() {
    let registry = Registry::start();
    let (base, package) = (Package::new("base"), Package::new("probe"));
    registry.add(&base);
    registry.add_with(&package, |entry| {
        entry.insert("dependencies".into(), json!([base.name]));
    });
    let mut sandbox = Sandbox::of(&registry);
    sandbox.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let outcome = sandbox.plugin(&["install", &package.name, "--dry-run"]).ok();
    outcome.answers(&[
        "Dry run",
        &format!("1. {}", base.name),
        &format!("2. {}", package.name),
        "not checked: package",
    ]);
    assert_eq!(registry.downloads(&package), 0);
    let order = sandbox.plugin(&["install", &package.name, "--order-only"]).ok().stdout;
    assert_eq!(order, format!("{}\n{}\n", base.name, package.name));
    let document = sandbox.plugin(&["install", &package.name, "--preview", "--json"]).ok().json();
    assert_valid_output(&document);
    assert_eq!(document["results"][1]["requires"], json!([base.name]));
    sandbox.plugin(&["install", "absent-plugin", "--dry-run"]).ends_with(3);
    sandbox.plugin(&["install", &package.name, "absent-plugin", "--dry-run"]).ends_with(10);
    sandbox.plugin(&["install", &package.name, "--check"]).ends_with(6);
}

#[test]
fn a_port_in_use_fails_the_check_and_not_the_dry_run() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    let _holder = std::net::TcpListener::bind(("127.0.0.1", package.number())).unwrap();
    sandbox.plugin(&["install", &package.name, "--dry-run"]).ok();
    sandbox.plugin(&["install", &package.name, "--check"]).ends_with(6);
}

#[test]
fn a_version_may_be_a_flag() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["install", &package.name, "--version", "1.0.0", "--dry-run"]).ok().answers(&["1.0.0"]);
    sandbox.plugin(&["install", &package.name, "--version", "9.0.0", "--dry-run"]).ends_with(3);
    sandbox.plugin(&["install", "a", "b", "--version", "1.0.0"]).ends_with(2).says(&["--version is for one plugin"]);
}

#[test]
fn removing_what_is_not_installed_is_planned_where_a_registry_has_it() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["remove", &package.name, "--dry-run"]).ok().answers(&["nothing would be removed"]);
    sandbox.plugin(&["remove", "absent-plugin", "--dry-run"]).ends_with(3);
    sandbox.plugin(&["remove", &package.name]).ends_with(3);
}
