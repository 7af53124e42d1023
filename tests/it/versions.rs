//! Versions: newer ones in the place of older ones, and what happens to the older one when the newer is no good.

use crate::support::{Answer, Engine, Package, Registry, Sandbox, State, ask, variable_inside};

/// A registry with a healthy 1.0.0 of a plugin, installed.
fn installed() -> (Registry, Package, Sandbox) {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let sandbox = Sandbox::of(&registry).with("NSELF_REGISTRY_CACHE_TTL", "0");
    sandbox.plugin(&["install", &package.name]).ok();
    (registry, package, sandbox)
}

#[test]
fn a_newer_version_takes_the_place_of_the_older() {
    let (registry, package, sandbox) = installed();
    let old = sandbox.container(&package.name).unwrap();
    registry.add(&package.clone().version("1.1.0"));
    sandbox
        .plugin(&["install", &format!("{}@1.1.0", package.name)])
        .ok()
        .answers(&["1.1.0", "is replaced (it was 1.0.0) and healthy"]);
    let new = sandbox.container(&package.name).unwrap();
    assert_ne!(old["Id"], new["Id"]);
    assert_eq!(new["Config"]["Labels"]["org.nself.version"], "1.1.0");
    assert!(Engine::container(old["Id"].as_str().unwrap()).is_none(), "the earlier container is gone");
    assert!(
        Engine::images(&serde_json::json!({ "reference": [format!("nself/{}:1.0.0-*", package.name)] })).is_empty()
    );
    assert!(sandbox.home().join(".nself/versions").join(&package.name).join("1.0.0/plugin.json").is_file());
    assert_eq!(ask(package.number(), "/health").0, 200);
    State::of(&sandbox).assert_tidy(&"after a replacement");
}

#[test]
fn an_installed_plugin_is_not_replaced_unless_a_version_is_asked_for() {
    let (registry, package, sandbox) = installed();
    registry.add(&package.clone().version("1.1.0"));
    let id = sandbox.container_id(&package.name);
    sandbox.plugin(&["install", &package.name]).ok().answers(&["1.0.0", "is installed already and healthy"]);
    assert_eq!(sandbox.container_id(&package.name), id);
}

#[test]
fn an_older_version_is_installed_when_it_is_asked_for() {
    let (registry, package, sandbox) = installed();
    registry.add(&package.clone().version("1.1.0"));
    sandbox.plugin(&["install", &format!("{}@1.1.0", package.name)]).ok();
    let older = sandbox.plugin(&["install", &format!("{}@1.0.0", package.name)]).ok();
    older.answers(&["is replaced (a downgrade from 1.1.0)"]);
    assert_eq!(sandbox.container(&package.name).unwrap()["Config"]["Labels"]["org.nself.version"], "1.0.0");
}

#[test]
fn a_version_that_nobody_has_is_told_with_those_there_are() {
    let (_registry, package, sandbox) = installed();
    sandbox.plugin(&["install", &format!("{}@9.9.9", package.name)]).ends_with(3).says(&[
        "has no version 9.9.9",
        "`1.0.0`",
        "hint:",
    ]);
}

#[test]
fn a_sick_new_version_leaves_the_old_one_running_in_the_same_container() {
    let (registry, package, sandbox) = installed();
    for (version, mode, word) in
        [("1.1.0", "die", "exited with code 3"), ("1.2.0", "error", "answered 500: the flux is down")]
    {
        registry.add(&package.clone().version(version).mode(mode));
        let before = State::of(&sandbox);
        let outcome = sandbox
            .plugin(&["install", &format!("{}@{version}", package.name), "--timeout", "8s"])
            .ends_with(7)
            .says(&["did not become healthy", word]);
        before.assert_unchanged(&sandbox, &outcome);
        assert_eq!(ask(package.number(), "/health").0, 200, "the old version answers again");
    }
}

#[test]
fn another_archive_for_the_same_version_is_refused() {
    let (registry, package, sandbox) = installed();
    let before = State::of(&sandbox);
    registry.forget(&package);
    registry.add(&package.clone().file("README.md", b"not what it was"));
    let outcome = sandbox.plugin(&["install", &format!("{}@1.0.0", package.name)]).ends_with(5).says(&[
        "was installed with digest",
        "and the registry now gives",
        "hint:",
    ]);
    before.assert_unchanged(&sandbox, &outcome);
}

#[test]
fn data_in_a_volume_outlives_a_new_version_and_a_failed_one() {
    let registry = Registry::start();
    let package = Package::new("probe").edit(|manifest| {
        manifest["service"]["volumes"] = serde_json::json!([{ "name": "data", "path": "/data" }]);
    });
    registry.add(&package);
    registry.add(&package.clone().version("1.1.0").mode("die"));
    registry.add(&package.clone().version("1.2.0"));
    let sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["install", &format!("{}@1.0.0", package.name)]).ok();
    assert_eq!(ask(package.number(), "/store").1, "Ok(())");
    sandbox.plugin(&["install", &format!("{}@1.1.0", package.name)]).ends_with(7);
    assert_eq!(ask(package.number(), "/stored").1, "kept");
    sandbox.plugin(&["install", &format!("{}@1.2.0", package.name)]).ok();
    assert_eq!(ask(package.number(), "/stored").1, "kept");
}

#[test]
fn values_reach_a_new_version_too() {
    let (registry, package, sandbox) = installed();
    registry.add(&package.clone().version("1.1.0"));
    let key = format!("{}_COLOUR", package.prefix());
    sandbox.plugin(&["config", &package.name, "set", &key, "blue"]).ok();
    sandbox.plugin(&["install", &format!("{}@1.1.0", package.name)]).ok();
    assert_eq!(variable_inside(package.number(), &key).as_deref(), Some("blue"));
}

#[test]
fn a_digest_mismatch_leaves_the_old_version_running() {
    let (registry, package, sandbox) = installed();
    let new = package.clone().version("1.1.0");
    registry.add(&new);
    registry.server.answer(&Registry::archive_path(&new), Answer::Bytes(b"something else".to_vec()));
    let before = State::of(&sandbox);
    let outcome = sandbox
        .plugin(&["install", &format!("{}@1.1.0", package.name)])
        .ends_with(5)
        .says(&["is not the one that the registry describes"]);
    before.assert_unchanged(&sandbox, &outcome);
}

#[test]
fn a_version_that_another_project_has_taken_does_not_come_by_a_restart() {
    let registry = Registry::start();
    let old = Package::new("probe");
    registry.add(&old);
    let sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["install", &old.name]).ok();
    let id = sandbox.container_id(&old.name);
    registry.add(&old.clone().version("2.0.0"));
    let other = format!("{}-other", sandbox.project);
    let moved = format!("{}={}", old.port_variable(), crate::support::free_port());
    let newer = format!("{}@2.0.0", old.name);
    sandbox.plugin(&["install", &newer, "--project", &other, "--env", &moved, "--refresh"]).ok();
    sandbox.plugin(&["restart", &old.name]).ok().answers(&["is restarted"]);
    sandbox.plugin(&["install", &old.name]).ok().answers(&["1.0.0 (from nself) is installed already"]);
    assert_eq!(sandbox.container_id(&old.name), id);
    Engine::remove_container(&id);
    let refused = sandbox.plugin(&["install", &old.name]).ends_with(6);
    refused.says(&["is 2.0.0 now, by another project", &format!("nself plugin install {newer}")]);
    sandbox.plugin(&["remove", &old.name, "--project", &other]).ok();
}

#[test]
fn a_range_chooses_the_newest_version_in_it() {
    let (registry, package, sandbox) = installed();
    for version in ["1.4.0", "2.1.0", "3.0.0"] {
        registry.add(&package.clone().version(version));
    }
    let chosen = |range: &str| {
        let word = format!("{}@{range}", package.name);
        let document = sandbox.plugin(&["install", &word, "--dry-run", "--json"]).ok().json();
        document["results"][0]["version"].as_str().unwrap().to_owned()
    };
    assert_eq!(chosen("^1.0"), "1.4.0");
    assert_eq!(chosen(">=1.0.0 <3.0.0"), "2.1.0");
    assert_eq!(chosen("1.x || 3.x"), "3.0.0");
    assert_eq!(chosen("1.0.0"), "1.0.0");
    let none = sandbox.plugin(&["install", &format!("{}@^9", package.name)]).ends_with(3);
    none.says(&["has no version ^9", "`3.0.0`"]);
}

#[test]
fn a_range_of_hosts_is_read_as_npm_writes_it() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe").edit(|manifest| manifest["requires"]["nself"] = ">=1.0.0 <2.0.0 || ^3".into());
    sandbox.install(&package, &[]).ok();
    let other = Package::new("probe").edit(|manifest| manifest["requires"]["nself"] = "2.x".into());
    sandbox.install(&other, &[]).ends_with(6).says(&["needs nself 2.x"]);
}
