//! Ports that somebody holds, that two plugins want, or that are none: who is told, and that what is told helps.

use std::net::TcpListener;

use crate::support::{Package, Registry, Sandbox, State, ask};

/// Two plugins of a registry that want one port.
pub(crate) fn rivals(registry: &Registry) -> (Package, Package) {
    let first = Package::new("first");
    let second = Package::new("second").port(first.port);
    registry.add(&first);
    registry.add(&second);
    (first, second)
}

#[test]
fn a_port_that_a_process_holds_is_found_before_the_download() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    let _held = TcpListener::bind(("127.0.0.1", package.number())).unwrap();
    let before = State::of(&sandbox);
    let own = format!("({})", std::process::id());
    let outcome = sandbox.plugin(&["install", &package.name]).ends_with(6).says(&[
        &format!("port {} of `{}` is held by the process", package.number(), package.name),
        &own,
        &format!("choose another port: nself plugin config {} set {} ", package.name, package.port_variable()),
        &format!("nself plugin install {}", package.name),
    ]);
    assert_eq!(registry.downloads(&package), 0, "nothing is fetched for a port that is taken");
    before.assert_unchanged(&sandbox, &outcome);
}

#[test]
fn a_port_that_a_container_holds_is_told_with_the_containers_name() {
    let sandbox = Sandbox::new();
    let first = Package::new("first");
    sandbox.install(&first, &[]).ok();
    let second = Package::new("second").port(first.port);
    let before = State::of(&sandbox);
    let outcome = sandbox
        .install(&second, &[])
        .ends_with(6)
        .says(&[&format!("is held by the container `{}`", sandbox.container_name(&first.name))]);
    before.assert_unchanged(&sandbox, &outcome);
}

#[test]
fn the_hints_port_works() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    let _held = TcpListener::bind(("127.0.0.1", package.number())).unwrap();
    let outcome = sandbox.plugin(&["install", &package.name]).ends_with(6);
    let commands = outcome.stderr.split("choose another port: ").nth(1).unwrap().lines().next().unwrap();
    for command in commands.split(" && ") {
        let words: Vec<&str> = command.strip_prefix("nself plugin ").unwrap().split(' ').collect();
        sandbox.plugin(&words).ok();
    }
    let port = sandbox.plugin(&["config", &package.name, "get", &package.port_variable(), "--reveal"]).ok().stdout;
    assert_eq!(ask(port.trim().parse().unwrap(), "/health").0, 200);
    // What was chosen holds from now on.
    sandbox.plugin(&["install", &package.name]).ok().answers(&["installed already"]);
}

#[test]
fn the_hint_of_a_port_names_the_place_where_it_is_set() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let mut sandbox = Sandbox::of(&registry);
    let _held = TcpListener::bind(("127.0.0.1", package.number())).unwrap();
    let (variable, taken) = (package.port_variable(), package.number());
    sandbox.write(".env.plugins", &format!("{variable}={taken}\n"));
    let file = sandbox.work().join(".env.plugins").display().to_string();
    sandbox.plugin(&["install", &package.name]).ends_with(6).says(&[&format!("set {variable}="), &file]);
    sandbox.set(&variable, taken.to_string());
    let told = format!(" nself plugin install {}", package.name);
    sandbox.plugin(&["install", &package.name]).ends_with(6).says(&[&format!("port: {variable}="), &told]);
}

#[test]
fn two_plugins_of_one_command_cannot_have_the_same_port() {
    let registry = Registry::start();
    let (first, second) = rivals(&registry);
    let sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["install", &first.name, &second.name]).ends_with(10).says(&["is wanted by both"]);
}

#[test]
fn of_two_plugins_that_want_one_port_it_is_the_first_that_gets_it() {
    let registry = Registry::start();
    let (first, second) = rivals(&registry);
    let sandbox = Sandbox::of(&registry);
    for _ in 0..5 {
        for (one, other) in [(&first, &second), (&second, &first)] {
            let outcome = sandbox.plugin(&["install", &one.name, &other.name, "--check"]).ends_with(10);
            outcome.says(&[&format!("by both `{}` and `{}`", one.name, other.name)]);
        }
    }
}

#[test]
fn a_port_that_is_no_number_is_told_with_its_variable() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    for wrong in ["0", "65536", "http", "-1"] {
        let value = format!("{}={wrong}", package.port_variable());
        sandbox.install(&package, &["--env", &value]).ends_with(6).says(&[
            &package.port_variable(),
            "which is no port",
            "unset it",
        ]);
    }
}
