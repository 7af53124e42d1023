//! Actions of plugins, programs in their containers, and words that are neither.

use serde_json::json;

use crate::support::{Package, Registry, Sandbox, assert_valid_output};

fn acting() -> Package {
    let package = Package::new("probe");
    let prefix = package.prefix();
    package.edit(|manifest| {
        manifest["env"] = json!({ "optional": [
            { "name": format!("{prefix}_API_KEY"), "secret": true, "generated": { "length": 48 } },
        ] });
        manifest["actions"] = json!([
            { "name": "stats", "description": "Show statistics", "request": "GET /echo/{queue}?days={days}",
              "arguments": [{ "name": "queue", "flags": ["--queue", "-q"], "required": true }, { "name": "days" }] },
            { "name": "stats", "description": "Show statistics", "request": "GET /echo" },
            { "name": "schedule create", "description": "Add a schedule", "request": "POST /echo",
              "arguments": [{ "name": "name", "flags": ["--name"], "required": true }],
              "body": { "name": "{name}" } },
            { "name": "retry", "description": "Retry all", "request": "POST /echo/{item}",
              "each": { "path": "/list", "list": "jobs", "key": "jobId" } },
            { "name": "missing", "description": "Fail", "request": "GET /nowhere" },
            { "name": "worker", "description": "The workers run inside the container" },
        ]);
    })
}

#[test]
fn actions_call_the_plugins_interface_with_its_key() {
    let sandbox = Sandbox::new();
    let package = acting();
    let name = package.name.as_str();
    sandbox.install(&package, &[]).ok();
    let server = sandbox.plugin(&["env", "--server", "--reveal"]).ok();
    let key =
        server.stdout.lines().find_map(|line| line.strip_prefix(&format!("{}_API_KEY=", package.prefix()))).unwrap();
    let asked = |words: &[&str]| {
        let words: Vec<&str> = [name].iter().chain(words).copied().chain(["--json"]).collect();
        let document = sandbox.plugin(&words).ok().json();
        assert_valid_output(&document);
        document["answer"].clone()
    };
    let answer = |method: &str, path: &str, body| json!({ "method": method, "path": path, "key": key, "body": body });
    assert_eq!(asked(&["stats"]), answer("GET", "/echo", json!(null)));
    assert_eq!(asked(&["stats", "-q", "a b", "7"]), answer("GET", "/echo/a%20b?days=7", json!(null)));
    assert_eq!(asked(&["schedule", "create", "--name", "n"]), answer("POST", "/echo", json!({ "name": "n" })));
    assert_eq!(
        asked(&["retry"])["results"],
        json!([{ "jobId": "a/b", "result": "done" }, { "jobId": "c", "result": "done" }])
    );
    sandbox.plugin(&["run", name, "stats"]).ok().answers(&["method: GET"]);
    sandbox.plugin(&[name, "worker"]).ok().answers(&["inside the container"]);
    sandbox.plugin(&[name, "help"]).ok().answers(&["schedule create --name NAME", "Retry all"]);
    sandbox.plugin(&[name]).ok().answers(&["schedule create"]);
    sandbox.plugin(&[name, "integrate"]).ok().answers(&[&format!("CS_1={name}:custom:{}", package.number())]);
    sandbox.plugin(&[name, "init"]).ok().answers(&["nothing to initialise"]);

    sandbox.plugin(&[name, "missing"]).ends_with(1).says(&["it answered 404: no such path"]);
    sandbox
        .plugin(&[name, "stat"])
        .ends_with(2)
        .says(&["no such action", &format!("did you mean: nself plugin {name} stats")]);
    sandbox.plugin(&[name, "schedule", "create"]).ends_with(2).says(&["--name NAME is missing"]);
}

#[test]
fn a_program_runs_inside_the_container_with_its_exit_code() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ok();
    let outcome = sandbox.plugin(&["exec", &package.name, "--", "/probe", "die"]);
    outcome.ends_with(3).says(&["no flux"]);
    let document = sandbox.plugin(&["exec", &package.name, "--json", "--", "/probe", "die"]).ends_with(3).json();
    assert_eq!(document["exit_code"], 3);
    sandbox.plugin(&["exec", &package.name, "--", "/absent"]).ends_with(126);
    sandbox.plugin(&["exec", "absent", "--", "/probe"]).ends_with(3);
}

#[test]
fn a_word_that_means_nothing_gets_the_nearest_command_or_plugin() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["instal"]).ends_with(2).says(&["not a command", "did you mean: nself plugin install"]);
    sandbox.plugin(&["refresh"]).ok();
    sandbox.plugin(&[&package.name, "stats"]).ends_with(3).says(&["is not installed"]);
    sandbox.plugin(&["xyzzy"]).ends_with(2).says(&["nself plugin --help"]);
    sandbox.plugin(&["update", "--all"]).ends_with(2).says(&["does not have the command yet"]);
    let document = sandbox.plugin(&["rollback", "x", "--json"]).ends_with(2).json();
    assert_eq!(document["error"]["code"], "usage");

    sandbox
        .plugin(&["install", &package.name, "--tier", "free", "--skip-sbom-check"])
        .ok()
        .says(&["--tier has no effect"]);
    sandbox.plugin(&["ps"]).ok().answers(&[&package.name]);
    sandbox.plugin(&["installed"]).ok().answers(&[&package.name]);
    sandbox.plugin(&["--version"]).ok().answers(&["nself "]);
    sandbox.run(&["version"]).ok().answers(&["nself "]);
    sandbox.run(&["add", &package.name]).ok();
    sandbox.run(&["config", "plugins", "list", "-i"]).ok().answers(&[&package.name]);
    sandbox.plugin(&["install", &format!("{}@latest", package.name)]).ok();
    sandbox.plugin(&["logs", &package.name, "--grep", "probe starts", "--no-follow"]).ok().answers(&["probe starts"]);
}

#[test]
fn a_coming_commands_word_that_is_a_plugin_is_reached_by_run() {
    let sandbox = Sandbox::new();
    let package = Package::named("backup");
    sandbox.install(&package, &[]).ok();
    sandbox.plugin(&["backup", "now"]).ends_with(2).says(&["nself plugin run backup"]);
    sandbox.plugin(&["run", "backup"]).ok().answers(&["backup 1.0.0"]);
}
