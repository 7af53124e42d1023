//! What every container gets unless its manifest asks for more, as the engine tells it and as it is inside.

use serde_json::json;

use crate::support::{Package, Sandbox, ask};

#[test]
fn a_container_has_the_hardened_defaults() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ok();
    let container = sandbox.container(&package.name).unwrap();
    let host = &container["HostConfig"];
    assert_eq!(host["CapDrop"], json!(["ALL"]));
    assert!(host["CapAdd"].as_array().is_none_or(Vec::is_empty), "{}", host["CapAdd"]);
    assert_eq!(host["SecurityOpt"], json!(["no-new-privileges"]));
    assert_eq!(host["Privileged"], false);
    assert_eq!(host["ReadonlyRootfs"], true);
    assert_eq!(host["PidsLimit"], 256);
    assert_eq!(host["Memory"], 512 * 1024 * 1024);
    assert_eq!(host["RestartPolicy"]["Name"], "always");
    assert_eq!(host["LogConfig"], json!({ "Type": "json-file", "Config": { "max-size": "10m", "max-file": "3" } }));
    assert!(host["Tmpfs"]["/tmp"].as_str().is_some_and(|options| options.contains("noexec")), "{}", host["Tmpfs"]);
    assert!(host["Binds"].as_array().is_none_or(Vec::is_empty), "{}", host["Binds"]);
    assert_eq!(container["Mounts"], json!([]), "no socket, no folder of the host");
    let bound = &host["PortBindings"][format!("{}/tcp", package.number())];
    assert_eq!(*bound, json!([{ "HostIp": "127.0.0.1", "HostPort": package.number().to_string() }]));
    assert_eq!(ask(package.number(), "/write").1, "root false, tmp true");
}

#[test]
fn a_container_carries_the_labels_that_other_tools_rely_on() {
    let registry = crate::support::Registry::start();
    let package = Package::new("probe");
    let archive = registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["install", &package.name]).ok();
    let labels = &sandbox.container(&package.name).unwrap()["Config"]["Labels"];
    let home = sandbox.label().unwrap();
    for (key, value) in [
        ("org.nself.plugin", package.name.as_str()),
        ("org.nself.version", "1.0.0"),
        ("org.nself.project", sandbox.project.as_str()),
        ("org.nself.service", package.name.as_str()),
        ("org.nself.home", home.split_once('=').unwrap().1),
        ("org.nself.digest", &format!("sha256:{}", archive.sha256)),
    ] {
        assert_eq!(labels[key], value, "{key}");
    }
    assert!(labels["org.nself.config-hash"].as_str().is_some_and(|hash| !hash.is_empty()));
    let keys: Vec<&String> = labels.as_object().unwrap().keys().collect();
    assert!(keys.iter().all(|key| !key.starts_with("com.docker.compose")), "compose must not take it away: {keys:?}");
}

#[test]
fn the_manifest_and_the_user_set_the_limits() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe").edit(|manifest| {
        let service = &mut manifest["service"];
        service["memory"] = "64m".into();
        service["cpus"] = 0.5.into();
        service["pids"] = 32.into();
        service["user"] = "65532:65532".into();
    });
    sandbox.install(&package, &[]).ok();
    let container = sandbox.container(&package.name).unwrap();
    assert_eq!(container["HostConfig"]["Memory"], 64 * 1024 * 1024);
    assert_eq!(container["HostConfig"]["NanoCpus"], 500_000_000);
    assert_eq!(container["HostConfig"]["PidsLimit"], 32);
    assert_eq!(container["Config"]["User"], "65532:65532");
    let memory = format!("{}_MEMORY=96m", package.prefix());
    sandbox.plugin(&["install", &package.name, "--env", &memory]).ok();
    assert_eq!(sandbox.container(&package.name).unwrap()["HostConfig"]["Memory"], 96 * 1024 * 1024);
    let wrong = format!("{}_MEMORY=plenty", package.prefix());
    sandbox
        .plugin(&["install", &package.name, "--env", &wrong])
        .ends_with(6)
        .says(&["which is no amount of memory", "hint:"]);
}
