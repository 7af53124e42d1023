//! One test for each row of the table of hostile archives; every refusal also proves that nothing was written.

use std::fs;

use proptest::prelude::*;

use super::super::test_archives::{FORMATS, Format, MANIFEST, RawTar, World, gz, pax_bytes, snapshot};
use super::super::{LARGEST_FILE, MOST_ENTRIES, PackageError};

/// A plugin with one entry more, in every format.
fn with_entry(name: &[u8], kind: u8) -> impl Iterator<Item = (Format, Vec<u8>)> {
    let name = name.to_vec();
    FORMATS
        .into_iter()
        .filter({
            let length = name.len();
            move |format| length <= 100 || matches!(format, Format::Pax | Format::GnuLong)
        })
        .map(move |format| (format, RawTar::plugin().entry(format, &name, kind, b"").gz()))
}

#[track_caller]
fn refused_in_every_format(name: &[u8], kind: u8) {
    let world = World::new();
    for (format, bytes) in with_entry(name, kind) {
        let error = world.refuses(&bytes);
        let about_entry = matches!(error, PackageError::Entry { .. } | PackageError::Archive { .. });
        assert!(about_entry, "{} as {format:?}: {error:?}", String::from_utf8_lossy(name));
    }
}

fn names(world: &World, bytes: &[u8]) -> Vec<String> {
    let package = world.archive(bytes).unpack(&world.staging(), None, None).unwrap();
    let names = snapshot(package.root()).into_keys().collect();
    fs::remove_dir_all(package.root()).unwrap();
    names
}

#[test]
fn a01_ways_out_are_refused() {
    for name in ["../x", "a/../../x", "a/..", "./../x", "..\\x", "realtime/../../x", ".."] {
        refused_in_every_format(name.as_bytes(), b'0');
    }
}

#[test]
fn a02_absolute_paths_are_refused() {
    for name in ["/abs", "//abs", "C:\\x", "\\\\srv\\x", "C:/x", "realtime//x"] {
        refused_in_every_format(name.as_bytes(), b'0');
    }
}

#[test]
fn a03_symbolic_links_in_the_package_are_refused() {
    let world = World::new();
    for target in ["plugin.json", "../../victim/file", "/etc/passwd", "nowhere", "link", "."] {
        let error = world.refuses(&RawTar::plugin().link(b'2', "realtime/link", target).gz());
        assert!(error.to_string().contains("is a link"), "{error}");
    }
    let error = world.refuses(&RawTar::default().link(b'2', "realtime/plugin.json", "/etc/passwd").gz());
    assert!(error.to_string().contains("is no regular file"), "{error}");
}

#[test]
fn a03_links_beside_the_package_are_left_out() {
    let world = World::new();
    let bytes = RawTar::plugin().link(b'2', "docs/link", "../realtime").gz();
    assert_eq!(names(&world, &bytes), ["plugin.json"]);
}

#[test]
fn a04_nothing_is_written_through_a_link() {
    let world = World::new();
    let victim = world.path("victim");
    let victim = victim.to_str().unwrap();
    for bytes in [
        RawTar::plugin().link(b'2', "realtime/a", victim).file("realtime/a/file", b"gone").gz(),
        RawTar::plugin().link(b'2', "realtime/a", victim).folder("realtime/a").gz(),
        RawTar::plugin().link(b'2', "realtime/a", "b").link(b'2', "realtime/b", "../..").file("realtime/a/x", b"").gz(),
        RawTar::plugin().link(b'2', "other/a", victim).file("other/a/file", b"gone").gz(),
    ] {
        world.refuses(&bytes);
    }
}

#[test]
fn a05_hard_links_are_refused() {
    let world = World::new();
    for target in ["realtime/plugin.json", "/etc/passwd", "realtime/hard"] {
        world.refuses(&RawTar::plugin().link(b'1', "realtime/hard", target).gz());
    }
    world.refuses(&RawTar::plugin().link(b'2', "realtime/a", "/etc").link(b'1', "realtime/b", "realtime/a").gz());
}

#[test]
fn a06_special_and_unknown_types_are_refused() {
    for kind in (b'3'..=b'9').chain(b'A'..=b'Z').filter(|kind| !b"5KL".contains(kind)).chain(*b"az~\xff") {
        refused_in_every_format(b"realtime/thing", kind);
        refused_in_every_format(b"elsewhere/thing", kind);
    }
}

#[test]
fn a07_modes_become_plain() {
    let world = World::new();
    let mut tar = RawTar::plugin();
    let mode = |octal: &'static [u8]| move |header: &mut [u8; 512]| header[100..108].copy_from_slice(octal);
    for (name, octal) in [
        ("realtime/setuid", b"0004755\0"),
        ("realtime/setgid", b"0002644\0"),
        ("realtime/open", b"0000777\0"),
        ("realtime/closed", b"0000000\0"),
        ("realtime/write", b"0000666\0"),
        ("realtime/odd", b"0000010\0"),
    ] {
        tar = tar.header(name.as_bytes(), b'0', b"", mode(octal));
    }
    let bytes = tar.header(b"realtime/folder/", b'5', b"", mode(b"0001555\0")).file("realtime/folder/x", b"").gz();
    let package = world.archive(&bytes).unpack(&world.staging(), None, None).unwrap();
    let modes: Vec<_> = snapshot(package.root()).into_iter().map(|(name, (mode, _))| (name, mode)).collect();
    let expected = [
        ("closed", 0o644),
        ("folder", 0o755),
        ("folder/x", 0o644),
        ("odd", 0o755),
        ("open", 0o755),
        ("plugin.json", 0o644),
        ("setgid", 0o644),
        ("setuid", 0o755),
        ("write", 0o644),
    ];
    assert_eq!(modes, expected.map(|(name, mode)| (name.to_owned(), mode)));
}

#[test]
fn a08_owners_times_and_attributes_are_ignored() {
    use std::os::unix::fs::MetadataExt;
    let world = World::new();
    let bytes = RawTar::plugin()
        .pax(&[
            ("SCHILY.xattr.user.x", b"\xff\xfe"),
            ("mtime", b"-1.5"),
            ("uid", b"4294967295"),
            ("SCHILY.acl.access", b"u"),
        ])
        .header(b"realtime/x", b'0', b"data", |header| {
            header[108..116].copy_from_slice(b"\x80\0\0\0\x80\0\0\0");
            header[136..148].copy_from_slice(&[0xff; 12]);
            header[265..269].copy_from_slice(b"root");
        })
        .gz();
    let package = world.archive(&bytes).unpack(&world.staging(), None, None).unwrap();
    let own = world.path("own");
    fs::write(&own, "").unwrap();
    let (made, own_file) = (package.root().join("x"), fs::metadata(&own).unwrap());
    assert_eq!(fs::metadata(&made).unwrap().uid(), own_file.uid());
    assert!(fs::metadata(&made).unwrap().mtime().abs_diff(own_file.mtime()) < 60);
    let attributes = |path: &std::path::Path| rustix::fs::listxattr(path, &mut [0_u8; 0][..]).unwrap_or(0);
    assert_eq!(attributes(&made), attributes(&own));
}

#[test]
fn a09_doubtful_names_are_refused() {
    let long_component = format!("realtime/{}", "a".repeat(256));
    let long_path = format!("realtime/{}", "a/".repeat(2100));
    let deep = format!("realtime{}", "/a".repeat(32));
    for name in [
        &b"realtime/\xff\xfe"[..],
        b"realtime/a\nb",
        b"realtime/a\x1b[2J",
        b"realtime/\x7f",
        "realtime/\u{202e}gpj".as_bytes(),
        b"realtime/-rf",
        b"realtime/-d/x",
        b"realtime/a ",
        b"realtime/a.",
        b"realtime/a\\b",
        long_component.as_bytes(),
        long_path.as_bytes(),
        deep.as_bytes(),
        b"realtime/./x",
        b"elsewhere/a\nb",
        b"",
    ] {
        refused_in_every_format(name, b'0');
    }
    let world = World::new();
    world.refuses(&RawTar::plugin().header(b"realtime/a\0b", b'0', b"", |_| {}).gz());
    world.refuses(&RawTar::plugin().entry(Format::Pax, b"realtime/a\0b", b'0', b"").gz());
    world.refuses(&RawTar::plugin().entry(Format::GnuLong, b"realtime/a\0b", b'0', b"").gz());
    world.refuses(&RawTar::plugin().file("realtime/x/", b"a file with a slash").gz());
}

#[test]
fn a10_entries_that_contend_for_a_path_are_refused() {
    let world = World::new();
    for bytes in [
        RawTar::plugin().file("realtime/x", b"1").file("realtime/x", b"2"),
        RawTar::plugin().file("realtime/x", b"1").file("./realtime/x", b"2"),
        RawTar::plugin().file("realtime/x", b"1").folder("realtime/x/"),
        RawTar::plugin().folder("realtime/x/").file("realtime/x", b"1"),
        RawTar::plugin().file("realtime/x", b"1").file("realtime/x/y", b"2"),
        RawTar::plugin().file("realtime/x/y", b"2").file("realtime/x", b"1"),
        RawTar::plugin().file("realtime/plugin.json", MANIFEST),
        RawTar::plugin().file("elsewhere/x", b"1").file("elsewhere/x", b"2"),
    ] {
        world.refuses(&bytes.gz());
    }
}

#[test]
fn a11_names_that_some_file_systems_take_for_one_are_refused() {
    let world = World::new();
    for (one, other) in [("x", "X"), ("\u{e4}", "a\u{308}"), ("\u{c4}", "a\u{308}"), ("a/x", "A/y"), ("ß", "SS")] {
        let bytes = RawTar::plugin().file(&format!("realtime/{one}"), b"").file(&format!("realtime/{other}"), b"").gz();
        let error = world.refuses(&bytes);
        assert!(error.to_string().contains("only in case or composition"), "{error}");
    }
    let outside = RawTar::plugin().file("docs/x", b"").file("docs/X", b"").gz();
    assert_eq!(names(&world, &outside), ["plugin.json"]);
}

#[test]
fn a12_archives_without_one_usable_manifest_are_refused() {
    let world = World::new();
    let large = format!(r#"{{"name":"realtime","version":"1.0.0","x":"{}"}}"#, "a".repeat(1 << 20));
    for bytes in [
        RawTar::default(),
        RawTar::default().folder("realtime/"),
        RawTar::default().file("realtime/other", b""),
        RawTar::default().folder("realtime/plugin.json/"),
        RawTar::default().file("realtime/plugin.json", b""),
        RawTar::default().file("realtime/plugin.json", large.as_bytes()),
        RawTar::default().file("realtime/plugin.json", &MANIFEST[1..]),
        RawTar::plugin().file("again/plugin.json", MANIFEST),
        RawTar::default().file("x/plugin.json", br#"{"name":"other","version":"1.0.0"}"#),
        RawTar::default()
            .file("x/plugin.json", br#"{"name":"x","version":"1.0.0"}"#)
            .file("y/plugin.json", br#"{"name":"y","version":"1.0.0"}"#),
    ] {
        world.refuses(&bytes.gz());
    }
}

#[test]
fn a13_every_layout_gives_the_same_tree() {
    let world = World::new();
    for top in [
        "",
        "./",
        "realtime/",
        "realtime-1.0.0/",
        "free/realtime/",
        "plugins-main/free/realtime/",
        "owner-repo-0a1b2c/plugins/realtime/",
    ] {
        let mut tar =
            RawTar::default().header(b"pax_global_header", b'g', &pax_bytes(&[("comment", b"0a1b2c")]), |_| {});
        if top.matches('/').count() > 1 {
            tar = tar.file(&top.replace("realtime/", "other/plugin.json"), br#"{"name":"other","version":"2.0.0"}"#);
        }
        let bytes = tar.file(&format!("{top}plugin.json"), MANIFEST).file(&format!("{top}src/main"), b"x").gz();
        let archive = world.archive(&bytes);
        let package = archive.unpack(&world.staging(), Some(&"realtime".parse().unwrap()), None).unwrap();
        let paths: Vec<_> = snapshot(package.root()).into_keys().collect();
        assert_eq!(paths, ["plugin.json", "src", "src/main"], "{top}");
        assert_eq!(package.root(), world.staging().join("realtime"));
        fs::remove_dir_all(package.root()).unwrap();
    }
}

#[test]
fn a13_the_shared_folder_beside_the_plugin_is_kept() {
    let world = World::new();
    for (plugin, shared) in [("p/realtime", "p/shared"), ("r/plugins/realtime", "r/shared"), ("realtime", "shared")] {
        let bytes = RawTar::default()
            .file(&format!("{plugin}/plugin.json"), MANIFEST)
            .folder(&format!("{shared}/"))
            .file(&format!("{shared}/x"), b"")
            .file("elsewhere/y", b"")
            .gz();
        assert_eq!(names(&world, &bytes), ["_shared", "_shared/x", "plugin.json"], "{shared}");
    }
    let own = RawTar::plugin().file("realtime/_shared/own", b"").file("shared/x", b"").gz();
    assert_eq!(names(&world, &own), ["_shared", "_shared/own", "plugin.json"]);
}

#[test]
fn a14_bombs_are_refused() {
    let world = World::new();
    let zeros = vec![0_u8; 24 << 20];
    let error = world.refuses(&RawTar::plugin().file("realtime/zeros", &zeros).gz());
    assert!(error.to_string().contains("200 times"), "{error}");
    let mut layers = RawTar::plugin().gz();
    for _ in 0..10 {
        layers = gz(&layers);
    }
    world.refuses(&layers);
    let huge = RawTar::plugin().header(b"realtime/huge", b'0', b"", |header| {
        header[124..136].copy_from_slice(b"\x80\0\0\0\0\0\0\x02\0\0\0\0");
    });
    let error = world.refuses(&huge.gz());
    assert!(error.to_string().contains("larger than 64 MiB"), "{error}");
    let over = RawTar::plugin().header(b"realtime/over", b'0', b"", |header| {
        header[124..136].copy_from_slice(format!("{:011o}\0", LARGEST_FILE + 1).as_bytes());
    });
    world.refuses(&over.gz());
}

#[test]
fn a15_too_many_entries_and_too_large_extensions_are_refused() {
    let world = World::new();
    let mut many = RawTar::plugin();
    for number in 0..MOST_ENTRIES {
        many = many.file(&format!("realtime/{number}"), b"");
    }
    let error = world.refuses(&many.gz());
    assert!(error.to_string().contains("20,000 entries"), "{error}");
    let value = vec![b'a'; 65 * 1024];
    for bytes in [
        RawTar::plugin().pax(&[("comment", &value)]).file("realtime/x", b""),
        RawTar::plugin().entry(Format::GnuLong, &value, b'0', b""),
        RawTar::plugin().header(b"g", b'g', &pax_bytes(&[("comment", &value)]), |_| {}),
    ] {
        let error = world.refuses(&bytes.gz());
        assert!(error.to_string().contains("larger than 64 KiB"), "{error}");
    }
}

#[test]
fn a16_sizes_that_can_be_read_in_two_ways_are_refused() {
    let world = World::new();
    for field in [
        &b"0000000004x\0"[..],
        b"-0000000004\0",
        b"\0\0\0\0\0\0\0\0\0\0\0\0",
        b"            ",
        b"0000 000004\0",
        b"99999999999\0",
        &[0xff; 12],
        b"\x80\xff\0\0\0\0\0\0\0\0\0\x04",
        b"\xc0\0\0\0\0\0\0\0\0\0\0\x04",
    ] {
        let spoiled = |header: &mut [u8; 512]| header[124..136].copy_from_slice(field);
        world.refuses(&RawTar::plugin().header(b"realtime/x", b'0', b"data", spoiled).gz());
    }
    for field in [100..108, 108..116, 116..124, 136..148, 329..337, 337..345] {
        let spoiled = |header: &mut [u8; 512]| header[field.start..=field.start + 1].copy_from_slice(b"9z");
        world.refuses(&RawTar::plugin().header(b"realtime/x", b'0', b"data", spoiled).gz());
    }
    let spoiled_mode = |header: &mut [u8; 512]| header[100..108].copy_from_slice(b"00b0000\0");
    world.refuses(&RawTar::plugin().header(b"L", b'L', b"realtime/x\0", spoiled_mode).file("short", b"").gz());
    let two_names = |header: &mut [u8; 512]| {
        header[257..265].copy_from_slice(b"ustar  \0");
        header[345] = b'7';
    };
    world.refuses(&RawTar::plugin().header(b"realtime/x", b'0', b"", two_names).gz());
    let larger = |header: &mut [u8; 512]| header[124..136].copy_from_slice(b"00000010000\0");
    world.refuses(&RawTar::plugin().header(b"realtime/x", b'0', b"data", larger).gz());
    for size in [&b"3"[..], b"5", b"04", b"", b"-4", b"99999999999999999999"] {
        world.refuses(&RawTar::plugin().pax(&[("size", size)]).file("realtime/x", b"data").gz());
    }
    for bytes in [
        RawTar::plugin().pax(&[("path", b"realtime/one")]).entry(Format::GnuLong, b"realtime/two", b'0', b""),
        RawTar::plugin()
            .header(b"L", b'L', b"realtime/two\0", |_| {})
            .pax(&[("path", b"realtime/one")])
            .file("short", b""),
        RawTar::plugin().pax(&[("path", b"realtime/one")]).pax(&[("path", b"realtime/two")]).file("short", b""),
        RawTar::plugin().pax(&[("path", b"realtime/one"), ("path", b"realtime/two")]).file("short", b""),
        RawTar::plugin().header(b"x", b'x', b"12 path=short\n", |_| {}).file("short", b""),
        RawTar::plugin().header(b"x", b'x', b"014 path=short\n", |_| {}).file("short", b""),
        RawTar::plugin().header(b"g", b'g', &pax_bytes(&[("path", b"realtime/x")]), |_| {}).file("short", b""),
        RawTar::plugin().pax(&[("GNU.sparse.major", b"1")]).file("realtime/x", b""),
        RawTar::plugin().pax(&[("comment", b"nothing after it")]),
        RawTar::plugin().entry(Format::Ustar, b"realtime/folder/", b'5', b"a folder with data"),
    ] {
        world.refuses(&bytes.gz());
    }
}

#[test]
fn a17_damaged_ends_and_checksums_are_refused() {
    let world = World::new();
    let mut wrong_sum = RawTar::plugin().tar();
    wrong_sum[0] ^= 1;
    world.refuses(&gz(&wrong_sum));
    world.refuses(&gz(&RawTar::plugin().0));
    world.refuses(&gz(&RawTar::plugin().tar()[..700]));
    world.refuses(&gz(&RawTar::plugin().0[..1000]));
    world.refuses(&gz(&[RawTar::plugin().tar(), b"junk".to_vec()].concat()));
    world.refuses(&gz(&[RawTar::plugin().0, vec![0; 512], RawTar::plugin().tar()].concat()));
    world.refuses(&gz(&[RawTar::plugin().tar(), RawTar::plugin().tar()].concat()));
    let old = RawTar::default().header(b"realtime/plugin.json", b'0', MANIFEST, |header| header[257..265].fill(0));
    world.refuses(&old.gz());
    let one_block = [RawTar::plugin().0, vec![0; 512]].concat();
    assert_eq!(names(&world, &gz(&one_block)), ["plugin.json"]);
}

#[test]
fn a18_gzip_members_must_be_whole_and_alone() {
    let world = World::new();
    let good = RawTar::plugin().gz();
    let end = good.len();
    let spoiled = |place: usize| {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        bytes
    };
    let with_header = |flags: u8, extra: &[u8]| {
        let mut bytes = good[..10].to_vec();
        bytes[3] = flags;
        [&bytes, extra, &good[10..]].concat()
    };
    let long_name = [vec![b'a'; 1 << 20], vec![0]].concat();
    for bytes in [
        spoiled(end - 8),
        spoiled(end - 1),
        good[..end - 1].to_vec(),
        good[..end - 8].to_vec(),
        good[..end / 2].to_vec(),
        good[..5].to_vec(),
        with_header(0b0010_0000, b""),
        with_header(0b0000_0100, b"\x02\0ab"),
        with_header(0b0000_1000, &long_name),
        with_header(0b0000_0010, b"\0\0"),
        [good.as_slice(), b"\0"].concat(),
        [good.as_slice(), &good].concat(),
        [good.as_slice(), &gz(b"")].concat(),
    ] {
        world.refuses(&bytes);
    }
    assert_eq!(names(&world, &with_header(0b0000_1000, b"name.tar\0")), ["plugin.json"]);
}

#[test]
fn a19_other_types_are_named() {
    let world = World::new();
    let tar = RawTar::plugin().tar();
    for (bytes, seen) in [
        (&b""[..], "empty"),
        (b"PK\x03\x04rest", "zip"),
        (b"\xfd7zXZ\0rest", "xz"),
        (b"\x28\xb5\x2f\xfdrest", "zstd"),
        (b"BZh9", "bzip2"),
        (b"\x7fELF\x02", "ELF"),
        (b"\n<!DOCTYPE html><html>", "HTML"),
        (b"{\"error\":1}", "JSON"),
        (tar.as_slice(), "tar archive that is not compressed"),
        (b"what is this", "unknown"),
    ] {
        let error = world.refuses(bytes);
        assert!(matches!(&error, PackageError::NotGzip { .. }) && error.to_string().contains(seen), "{error}");
    }
}

#[test]
fn a20_names_of_our_own_state_mean_nothing_in_a_package() {
    let world = World::new();
    let mut tar = RawTar::plugin();
    for name in [".nself-ok", "receipt.json", "current", ".lock"] {
        tar = tar.file(&format!("realtime/{name}"), b"pretended");
    }
    assert_eq!(names(&world, &tar.gz()), [".lock", ".nself-ok", "current", "plugin.json", "receipt.json"]);
}

#[test]
fn the_name_and_version_must_be_those_expected() {
    let world = World::new();
    let bytes = RawTar::plugin().gz();
    let (name, other) = ("realtime".parse().unwrap(), "jobs".parse().unwrap());
    let version = |text: &str| semver::Version::parse(text).unwrap();
    let error = world.archive(&bytes).unpack(&world.staging(), Some(&other), None).unwrap_err();
    assert!(matches!(error, PackageError::AnotherPlugin { .. }), "{error:?}");
    let error = world.archive(&bytes).unpack(&world.staging(), Some(&name), Some(&version("1.0.1"))).unwrap_err();
    assert!(matches!(error, PackageError::AnotherVersion { .. }), "{error:?}");
    assert!(snapshot(&world.staging()).is_empty());
    world.archive(&bytes).unpack(&world.staging(), Some(&name), Some(&version("1.0.0"))).unwrap();
}

#[test]
fn a_folder_that_is_there_already_is_left_as_it_was() {
    let world = World::new();
    fs::create_dir(world.staging().join("realtime")).unwrap();
    fs::write(world.staging().join("realtime/own"), "mine").unwrap();
    let archive = world.archive(&RawTar::plugin().gz());
    let before = world.snapshot();
    let error = archive.unpack(&world.staging(), None, None).unwrap_err();
    assert_eq!(error.exit_class(), 1);
    assert_eq!(world.snapshot(), before);
}

#[test]
fn host_scripts_are_listed_and_not_run() {
    let world = World::new();
    let bytes = RawTar::plugin().file("realtime/install.sh", b"touch ran").file("realtime/deep/install.sh", b"").gz();
    let package = world.archive(&bytes).unpack(&world.staging(), None, None).unwrap();
    assert_eq!(package.manifest().hooks, ["install.sh"]);
    let manifest = br#"{"name":"realtime","version":"1.0.0","hooks":{"postInstall":"./install.sh","postSync":null}}"#;
    let bytes = RawTar::default().file("plugin.json", manifest).file("install.sh", b"").gz();
    fs::remove_dir_all(package.root()).unwrap();
    let package = world.archive(&bytes).unpack(&world.staging(), None, None).unwrap();
    assert_eq!(package.manifest().hooks, ["postInstall: ./install.sh"]);
}

/// Whatever is done to the bytes: no panic, nothing outside the plugin's folder in staging, no link inside.
fn survives(bytes: &[u8]) {
    let world = World::new();
    let archive = world.archive(bytes);
    let before = world.snapshot();
    let result = archive.unpack(&world.staging(), None, None);
    let after = world.snapshot();
    match result {
        Err(_) => assert_eq!(before, after),
        Ok(package) => {
            let prefix = package.root().strip_prefix(world.path("")).unwrap().to_str().unwrap().to_owned();
            let foreign: Vec<_> = after
                .iter()
                .filter(|(name, state)| !name.starts_with(&prefix) && before.get(*name) != Some(state))
                .collect();
            assert!(foreign.is_empty(), "{foreign:?}");
            for name in after.keys() {
                assert!(!fs::symlink_metadata(world.path(name)).unwrap().is_symlink(), "{name}");
            }
        }
    }
}

fn mixed() -> RawTar {
    RawTar::plugin()
        .folder("realtime/src/")
        .entry(Format::Pax, b"realtime/src/main", b'0', b"some data")
        .entry(Format::GnuLong, b"realtime/long", b'0', b"more")
        .link(b'2', "docs/link", "../../victim")
        .file("shared/x", b"")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_tar_bytes_never_escape(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), fix in any::<bool>()) {
        let mut tar = mixed().tar();
        for (place, byte) in &changes {
            let place = place.index(tar.len());
            tar[place] = *byte;
        }
        if fix {
            for header in tar.chunks_exact_mut(512).filter(|header| &header[257..262] == b"ustar") {
                header[148..156].copy_from_slice(b"        ");
                let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
                header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
        }
        survives(&gz(&tar));
    }

    #[test]
    fn mutated_gzip_bytes_never_escape(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), keep in any::<prop::sample::Index>()) {
        let mut bytes = mixed().gz();
        for (place, byte) in &changes {
            let place = place.index(bytes.len());
            bytes[place] = *byte;
        }
        survives(&bytes);
        survives(&bytes[..keep.index(bytes.len())]);
    }

    #[test]
    fn names_of_any_kind_never_escape(name in "(\\.\\./|\\./|/|a|A|-|\\.| |\\\\|\u{202e}|\u{0}|b/){1,8}", kind in prop::sample::select(&b"0125"[..])) {
        for format in FORMATS {
            survives(&RawTar::plugin().entry(format, format!("realtime/{name}").as_bytes(), kind, b"").gz());
            survives(&RawTar::plugin().entry(format, name.as_bytes(), kind, b"").gz());
        }
    }
}
