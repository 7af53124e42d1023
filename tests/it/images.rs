//! Images that are made from packages: imported in one step where nothing must be run, else built, and what an
//! interrupted build leaves. Labels of images are never believed.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Engine, Package, Proxy, Registry, Sandbox, State, wait_until};

/// A package whose image needs a builder: a program is run, which never ends.
fn endless() -> Package {
    let dockerfile = b"FROM scratch\nCOPY id probe /\nRUN [\"/probe\", \"idle\"]\n";
    Package::new("probe").file("Dockerfile", dockerfile)
}

/// Every image with this installation's label, those of build steps included.
fn images_of(sandbox: &Sandbox) -> Vec<Value> {
    let label = sandbox.label().unwrap();
    let filters = format!("%7B%22label%22%3A%5B%22{}%22%5D%7D", label.replace('=', "%3D"));
    let (status, images) = Engine::request("GET", &format!("/images/json?all=1&filters={filters}"), None);
    assert_eq!(status, 200, "{images}");
    images.as_array().unwrap().clone()
}

fn containers_of(sandbox: &Sandbox) -> Vec<Value> {
    Engine::containers(&json!({ "label": [sandbox.label().unwrap()] }))
}

/// Waits until the build's program runs.
fn wait_for_build(sandbox: &Sandbox) {
    wait_until("the build runs its program", Duration::from_mins(1), || {
        sandbox.label().is_some() && containers_of(sandbox).iter().any(|container| container["State"] == "running")
    });
}

#[test]
fn a_package_that_runs_nothing_is_imported_in_one_request() {
    let mut sandbox = Sandbox::new();
    let package = Package::new("probe");
    let proxy = Proxy::start(&sandbox);
    sandbox.set("DOCKER_HOST", proxy.address());
    proxy.disarm();
    sandbox.install(&package, &[]).ok();
    let requests = proxy.mutating();
    assert_eq!(requests.iter().filter(|line| line.contains("/images/create?")).count(), 1, "{requests:?}");
    assert!(!requests.iter().any(|line| line.contains("/build?")), "{requests:?}");
    let images = images_of(&sandbox);
    assert_eq!(images.len(), 1, "{images:?}");
    assert!(images[0]["Labels"].get("org.nself.transaction").is_none(), "{images:?}");
}

#[test]
fn an_interrupted_build_leaves_neither_images_nor_containers() {
    let sandbox = Sandbox::new();
    let package = endless();
    let folder = package.folder(&sandbox.work());
    let before = State::of(&sandbox);
    let running = sandbox.start(&["plugin", "install", folder.to_str().unwrap(), "--allow-build"]);
    wait_for_build(&sandbox);
    running.signal(Signal::INT);
    let outcome = running.wait().ends_with(130);
    before.assert_unchanged(&sandbox, &outcome);
    assert_eq!(images_of(&sandbox), Vec::<Value>::new(), "{outcome}");
    assert_eq!(containers_of(&sandbox), Vec::<Value>::new(), "{outcome}");
}

#[test]
fn doctor_names_what_a_killed_build_left() {
    let sandbox = Sandbox::new();
    let package = endless();
    let folder = package.folder(&sandbox.work());
    let running = sandbox.start(&["plugin", "install", folder.to_str().unwrap(), "--allow-build"]);
    wait_for_build(&sandbox);
    running.signal(Signal::KILL);
    running.wait();
    let told = sandbox.plugin(&["doctor", "--offline"]);
    told.answers(&["an image of this installation that no receipt lists", "docker rmi "]);
}

#[test]
fn a_build_that_runs_programs_is_shown_and_must_be_allowed() {
    let registry = Registry::start();
    let package = endless();
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    let before = State::of(&sandbox);
    let outcome = sandbox.plugin(&["install", &package.name]).ends_with(6);
    let outcome = outcome.says(&["runs: FROM scratch; RUN [\"/probe\", \"idle\"]", "--allow-build=network"]);
    before.assert_unchanged(&sandbox, &outcome);
    assert!(!outcome.stderr.contains("building"), "{outcome}");
}

#[test]
fn a_build_is_limited_and_has_no_network_unless_allowed() {
    for (flag, network) in [("--allow-build", "none"), ("--allow-build=network", "default")] {
        let sandbox = Sandbox::new();
        let folder = endless().folder(&sandbox.work());
        let running = sandbox.start(&["plugin", "install", folder.to_str().unwrap(), flag]);
        wait_for_build(&sandbox);
        let build = containers_of(&sandbox).remove(0);
        let inspected = Engine::container(build["Id"].as_str().unwrap()).unwrap();
        assert_eq!(inspected["HostConfig"]["NetworkMode"], network, "{flag}");
        assert_eq!(inspected["HostConfig"]["Memory"], 1 << 30, "{flag}");
        running.signal(Signal::INT);
        running.wait().ends_with(130);
    }
}

#[test]
fn a_build_ends_at_its_deadline() {
    let sandbox = Sandbox::new().with("NSELF_PLUGIN_BUILD_TIMEOUT", "4s");
    let package = endless();
    let folder = package.folder(&sandbox.work());
    let before = State::of(&sandbox);
    let outcome = sandbox.plugin(&["install", folder.to_str().unwrap(), "--allow-build"]).ends_with(1);
    let outcome = outcome.says(&["it was not done within 4 s (NSELF_PLUGIN_BUILD_TIMEOUT)"]);
    before.assert_unchanged(&sandbox, &outcome);
}

/// The attacker's image carries the public digest of an archive, and answers as that plugin would.
#[test]
fn an_image_is_never_used_because_of_its_labels() {
    let registry = Registry::start();
    let package = Package::new("probe");
    let archive = registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    let label = format!("LABEL org.nself.digest=sha256:{}\n", archive.sha256);
    let dockerfile = format!("FROM scratch\nCOPY id probe /\n{label}");
    let evil = Package::new("evil").file("Dockerfile", dockerfile.as_bytes());
    let id = sandbox.foreign_image(&format!("{}:evil", evil.name), &evil.build_context());
    let outcome = sandbox.plugin(&["install", &package.name]).ok().says(&["importing the image"]);
    assert_ne!(sandbox.container(&package.name).unwrap()["Image"], json!(id), "{outcome}");
}

#[test]
fn labels_of_an_image_do_not_reach_the_container() {
    let sandbox = Sandbox::new();
    let labels = "LABEL com.docker.compose.service=postgres com.docker.compose.project=x org.nself.other=y a=b\n";
    let dockerfile = format!("FROM scratch\nCOPY id probe /\n{labels}");
    let package = Package::new("probe").file("Dockerfile", dockerfile.as_bytes());
    sandbox.install(&package, &[]).ok();
    let labels = sandbox.container(&package.name).unwrap()["Config"]["Labels"].clone();
    for blanked in ["com.docker.compose.service", "com.docker.compose.project", "org.nself.other"] {
        assert_eq!(labels[blanked], "", "{labels}");
    }
    assert_eq!(labels["a"], "b");
}

#[test]
fn only_a_committed_plugin_that_is_not_stopped_is_restarted_by_the_engine() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    let policy = || sandbox.container(&package.name).unwrap()["HostConfig"]["RestartPolicy"]["Name"].clone();
    sandbox.install(&package, &[]).ok();
    assert_eq!(policy(), "always");
    sandbox.plugin(&["stop", &package.name]).ok();
    assert_eq!(policy(), "no");
    sandbox.plugin(&["start", &package.name]).ok();
    assert_eq!(policy(), "always");
    let sick = package.clone().version("1.1.0").mode("error");
    sandbox.install(&sick, &["--timeout", "2s"]).ends_with(7);
    assert_eq!(policy(), "always", "the earlier version is given back with its policy");
}
