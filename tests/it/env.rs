//! `env`: addresses that resolve, keys for servers, and where keyless calls come from.

use std::net::ToSocketAddrs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::{Engine, Package, Registry, Sandbox, assert_valid_output, variable_inside};

/// A plugin with a generated key, as the bundled ones have it, on a port with this host name.
fn keyed(hostname: &str) -> Package {
    let package = Package::new("probe");
    let (port, prefix) = (package.number(), package.prefix());
    package.edit(|manifest| {
        manifest["ports"] = json!([{ "name": "http", "port": port, "hostname": hostname }]);
        manifest["env"] = json!({ "optional": [
            { "name": format!("{prefix}_API_KEY"), "secret": true, "generated": { "length": 48 } },
            { "name": format!("{prefix}_LOCAL_CALLERS"), "default": "" },
        ] });
    })
}

fn host_of(address: &str) -> &str {
    address.split("://").nth(1).unwrap().rsplit_once(':').unwrap().0
}

#[test]
fn a_key_is_generated_kept_and_shown_to_servers_alone() {
    let sandbox = Sandbox::new();
    let package = keyed("localhost");
    let (port, prefix) = (package.number(), package.prefix());
    sandbox.install(&package, &[]).ok();
    let key = variable_inside(port, &format!("{prefix}_API_KEY")).unwrap();
    assert_eq!(key.len(), 48);
    let name = package.name.as_str();
    for words in [&["env"][..], &["env", "--server"], &["env", name, "--json"], &["env", "--server", "--json"]] {
        let outcome = sandbox.plugin(words).ok();
        outcome.hides(&[&key]);
    }
    let line = format!("{prefix}_API_KEY={key}\n");
    sandbox
        .plugin(&["env", "--server", "--reveal"])
        .ok()
        .answers(&[&line, &format!("{prefix}_URL=http://localhost:{port}")]);
    let document = sandbox.plugin(&["env", "--server", "--reveal", "--json"]).ok().json();
    assert_valid_output(&document);
    assert_eq!(document["variables"][format!("{prefix}_API_KEY")], json!(key));
    sandbox.plugin(&["env", "--reveal"]).ends_with(2);

    sandbox.plugin(&["env", "--server", "--write", "server.env"]).ok().hides(&[&key]);
    let file = sandbox.work().join("server.env");
    assert!(std::fs::read_to_string(&file).unwrap().contains(&line));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    sandbox.plugin(&["env", "--server", "--write", "server.env"]).ok();
    sandbox.write("mine.env", "MINE=1\n");
    sandbox.plugin(&["env", "--server", "--write", "mine.env"]).ends_with(1).says(&["exists"]);
    assert_eq!(std::fs::read_to_string(sandbox.work().join("mine.env")).unwrap(), "MINE=1\n");

    // The key stays through a removal that keeps data.
    sandbox.plugin(&["remove", name]).ok();
    sandbox.install(&package, &[]).ok();
    assert_eq!(variable_inside(port, &format!("{prefix}_API_KEY")).as_deref(), Some(key.as_str()));
}

fn gateway_of(network: &str) -> String {
    let found = Engine::request("GET", &format!("/networks/{network}"), None).1;
    found["IPAM"]["Config"][0]["Gateway"].as_str().unwrap().to_owned()
}

#[test]
fn local_callers_are_the_gateways_whatever_the_user_sets() {
    let sandbox = Sandbox::new();
    let backend = format!("{}_network", sandbox.project);
    let package = keyed("localhost");
    let variable = format!("{}_LOCAL_CALLERS", package.prefix());
    sandbox.write_env(&format!("{variable}=0.0.0.0/0"));
    sandbox.install(&package, &["--env", &format!("{variable}=10.0.0.1")]).ok();
    let own = gateway_of(&format!("{}_plugins", sandbox.project));
    assert_eq!(variable_inside(package.number(), &variable).as_deref(), Some(own.as_str()));
    // Nothing changes where nothing has changed.
    let id = sandbox.container_id(&package.name);
    sandbox.plugin(&["restart"]).ok();
    assert_eq!(sandbox.container_id(&package.name), id);

    sandbox.foreign_network(&backend);
    let other = keyed("localhost");
    sandbox.install(&other, &[]).ok();
    let variable = format!("{}_LOCAL_CALLERS", other.prefix());
    let both = format!("{own},{}", gateway_of(&backend));
    assert_eq!(variable_inside(other.number(), &variable).as_deref(), Some(both.as_str()));
    sandbox.plugin(&["remove", &package.name, &other.name]).ok();
}

#[test]
fn every_address_that_is_printed_resolves() {
    let sandbox = Sandbox::new();
    let (named, nowhere) = (keyed("localhost"), keyed("nowhere.invalid"));
    sandbox.install(&named, &[]).ok().answers(&[&format!("http://localhost:{}", named.number())]);
    sandbox.install(&nowhere, &[]).ok().hides(&["nowhere.invalid"]);
    for words in [&["env"][..], &["status"], &["list", "-i"], &["info", &nowhere.name], &["open", &nowhere.name]] {
        let outcome = sandbox.plugin(words).ok();
        outcome.hides(&["http://nowhere.invalid"]).answers(&[&format!("http://127.0.0.1:{}", nowhere.number())]);
    }
    let document = sandbox.plugin(&["env", "--json"]).ok().json();
    for value in document["variables"].as_object().unwrap().values().filter_map(Value::as_str) {
        if value.contains("://") {
            assert!((host_of(value), 0).to_socket_addrs().is_ok(), "{value}");
        }
    }
    let doctor = sandbox.plugin(&["doctor", "--offline"]);
    doctor.answers(&["nowhere.invalid", "libnss-myhostname"]);

    let (port, prefix) = (named.number(), named.prefix());
    let host = sandbox.plugin(&["env", &named.name, "--host", "192.0.2.7"]).ok();
    host.answers(&[&format!("NEXT_PUBLIC_{prefix}_URL=http://192.0.2.7:{port}")]);
    sandbox.plugin(&["env", "--host", "a b"]).ends_with(2).says(&["not a host name"]);
    let inside = sandbox.plugin(&["env", &named.name, "--for", "container"]).ok();
    inside.answers(&[
        &format!("NEXT_PUBLIC_{prefix}_URL=http://localhost:{port}"),
        &format!("\n{prefix}_URL=http://plugin-{}:{port}", named.name),
    ]);
}

#[test]
fn the_notifications_api_has_the_names_that_applications_read() {
    let registry = Registry::start();
    let package = Package::named("notifications");
    let port = package.number();
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["install", "notifications"]).ok();
    sandbox.plugin(&["env"]).ok().answers(&[
        &format!("NEXT_PUBLIC_NOTIFICATIONS_API_URL=http://127.0.0.1:{port}"),
        &format!("\nNOTIFICATIONS_API_URL=http://127.0.0.1:{port}"),
    ]);
}
