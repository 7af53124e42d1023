//! Images that are pulled: from a registry of images on loopback, which the engine may ask without TLS.

use serde_json::json;

use crate::support::{Answer, Archive, Engine, Package, Sandbox, Server, State, ask};

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// A registry of images that has one image of the probe; gives its reference.
fn serve_image(package: &Package, architecture: &str) -> (Server, String) {
    let server = Server::start();
    server.answer("/v2/", typed(b"{}", "application/json"));
    let tar = package.layer();
    let (plain, packed) = (Archive::of_bytes(tar.clone()), Archive::of_tar(&tar));
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": {
            "Env": ["PATH=/"],
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", plain.sha256)] },
        "history": [{ "created_by": "a test" }],
    });
    let config = Archive::of_bytes(config.to_string().into_bytes());
    let blob = |kind: &str, archive: &Archive| json!({ "mediaType": kind, "size": archive.bytes.len(), "digest": format!("sha256:{}", archive.sha256) });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob("application/vnd.docker.container.image.v1+json", &config),
        "layers": [blob("application/vnd.docker.image.rootfs.diff.tar.gzip", &packed)],
    });
    let manifest = Archive::of_bytes(manifest.to_string().into_bytes());
    let name = package.name.as_str();
    for reference in ["1.0", &format!("sha256:{}", manifest.sha256)] {
        let path = format!("/v2/{name}/manifests/{reference}");
        server.answer(&path, typed(&manifest.bytes, MANIFEST));
    }
    for archive in [&config, &packed] {
        let path = format!("/v2/{name}/blobs/sha256:{}", archive.sha256);
        server.answer(&path, typed(&archive.bytes, "application/octet-stream"));
    }
    let reference = format!("{}/{name}:1.0", server.url("").trim_start_matches("http://"));
    (server, reference)
}

fn typed(bytes: &[u8], kind: &str) -> Answer {
    Answer::Headed(bytes.to_vec(), format!("Content-Type: {kind}\r\n"))
}

fn is_there(reference: &str) -> bool {
    !Engine::images(&json!({ "reference": [reference] })).is_empty()
}

#[test]
fn an_image_is_pulled_run_and_removed_with_the_plugin() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    let (_server, reference) = serve_image(&package, own_architecture());
    let package = package.image(&reference);
    sandbox.install(&package, &[]).ok().says(&[&format!("pulling the image {reference}")]);
    assert_eq!(ask(package.number(), "/health").0, 200);
    assert!(is_there(&reference));
    sandbox.plugin(&["remove", &package.name]).ok();
    assert!(!is_there(&reference), "what this program brought it takes away");
}

#[test]
fn a_pulled_image_goes_when_the_installation_fails() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    let (_server, reference) = serve_image(&package, own_architecture());
    let package = package.image(&reference).edit(|manifest| manifest["service"]["healthcheck"] = "/absent".into());
    package.folder(&sandbox.work());
    let before = State::of(&sandbox);
    let place = format!("./{}", package.name);
    let outcome = sandbox.plugin(&["install", &place, "--timeout", "8s"]).ends_with(7).says(&["answered 404"]);
    before.assert_unchanged(&sandbox, &outcome);
    assert!(!is_there(&reference), "{outcome}");
}

#[test]
fn an_image_for_another_kind_of_machine_is_not_kept() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    let other = if own_architecture() == "amd64" { "arm64" } else { "amd64" };
    let (_server, reference) = serve_image(&package, other);
    let package = package.image(&reference);
    package.folder(&sandbox.work());
    let before = State::of(&sandbox);
    let place = format!("./{}", package.name);
    let outcome = sandbox
        .plugin(&["install", &place])
        .ends_with(6)
        .says(&[&format!("is for linux/{other}, and this machine is")]);
    before.assert_unchanged(&sandbox, &outcome);
    assert!(!is_there(&reference), "{outcome}");
}

fn own_architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}
