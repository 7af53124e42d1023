//! Installing: from nothing to a healthy container, and everything that a second command finds.

use std::time::Duration;

use serde_json::json;

use crate::support::{Engine, Fault, Package, Proxy, Registry, Sandbox, State, ask, variable_inside, wait_until};

#[test]
fn a_package_folder_is_installed_and_answers() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    let address = format!("http://127.0.0.1:{}", package.number());
    sandbox
        .install(&package, &[])
        .ok()
        .answers(&[&package.name, "1.0.0 (from local) is installed and healthy after", &address])
        .says(&["importing the image", "starting", "waiting until it is healthy", "healthy"]);
    assert_eq!(ask(package.number(), "/health").0, 200);
    assert!(sandbox.active(&package.name).join("plugin.json").is_file());
    sandbox.plugin(&["list", "--installed"]).ok().answers(&[&format!("{}\t1.0.0\tlocal\t{address}", package.name)]);
    let container = sandbox.container_name(&package.name);
    let line = format!("{}\t1.0.0\t{container}\trunning\t{address}\thealthy", package.name);
    sandbox.plugin(&["status"]).ok().answers(&[&line]);
    sandbox.plugin(&["health", &package.name]).ok().answers(&[&line]);
    State::of(&sandbox).assert_tidy(&"after an installation");
}

#[test]
fn a_release_is_installed_from_a_registry_with_its_digest_proven() {
    let registry = Registry::start();
    let package = Package::new("probe");
    let archive = registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    sandbox
        .plugin(&["install", &package.name])
        .ok()
        .answers(&["1.0.0 (from nself) is installed and healthy"])
        .says(&["fetching the archive"]);
    assert_eq!(registry.downloads(&package), 1);
    let receipt = sandbox.receipt(&package.name).unwrap();
    assert_eq!(receipt["digest"], format!("sha256:{}", archive.sha256));
    assert_eq!(receipt["proof"], "digest");
    assert_eq!(receipt["containers"][0]["id"], sandbox.container_id(&package.name));
    sandbox.plugin(&["info", &package.name]).ok().answers(&["digest proven", &archive.sha256, "installed    1.0.0"]);
}

#[test]
fn an_archive_of_this_machine_is_installed() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    std::fs::write(sandbox.work().join("probe.tar.gz"), package.archive().bytes).unwrap();
    sandbox.plugin(&["install", "./probe.tar.gz"]).ok().answers(&["is installed and healthy"]);
    assert_eq!(sandbox.receipt(&package.name).unwrap()["proof"], "local");
}

#[test]
fn an_installed_and_healthy_plugin_is_left_as_it_is() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let mut sandbox = Sandbox::of(&registry);
    let proxy = Proxy::start(&sandbox);
    sandbox.set("DOCKER_HOST", proxy.address());
    sandbox.plugin(&["install", &package.name]).ok();
    let before = State::of(&sandbox);
    proxy.disarm();
    let again = sandbox.plugin(&["install", &package.name]).ok().answers(&["is installed already and healthy"]);
    assert!(proxy.mutating().is_empty(), "{:?}\n{again}", proxy.mutating());
    assert_eq!(registry.downloads(&package), 1);
    before.assert_unchanged(&sandbox, &again);
}

#[test]
fn a_plugin_whose_container_is_gone_is_repaired() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ok();
    let lost = sandbox.container_id(&package.name);
    Engine::remove_container(&lost);
    sandbox.plugin(&["status"]).ends_with(1).answers(&["missing", "there is no container"]);
    sandbox.plugin(&["install", &package.name]).ok().answers(&["is repaired and healthy"]);
    assert_ne!(sandbox.container_id(&package.name), lost);
    assert_eq!(ask(package.number(), "/health").0, 200);
}

#[test]
fn a_changed_value_makes_the_container_anew() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ok();
    let first = sandbox.container_id(&package.name);
    let key = format!("{}_COLOUR", package.prefix());
    sandbox.write_env(&format!("{key}=green"));
    sandbox.plugin(&["install", &package.name]).ok().answers(&["is reconfigured and healthy"]);
    let second = sandbox.container_id(&package.name);
    assert_ne!(first, second);
    assert_eq!(variable_inside(package.number(), &key).as_deref(), Some("green"));
    sandbox.plugin(&["install", &package.name]).ok().answers(&["is installed already"]);
    assert_eq!(sandbox.container_id(&package.name), second);
    State::of(&sandbox).assert_tidy(&"after a repair");
}

#[test]
fn a_dry_run_prints_the_plan_and_changes_nothing() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    let before = State::of(&sandbox);
    let planned = sandbox.plugin(&["install", &package.name, "--check"]).ok().answers(&[
        &format!("{} 1.0.0 in project {}:", package.name, sandbox.project),
        "build image",
        &format!("create network {}_plugins", sandbox.project),
        &format!("create container {}", sandbox.container_name(&package.name)),
        "start container",
        &format!("wait until healthy {}", sandbox.container_name(&package.name)),
        "activate package",
        "write receipt",
    ]);
    before.assert_unchanged(&sandbox, &planned);
    let planned = sandbox.plugin(&["install", &package.name, "--check", "--json"]).ok();
    let document = planned.json();
    assert_eq!(document["results"][0]["result"], "planned");
    let steps = document["results"][0]["plan"]["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["reason"].as_str().is_some_and(|reason| !reason.is_empty())));
    before.assert_unchanged(&sandbox, &planned);
}

#[test]
fn several_plugins_are_installed_and_the_bad_one_does_not_stop_them() {
    let registry = Registry::start();
    let (first, bad, last) = (Package::new("first"), Package::new("bad").mode("die"), Package::new("last"));
    for package in [&first, &bad, &last] {
        registry.add(package);
    }
    let sandbox = Sandbox::of(&registry);
    let outcome = sandbox.plugin(&["install", &first.name, &bad.name, &last.name]).ends_with(10).answers(&[
        &format!("{} 1.0.0 (from nself) is installed and healthy", first.name),
        &format!("{} is not installed", bad.name),
        &format!("{} 1.0.0 (from nself) is installed and healthy", last.name),
    ]);
    assert!(sandbox.container(&bad.name).is_none(), "{outcome}");
    assert!(Engine::is_running(&sandbox.container_name(&first.name)));
    assert!(Engine::is_running(&sandbox.container_name(&last.name)));
    let networks = Engine::networks(&json!({ "name": [format!("{}_plugins", sandbox.project)] }));
    assert_eq!(networks.len(), 1, "plugins that start at the same time share one network");
}

#[test]
fn of_several_unknown_names_all_are_told() {
    let registry = Registry::start();
    registry.add(&Package::new("probe"));
    let sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["install", "nothing-such", "nor-this"]).ends_with(3).says(&["`nothing-such`", "`nor-this`"]);
}

/// A registry in which the second plugin needs the first.
fn needed_and_needing(mode: &str) -> (Registry, Package, Package) {
    let registry = Registry::start();
    // A slow one is so for longer than the other takes to be made on a busy machine.
    let needed = Package::new("needed").mode(mode).slow_for(5_000);
    let needing = Package::new("needing");
    registry.add(&needed);
    registry.add_with(&needing, |entry| {
        entry.insert("dependencies".into(), json!([needed.name]));
    });
    (registry, needed, needing)
}

#[test]
fn what_a_plugin_needs_is_there_before_it_is_started() {
    let (registry, needed, needing) = needed_and_needing("slow");
    let sandbox = Sandbox::of(&registry);
    // Its archive and image do not wait for the other's health.
    let waiting = format!("{}: waiting for {}", needing.name, needed.name);
    let (healthy, starting) = (format!("{}: healthy", needed.name), format!("{}: starting", needing.name));
    sandbox.plugin(&["install", &needing.name]).ok().says_in_order(&[&waiting, &healthy, &starting]);
    sandbox
        .plugin(&["remove", &needed.name])
        .ends_with(1)
        .says(&[&format!("is needed by {}", needing.name), "--force"]);
    assert!(Engine::is_running(&sandbox.container_name(&needed.name)));
}

#[test]
fn a_plugin_whose_need_failed_is_never_started() {
    let (registry, needed, needing) = needed_and_needing("die");
    let sandbox = Sandbox::of(&registry);
    let before = State::of(&sandbox);
    let outcome = sandbox
        .plugin(&["install", &needing.name])
        .ends_with(7)
        .says(&[&format!("`{}` needs `{}`, which was not installed", needing.name, needed.name)])
        .hides(&[&format!("{}: starting", needing.name)]);
    before.assert_unchanged(&sandbox, &outcome);
}

#[test]
fn a_plugin_that_is_healthy_again_with_what_it_needs_is_left_as_it_is() {
    let (registry, needed, needing) = needed_and_needing("ok");
    let sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["install", &needing.name]).ok();
    let id = sandbox.container_id(&needing.name);
    Engine::remove_container(&sandbox.container_name(&needed.name));
    sandbox.plugin(&["install", &needing.name]).ok().hides(&[&format!("{}: starting", needing.name)]);
    assert_eq!(sandbox.container_id(&needing.name), id);
    assert!(Engine::is_running(&sandbox.container_name(&needed.name)));
}

#[test]
fn an_image_that_the_engine_has_is_run_and_outlives_the_plugin() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    let tag = format!("{}:local", package.name);
    let image = sandbox.foreign_image(&tag, &package.build_context());
    let package = package.image(&tag);
    sandbox.install(&package, &[]).ok();
    assert_eq!(sandbox.container(&package.name).unwrap()["Image"], image);
    sandbox.plugin(&["remove", &package.name]).ok();
    assert_eq!(Engine::images(&json!({ "reference": [tag] })).len(), 1, "an image of the user's own is never removed");
}

#[test]
fn an_image_that_is_removed_before_its_use_is_built_anew() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let mut sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["install", &package.name]).ok();
    sandbox.plugin(&["remove", &package.name, "--keep-image"]).ok();
    let left = Engine::images(&json!({ "label": [format!("org.nself.plugin={}", package.name)] }));
    assert_eq!(left.len(), 1, "{left:?}");

    let proxy = Proxy::start(&sandbox);
    sandbox.set("DOCKER_HOST", proxy.address());
    // The image has been found by then, and the container comes next.
    proxy.arm(1, Fault::Hold);
    let running = sandbox.start(&["plugin", "install", &package.name]);
    wait_until("the network is asked for", Duration::from_secs(30), || proxy.has_fired());
    Engine::remove_image(left[0]["Id"].as_str().unwrap());
    proxy.release();
    running.wait().ok().says(&["No such image", "beginning anew", "importing the image"]);
    assert!(proxy.mutating()[0].contains("/networks/create"), "{:?}", proxy.mutating());
    assert_eq!(ask(package.number(), "/health").0, 200);
    let state = State::of(&sandbox);
    assert_eq!(state.of_kind("image").len(), 1);
    state.assert_tidy(&"after an installation that began anew");
}

#[test]
fn a_network_that_another_plugins_failure_takes_along_is_made_anew() {
    let registry = Registry::start();
    let (failing, going_on) = (Package::new("failing").mode("die"), Package::new("probe"));
    registry.add(&failing);
    registry.add(&going_on);
    let mut sandbox = Sandbox::of(&registry);
    let network = format!("{}_plugins", sandbox.project);
    let proxy = Proxy::start(&sandbox);
    sandbox.set("DOCKER_HOST", proxy.address());
    proxy.arm(3, Fault::Hold);
    let running = sandbox.start(&["plugin", "install", &going_on.name]);
    wait_until("its container is to be made", Duration::from_secs(30), || proxy.has_fired());
    assert!(proxy.mutating()[2].contains("/containers/create"), "{:?}", proxy.mutating());
    // The one who made the network would remove it, since nothing is on it yet.
    Engine::remove_network(&network);
    proxy.release();
    running.wait().ok().says(&[&format!("network {network} not found"), "beginning anew"]);
    assert_eq!(ask(going_on.number(), "/health").0, 200);
    sandbox.plugin(&["install", &failing.name]).ends_with(7);
    assert_eq!(Engine::networks(&json!({ "name": [network] })).len(), 1, "others are on it");
    sandbox.plugin(&["remove", &going_on.name]).ok();
    assert!(State::of(&sandbox).of_kind("network").is_empty());
}

#[test]
fn plugins_that_fail_at_the_same_time_leave_nothing() {
    let registry = Registry::start();
    let failing: Vec<Package> = ["a", "b", "c"].map(|name| Package::new(name).mode("die")).into();
    for package in &failing {
        registry.add(package);
    }
    let sandbox = Sandbox::of(&registry);
    let before = State::of(&sandbox);
    let mut words = vec!["install"];
    words.extend(failing.iter().map(|package| package.name.as_str()));
    let outcome = sandbox.plugin(&words).ends_with(7);
    before.assert_unchanged(&sandbox, &outcome);
}

#[test]
fn an_image_that_nobody_has_is_an_error_that_leaves_nothing() {
    let sandbox = Sandbox::new();
    // A registry of loopback where nobody listens.
    let package = Package::new("probe").image("127.0.0.1:9/nobody/nothing:1");
    let before = State::of(&sandbox);
    let outcome =
        sandbox.install(&package, &[]).ends_with(1).says(&["could not pull the image `127.0.0.1:9/nobody/nothing:1`"]);
    before.assert_unchanged(&sandbox, &outcome);
}

#[test]
fn the_data_of_a_degraded_plugin_is_shown_with_its_reason() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe").mode("degraded");
    sandbox.install(&package, &[]).ok().answers(&["degraded (no cache)"]);
    sandbox.plugin(&["status"]).ok().answers(&["degraded: no cache"]);
}

#[test]
fn a_plugin_without_a_port_is_healthy_when_it_keeps_running() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe").port(None).mode("idle");
    let outcome = sandbox.install(&package, &[]).ok().answers(&["is installed and healthy"]);
    assert!(outcome.took.as_secs() >= 5, "running for 5 s is what proves it\n{outcome}");
}

#[test]
fn the_folders_of_the_environment_are_used() {
    let sandbox = Sandbox::new();
    let (home, plugins) = (sandbox.path("elsewhere"), sandbox.path("my plugins"));
    let sandbox =
        sandbox.with("NSELF_HOME", home.display().to_string()).with("NSELF_PLUGIN_DIR", plugins.display().to_string());
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ok();
    assert!(plugins.join(&package.name).join("plugin.json").is_file());
    assert!(home.join("receipts").join(&sandbox.project).join(format!("{}.json", package.name)).is_file());
    assert!(!sandbox.home().join(".nself").exists(), "nothing is written to the default places");
    sandbox.plugin(&["remove", &package.name]).ok();
    assert!(!plugins.join(&package.name).exists());
    sandbox
        .with("NSELF_HOME", "relative")
        .plugin(&["status"])
        .ends_with(2)
        .says(&["which is no absolute path", "hint:"]);
}
