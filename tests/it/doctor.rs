//! `doctor`: every check against the real machine and engine, each made to go wrong, and nothing ever changed.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::ports::rivals;
use crate::support::{
    Answer, Engine, Fault, Outcome, Package, Proxy, Registry, Sandbox, State, assert_valid_output, free_port,
    wait_until, write_program,
};

/// Ports of the bundled plugins, which something else on this machine may hold.
const BUNDLED_PORTS: [&str; 6] =
    ["REALTIME_PORT", "NOTIFICATIONS_PORT", "FILE_PROCESSING_PORT", "JOBS_PORT", "JOBS_DASHBOARD_PORT", "REDIS_PORT"];

/// The same sandbox with ports of its own for the bundled plugins.
fn with_free_ports(mut sandbox: Sandbox) -> Sandbox {
    for port in BUNDLED_PORTS {
        sandbox.set(port, free_port().to_string());
    }
    sandbox
}

/// A sandbox with a backend's files, a registry that answers, and the bundled one.
fn healthy(registry: &Registry) -> Sandbox {
    let sandbox = with_free_ports(Sandbox::of(registry).bundled());
    sandbox.write("docker-compose.yml", "services: {}\n");
    sandbox
}

/// Runs it for a document, which must be as the schema says.
fn diagnose(sandbox: &Sandbox, words: &[&str], code: i32) -> Diagnosis {
    let words: Vec<&str> = ["doctor", "--json"].into_iter().chain(words.iter().copied()).collect();
    let outcome = sandbox.plugin(&words).ends_with(code);
    let document = outcome.json();
    assert_valid_output(&document);
    assert_eq!(document["schema"], "nself.plugin.doctor/1");
    assert_eq!(document["status"], if code == 0 { "ok" } else { "failed" }, "{outcome}");
    Diagnosis { outcome, document }
}

struct Diagnosis {
    outcome: Outcome,
    document: Value,
}

impl Diagnosis {
    /// The lines of a check, of those that say so.
    fn of(&self, check: &str, says: &str) -> Vec<&Value> {
        let findings = self.document["findings"].as_array().unwrap().iter();
        let is_it = |finding: &&Value| {
            let has = |key: &str| finding[key].as_str().is_some_and(|text| text.contains(says));
            finding["check"] == check && (has("subject") || has("message"))
        };
        findings.filter(is_it).collect()
    }

    /// Asserts that the check has exactly one such line, and its level; gives what mends it.
    #[track_caller]
    fn has(&self, level: &str, check: &str, says: &str) -> String {
        let found = self.of(check, says);
        assert!(found.len() == 1, "{} lines of {check} say `{says}`\n{}", found.len(), self.outcome);
        assert!(found[0]["level"] == level, "{level} was expected: {}\n{}", found[0], self.outcome);
        let hint = found[0]["hint"].as_str().unwrap_or_default();
        assert!(level == "ok" || !hint.is_empty(), "nothing mends {}\n{}", found[0], self.outcome);
        hint.to_owned()
    }
}

#[test]
fn a_healthy_machine_passes_and_nothing_is_made() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let sandbox = healthy(&registry);
    let before = State::of(&sandbox);
    let found = diagnose(&sandbox, &[&package.name, "realtime"], 0);
    found.has("ok", "engine", "not rootless, chosen by DOCKER_HOST");
    found.has("ok", "architecture", "linux/");
    found.has("ok", "disk", "images in");
    found.has("ok", "disk", "plugins in");
    found.has("ok", "memory", "realtime 512 MiB");
    found.has("ok", "project", &format!("project `{}` (as `.env` says)", sandbox.project));
    found.has("ok", "registry", "nself http://127.0.0.1");
    found.has("ok", "registry", "bundled /");
    found.has("ok", "plugin", &package.name);
    found.has("ok", "ports", &format!("{} is free", package.number()));
    found.has("ok", "variables", "2 made at random by the installation");
    found.has("ok", "leftovers", "nothing is left");
    found.has("warning", "backend", "no backend CLI is on the PATH");
    found.has("warning", "network", "the backend does not run");
    // A package that a registry only names is not fetched to be looked into.
    assert!(found.has("warning", "variables", &package.name).ends_with(&format!("{} --check", package.name)));
    assert_eq!(registry.downloads(&package), 0);
    before.assert_unchanged(&sandbox, &found.outcome);
    let made = std::fs::read_dir(sandbox.home()).unwrap().count();
    assert_eq!(made, 0, "not even a cache or a lock is made");
}

#[test]
fn people_get_a_line_a_check_and_pipes_get_columns() {
    let registry = Registry::start();
    let sandbox = healthy(&registry);
    // Without a backend CLI the shorter words are this program's too.
    let outcome = sandbox.run(&["doctor", "--offline"]).ok();
    for line in outcome.stdout.lines() {
        assert_eq!(line.split('\t').count(), 5, "{outcome}");
        assert!(["ok", "warning"].contains(&line.split('\t').next().unwrap()), "{outcome}");
    }
    outcome.answers(&["ok\tengine\tunix://", "not asked: --offline", "warning\tbackend\tnself\t"]);
    assert!(registry.server.requests().is_empty());
}

#[test]
fn an_engine_that_is_away_fails_with_what_starts_it_and_the_rest_is_checked() {
    let registry = Registry::start();
    let mut sandbox = healthy(&registry);
    sandbox.set("DOCKER_HOST", format!("unix://{}", sandbox.path("absent.sock").display()));
    let before = State::of(&sandbox);
    let found = diagnose(&sandbox, &["realtime"], 6);
    assert!(found.has("failed", "engine", "there is no such socket").contains("systemctl start docker"));
    found.has("ok", "memory", "realtime");
    found.has("ok", "registry", "nself http://");
    found.has("ok", "ports", "is free");
    before.assert_unchanged(&sandbox, &found.outcome);
    sandbox.set("DOCKER_HOST", "ssh://somebody@192.0.2.1");
    diagnose(&sandbox, &[], 6).has("failed", "engine", "is not on this machine");
    sandbox.unset("DOCKER_HOST");
    sandbox.set("DOCKER_CONTEXT", "absent");
    let hint = diagnose(&sandbox, &[], 6).has("failed", "engine", "chosen by the Docker context `absent`");
    assert!(hint.contains("docker context use"));
}

#[test]
fn a_taken_port_names_its_holder_and_the_variable_that_moves_it() {
    let registry = Registry::start();
    let (held, other) = (Package::new("held"), Package::new("other"));
    registry.add(&held);
    let sandbox = healthy(&registry);
    sandbox.install(&other, &[]).ok();
    let twin = Package::new("twin").port(other.port);
    registry.add(&twin);
    let _listener = TcpListener::bind(("127.0.0.1", held.number())).unwrap();
    let found = diagnose(&sandbox, &[&held.name, &twin.name], 6);
    let hint = found.has("failed", "ports", &format!("({})", std::process::id()));
    assert!(hint.contains(&held.port_variable()), "{hint}");
    found.has("failed", "ports", &format!("the container `{}`", sandbox.container_name(&other.name)));
    found.has("ok", "ports", "is published by its own container");
}

#[test]
fn a_stopped_plugin_whose_port_was_taken_meanwhile_is_told() {
    let registry = Registry::start();
    let package = Package::new("probe");
    let sandbox = healthy(&registry);
    sandbox.install(&package, &[]).ok();
    sandbox.plugin(&["stop"]).ok();
    diagnose(&sandbox, &[], 0).has("ok", "plugin", "its container is exited");
    let _listener = TcpListener::bind(("127.0.0.1", package.number())).unwrap();
    let hint = diagnose(&sandbox, &[], 6).has("failed", "ports", "is held by the process");
    assert!(hint.contains(&package.port_variable()), "{hint}");
}

#[test]
fn a_port_that_an_installed_plugin_would_move_to_is_looked_at_too() {
    let registry = Registry::start();
    let (one, other) = (Package::new("one"), Package::new("other"));
    let moved = Package::new("moved");
    let sandbox = healthy(&registry);
    for package in [&one, &other] {
        sandbox.install(package, &[]).ok();
    }
    // What was given for that installation alone is where it stays.
    let given = format!("{}={}", moved.port_variable(), Package::new("elsewhere").number());
    sandbox.install(&moved, &["--env", &given]).ok();
    assert_eq!(diagnose(&sandbox, &[], 0).of("ports", "published by its own container").len(), 3);
    sandbox.write_env(&format!("{}={}", other.port_variable(), one.number()));
    let found = diagnose(&sandbox, &[], 6);
    let hint = found.has("failed", "ports", &format!("the container `{}`", sandbox.container_name(&one.name)));
    assert!(hint.contains(&other.port_variable()), "{hint}");
}

#[test]
fn what_would_come_along_is_looked_at_too() {
    let registry = Registry::start();
    let needed = Package::new("needed");
    let name = needed.name.clone();
    let needing = Package::new("needing").edit(|manifest| manifest["requires"] = json!({ "plugins": [name] }));
    registry.add(&needed);
    let sandbox = healthy(&registry);
    let folder = needing.folder(&sandbox.work());
    let _listener = TcpListener::bind(("127.0.0.1", needed.number())).unwrap();
    let found = diagnose(&sandbox, &[folder.to_str().unwrap()], 6);
    found.has("ok", "plugin", &format!("1.0.0 comes from nself along with {}", needing.name));
    let hint = found.has("failed", "ports", &format!("({})", std::process::id()));
    assert!(hint.contains(&needed.port_variable()), "{hint}");
}

#[test]
fn two_plugins_that_want_one_port_are_found() {
    let registry = Registry::start();
    let (one, other) = rivals(&registry);
    let found = diagnose(&healthy(&registry), &[&one.name, &other.name], 6);
    let hint = found.has("failed", "ports", &format!("is wanted by both `{}` and `{}`", one.name, other.name));
    assert!(hint.contains(&other.port_variable()), "{hint}");
}

fn needing_two() -> Package {
    Package::new("probe").edit(|manifest| {
        manifest["env"] = json!({ "required": [
            { "name": "FIRST_NEEDED", "description": "the first" },
            { "name": "SECOND_NEEDED", "description": "the second", "secret": true },
        ] });
    })
}

#[test]
fn all_missing_variables_are_listed_at_once() {
    let registry = Registry::start();
    let package = needing_two();
    let sandbox = healthy(&registry);
    let folder = package.folder(&sandbox.work());
    let place = folder.to_str().unwrap();
    let found = diagnose(&sandbox, &[place], 6);
    assert!(found.has("failed", "variables", "FIRST_NEEDED: the first").contains(".env.plugins"));
    found.has("failed", "variables", "SECOND_NEEDED: the second");
    sandbox.write(".env.plugins", "FIRST_NEEDED=1\nSECOND_NEEDED=canary-hunter2\n");
    let found = diagnose(&sandbox, &[place], 0);
    found.has("ok", "variables", "2 needed, none missing");
    found.outcome.hides(&["canary-hunter2"]);
}

#[test]
fn a_variable_that_only_one_installation_was_given_is_a_warning() {
    let registry = Registry::start();
    let package = needing_two();
    let sandbox = healthy(&registry);
    sandbox.install(&package, &["--env", "FIRST_NEEDED=1", "--env", "SECOND_NEEDED=2"]).ok();
    let found = diagnose(&sandbox, &[], 0);
    found.has("warning", "variables", "FIRST_NEEDED");
    found.has("warning", "variables", "SECOND_NEEDED");
}

#[test]
fn every_malformed_env_line_is_told_by_file_line_and_key_and_never_by_value() {
    let registry = Registry::start();
    let sandbox = healthy(&registry);
    sandbox.write(".env.local", "A=1\n\nPASS-WORD=canary-hunter2\n");
    sandbox.write(".env.plugins", "B='canary-hunter2\n");
    let found = diagnose(&sandbox, &["realtime"], 6);
    found.has("warning", "environment", ".env.local`: line 3: `PASS-WORD`, which is not a variable name");
    found.has("failed", "environment", ".env.plugins` line 1: `B` opens a");
    found.has("ok", "plugin", "realtime");
    found.outcome.hides(&["canary-hunter2"]);
}

#[test]
fn an_env_file_with_secrets_that_others_can_read_is_a_warning() {
    let registry = Registry::start();
    let sandbox = healthy(&registry);
    sandbox.write_env("POSTGRES_PASSWORD=canary-hunter2");
    let mode = |mode| std::fs::set_permissions(sandbox.work().join(".env"), PermissionsExt::from_mode(mode)).unwrap();
    mode(0o644);
    let found = diagnose(&sandbox, &[], 0);
    assert!(found.has("warning", "environment", "can read POSTGRES_PASSWORD").contains("chmod 600"));
    found.outcome.hides(&["canary-hunter2"]);
    mode(0o600);
    diagnose(&sandbox, &[], 0).has("ok", "environment", "2 variables");
}

#[test]
fn leftovers_are_told_with_what_cleans_them_and_are_left() {
    let registry = Registry::start();
    let (killed, orphan) = (Package::new("killed"), Package::new("orphan"));
    registry.add(&killed);
    let mut sandbox = healthy(&registry);
    sandbox.install(&orphan, &[]).ok();
    let receipts = sandbox.home().join(".nself/receipts").join(&sandbox.project);
    std::fs::remove_file(receipts.join(format!("{}.json", orphan.name))).unwrap();
    let proxy = Proxy::start(&sandbox);
    sandbox.set("DOCKER_HOST", proxy.address());
    proxy.arm(2, Fault::KillAfter);
    proxy.run(&sandbox, &["plugin", "install", &killed.name]).ends_with(128 + 9);
    proxy.disarm();
    let stray = sandbox.home().join(".nself/plugins/.staging/stray.0123456789abcdef");
    std::fs::create_dir_all(&stray).unwrap();
    std::fs::write(stray.join("file"), "").unwrap();

    let before = State::of(&sandbox);
    let found = diagnose(&sandbox, &[], 0);
    let interrupted = found.has("warning", "leftovers", "an interrupted command left things of it behind");
    assert_eq!(interrupted, "recover: nself plugin status --repair");
    assert_eq!(found.has("warning", "leftovers", "stray.0123456789abcdef"), "recover: nself plugin status --repair");
    let container = sandbox.container_name(&orphan.name);
    assert_eq!(found.has("warning", "leftovers", &container), format!("remove it: docker rm -f {container}"));
    before.assert_unchanged(&sandbox, &found.outcome);
    assert!(proxy.mutating().is_empty(), "{:?}", proxy.mutating());

    sandbox.plugin(&["status", "--repair"]).ok();
    let found = diagnose(&sandbox, &[], 0);
    assert_eq!(found.of("leftovers", "").len(), 2, "{}", found.outcome);
    found.has("warning", "leftovers", &container);
    found.has("warning", "leftovers", &format!("nself/{}:1.0.0", orphan.name));
}

#[test]
fn a_container_that_another_installation_made_for_this_project_is_told() {
    let (own, other) = (Sandbox::new().bundled(), Sandbox::new());
    let package = Package::new("probe");
    other.install(&package, &[]).ok();
    let found = diagnose(&own, &["--project", &other.project], 0);
    found.has("warning", "leftovers", &other.container_name(&package.name));
    diagnose(&own, &[], 0).has("ok", "leftovers", "nothing is left");
}

#[test]
fn a_broken_receipt_fails_and_hides_no_other() {
    let registry = Registry::start();
    let (broken, good) = (Package::new("broken"), Package::new("good"));
    let sandbox = healthy(&registry);
    sandbox.install(&broken, &[]).ok();
    sandbox.install(&good, &[]).ok();
    let receipts = sandbox.home().join(".nself/receipts").join(&sandbox.project);
    std::fs::write(receipts.join(format!("{}.json", broken.name)), "{").unwrap();
    let found = diagnose(&sandbox, &[], 6);
    let hint = found.has("failed", "receipts", &broken.name);
    assert_eq!(hint, format!("install it again: nself plugin install {} --force", broken.name));
    found.has("ok", "plugin", &good.name);
    // Its container is no orphan: the receipt is there, if broken.
    found.has("ok", "leftovers", "nothing is left");
}

#[test]
fn a_container_and_a_package_that_are_gone_are_told() {
    let registry = Registry::start();
    let (gone, emptied) = (Package::new("gone"), Package::new("emptied"));
    let sandbox = healthy(&registry);
    sandbox.install(&gone, &[]).ok();
    sandbox.install(&emptied, &[]).ok();
    Engine::remove_container(&sandbox.container_name(&gone.name));
    std::fs::remove_file(sandbox.active(&emptied.name).join("plugin.json")).unwrap();
    let found = diagnose(&sandbox, &[], 6);
    assert!(found.has("warning", "plugin", "its container is gone").ends_with(&gone.name));
    assert!(found.has("failed", "plugin", &emptied.name).ends_with("--force"));
}

#[test]
fn registries_that_are_down_are_a_warning_while_the_bundled_one_answers() {
    let sandbox = with_free_ports(Sandbox::new().bundled());
    let found = diagnose(&sandbox, &["realtime"], 0);
    let hint = found.has("warning", "registry", "refused the connection; another answers");
    assert_eq!(hint, "see what answers: curl -sSI http://127.0.0.1:9/registry.json");
    found.has("ok", "registry", "bundled");
    found.has("ok", "clock", "not compared");
}

#[test]
fn it_is_a_failure_when_no_registry_answers() {
    let sandbox = Sandbox::new().with("NSELF_DATA_DIR", "/nonexistent");
    let found = diagnose(&sandbox, &["realtime"], 6);
    found.has("failed", "registry", "refused the connection");
    assert!(found.has("warning", "registry", "is not installed beside it").contains("install.sh"));
    found.has("failed", "plugin", "realtime");
    // With nothing asked, nothing failed; but there is nothing to install from.
    diagnose(&sandbox, &["--offline"], 0).has("warning", "registry", "no registry is on this machine");
}

#[test]
fn answers_that_are_no_registry_count_as_none() {
    let registry = Registry::start();
    registry.server.answer("/registry.json", Answer::Html);
    let sandbox = healthy(&registry);
    diagnose(&sandbox, &[], 0).has("warning", "registry", "answered an HTML page");
    registry.server.answer("/registry.json", Answer::Bytes(b"{\"plugins\": 3}".to_vec()));
    assert!(diagnose(&sandbox, &[], 0).has("warning", "registry", "nself http://").contains("curl"));
    registry.server.answer("/registry.json", Answer::Drip(registry.document()));
    diagnose(&sandbox, &[], 0).has("warning", "registry", "did not answer within 5 s");
}

#[test]
fn a_cached_document_is_used_and_never_written() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let mut sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["list"]).ok();
    let cache = sandbox.home().join(".nself/cache/plugins");
    let cached = |cache: &std::path::Path| -> Vec<_> {
        let files = std::fs::read_dir(cache).unwrap().map(|entry| entry.unwrap());
        files.map(|entry| (entry.path(), entry.metadata().unwrap().modified().unwrap())).collect()
    };
    let before = cached(&cache);
    diagnose(&sandbox, &[&package.name], 0).has("ok", "registry", "answers in");
    let found = diagnose(&sandbox, &[&package.name, "--offline"], 0);
    found.has("ok", "registry", "the document that was cached");
    found.has("ok", "plugin", &package.name);
    registry.server.answer("/registry.json", Answer::Status(404, "gone"));
    sandbox.set("NSELF_REGISTRY_CACHE_TTL", "0");
    let found = diagnose(&sandbox, &[&package.name], 6);
    found.has("failed", "registry", "answered 404");
    found.has("warning", "registry", "the document that was cached");
    found.has("ok", "plugin", &package.name);
    assert_eq!(cached(&cache), before);
}

#[test]
fn a_clock_that_disagrees_with_the_registry_is_a_warning() {
    let registry = Registry::start();
    let sandbox = healthy(&registry);
    let dated = |date: &str| Answer::Headed(registry.document(), format!("Date: {date}\r\n"));
    registry.server.answer("/registry.json", dated("Wed, 21 Oct 2015 07:28:00 GMT"));
    let hint = diagnose(&sandbox, &[], 0).has("warning", "clock", "ahead of that of http://127.0.0.1");
    assert!(hint.contains("timedatectl"), "{hint}");
    registry.server.answer("/registry.json", dated("Fri, 21 Oct 2095 07:28:00 GMT"));
    diagnose(&sandbox, &[], 0).has("warning", "clock", "behind that of http://127.0.0.1");
    registry.server.answer("/registry.json", dated("yesterday"));
    diagnose(&sandbox, &[], 0).has("ok", "clock", "not compared");
}

#[test]
fn the_backend_cli_must_be_new_enough() {
    let registry = Registry::start();
    let sandbox = healthy(&registry);
    let folder = sandbox.path("backend-bin");
    std::fs::create_dir(&folder).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let sandbox = sandbox.with("PATH", path);
    for (says, level, code) in [("nself 0.9.7", "failed", 6), ("nself version 0.9.8", "ok", 0), ("hello", "warning", 0)]
    {
        write_program(&folder.join("nself"), &format!("#!/bin/sh\necho {says}\n"));
        diagnose(&sandbox, &[], code).has(level, "backend", "backend-bin/nself");
    }
    // With one, the short word is its own.
    sandbox.run(&["doctor"]).ok().answers(&["hello"]);
}

#[test]
fn the_backends_network_is_looked_for_by_its_name() {
    let registry = Registry::start();
    let sandbox = healthy(&registry);
    let network = format!("{}_network", sandbox.project);
    sandbox.foreign_network(&network);
    diagnose(&sandbox, &[], 0).has("ok", "network", "the backend's network is there");
    sandbox.write_env("DOCKER_NETWORK=nobody-made-this");
    let hint = diagnose(&sandbox, &[], 0).has("warning", "network", "nobody-made-this");
    assert!(hint.contains("nself plugin restart"), "{hint}");
}

#[test]
fn a_project_folder_that_is_not_there_fails_and_the_rest_is_checked() {
    let registry = Registry::start();
    let sandbox = healthy(&registry);
    let found = diagnose(&sandbox, &["--project-dir", "absent", "realtime"], 6);
    assert!(found.has("failed", "project", "there is no project folder").contains("--project-dir"));
    found.has("ok", "engine", "Docker");
    found.has("ok", "plugin", "realtime");
    diagnose(&sandbox, &["--project", "../x"], 6).has("failed", "project", "is not usable");
    let empty = sandbox.path("empty");
    std::fs::create_dir(&empty).unwrap();
    diagnose(&sandbox, &["--project-dir", empty.to_str().unwrap()], 0).has("warning", "project", "no backend here");
}

#[test]
fn services_are_looked_for_where_an_installation_would_look() {
    let registry = Registry::start();
    let needing = |service: &str| {
        Package::new(service).edit(|manifest| {
            manifest["requires"] = json!({ "services": [{ "name": service, "variable": "PROBE_STORE_URL" }] });
            manifest["env"] = json!({ "required": [{ "name": "PROBE_STORE_URL" }] });
        })
    };
    let sandbox = healthy(&registry);
    let redis = needing("redis").folder(&sandbox.work());
    let postgres = needing("postgres").folder(&sandbox.work());
    let found = diagnose(&sandbox, &[redis.to_str().unwrap()], 0);
    found.has("ok", "services", "redis is installed with it, from bundled");
    found.has("ok", "variables", "1 needed, none missing");
    let found = diagnose(&sandbox, &[postgres.to_str().unwrap()], 6);
    assert!(found.has("failed", "services", "needs postgres").contains("PROBE_STORE_URL"));
    sandbox.write(".env.plugins", "PROBE_STORE_URL=postgres://somewhere\n");
    diagnose(&sandbox, &[postgres.to_str().unwrap()], 0).has("ok", "services", "the address of postgres is given");
}

#[test]
fn what_was_granted_beyond_the_defaults_is_told() {
    let registry = Registry::start();
    let package = Package::new("probe").edit(|manifest| {
        manifest["privileges"] = json!({ "capabilities": ["SYS_NICE"] });
    });
    let sandbox = healthy(&registry);
    let folder = package.folder(&sandbox.work());
    let hint =
        diagnose(&sandbox, &[folder.to_str().unwrap()], 0).has("warning", "privileges", "asks for capability SYS_NICE");
    assert!(hint.contains("--allow-privileged"), "{hint}");
    sandbox.install(&package, &["--allow-privileged"]).ok();
    diagnose(&sandbox, &[], 0).has("warning", "privileges", "was granted capability SYS_NICE");
}

#[test]
fn values_that_make_no_sense_are_told_with_their_variable() {
    let registry = Registry::start();
    let mut sandbox = healthy(&registry);
    sandbox.unset("REALTIME_PORT");
    sandbox.write_env("REALTIME_PORT=http\nREALTIME_MEMORY=lots");
    let found = diagnose(&sandbox, &["realtime"], 6);
    found.has("failed", "plugin", "REALTIME_PORT is `http`, which is no port");
    found.has("failed", "plugin", "REALTIME_MEMORY is `lots`, which is no amount of memory");
}

#[test]
fn folders_that_cannot_be_written_or_are_too_open_are_told() {
    let registry = Registry::start();
    let sandbox = healthy(&registry);
    sandbox.plugin(&["config", "realtime", "set", "REALTIME_KEY", "canary-hunter2"]).ok();
    diagnose(&sandbox, &[], 0).has("ok", "folders", "secrets in");
    let values = sandbox.home().join(".config/nself/values");
    std::fs::set_permissions(&values, PermissionsExt::from_mode(0o755)).unwrap();
    assert!(diagnose(&sandbox, &[], 0).has("warning", "folders", "secrets in").contains("chmod go="));
    let file = values.join(format!("{}.json", sandbox.project));
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let found = diagnose(&sandbox, &[], 6);
    assert!(found.has("failed", "folders", "secrets in").contains("chmod -R go="));
    found.outcome.hides(&["canary-hunter2"]);
    std::fs::write(&file, "{").unwrap();
    diagnose(&sandbox, &[], 6).has("failed", "folders", "cannot be read");
    let blocked = sandbox.path("blocked");
    std::fs::write(&blocked, "").unwrap();
    let sandbox = sandbox.with("NSELF_PLUGIN_DIR", blocked.join("plugins").display().to_string());
    diagnose(&sandbox, &[], 6).has("failed", "folders", "is no folder");
}

#[test]
fn words_that_are_no_plugins_are_refused_and_unknown_ones_are_a_failed_line() {
    let registry = Registry::start();
    let sandbox = healthy(&registry);
    sandbox.plugin(&["doctor", "A B"]).ends_with(2);
    sandbox.write("broken.tar.gz", "no archive");
    let found = diagnose(&sandbox, &["realtme", "./broken.tar.gz"], 6);
    assert_eq!(found.has("failed", "plugin", "realtme"), "did you mean `realtime`?");
    assert_eq!(found.of("plugin", "broken.tar.gz")[0]["level"], "failed", "{}", found.outcome);
}

#[test]
fn a_plugin_that_needs_a_later_backend_is_told_before_it_is_fetched() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add_with(&package, |entry| {
        entry.insert("minNselfVersion".into(), json!("99.0.0"));
    });
    let found = diagnose(&healthy(&registry), &[&package.name], 6);
    assert!(found.has("failed", "plugin", "needs nself >=99.0.0").contains("nself update"));
    assert_eq!(registry.downloads(&package), 0);
}

#[test]
fn a_bundled_archive_that_is_damaged_is_told() {
    let registry = Registry::start();
    let sandbox = Sandbox::of(&registry);
    let folder = sandbox.path("share/registry");
    std::fs::create_dir_all(&folder).unwrap();
    for file in std::fs::read_dir(crate::support::bundle()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    let sandbox = sandbox.with("NSELF_DATA_DIR", folder.parent().unwrap().display().to_string());
    diagnose(&sandbox, &["redis", "--offline"], 0);
    std::fs::write(folder.join("redis-1.0.0.tar.gz"), "damaged").unwrap();
    let found = diagnose(&sandbox, &["redis", "--offline"], 6);
    assert!(found.has("failed", "plugin", "is not the one that its registry describes").contains("install.sh"));
}

#[test]
fn what_another_command_works_on_just_now_is_no_leftover() {
    let registry = Registry::start();
    let package = Package::new("probe").mode("error");
    let sandbox = healthy(&registry);
    let folder = package.folder(&sandbox.work());
    let running = sandbox.start(&["plugin", "install", folder.to_str().unwrap(), "--timeout", "60s"]);
    let name = sandbox.container_name(&package.name);
    wait_until("the first is at work", Duration::from_secs(30), || Engine::is_running(&name));
    let found = diagnose(&sandbox, &[], 0);
    found.has("ok", "leftovers", "another command is at work on it");
    running.signal(Signal::INT);
    running.wait().ends_with(130);
    diagnose(&sandbox, &[], 0).has("ok", "leftovers", "nothing is left");
}

#[test]
fn a_set_is_checked_as_it_would_be_installed() {
    let registry = Registry::start();
    let sandbox = healthy(&registry);
    let found = diagnose(&sandbox, &["--core-only"], 0);
    for plugin in ["realtime", "notifications", "file-processing"] {
        assert_eq!(found.of("plugin", plugin).len(), 1, "{}", found.outcome);
    }
    found.has("ok", "services", "redis is installed with it, from bundled");
    found.has("ok", "plugin", "comes from bundled along with jobs");
    assert!(!found.of("memory", "redis 384 MiB").is_empty(), "{}", found.outcome);
    sandbox.plugin(&["doctor", "--set", "nothing"]).ends_with(3);
}
