//! The documents that registries have really served, which are not part of this project: read where there is a copy.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Once;

use super::wire::{Contents, read};
use super::wire_tests::base;
use super::{ArchiveAddress, LicenceNeed};

/// The copy's folder, named by NSELF_TEST_SHARED. Where it is not set, one line says what was not run.
fn upstream(file: &str) -> Option<Contents> {
    let Some(shared) = std::env::var_os("NSELF_TEST_SHARED") else {
        static ONCE: Once = Once::new();
        let line = b"not run: 3 checks against ../shared (NSELF_TEST_SHARED is not set)\n";
        // Not through the tests' captured output: checks that are not run must be seen.
        ONCE.call_once(|| std::io::stderr().write_all(line).expect("stderr"));
        return None;
    };
    let path = PathBuf::from(shared).join("upstream").join(file);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(read(&bytes, &base()).unwrap_or_else(|error| panic!("{file}: {error}")))
}

fn line(contents: &Contents, name: &str) -> String {
    let [release] = contents.of(&name.parse().expect("a name")) else { panic!("{name}: not exactly one") };
    format!(
        "{} {:?} {} {:?} {}",
        release.version,
        release.port,
        release.min_host.as_ref().map_or_else(String::new, ToString::to_string),
        release.dependencies,
        release.licence_need != LicenceNeed::None
    )
}

fn first_archive(contents: &Contents, name: &str) -> String {
    match contents.of(&name.parse().expect("a name"))[0].archives.first() {
        Some(ArchiveAddress::Url(url)) => url.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn the_registry_of_2026_01_reads_without_loss() {
    let Some(contents) = upstream("registry-2026-01.json") else { return };
    assert_eq!(contents.warnings, [""; 0]);
    let ports: Vec<(&str, Option<u16>)> =
        contents.releases.iter().map(|release| (release.name.as_str(), release.port)).collect();
    assert_eq!(
        ports,
        [
            ("file-processing", Some(3104)),
            ("github", Some(3002)),
            ("idme", Some(3010)),
            ("jobs", Some(3105)),
            ("notifications", Some(3102)),
            ("realtime", Some(3101)),
            ("shopify", Some(3003)),
            ("stripe", Some(3001)),
        ]
    );
    assert_eq!(line(&contents, "stripe"), r#"1.0.0 Some(3001) 0.4.8 ["pg", "stripe", "fastify", "commander"] false"#);
    for release in &contents.releases {
        assert_eq!((release.version.to_string().as_str(), release.digest), ("1.0.0", None), "{}", release.name);
        let archive = first_archive(&contents, release.name.as_str());
        assert_eq!(archive, "https://github.com/acamarata/nself-plugins/archive/refs/heads/main.tar.gz");
        assert!(!release.dependencies.iter().any(|word| word.starts_with('@')));
    }
}

#[test]
fn the_registry_of_2026_06_reads_without_loss() {
    let Some(contents) = upstream("registry-2026-06.json") else { return };
    assert_eq!((contents.releases.len(), contents.warnings.len()), (32, 0));
    assert_eq!(line(&contents, "ollama"), "1.1.1 None 1.0.9 [] false");
    assert_eq!(line(&contents, "e2ee"), "1.0.0 Some(3055) 1.0.0 [] false");
    let family = r#"0.0.1 None 1.0.0 ["family", "object-storage", "photos"] false"#;
    assert_eq!(line(&contents, "family-gedcom"), family);
    assert_eq!(line(&contents, "push"), r#"1.0.0 None 1.0.9 ["redis"] false"#);
    // The document names the public registry; one at another address is asked for its own archives first.
    assert_eq!(first_archive(&contents, "audit-log"), "https://registry.example/v/plugins/audit-log/1.0.0/tarball");
    assert!(contents.releases.iter().all(|release| release.digest.is_none() && release.archives.len() >= 2));
}

#[test]
fn the_server_of_2026_08_reads_without_loss() {
    let Some(contents) = upstream("registry-server-2026-08.json") else { return };
    assert_eq!((contents.releases.len(), contents.warnings.len()), (35, 0));
    assert_eq!(line(&contents, "realtime"), "1.1.0 None 1.0.0 [] true");
    assert_eq!(line(&contents, "idme"), "1.0.0 None  [] true");
    assert_eq!(line(&contents, "jobs"), "1.0.0 None 0.9.9 [] false");
    let paid = contents.releases.iter().filter(|release| release.licence_need != LicenceNeed::None);
    let paid: Vec<&str> = paid.map(|release| release.name.as_str()).collect();
    assert_eq!(paid, ["file-processing", "idme", "realtime"]);
}
