//! Packing: the same bytes every time, and what is packed can be unpacked.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::super::test_archives::{World, snapshot};
use super::super::{Package, Proof};
use std::fs;

use super::*;

fn author_folder(world: &World) -> std::path::PathBuf {
    let folder = world.path("author");
    for inner in ["", "src/deep", ".git", "target/debug", "node_modules/x", "src/target"] {
        fs::create_dir_all(folder.join(inner)).unwrap();
    }
    let manifest = serde_json::json!({
        "manifest_version": 2, "name": "realtime", "version": "1.2.3", "description": "rooms", "license": "MIT",
        "category": "communication", "author": "someone", "docs_url": "https://example.org", "tags": ["chat"],
        "requires": {"nself": ">=0.9.8, <2", "plugins": ["jobs"]}, "service": {"kind": "container", "port": 3101},
        "env": {"required": ["REALTIME_CORS_ORIGIN"], "optional": [{"name": "REALTIME_X", "default": "1"}]},
    });
    fs::write(folder.join("plugin.json"), manifest.to_string()).unwrap();
    fs::write(folder.join("src/main"), "program").unwrap();
    fs::set_permissions(folder.join("src/main"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(folder.join(format!("src/deep/{}", "long".repeat(40))), "x").unwrap();
    for skipped in [".git/config", "target/debug/x", "node_modules/x/y"] {
        fs::write(folder.join(skipped), "skipped").unwrap();
    }
    symlink("/etc/passwd", folder.join("node_modules/link")).unwrap();
    folder
}

#[test]
fn what_is_packed_unpacks_to_the_same_tree() {
    let world = World::new();
    let folder = author_folder(&world);
    fs::create_dir(world.path("out")).unwrap();
    let packed = pack(&folder, &world.path("out")).unwrap();
    assert_eq!(packed.file_name, "realtime-1.2.3.tar.gz");
    let path = world.path("out").join(&packed.file_name);
    assert_eq!(snapshot(&world.path("out")).len(), 1, "nothing but the archive is there");
    let archive = Archive::open_local(&path).unwrap();
    assert_eq!((archive.digest(), archive.size()), (packed.digest, packed.size));
    let package =
        archive.unpack(&world.staging(), Some(&packed.manifest.name), Some(&packed.manifest.version)).unwrap();
    assert_eq!(package.proof(), &Proof::Local);
    assert!(path.exists(), "an archive of the user's own is kept");
    fs::create_dir(world.path("copied")).unwrap();
    let copied = Package::from_folder(&folder, &world.path("copied")).unwrap();
    assert_eq!((copied.digest(), copied.proof()), (None, &Proof::Local));
    assert_eq!(snapshot(package.root()), snapshot(copied.root()));
    let names: Vec<_> = snapshot(package.root()).into_keys().filter(|name| !name.contains("long")).collect();
    assert_eq!(names, ["plugin.json", "src", "src/deep", "src/main", "src/target"]);
    assert_eq!(snapshot(package.root())["src/main"], (0o755, b"program".to_vec()));
}

#[test]
fn the_same_folder_gives_the_same_bytes() {
    let digest = |touch: bool| {
        let world = World::new();
        let folder = author_folder(&world);
        if touch {
            let file = fs::File::options().write(true).open(folder.join("src/main")).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
            fs::set_permissions(folder.join("plugin.json"), fs::Permissions::from_mode(0o600)).unwrap();
        }
        fs::create_dir(world.path("out")).unwrap();
        let first = pack(&folder, &world.path("out")).unwrap().digest;
        assert_eq!(pack(&folder, &world.path("out")).unwrap().digest, first, "packing again replaces the archive");
        first
    };
    assert_eq!(digest(false), digest(true));
}

#[test]
fn folders_that_no_archive_may_hold_are_neither_packed_nor_copied() {
    type Spoil = fn(&Path);
    let spoils: [(&str, Spoil); 7] = [
        ("link", |folder| symlink("src/main", folder.join("link")).unwrap()),
        ("folder link", |folder| symlink("src", folder.join("link")).unwrap()),
        ("fifo", |folder| {
            rustix::fs::mknodat(rustix::fs::CWD, folder.join("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
                .unwrap();
        }),
        ("name", |folder| fs::write(folder.join("a\nb"), "").unwrap()),
        ("option", |folder| fs::write(folder.join("-rf"), "").unwrap()),
        ("large", |folder| fs::File::create(folder.join("large")).unwrap().set_len(65 << 20).unwrap()),
        ("manifest", |folder| fs::write(folder.join("plugin.json"), "{}").unwrap()),
    ];
    for (what, spoil) in spoils {
        let world = World::new();
        let folder = author_folder(&world);
        spoil(&folder);
        fs::create_dir(world.path("out")).unwrap();
        let error = pack(&folder, &world.path("out")).unwrap_err();
        assert_eq!(error.exit_class(), 5, "{what}: {error}");
        assert!(snapshot(&world.path("out")).is_empty(), "{what}");
        let error = Package::from_folder(&folder, &world.staging()).unwrap_err();
        assert_eq!(error.exit_class(), 5, "{what}: {error}");
        assert!(snapshot(&world.staging()).is_empty(), "{what}");
    }
}

#[test]
fn names_that_differ_only_in_case_are_neither_packed_nor_copied() {
    let world = World::new();
    let folder = author_folder(&world);
    fs::write(folder.join("SRC"), "").unwrap();
    fs::create_dir(world.path("out")).unwrap();
    for error in
        [pack(&folder, &world.path("out")).unwrap_err(), Package::from_folder(&folder, &world.staging()).unwrap_err()]
    {
        assert!(error.to_string().contains("only in case"), "{error}");
    }
    assert!(snapshot(&world.path("out")).is_empty() && snapshot(&world.staging()).is_empty());
}

#[test]
fn a_folder_without_a_manifest_is_told_so() {
    let world = World::new();
    let error = pack(&world.path("victim"), &world.staging()).unwrap_err();
    assert!(matches!(error, PackageError::NoManifest { .. }), "{error}");
}

#[test]
fn the_document_describes_the_newest_of_each_plugin() {
    let world = World::new();
    let folder = author_folder(&world);
    let newest = pack(&folder, &world.staging()).unwrap();
    let manifest = fs::read_to_string(folder.join("plugin.json")).unwrap().replace("1.2.3", "1.2.2");
    fs::write(folder.join("plugin.json"), manifest).unwrap();
    let older = pack(&folder, &world.staging()).unwrap();
    let digest = newest.digest.to_hex();
    let document = document(&[newest, older], "2026-01-01T00:00:00Z");
    assert_eq!((&document["schema_version"], &document["total"]), (&json!("1.0.0"), &json!(1)));
    let entry = &document["plugins"]["realtime"];
    assert_eq!(entry["version"], "1.2.3");
    assert_eq!(entry["tarball"], "realtime-1.2.3.tar.gz");
    assert_eq!(entry["checksums"]["sha256"], digest);
    assert_eq!(entry["min_nself_version"], "0.9.8");
    assert_eq!((&entry["port"], &entry["implementation"]["defaultPort"]), (&json!(3101), &json!(3101)));
    assert_eq!(entry["dependencies"], json!(["jobs"]));
    assert_eq!((&entry["tier"], &entry["requires_license"]), (&json!("free"), &json!(false)));
    assert_eq!(entry["envVars"][1]["default"], "1");
    assert_eq!(entry["size"], json!(fs::metadata(world.staging().join("realtime-1.2.3.tar.gz")).unwrap().len()));
}
