//! Values: where they come from, which of them wins, where they are kept, and who gets to see them.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::support::{Package, Sandbox, ask, free_port, variable_inside};

fn with_secret() -> Package {
    Package::new("probe").edit(|manifest| {
        manifest["env"] =
            json!({ "required": [{ "name": "PROBE_SECRET", "secret": true, "generated": { "length": 40 } }] });
    })
}

#[test]
fn a_generated_value_outlives_the_plugin_and_is_shown_only_on_request() {
    let sandbox = Sandbox::new();
    let package = with_secret();
    sandbox.install(&package, &[]).ok().answers(&["made at random and kept: PROBE_SECRET", "--reveal"]);
    let secret = variable_inside(package.number(), "PROBE_SECRET").unwrap();
    assert_eq!(secret.len(), 40);
    let get = ["config", &package.name, "get", "PROBE_SECRET"];
    sandbox.plugin(&get).ok().hides(&[&secret]);
    let revealed = sandbox.plugin(&[&get[..], &["--reveal"]].concat()).ok();
    assert_eq!(revealed.stdout.trim(), secret);
    sandbox.plugin(&["config", &package.name]).ok().hides(&[&secret]).answers(&["PROBE_SECRET"]);
    sandbox.plugin(&["config", &package.name, "--json"]).ok().hides(&[&secret]);
    let file = sandbox.home().join(".config/nself/values").join(format!("{}.json", sandbox.project));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(file.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    sandbox.plugin(&["remove", &package.name]).ok();
    sandbox.install(&package, &[]).ok().hides(&["made at random"]);
    assert_eq!(variable_inside(package.number(), "PROBE_SECRET"), Some(secret));
}

#[test]
fn no_secret_is_in_any_output_or_record() {
    let canary = "canary-hunter2-canary";
    let sandbox = Sandbox::new();
    let package = with_secret();
    sandbox.write(".env.plugins", &format!("PROBE_SECRET={canary}\n"));
    sandbox.install(&package, &["--verbose"]).ok().hides(&[canary]);
    sandbox.plugin(&["install", &package.name, "--verbose", "--force"]).ok().hides(&[canary]);
    for words in [
        vec!["status", "--json"],
        vec!["info", &package.name, "--json", "--offline"],
        vec!["list", "--installed", "--json"],
        vec!["config", &package.name, "get"],
    ] {
        sandbox.plugin(&words).ok().hides(&[canary]);
    }
    assert!(!sandbox.receipt(&package.name).unwrap().to_string().contains(canary));
    assert_eq!(variable_inside(package.number(), "PROBE_SECRET").as_deref(), Some(canary));
}

#[test]
fn the_places_of_a_value_win_in_their_documented_order() {
    let mut sandbox = Sandbox::new();
    let package = Package::new("probe").edit(|manifest| {
        manifest["env"] = json!({ "optional": [{ "name": "PROBE_COLOUR", "default": "default" }] });
    });
    let seen = |sandbox: &Sandbox, further: &[&str]| {
        let place = format!("./{}", package.name);
        let words: Vec<&str> = ["install", &place].into_iter().chain(further.iter().copied()).collect();
        sandbox.plugin(&words).ok();
        variable_inside(package.number(), "PROBE_COLOUR").unwrap()
    };
    package.folder(&sandbox.work());
    assert_eq!(seen(&sandbox, &[]), "default");
    sandbox.plugin(&["config", &package.name, "set", "PROBE_COLOUR", "stored"]).ok();
    assert_eq!(seen(&sandbox, &[]), "stored");
    sandbox.write_env("PROBE_COLOUR=env");
    assert_eq!(seen(&sandbox, &[]), "env");
    let told = sandbox.plugin(&["config", &package.name, "set", "PROBE_COLOUR", "stored"]).ok();
    told.answers(&[".env sets it too and goes before"]);
    for file in [".env.dev", ".env.local", ".env.plugins"] {
        sandbox.write(file, &format!("PROBE_COLOUR={file}\n"));
        assert_eq!(seen(&sandbox, &[]), file);
    }
    sandbox.set("PROBE_COLOUR", "process");
    assert_eq!(seen(&sandbox, &[]), "process");
    assert_eq!(seen(&sandbox, &["--env", "PROBE_COLOUR=flag"]), "flag");
}

#[test]
fn only_what_is_declared_or_has_the_plugins_prefix_reaches_the_container() {
    let package = Package::new("probe");
    let own = format!("{}_OWN", package.prefix());
    let sandbox =
        Sandbox::new().with("AWS_SECRET_ACCESS_KEY", "canary").with(&own, "seen").with("DATABASE_URL", "postgres://db");
    sandbox.install(&package, &[]).ok();
    let (_, body) = ask(package.number(), "/environment");
    assert!(!body.contains("canary") && !body.contains("AWS_"), "{body}");
    assert_eq!(variable_inside(package.number(), &own).as_deref(), Some("seen"));
    assert_eq!(variable_inside(package.number(), "DATABASE_URL").as_deref(), Some("postgres://db"));
    assert_eq!(variable_inside(package.number(), "SERVICE_NAME"), Some(package.name.clone()));
}

#[test]
fn values_reach_the_container_byte_for_byte() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe").edit(|manifest| {
        manifest["env"] = json!({ "optional": ["PROBE_COLOUR", "PROBE_OTHER", "PROBE_THIRD"] });
    });
    sandbox.write(".env.local", "PROBE_OTHER='it ${HOME} costs $5 \"so\"'\nPROBE_THIRD=\"${PROBE_OTHER:-x}/Grüße\"\n");
    sandbox.install(&package, &["--env", "PROBE_COLOUR=a=b c'd\"e$f"]).ok();
    assert_eq!(variable_inside(package.number(), "PROBE_COLOUR").as_deref(), Some("a=b c'd\"e$f"));
    assert_eq!(variable_inside(package.number(), "PROBE_OTHER").as_deref(), Some("it ${HOME} costs $5 \"so\""));
    assert_eq!(variable_inside(package.number(), "PROBE_THIRD").as_deref(), Some("it ${HOME} costs $5 \"so\"/Grüße"));
}

#[test]
fn the_variable_of_a_port_moves_the_published_port_only() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    let moved = free_port();
    sandbox.write(".env.plugins", &format!("{}={moved}\n", package.port_variable()));
    sandbox.install(&package, &[]).ok().answers(&[&format!("http://127.0.0.1:{moved}")]);
    assert_eq!(ask(moved, "/health").0, 200);
    assert!(std::net::TcpStream::connect(("127.0.0.1", package.number())).is_err());
    let inside = variable_inside(moved, &package.port_variable());
    if let Some(inside) = inside {
        assert_eq!(inside, package.number().to_string(), "inside it is the manifest's port");
    }
    // Its own port is no obstacle to itself, and moving back works.
    std::fs::remove_file(sandbox.work().join(".env.plugins")).unwrap();
    sandbox.plugin(&["install", &package.name]).ok();
    assert_eq!(ask(package.number(), "/health").0, 200);
}

#[test]
fn values_are_set_shown_and_forgotten() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe").edit(|manifest| {
        manifest["env"] = json!({ "optional": [{ "name": "PROBE_COLOUR", "secret": false }] });
    });
    sandbox.install(&package, &[]).ok();
    let config = |words: &[&str]| sandbox.plugin(&[&["config", package.name.as_str()], words].concat());
    config(&["get", "PROBE_COLOUR"]).ends_with(3).says(&["has no value `PROBE_COLOUR`"]);
    config(&["set", "PROBE_COLOUR", "green"]).ok();
    config(&["get", "PROBE_COLOUR"]).ok().answers(&["green"]);
    config(&["unset", "PROBE_COLOUR"]).ok();
    config(&["unset", "PROBE_COLOUR"]).ends_with(3);
    config(&["set", "NOT-A-NAME", "x"]).ends_with(2).says(&["is no variable name"]);
}

#[test]
fn plugins_of_one_project_know_each_other_by_one_secret() {
    let sandbox = Sandbox::new();
    let (first, second) = (Package::new("first"), Package::new("second"));
    sandbox.install(&first, &[]).ok();
    sandbox.install(&second, &[]).ok();
    let key = "PLUGIN_INTERNAL_SECRET";
    let secret = variable_inside(first.number(), key).unwrap();
    assert!(secret.len() >= 32);
    assert_eq!(variable_inside(second.number(), key), Some(secret));
}
