//! Plugin sets: several plugins in one command, and what a script or a frontend then asks for.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Answer, Engine, Package, Registry, Sandbox, assert_valid_output, printed_host, write_program};

const CORE: [&str; 4] = ["realtime", "notifications", "jobs", "file-processing"];

/// A registry with these plugins and nothing else, and a sandbox that asks it.
fn world(names: &[&str]) -> (Registry, Vec<Package>, Sandbox) {
    let registry = Registry::start();
    let packages: Vec<Package> = names.iter().map(|name| Package::named(name)).collect();
    for package in &packages {
        registry.add(package);
    }
    let sandbox = Sandbox::of(&registry);
    (registry, packages, sandbox)
}

/// A backend CLI that writes down what it is asked for, and the backend's network. Gives the file it writes to.
fn backend(sandbox: &mut Sandbox, exit_code: u8) -> PathBuf {
    let folder = sandbox.path("bin");
    std::fs::create_dir(&folder).unwrap();
    let told = sandbox.path("told");
    let text = format!(
        "#!/bin/sh\ncase $1 in --version) echo 'nself 1.5.0';; *) echo \"$@\" >>{}; echo restarting; exit {exit_code};; esac\n",
        told.display()
    );
    write_program(&folder.join("nself"), &text);
    sandbox.set("PATH", format!("{}:/usr/bin:/bin", folder.display()));
    sandbox.foreign_network(&format!("{}_network", sandbox.project));
    told
}

#[test]
fn the_core_set_is_installed_at_once_and_the_second_run_changes_nothing() {
    let (_registry, _packages, sandbox) = world(&CORE);
    let first = sandbox.plugin(&["install", "--core-only", "--json"]).ok().json();
    assert_valid_output(&first);
    let results: Vec<(&str, &str)> = first["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["plugin"].as_str().unwrap(), one["result"].as_str().unwrap()))
        .collect();
    assert_eq!(results, CORE.map(|name| (name, "installed")));
    let ids = || CORE.map(|name| sandbox.container_id(name));
    let before = ids();
    let second = sandbox.plugin(&["install", "--core-only", "--json"]).ok().json();
    assert!(second["results"].as_array().unwrap().iter().all(|one| one["result"] == "current"), "{second}");
    let told = sandbox.plugin(&["install", "--core-only"]).ok();
    told.answers(&[&format!("container: {}", sandbox.container_name("jobs")), "next: the addresses for a frontend"]);
    assert_eq!(ids(), before);
    // One that was removed by hand is the only one that is made anew.
    Engine::remove_container(&sandbox.container_name("jobs"));
    let third = sandbox.plugin(&["install", "--core-only", "--json"]).ok().json();
    let repaired = third["results"].as_array().unwrap().iter().filter(|one| one["result"] == "repaired");
    assert_eq!(repaired.map(|one| one["plugin"].as_str().unwrap()).collect::<Vec<_>>(), ["jobs"]);
    assert_eq!(sandbox.container_id("realtime"), before[0]);
}

#[test]
fn what_no_registry_delivers_is_named_and_the_rest_is_done() {
    let (_registry, _packages, sandbox) = world(&["realtime", "notifications", "jobs", "file-processing", "stripe"]);
    let outcome = sandbox.plugin(&["install", "--all"]).ends_with(10);
    outcome.says(&["`idme`", "`github`", "`shopify`"]).answers(&["stripe 1.0.0", "idme is not installed"]);
    assert!(sandbox.container("stripe").is_some());
}

#[test]
fn in_ci_missing_secrets_are_all_listed_and_leave_their_plugin_out() {
    let registry = Registry::start();
    let needing = Package::named("idme").edit(|manifest| {
        manifest["env"] = json!({ "required": ["IDME_CLIENT_ID", "IDME_CLIENT_SECRET"] });
    });
    registry.add(&needing);
    registry.add(&Package::named("realtime"));
    let sandbox = Sandbox::of(&registry);
    let words = ["install", "--set", "auth", "realtime"];
    sandbox.plugin(&words).ends_with(10).says(&["needs IDME_CLIENT_ID", "needs IDME_CLIENT_SECRET", ".env.plugins"]);
    assert!(sandbox.container("realtime").is_some());
    sandbox.plugin(&["install", "--set", "auth"]).ends_with(6).says(&["IDME_CLIENT_ID", "IDME_CLIENT_SECRET"]);
}

#[test]
fn a_registry_can_name_more_sets_and_an_unknown_one_is_not_found() {
    let (registry, packages, sandbox) = world(&["chat", "video"]);
    let mut document: Value = serde_json::from_slice(&registry.document()).unwrap();
    document["sets"] = json!({ "media": ["chat", "video"], "core": ["chat"], "empty": [], "odd": 7 });
    registry.server.answer("/registry.json", Answer::Bytes(document.to_string().into_bytes()));
    sandbox.plugin(&["install", "--set", "media"]).ok();
    assert!(packages.iter().all(|package| sandbox.container(&package.name).is_some()));
    sandbox.plugin(&["install", "--set", "medai"]).ends_with(3).says(&["`medai`", "core, auth, integrations, media"]);
    for (set, why) in [("empty", "it names no plugin"), ("odd", "it is no list of names")] {
        sandbox.plugin(&["install", "--set", set]).ends_with(3).says(&[why]);
        sandbox.plugin(&["setup", "--yes", "--set", set]).ends_with(3).says(&[why]);
    }
    sandbox.plugin(&["install"]).ends_with(2);
}

#[test]
fn a_failing_plugin_does_not_keep_those_back_that_do_not_need_it() {
    let registry = Registry::start();
    registry.add(&Package::named("realtime").mode("die"));
    registry.add(&Package::named("notifications"));
    let needing = Package::named("jobs");
    registry.add_with(&needing, |entry| {
        entry.insert("dependencies".into(), json!(["realtime"]));
    });
    let sandbox = Sandbox::of(&registry);
    let outcome = sandbox.plugin(&["install", "realtime", "notifications", "jobs"]).ends_with(10);
    outcome.says(&["exited with code 3", "`jobs` needs `realtime`"]);
    assert!(sandbox.container("notifications").is_some());
    assert!(sandbox.container("jobs").is_none());
}

#[test]
fn a_running_backend_is_restarted_after_a_set_and_only_then() {
    let (_registry, _packages, mut sandbox) = world(&CORE);
    let told = backend(&mut sandbox, 0);
    sandbox.plugin(&["install", "realtime"]).ok();
    assert!(!told.exists(), "one plugin by name: the script that installs it restarts");
    sandbox.plugin(&["install", "--core-only", "--skip-restart"]).ok().answers(&["run: nself restart"]);
    assert!(!told.exists());
    sandbox.plugin(&["remove", "jobs"]).ok();
    let answer = sandbox.plugin(&["install", "--core-only", "--json"]).ok().json();
    assert_valid_output(&answer);
    assert_eq!(answer["restart"]["result"], "done");
    assert_eq!(std::fs::read_to_string(&told).unwrap(), "restart\n");
    sandbox.plugin(&["install", "--core-only"]).ok();
    assert_eq!(std::fs::read_to_string(&told).unwrap(), "restart\n", "nothing has changed");
}

#[test]
fn a_backend_that_does_not_restart_makes_it_partly_done() {
    let (_registry, _packages, mut sandbox) = world(&CORE);
    backend(&mut sandbox, 7);
    let failed = sandbox.plugin(&["install", "--core-only"]).ends_with(10);
    failed.answers(&["could not be restarted (exit code 7)"]).says(&["ended with exit code 7"]);
    // The change has still to be seen: another run tries again, and none after that which succeeded.
    sandbox.plugin(&["install", "--core-only"]).ends_with(10).answers(&["could not be restarted (exit code 7)"]);
    std::fs::remove_dir_all(sandbox.path("bin")).unwrap();
    let told = backend(&mut sandbox, 0);
    std::fs::remove_file(&told).unwrap();
    sandbox.plugin(&["install", "--core-only", "--dry-run"]).ok();
    assert!(!told.exists(), "a plan restarts nothing");
    sandbox.plugin(&["install", "--core-only"]).ok().answers(&["the backend was restarted"]);
    sandbox.plugin(&["install", "--core-only"]).ok();
    assert_eq!(std::fs::read_to_string(&told).unwrap(), "restart\n");
}

/// The calls of the installation script that nself-chat 0.9.1 ships, in its order.
#[test]
fn the_script_of_nself_chat_finds_what_it_calls() {
    let all = ["realtime", "notifications", "jobs", "file-processing", "idme", "stripe", "github", "shopify"];
    let (_registry, _packages, mut sandbox) = world(&all);
    let told = backend(&mut sandbox, 0);
    sandbox.run(&["--version"]).ok().answers(&["nself"]);
    for name in all {
        sandbox.plugin(&["install", name]).ok();
    }
    sandbox.run(&["restart"]).ok();
    assert_eq!(std::fs::read_to_string(told).unwrap(), "restart\n");
    sandbox.plugin(&["list", "--installed"]).ok().answers(&all);
    sandbox.plugin(&["status"]).ok().answers(&all);
    for name in all {
        sandbox.plugin(&["install", name]).ok().answers(&["is installed already"]);
    }
}

#[test]
fn a_frontend_gets_its_addresses_in_every_format() {
    let registry = Registry::start();
    let realtime = Package::named("realtime").edit(|manifest| {
        manifest["ports"] = json!([{ "name": "http", "port": 0, "hostname": "realtime.localhost" }]);
    });
    let port = realtime.number();
    let realtime = realtime.edit(|manifest| manifest["ports"][0]["port"] = json!(port));
    registry.add(&realtime);
    let sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["install", "realtime"]).ok();
    let url = format!("http://{}:{port}", printed_host("realtime.localhost"));
    let socket = format!("ws://{}:{port}", printed_host("realtime.localhost"));
    let expected = [
        ("NEXT_PUBLIC_REALTIME_URL", url.as_str()),
        ("NEXT_PUBLIC_REALTIME_WS_URL", socket.as_str()),
        ("NEXT_PUBLIC_REALTIME_ENABLED", "true"),
    ];
    let dotenv = expected.map(|(key, value)| format!("{key}={value}\n")).concat();
    assert_eq!(sandbox.plugin(&["env"]).ok().stdout, dotenv);
    let shell = expected.map(|(key, value)| format!("export {key}='{value}'\n")).concat();
    assert_eq!(sandbox.plugin(&["env", "realtime", "--format", "shell"]).ok().stdout, shell);
    let object: Value = serde_json::from_str(&sandbox.plugin(&["env", "--format", "json"]).ok().stdout).unwrap();
    let document = sandbox.plugin(&["env", "--json"]).ok().json();
    assert_valid_output(&document);
    assert_valid_output(&sandbox.plugin(&["open", "realtime", "--json"]).ok().json());
    for (key, value) in expected {
        assert_eq!((&object[key], &document["variables"][key]), (&json!(value), &json!(value)));
    }
    let next = sandbox.plugin(&["env", "--format", "nextjs"]).ok().stdout;
    let assignments: Vec<&str> = next.split_inclusive('\n').filter(|line| line.contains('=')).collect();
    assert_eq!(assignments.concat(), dotenv);
    sandbox.plugin(&["env", "absent"]).ends_with(3);

    assert_eq!(sandbox.plugin(&["open", "realtime"]).ok().stdout, format!("{url}\n"), "nobody is there to look");
    sandbox.plugin(&["open", "realtime", "dashboard"]).ends_with(2).says(&["has no address `dashboard`; it has: http"]);
    sandbox.plugin(&["open", "absent"]).ends_with(3);
}
