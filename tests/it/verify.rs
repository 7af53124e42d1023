//! Verification: archives that are not what they should be are refused before anything on the engine changes.

use crate::support::{Answer, Archive, Package, Registry, Sandbox, State, archive_of};

/// Installs from a registry whose archive is `archive`, and asserts that it is refused with nothing left.
fn refused(package: &Package, archive: &Archive, words: &[&str]) {
    let registry = Registry::start();
    registry.add_archive(package, archive, |_| {});
    let sandbox = Sandbox::of(&registry);
    let victim = sandbox.path("victim");
    std::fs::write(&victim, "untouched").unwrap();
    let before = State::of(&sandbox);
    let outcome = sandbox.plugin(&["install", &package.name]).ends_with(5).says(words);
    before.assert_unchanged(&sandbox, &outcome);
    assert_eq!(std::fs::read_to_string(victim).unwrap(), "untouched");
    let beside: Vec<_> =
        std::fs::read_dir(sandbox.path("")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(beside.len(), 3, "home, work, victim and nothing else: {beside:?}");
}

#[test]
fn an_archive_with_another_digest_is_refused() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add_with(&package, |entry| {
        entry.insert("checksum".into(), format!("sha256:{}", "0".repeat(64)).into());
    });
    let sandbox = Sandbox::of(&registry);
    let before = State::of(&sandbox);
    let outcome = sandbox.plugin(&["install", &package.name]).ends_with(5).says(&[
        &format!("could not use the package of `{}`", package.name),
        "is not the one that the registry describes",
        &"0".repeat(64),
        "hint:",
    ]);
    before.assert_unchanged(&sandbox, &outcome);
}

#[test]
fn a_wrong_digest_is_refused_under_every_policy() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    registry.server.answer(&Registry::archive_path(&package), Answer::Bytes(b"other".to_vec()));
    for policy in ["off", "warn", "require"] {
        Sandbox::of(&registry).plugin(&["install", &package.name, "--verify", policy]).ends_with(5);
    }
}

#[test]
fn a_release_without_a_digest_is_taken_with_a_mark_and_refused_on_request() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add_with(&package, |entry| {
        entry.remove("checksum");
    });
    let sandbox = Sandbox::of(&registry);
    sandbox
        .plugin(&["install", &package.name, "--verify", "require"])
        .ends_with(5)
        .says(&["states no digest", "--verify warn"]);
    assert_eq!(registry.downloads(&package), 0);
    sandbox.plugin(&["install", &package.name]).ok();
    sandbox.plugin(&["info", &package.name]).ok().answers(&["not verified: registry `nself` states no digest"]);
}

#[test]
fn an_archive_that_is_cut_short_is_refused() {
    let package = Package::new("probe");
    let whole = package.archive().bytes;
    for keep in [10, whole.len() / 2, whole.len() - 1] {
        refused(&package, &Archive::of_bytes(whole[..keep].to_vec()), &["could not use the package"]);
    }
}

#[test]
fn a_download_that_breaks_off_is_a_network_failure() {
    let registry = Registry::start();
    let package = Package::new("probe");
    let archive = registry.add(&package);
    registry.server.answer(&Registry::archive_path(&package), Answer::Half(archive.bytes));
    let sandbox = Sandbox::of(&registry);
    let before = State::of(&sandbox);
    let outcome =
        sandbox.plugin(&["install", &package.name]).ends_with(4).says(&["could not download", "broke off", "hint:"]);
    assert_eq!(registry.downloads(&package), 3, "it is tried three times");
    before.assert_unchanged(&sandbox, &outcome);
}

#[test]
fn an_archive_without_a_manifest_is_refused() {
    let package = Package::new("probe");
    let archive = archive_of(&[(format!("{}/README.md", package.name), b"nothing here")]);
    refused(&package, &archive, &["holds no plugin.json"]);
}

#[test]
fn another_plugins_manifest_is_refused() {
    let package = Package::new("probe");
    let other = Package::new("other");
    let archive = other.archive();
    refused(&package, &archive, &[&format!("another plugin's manifest: `{}`, not `{}`", other.name, package.name)]);
}

#[test]
fn another_version_than_the_registry_says_is_refused() {
    let package = Package::new("probe");
    let archive = package.clone().version("2.0.0").archive();
    refused(&package, &archive, &["holds version 2.0.0", "not 1.0.0"]);
}

#[test]
fn hostile_paths_are_refused_and_nothing_is_written_outside() {
    let package = Package::new("probe");
    let manifest = package.contents().remove(0).1;
    for hostile in
        ["../victim", "a/../../victim", "/tmp/nself-it-victim", "../../project/.env", "a\\..\\victim", "x\u{1b}[2J"]
    {
        let entries =
            [(format!("{}/plugin.json", package.name), manifest.as_slice()), (hostile.to_owned(), b"overwritten")];
        refused(&package, &archive_of(&entries), &["could not use the package"]);
    }
    assert!(!std::path::Path::new("/tmp/nself-it-victim").exists());
}

#[test]
fn what_is_no_archive_at_all_is_named() {
    let package = Package::new("probe");
    refused(&package, &Archive::of_bytes(b"<!doctype html><html></html>".to_vec()), &["is not a .tar.gz archive"]);
    refused(&package, &Archive::of_bytes(b"PK\x03\x04zipzipzip".to_vec()), &["is not a .tar.gz archive"]);
}

#[test]
fn a_manifest_that_cannot_be_used_is_refused_by_field() {
    let package = Package::new("probe").edit(|manifest| manifest["service"]["memory"] = "a lot".into());
    refused(&package, &package.archive(), &["could not use the plugin.json", "service.memory"]);
}

#[test]
fn a_dockerfile_that_needs_what_is_missing_is_refused_before_the_build() {
    let package = Package::new("probe");
    let mut contents = package.contents();
    contents.retain(|(name, _)| name != "probe");
    let entries: Vec<(String, &[u8])> =
        contents.iter().map(|(name, bytes)| (format!("{}/{name}", package.name), bytes.as_slice())).collect();
    refused(&package, &archive_of(&entries), &["needs files that are not in the package: `probe`"]);
}

#[test]
fn an_archive_with_several_plugins_gives_the_one_that_is_asked_for() {
    let registry = Registry::start();
    let (first, second) = (Package::new("first"), Package::new("second"));
    let mut entries = Vec::new();
    for package in [&first, &second] {
        let contents = package.contents().into_iter();
        entries.extend(contents.map(|(name, bytes)| (format!("repository/{}/{name}", package.name), bytes)));
    }
    let entries: Vec<(String, &[u8])> = entries.iter().map(|(name, bytes)| (name.clone(), bytes.as_slice())).collect();
    registry.add_archive(&second, &archive_of(&entries), |_| {});
    let sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["install", &second.name]).ok();
    assert!(sandbox.container(&first.name).is_none());
}
