//! Services that plugins need: the bundled redis, installed with the first plugin that needs one.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::json;

use crate::support::{Answer, Engine, Package, Registry, Sandbox, State, exit_code, free_port};

/// The largest redis image, in bytes.
const LARGEST_IMAGE: u64 = 20_000_000;

/// A plugin that needs a redis and a registry that has it, beside the bundled one.
fn world() -> (Registry, Package, Sandbox, u16) {
    let registry = Registry::start();
    let package = needing("redis");
    registry.add_with(&package, |entry| {
        entry.insert("requires".into(), requires("redis"));
    });
    let port = free_port();
    let sandbox = Sandbox::of(&registry).bundled().with("REDIS_PORT", port.to_string());
    (registry, package, sandbox, port)
}

fn requires(service: &str) -> serde_json::Value {
    json!({ "services": [{ "name": service, "variable": "PROBE_STORE_URL", "aliases": ["STORE_URL"] }] })
}

fn needing(service: &str) -> Package {
    Package::new("probe").edit(|manifest| {
        manifest["requires"] = requires(service);
        manifest["env"] = json!({ "required": [{ "name": "PROBE_STORE_URL", "aliases": ["STORE_URL"] }] });
    })
}

fn address_given_to(sandbox: &Sandbox, package: &Package) -> Option<String> {
    variable_given_to(sandbox, package, "PROBE_STORE_URL")
}

fn variable_given_to(sandbox: &Sandbox, package: &Package, variable: &str) -> Option<String> {
    let container = sandbox.container(&package.name).unwrap();
    let variables = container["Config"]["Env"].as_array().unwrap().clone();
    let find = |line: &serde_json::Value| Some(line.as_str()?.strip_prefix(variable)?.strip_prefix('=')?.to_owned());
    variables.iter().find_map(find)
}

/// A container that idles on the backend's network under the name of its service; gives the name.
fn backend_runs(sandbox: &Sandbox, service: &str) -> String {
    let network = format!("{}_network", sandbox.project);
    sandbox.foreign_network(&network);
    let image = sandbox.foreign_image(&format!("{}:1", sandbox.project), &Package::new("probe").build_context());
    let name = format!("{}_{service}", sandbox.project);
    let body = json!({ "Image": image, "Cmd": ["/probe", "idle"], "HostConfig": { "NetworkMode": network } });
    let id = sandbox.foreign_container(&name, &body);
    assert_eq!(Engine::request("POST", &format!("/containers/{id}/start"), None).0, 204);
    name
}

#[test]
fn a_service_that_is_only_named_is_given_by_its_usual_variable() {
    for (service, variable, address) in
        [("postgres", "POSTGRES_URL", "postgres://somewhere/db"), ("minio", "MINIO_URL", "http://somewhere")]
    {
        let sandbox = Sandbox::new();
        let package = Package::new("probe").edit(|manifest| manifest["requires"] = json!({ "services": [service] }));
        let refused = sandbox.install(&package, &[]).ends_with(6);
        refused.says(&[&format!("needs {service}"), &format!("config {} set ", package.name), "_URL URL"]);
        sandbox.install(&package, &["--env", &format!("{variable}={address}")]).ok();
        let taken = if service == "postgres" { "DATABASE_URL" } else { variable };
        assert_eq!(variable_given_to(&sandbox, &package, taken).as_deref(), Some(address));
    }
}

/// Speaks to a Redis on loopback in its inline form; all that it answers before it closes the connection.
fn redis(port: u16, commands: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(format!("{commands}\r\nQUIT\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.trim().trim_end_matches("+OK").trim().to_owned()
}

#[test]
fn a_needed_redis_is_installed_first_and_its_address_is_given() {
    let (_registry, package, sandbox, port) = world();
    sandbox.plugin(&["install", &package.name]).ok().answers(&["redis 1.0.0 (from bundled) is installed and healthy"]);
    let host = sandbox.container_name("redis");
    let password = sandbox.server_variable("REDIS_PASSWORD");
    assert_eq!(password.len(), 32);
    assert_eq!(address_given_to(&sandbox, &package), Some(format!("redis://:{password}@{host}:6379/0")));
    assert!(redis(port, "PING").starts_with("-NOAUTH"));
    assert!(redis(port, &format!("AUTH {password}\r\nPING")).ends_with("+PONG"));
    assert_eq!(sandbox.server_variable("REDIS_URL"), format!("redis://:{password}@127.0.0.1:{port}/0"));
    sandbox.assert_bare("redis", LARGEST_IMAGE, &["entry", "redis-server", "redis-cli"]);
    sandbox.plugin(&["status"]).ok().answers(&[&format!("127.0.0.1:{port}")]);

    let ids = (sandbox.container_id("redis"), sandbox.container_id(&package.name));
    sandbox.plugin(&["install", &package.name]).ok();
    assert_eq!((sandbox.container_id("redis"), sandbox.container_id(&package.name)), ids, "nothing was to be done");
    sandbox.plugin(&["remove", "redis"]).ends_with(1).says(&[&package.name]);
}

/// A plugin that waits for its redis by itself, and a redis that is no redis: it does as `mode` says.
fn waiting_by_itself(mode: &str) -> (Registry, Package, Sandbox) {
    let registry = Registry::start();
    registry.add(&Package::named("redis").mode(mode).slow_for(5_000));
    let requires = json!({ "services": [
        { "name": "redis", "variable": "PROBE_STORE_URL", "condition": "service_started" }
    ] });
    let package = needing("redis").edit(|manifest| manifest["requires"] = requires.clone());
    registry.add_with(&package, |entry| {
        entry.insert("requires".into(), requires);
    });
    let sandbox = Sandbox::of(&registry);
    (registry, package, sandbox)
}

#[test]
fn what_waits_by_itself_is_started_beside_its_service_and_installed_after_it() {
    let (_registry, package, sandbox) = waiting_by_itself("slow");
    let (starting, healthy) = (format!("{}: starting", package.name), format!("{}: healthy", package.name));
    sandbox.plugin(&["install", &package.name]).ok().says_in_order(&[&starting, "redis: healthy", &healthy]);
}

#[test]
fn what_waits_by_itself_goes_when_its_service_fails() {
    let (_registry, package, sandbox) = waiting_by_itself("die");
    let before = State::of(&sandbox);
    let outcome = sandbox.plugin(&["install", &package.name]).ends_with(7);
    let outcome = outcome.says(&[&format!("`{}` needs `redis`, which was not installed", package.name)]);
    before.assert_unchanged(&sandbox, &outcome);
}

#[test]
fn what_comes_along_goes_when_nothing_that_needs_it_stays() {
    let registry = Registry::start();
    registry.add(&Package::named("redis"));
    let add = |package: Package| {
        registry.add_with(&package, |entry| {
            entry.insert("requires".into(), requires("redis"));
        });
        package.name
    };
    let dying = add(needing("redis").mode("die"));
    let refused = add(needing("redis").edit(|manifest| {
        manifest["env"]["required"].as_array_mut().unwrap().push(json!({ "name": "PROBE_KEY" }));
    }));
    let sandbox = Sandbox::of(&registry);
    let before = State::of(&sandbox);
    let in_vain = "redis is not installed either: nothing that needs it is";
    let outcome = sandbox.plugin(&["install", &dying]).ends_with(7).answers(&[in_vain]);
    before.assert_unchanged(&sandbox, &outcome);

    // What can be known beforehand: a value that nobody has set.
    for flag in ["--yes", "--check"] {
        let outcome = sandbox.plugin(&["install", flag, &refused]).ends_with(6).says(&["PROBE_KEY"]);
        let outcome = outcome.answers(&[in_vain]);
        before.assert_unchanged(&sandbox, &outcome);
    }
    // Asked for itself, it stays.
    sandbox.plugin(&["install", "redis", &refused]).ends_with(10).answers(&["redis 1.0.0"]);
}

#[test]
fn what_redis_holds_outlives_its_removal() {
    let (_registry, _package, sandbox, port) = world();
    sandbox.plugin(&["install", "redis"]).ok();
    let password = sandbox.server_variable("REDIS_PASSWORD");
    let ask = |command: &str| redis(port, &format!("AUTH {password}\r\n{command}"));
    ask("SET kept yes");
    sandbox.plugin(&["remove", "redis"]).ok();
    sandbox.plugin(&["install", "redis"]).ok();
    assert!(ask("GET kept").ends_with("yes"), "neither data nor password is lost");
}

#[test]
fn redis_asks_for_its_password_and_shows_it_in_no_argument() {
    let (_registry, _package, sandbox, port) = world();
    let sandbox = sandbox.with("REDIS_PASSWORD", "open \"sesame\" 'now'");
    // Healthy: the health check knows the password.
    sandbox.plugin(&["install", "redis"]).ok();
    assert!(redis(port, "GET kept").starts_with("-NOAUTH"));
    assert!(redis(port, "AUTH \"open \\\"sesame\\\" 'now'\"\r\nPING").ends_with("+PONG"));
    let container = sandbox.container("redis").unwrap();
    assert!(!container["Args"].to_string().contains("sesame"), "{}", container["Args"]);
    sandbox.plugin(&["remove", "redis", "--delete-data", "--yes"]).ok();
}

#[test]
fn a_taken_port_leaves_redis_unpublished_and_still_of_use() {
    let (_registry, package, sandbox, port) = world();
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    sandbox.plugin(&["install", &package.name, "--verbose"]).ok().says(&["warning: `redis` is not published on port"]);
    assert!(sandbox.container("redis").unwrap()["HostConfig"]["PortBindings"].as_object().unwrap().is_empty());
    assert!(address_given_to(&sandbox, &package).is_some());
    // A port that became free is no reason to make a running redis anew.
    let id = sandbox.container_id("redis");
    drop(taken);
    sandbox.plugin(&["install", &package.name]).ok();
    assert_eq!(sandbox.container_id("redis"), id);
    // Who names it and has set its port wants it there.
    sandbox.plugin(&["install", "redis"]).ok();
    assert!(!sandbox.container("redis").unwrap()["HostConfig"]["PortBindings"].as_object().unwrap().is_empty());
}

#[test]
fn an_address_that_the_user_gives_is_used_whatever_its_name() {
    for name in ["PROBE_STORE_URL", "STORE_URL"] {
        let (_registry, package, sandbox, _) = world();
        sandbox.plugin(&["install", &package.name, "--env", &format!("{name}=redis://own:1/2")]).ok();
        assert_eq!(address_given_to(&sandbox, &package).as_deref(), Some("redis://own:1/2"), "{name}");
        assert!(sandbox.container("redis").is_none());
    }
}

#[test]
fn the_backends_own_redis_is_used_with_its_password() {
    let (_registry, package, sandbox, _) = world();
    let name = backend_runs(&sandbox, "redis");
    sandbox.write_env("REDIS_PASSWORD=a/b");
    sandbox.plugin(&["install", &package.name]).ok();
    assert_eq!(address_given_to(&sandbox, &package), Some(format!("redis://:a%2Fb@{name}:6379/0")));
    assert!(sandbox.container("redis").is_none());
}

#[test]
fn on_request_no_service_is_installed() {
    let (_registry, package, sandbox, _) = world();
    let refused = sandbox.plugin(&["install", &package.name, "--no-services"]).ends_with(6);
    refused.says(&["needs redis", "--no-services was given", "PROBE_STORE_URL"]);
    assert!(sandbox.container("redis").is_none());
}

#[test]
fn a_service_that_nobody_can_give_names_the_variable_to_set() {
    let registry = Registry::start();
    let package = needing("kafka");
    registry.add_with(&package, |entry| {
        entry.insert("requires".into(), requires("kafka"));
    });
    let sandbox = Sandbox::of(&registry);
    let refused = sandbox.plugin(&["install", &package.name]).ends_with(6);
    refused.says(&["needs kafka", &format!("nself plugin config {} set PROBE_STORE_URL URL", package.name)]);
    assert!(sandbox.container(&package.name).is_none());
}

#[test]
fn the_backends_postgres_is_given_to_whoever_requires_a_database() {
    let registry = Registry::start();
    let package =
        Package::new("probe").edit(|manifest| manifest["env"] = json!({ "required": ["DATABASE_URL", "PROBE_OTHER"] }));
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    let name = backend_runs(&sandbox, "postgres");
    // Without its password it is of no use; what else is missing is told at the same time.
    let refused = sandbox.plugin(&["install", &package.name]).ends_with(6);
    let command = format!("nself plugin config {} set DATABASE_URL URL", package.name);
    refused.says(&["needs postgres", &name, "POSTGRES_PASSWORD", &command, "needs PROBE_OTHER"]);
    sandbox.write_env("POSTGRES_PASSWORD='p@ss'\nPOSTGRES_DB=app\nPROBE_OTHER=1\n");
    sandbox.plugin(&["install", &package.name]).ok();
    let address = format!("postgres://postgres:p%40ss@{name}:5432/app");
    assert_eq!(variable_given_to(&sandbox, &package, "DATABASE_URL"), Some(address));
}

#[test]
fn what_only_the_manifest_names_comes_along_and_is_fetched_once() {
    let registry = Registry::start();
    let other = Package::new("other");
    registry.add(&other);
    let package = needing("redis").edit(|manifest| manifest["requires"]["plugins"] = json!([other.name, "left-pad"]));
    registry.add(&package);
    let sandbox = Sandbox::of(&registry).bundled().with("REDIS_PORT", free_port().to_string());
    sandbox.plugin(&["install", &package.name]).ok();
    assert_eq!((registry.downloads(&package), registry.downloads(&other)), (1, 1));
    assert!(sandbox.container(&other.name).is_some());
    let (host, password) = (sandbox.container_name("redis"), sandbox.server_variable("REDIS_PASSWORD"));
    assert_eq!(address_given_to(&sandbox, &package), Some(format!("redis://:{password}@{host}:6379/0")));
}

#[test]
fn a_local_package_brings_along_what_its_manifest_names() {
    let registry = Registry::start();
    let other = Package::new("other");
    registry.add(&other);
    let package = Package::new("probe").edit(|manifest| {
        manifest["manifest_version"] = json!(1);
        manifest["dependencies"] = json!(["redis", other.name, "left-pad"]);
        manifest["env"] = json!({ "required": ["REDIS_URL"] });
    });
    let sandbox = Sandbox::of(&registry).bundled().with("REDIS_PORT", free_port().to_string());
    let folder = package.folder(&sandbox.work());
    sandbox.plugin(&["install", folder.to_str().unwrap()]).ok();
    assert!(sandbox.container(&other.name).is_some());
    let given = variable_given_to(&sandbox, &package, "REDIS_URL");
    let password = sandbox.server_variable("REDIS_PASSWORD");
    assert_eq!(given, Some(format!("redis://:{password}@{}:6379/0", sandbox.container_name("redis"))));
}

/// `install` beside a backend that runs no redis, in a terminal, answered so.
fn answered(sandbox: &Sandbox, package: &Package, answer: &str) -> (i32, String) {
    let mut terminal = sandbox.terminal(&["plugin", "install", &package.name]);
    let before = terminal.exp_string("Install it as a plugin too?").unwrap();
    assert!(before.contains("redis is needed by"), "{before}");
    terminal.send(answer).unwrap();
    terminal.flush().unwrap();
    let rest = terminal.exp_eof().unwrap();
    (exit_code(&terminal), rest)
}

#[test]
fn beside_a_backend_a_person_is_asked_before_a_service_is_installed() {
    let (_registry, package, sandbox, _) = world();
    sandbox.write("docker-compose.yml", "services: {}\n");
    sandbox.plugin(&["list"]).ok();
    let before = State::of(&sandbox);
    let (code, said) = answered(&sandbox, &package, "n\r");
    assert_eq!(code, 6, "{said}");
    assert!(said.contains("it was not to be installed") && said.contains("PROBE_STORE_URL"), "{said}");
    before.assert_unchanged(&sandbox, &said);
    let (code, said) = answered(&sandbox, &package, "\u{3}");
    assert_eq!(code, 130, "{said}");
    before.assert_unchanged(&sandbox, &said);
    let (code, said) = answered(&sandbox, &package, "y\r");
    assert_eq!(code, 0, "{said}");
    assert!(address_given_to(&sandbox, &package).is_some());
}

#[test]
fn a_set_asks_nothing_beside_a_backend_either() {
    let (registry, package, sandbox, _) = world();
    sandbox.write("docker-compose.yml", "services: {}\n");
    let mut document: serde_json::Value = serde_json::from_slice(&registry.document()).unwrap();
    document["sets"] = json!({ "mine": [package.name] });
    registry.server.answer("/registry.json", Answer::Bytes(document.to_string().into_bytes()));
    let mut terminal = sandbox.terminal(&["plugin", "install", "--set", "mine"]);
    let said = terminal.exp_eof().unwrap();
    assert_eq!(exit_code(&terminal), 0, "{said}");
    assert!(sandbox.container("redis").is_some());
}

#[test]
fn beside_a_backend_without_a_person_a_service_is_installed_and_said() {
    let (_registry, package, sandbox, _) = world();
    sandbox.write("docker-compose.yml", "services: {}\n");
    sandbox.plugin(&["install", &package.name]).ok().says(&["installed as a plugin too", "the backend runs none"]);
}

#[test]
fn a_word_that_may_mean_a_package_of_a_language_is_no_reason_to_fail() {
    let registry = Registry::start();
    // A redis that never becomes healthy, and a plugin whose dependencies read like those of package.json.
    registry.add(&Package::named("redis").mode("die"));
    let package = Package::new("probe").edit(|manifest| {
        manifest["manifest_version"] = json!(1);
        manifest["dependencies"] = json!(["redis", "postgres"]);
        manifest["env"] = json!({ "optional": ["DATABASE_URL"] });
    });
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["install", &package.name]).ends_with(10);
    assert!(sandbox.container(&package.name).is_some());
}

#[test]
fn a_service_that_is_given_elsewhere_now_can_go() {
    let (_registry, package, sandbox, _) = world();
    sandbox.plugin(&["install", &package.name]).ok();
    sandbox.plugin(&["config", &package.name, "set", "PROBE_STORE_URL", "redis://own:1/2"]).ok();
    sandbox.plugin(&["install", &package.name]).ok();
    sandbox.plugin(&["remove", "redis"]).ok();
    sandbox.plugin(&["install", &package.name, "--no-services"]).ok().answers(&["is installed already"]);
    assert!(sandbox.container("redis").is_none());
}
