//! Registries: what is asked, in which order, what is believed, and what is told when nobody answers.

use serde_json::json;

use crate::support::{Answer, Package, Registry, Sandbox, Server, State};

#[test]
fn a_name_that_no_registry_knows_is_told_with_the_nearest() {
    let registry = Registry::start();
    let package = Package::new("realtime");
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    let before = State::of(&sandbox);
    let slip = package.name.replacen("realtime", "realtiem", 1);
    let outcome = sandbox.plugin(&["install", &slip]).ends_with(3).says(&[
        &format!("plugin `{slip}` was not found"),
        "registry `nself`: does not have it",
        &format!("did you mean `{}`?", package.name),
    ]);
    before.assert_unchanged(&sandbox, &outcome);
}

#[test]
fn a_registry_that_does_not_exist_is_told_with_those_there_are() {
    let registry = Registry::start();
    let sandbox = Sandbox::of(&registry);
    sandbox
        .plugin(&["install", "probe", "--registry", "elsewhere"])
        .ends_with(3)
        .says(&["no registry `elsewhere`", "`nself`"]);
    sandbox.plugin(&["install", "elsewhere/probe"]).ends_with(3).says(&["no registry `elsewhere`"]);
}

/// What a registry answers that is of no use, with the words that tell of it.
fn broken_answers(server: &Server) -> Vec<(Answer, &'static str)> {
    vec![
        (Answer::Status(500, "oops"), "answered 500"),
        (Answer::Status(404, "no"), "answered 404"),
        (Answer::Html, "answered an HTML page"),
        (Answer::Bytes(Vec::new()), "answered an empty body"),
        (Answer::Bytes(br#"{"plugins": ["#.to_vec()), "registry.json"),
        (Answer::Half(br#"{"plugins": []}"#.to_vec()), "broke off"),
        (Answer::Redirect(server.url("/registry.json")), "redirected more than 5 times"),
        (Answer::Redirect("file:///etc/passwd".into()), "answered 302"),
        (Answer::Close, "registry.json"),
    ]
}

#[test]
fn a_registry_that_answers_nonsense_is_named_with_what_it_answered() {
    let registry = Registry::start();
    let sandbox = Sandbox::of(&registry);
    let before = State::of(&sandbox);
    for (answer, words) in broken_answers(&registry.server) {
        registry.server.answer("/registry.json", answer);
        let outcome = sandbox.plugin(&["install", "probe"]).ends_with(4).says(&[
            "could not be read",
            "registry `nself`",
            &registry.server.url("/registry.json"),
            words,
            "hint:",
        ]);
        before.assert_unchanged(&sandbox, &outcome);
    }
}

#[test]
fn an_old_cache_stands_in_with_its_age_for_a_registry_that_fails() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let sandbox = Sandbox::of(&registry).with("NSELF_REGISTRY_CACHE_TTL", "0");
    sandbox.plugin(&["list"]).ok().answers(&[&package.name]);
    for (answer, words) in broken_answers(&registry.server) {
        registry.server.answer("/registry.json", answer);
        let outcome = sandbox.plugin(&["list"]).ok().answers(&[&package.name]).says(&[words]);
        let told = sandbox.plugin(&["list", "--json"]).ok().json();
        let origin = told["registries"][0]["origin"].as_str().unwrap();
        assert!(origin.contains("old"), "the origin is told with its age: {origin}\n{outcome}");
    }
    registry.server.answer("/registry.json", Answer::Bytes(registry.document()));
    sandbox.plugin(&["list"]).ok().hides(&["warning"]);
}

#[test]
fn a_registry_that_drips_is_given_up() {
    let registry = Registry::start();
    registry.server.answer("/registry.json", Answer::Drip(registry.document()));
    let outcome =
        Sandbox::of(&registry).plugin(&["install", "probe"]).ends_with(4).says(&["did not answer within 10 s"]);
    assert!(outcome.took.as_secs() < 15, "{outcome}");
}

#[test]
fn the_bundled_registry_stands_in_for_those_that_fail() {
    let package = Package::new("probe");
    let data = bundle(&[&package]);
    let sandbox = Sandbox::new().with("NSELF_DATA_DIR", data.path().display().to_string());
    sandbox
        .plugin(&["list"])
        .ok()
        .answers(&[&format!("{}\t1.0.0\t\tbundled", package.name)])
        .says(&["127.0.0.1:9", "refused the connection"]);
    sandbox.plugin(&["install", &package.name]).ok().answers(&["(from bundled) is installed and healthy"]);
}

/// A folder as it is installed beside the program, with a registry of these packages.
fn bundle(packages: &[&Package]) -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("registry");
    std::fs::create_dir(&folder).unwrap();
    let mut entries = Vec::new();
    for package in packages {
        let archive = package.archive();
        let file = format!("{}.tar.gz", package.name);
        std::fs::write(folder.join(&file), &archive.bytes).unwrap();
        entries.push(json!({ "name": package.name, "version": package.version, "port": package.port,
            "checksum": archive.sha256, "tarballUrl": file }));
    }
    std::fs::write(folder.join("registry.json"), json!({ "version": "1.0.0", "plugins": entries }).to_string())
        .unwrap();
    data
}

#[test]
fn the_public_addresses_are_tried_in_order_and_each_is_named() {
    // Nothing leaves this machine: the proxy of the environment is a server of the test that refuses every tunnel.
    let gate = Server::start();
    let mut sandbox = Sandbox::new().with("HTTPS_PROXY", gate.url(""));
    sandbox.unset("NSELF_PLUGIN_REGISTRY");
    let outcome = sandbox.plugin(&["install", "probe"]).ends_with(4).says(&[
        "https://plugins.nself.org/registry.json",
        "https://raw.githubusercontent.com/acamarata/nself-plugins/main/registry.json",
        "https://raw.githubusercontent.com/nself-org/plugins/main/registry.json",
    ]);
    let asked: Vec<String> = gate.requests().iter().map(|request| request.path.clone()).collect();
    assert_eq!(asked.first().map(String::as_str), Some("plugins.nself.org:443"), "{outcome}");
    assert!(asked.iter().skip(1).all(|host| host == "raw.githubusercontent.com:443") && asked.len() >= 3, "{asked:?}");
}

#[test]
fn a_fresh_cache_is_used_without_asking_and_refresh_asks() {
    let registry = Registry::start();
    registry.add(&Package::new("probe"));
    let mut sandbox = Sandbox::of(&registry);
    for (words, expected) in [
        (vec!["list"], 1),
        (vec!["list"], 1),
        (vec!["list", "--refresh"], 2),
        (vec!["refresh"], 3),
        (vec!["list", "--offline"], 3),
    ] {
        sandbox.plugin(&words).ok();
        assert_eq!(registry.server.count("/registry.json"), expected, "{words:?}");
    }
    sandbox.set("NSELF_REGISTRY_CACHE_TTL", "0");
    sandbox.plugin(&["list"]).ok();
    assert_eq!(registry.server.count("/registry.json"), 4);
}

#[test]
fn a_document_that_has_not_changed_is_not_sent_again() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    registry.server.answer("/registry.json", Answer::Tagged(registry.document(), "\"one\"".into()));
    let sandbox = Sandbox::of(&registry).with("NSELF_REGISTRY_CACHE_TTL", "0");
    sandbox.plugin(&["list"]).ok();
    sandbox.plugin(&["list"]).ok().answers(&[&package.name]);
    let second = registry.server.requests().pop().unwrap();
    assert!(second.headers.contains("if-none-match: \"one\""), "{}", second.headers);
}

#[test]
fn offline_without_a_cache_touches_no_network_and_says_so() {
    let registry = Registry::start();
    let sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["install", "probe", "--offline"]).ends_with(4).says(&["--offline", "hint:"]);
    assert!(registry.server.requests().is_empty());
}

#[test]
fn a_cache_that_is_damaged_is_fetched_anew() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["list"]).ok();
    let folder = sandbox.home().join(".nself/cache/plugins");
    for damage in [&b""[..], b"{", b"<html>", b"\xff\xfe"] {
        for file in std::fs::read_dir(&folder).unwrap().flatten() {
            std::fs::write(file.path(), damage).unwrap();
        }
        let asked = registry.server.count("/registry.json");
        sandbox.plugin(&["list"]).ok().answers(&[&package.name]);
        assert_eq!(registry.server.count("/registry.json"), asked + 1);
    }
}

#[test]
fn a_cache_that_cannot_be_used_is_done_without() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    let folder = sandbox.home().join(".nself/cache");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("plugins"), "a file where a folder belongs").unwrap();
    sandbox.plugin(&["list"]).ok().answers(&[&package.name]).says(&["is not cached"]);
}

#[test]
fn one_malformed_entry_does_not_hide_the_others() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    registry.add_with(&Package::new("broken"), |entry| {
        entry.insert("name".into(), json!("../broken"));
    });
    Sandbox::of(&registry).plugin(&["list"]).ok().answers(&[&package.name]).says(&[
        "warning:",
        "../broken",
        "is left out",
    ]);
}

#[test]
fn what_a_registry_says_cannot_steer_the_terminal() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add_with(&package, |entry| {
        entry.insert("description".into(), json!("\u{1b}[2Jgone\u{202e}"));
    });
    Sandbox::of(&registry).plugin(&["list", "--detailed"]).ok().hides(&["\u{1b}", "\u{202e}"]).answers(&["gone"]);
}

#[test]
fn plain_http_to_another_machine_is_refused() {
    let sandbox = Sandbox::new().with("NSELF_PLUGIN_REGISTRY", "http://192.0.2.1/");
    sandbox.plugin(&["list"]).ends_with(4).says(&["plain http is refused", "--allow-http"]);
}

#[test]
fn a_plugin_that_needs_a_licence_is_not_taken_without_one() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add_with(&package, |entry| {
        entry.insert("requires_license".into(), json!(true));
    });
    let sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["install", &package.name]).ends_with(3).says(&[
        "cannot be installed",
        "needs a licence",
        "NSELF_PLUGIN_LICENSE_KEY",
    ]);
    assert_eq!(registry.downloads(&package), 0);
}

#[test]
fn a_registry_at_another_address_serves_its_own_archives() {
    let registry = Registry::start();
    let package = Package::new("probe");
    let archive = registry.add_with(&package, |entry| {
        for key in ["tarball", "tarball_url", "download_url", "downloadUrl"] {
            entry.remove(key);
        }
        let address = format!("https://plugins.nself.org/plugins/{}/tarball", entry["name"].as_str().unwrap());
        entry.insert("tarball_url".into(), address.into());
    });
    registry.server.answer(&format!("/plugins/{}/tarball", package.name), Answer::Bytes(archive.bytes));
    Sandbox::of(&registry).plugin(&["install", &package.name]).ok();
}

#[test]
fn refresh_fails_where_nothing_could_be_fetched() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["refresh"]).ok();
    registry.server.answer("/registry.json", Answer::Status(500, "oops"));
    let document = sandbox.plugin(&["refresh", "--json"]).ends_with(4).json();
    assert_eq!(document["status"], "failed");
    sandbox.plugin(&["refresh"]).ends_with(4).says(&["answered 500"]);
}

#[test]
fn a_document_with_a_byte_order_mark_is_read() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let mut bytes = "\u{feff}".as_bytes().to_vec();
    bytes.extend(registry.document());
    registry.server.answer("/registry.json", Answer::Bytes(bytes));
    Sandbox::of(&registry).plugin(&["info", &package.name]).ok();
}

#[test]
fn a_proxy_that_is_not_an_address_is_named_without_its_value() {
    let sandbox = Sandbox::new().with("http_proxy", "http://user:my#p@ss@host:3128");
    sandbox.plugin(&["install", "probe"]).ends_with(6).says(&["http_proxy", "unset http_proxy"]).hides(&["my#p"]);
    sandbox.plugin(&["list", "-i"]).ok();
}

#[test]
fn a_package_that_calls_itself_not_installable_is_refused() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe").edit(|manifest| {
        manifest["installable"] = false.into();
        manifest["plannedNote"] = "it comes next year".into();
    });
    sandbox.install(&package, &[]).ends_with(3).says(&["it comes next year"]);
    assert!(sandbox.container(&package.name).is_none());
}

#[test]
fn a_home_on_a_disk_that_is_not_mounted_is_named_with_its_target() {
    let sandbox = Sandbox::new();
    std::os::unix::fs::symlink("/nowhere/nself", sandbox.home().join(".nself")).unwrap();
    sandbox
        .plugin(&["install", "probe"])
        .ends_with(6)
        .says(&[".nself` is a link to `/nowhere/nself`, which is missing"]);
}
