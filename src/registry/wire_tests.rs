use semver::Version;
use url::Url;

use super::wire::{Base, Contents, Place, ReadError, read};
use super::{ArchiveAddress, LicenceNeed, Release};
use crate::name::PluginName;

const HEX: &str = "abababababababababababababababababababababababababababababababab";

pub(super) fn base() -> Base {
    let url = Url::parse("https://registry.example/v/registry.json").expect("valid");
    Base { registry: "test".into(), pinned: false, place: Place::Url(url) }
}

fn contents(document: &str) -> Contents {
    read(document.as_bytes(), &base()).unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// One entry beside a sound one: the entry's release, or why it was left out.
fn entry(fields: &str) -> Result<Release, String> {
    let document = format!(r#"[{{"name":"sound","version":"1.0.0"}},{{"name":"probe","version":"1.2.3"{fields}}}]"#);
    let contents = contents(&document);
    assert_eq!(contents.of(&name("sound")).len(), 1, "{fields} hides another plugin");
    match contents.of(&name("probe")) {
        [release] => Ok(release.clone()),
        [] => Err(contents.warnings.join("\n")),
        several => panic!("{several:?}"),
    }
}

fn sound(fields: &str) -> Release {
    entry(fields).unwrap_or_else(|problem| panic!("{fields}: {problem}"))
}

fn name(word: &str) -> PluginName {
    word.parse().expect("a name")
}

fn urls(release: &Release) -> Vec<String> {
    let shown = |address: &ArchiveAddress| match address {
        ArchiveAddress::Url(url) => url.to_string(),
        ArchiveAddress::Path(path) => path.display().to_string(),
    };
    release.archives.iter().map(shown).collect()
}

#[test]
fn every_shape_of_a_document_is_read() {
    for document in [
        r#"{"version":"1.0.0","plugins":{"probe":{"name":"probe","version":"1.2.3"}},"categories":{"a":{"name":"A"}}}"#,
        r#"{"schema_version":"1.0.0","plugins":{"probe":{"version":"1.2.3"}},"categories":[]}"#,
        r#"{"plugins":[{"name":"probe","version":"v1.2.3"}],"categories":{"a":{"name":"A","count":1,"version":"x"}}}"#,
        r#"[{"name":"probe","version":"1.2.3"}]"#,
        r#"[{"name":"probe","version":"1.2.3","tier":"free","description":"d","downloadUrl":"https://a.example/p.tgz"}]"#,
        r#"{"plugins":{"probe":{"latest_version":"1.2.3"}}}"#,
        r#"{"probe":{"latest_version":"1.2.3"},"lastUpdated":"x","categories":{"a":{"name":"A"}}}"#,
        r#"{"plugins":[{"name":"probe","latestVersion":"1.2.3"}]}"#,
        r#"{"odd":{"version":"9.9.9"},"plugins":{"probe":{"version":"1.2.3"}}}"#,
    ] {
        let contents = contents(document);
        let found: Vec<String> =
            contents.releases.iter().map(|release| format!("{}@{}", release.name, release.version)).collect();
        assert_eq!(found, ["probe@1.2.3"], "{document}");
        assert_eq!(contents.warnings, [""; 0], "{document}");
    }
}

#[test]
fn damaged_documents_are_refused_with_the_reason() {
    let deep = |depth: usize| format!("{{\"plugins\":{{}},\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let table: Vec<(Vec<u8>, &str)> = vec![
        (b"".to_vec(), "is empty"),
        (b" \n".to_vec(), "is empty"),
        (b"\xef\xbb\xbf".to_vec(), "is empty"),
        (b"<!doctype html>".to_vec(), "web page"),
        (b"null".to_vec(), "an object or a list"),
        (b"5".to_vec(), "an object or a list"),
        (b"[]".to_vec(), "lists no plugins"),
        (b"{}".to_vec(), "lists no plugins"),
        (br#"{"error":"not found"}"#.to_vec(), "lists no plugins"),
        (br#"{"plugins":null}"#.to_vec(), "plugins by name"),
        (br#"{"plugins":{}"#.to_vec(), "EOF"),
        (br#"{"plugins":{}} x"#.to_vec(), "trailing"),
        (br#"{"plugins":{},"x":NaN}"#.to_vec(), "expected value"),
        (br#"{"plugins":{},"x":1e999}"#.to_vec(), "out of range"),
        (br#"{"plugins":{},"x":"\ud800"}"#.to_vec(), "is no registry"),
        (b"{\"plugins\":{},\"x\":\"\xff\"}".to_vec(), "UTF-8"),
        (br#"{"plugins":{},"plugins":{}}"#.to_vec(), "twice"),
        (deep(129).into_bytes(), "recursion limit"),
        (deep(100_000).into_bytes(), "recursion limit"),
        (br#"{"schema_version":"2.0.0","plugins":{}}"#.to_vec(), "schema version `2.0.0`"),
        (br#"{"version":3,"plugins":{}}"#.to_vec(), "schema version `3`"),
        (br#"{"plugins":[5,"x",{"name":"A"}]}"#.to_vec(), "none of which can be used"),
    ];
    for (bytes, reason) in table {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let error = read(&bytes, &base()).expect_err(&start).to_string();
        assert!(error.contains(reason), "{start}: {error}");
    }
    assert_eq!(read(&vec![b' '; (32 << 20) + 1], &base()).expect_err("large"), ReadError::TooLarge);
    assert!(contents(r#"{"plugins":{}}"#).releases.is_empty());
}

#[test]
fn a_wrong_type_costs_one_entry_only() {
    let fields = [
        "version",
        "description",
        "category",
        "author",
        "license",
        "homepage",
        "tags",
        "status",
        "tier",
        "port",
        "implementation",
        "dependencies",
        "checksum",
        "checksums",
        "tarball",
        "download_url",
        "requires_license",
        "min_nself_version",
        "minNselfVersion",
        "installable",
        "size",
        "repository",
        "name",
    ];
    for field in fields {
        for value in ["null", "true", "7", "\"\"", "[[1]]", "{\"a\":[]}", "-1.5"] {
            let document = format!(
                r#"[{{"name":"sound","version":"1.0.0"}},{{"name":"probe","version":"1.0.0","path":"p","{field}":{value}}}]"#
            );
            let contents = contents(&document);
            assert_eq!(contents.of(&name("sound")).len(), 1, "{field}: {value}");
            let is_out = contents.of(&name("probe")).is_empty();
            assert_eq!(is_out, contents.warnings.len() == 1, "{field}: {value}");
            assert!(is_out || value != "[[1]]", "{field}: {value} is no value for it");
        }
    }
}

#[test]
fn names_and_versions_that_break_the_rules_are_left_out_by_name() {
    for bad in ["../x", "/x", "a/b", "", "-x", "A", "a b", "_shared", "con", "current", "\\u0000", "\\u202ea"] {
        let document = format!(r#"{{"plugins":{{"{bad}":{{"version":"1.0.0"}},"sound":{{"version":"1.0.0"}}}}}}"#);
        let contents = contents(&document);
        assert_eq!(contents.releases.len(), 1, "{bad}");
        assert_eq!(contents.warnings.len(), 1, "{bad}");
        assert!(!contents.warnings[0].contains(['\0', '\u{202e}']), "{bad}");
    }
    let long = format!("1.0.0-{}", "a".repeat(300));
    for bad in ["1", "1.0", "01.0.0", "1.0.0/..", "latest", "99999999999999999999.0.0", &long] {
        let document = format!(r#"[{{"name":"sound","version":"1.0.0"}},{{"name":"probe","version":"{bad}"}}]"#);
        let contents = contents(&document);
        assert_eq!(contents.releases.len(), 1, "{bad}");
        assert!(contents.warnings[0].starts_with("plugin `probe` is left out"), "{:?}", contents.warnings);
    }
}

#[test]
fn a_name_that_contradicts_its_key_is_left_out() {
    let contents = contents(r#"{"plugins":{"a":{"name":"b","version":"1.0.0"},"c":{"version":"1.0.0"}}}"#);
    assert_eq!(contents.releases.len(), 1);
    assert_eq!(contents.warnings, ["plugin `a` is left out: it is listed as `a` but names itself `b`"]);
}

#[test]
fn duplicates_never_resolve_to_the_last_one() {
    let twice = contents(r#"{"plugins":{"a":{"version":"1.0.0"},"a":{"version":"2.0.0"},"b":{"version":"1.0.0"}}}"#);
    assert_eq!(twice.releases.len(), 1);
    assert!(twice.warnings[0].contains("`a`") && twice.warnings[0].contains("more than once"), "{:?}", twice.warnings);
    let same = r#"[{"name":"a","version":"1.0.0"},{"name":"a","version":"1.0.0"},{"name":"b","version":"1.0.0"}]"#;
    assert_eq!(contents(same).releases.len(), 1);
    for pair in [
        r#"[{"name":"a","version":"1.0.0","tier":"free"},{"name":"a","version":"1.0.0","tier":"pro","tier_pair":"a"}]"#,
        r#"{"plugins":{"a":{"version":"2.0.0","tier":"pro"},"a":{"version":"1.0.0","tier":"free"}}}"#,
    ] {
        let contents = contents(pair);
        assert_eq!(contents.releases.len(), 1, "{pair}");
        assert_eq!(contents.releases[0].licence_need, LicenceNeed::None);
        assert_eq!(contents.releases[0].version, Version::new(1, 0, 0));
    }
    assert!(entry(r#","port":1,"port":2"#).expect_err("twice").contains("`port` is there twice"));
    let inner = format!(r#","checksums":{{"sha256":"{HEX}","sha256":""}}"#);
    assert!(entry(&inner).is_err(), "a check must not vanish behind a second key");
}

#[test]
fn several_versions_are_all_kept_the_newest_first() {
    let list = r#"[{"name":"a","version":"1.0.0"},{"name":"a","version":"1.10.0"},{"name":"a","version":"1.9.0"}]"#;
    let inside = format!(
        r#"{{"plugins":{{"a":{{"version":"1.10.0","description":"d","checksum":"{HEX}","tarball":"n.tgz","versions":[
        {{"version":"1.9.0","tarball":"o.tgz"}},{{"version":"1.0.0"}},{{"version":"bad"}},"0.1.0"]}}}}}}"#
    );
    for document in [list, &inside] {
        let contents = contents(document);
        let versions: Vec<String> = contents.of(&name("a")).iter().map(|release| release.version.to_string()).collect();
        assert_eq!(versions, ["1.10.0", "1.9.0", "1.0.0"], "{document}");
    }
    let contents = contents(&inside);
    let older = &contents.of(&name("a"))[1];
    assert_eq!(older.digest, None, "a digest holds for one version");
    assert_eq!(older.description, "d");
    assert_eq!(urls(older), ["https://registry.example/v/o.tgz"]);
    assert_eq!(contents.warnings.len(), 1);
}

#[test]
fn checksums_are_read_in_every_spelling_and_never_skipped() {
    let upper = HEX.to_uppercase();
    for fields in [
        format!(r#","checksum":"{HEX}""#),
        format!(r#","checksum":"sha256:{HEX}""#),
        format!(r#","sha256":"{upper}""#),
        format!(r#","checksums":{{"sha256":"sha256:{HEX}"}}"#),
        format!(r#","checksum":"","checksums":{{"sha256":"{HEX}","md5":"x"}}"#),
        format!(r#","checksum":"{HEX}","sha256":"{HEX}""#),
    ] {
        assert_eq!(sound(&fields).digest.map(crate::name::Digest::to_hex).as_deref(), Some(HEX), "{fields}");
    }
    for fields in
        ["", r#","checksum":"""#, r#","checksum":null"#, r#","checksums":{"sha256":""}"#, r#","checksums":{}"#]
    {
        assert_eq!(sound(fields).digest, None, "{fields}");
    }
    for fields in [
        r#","checksum":"md5:d41d8cd98f00b204e9800998ecf8427e""#.to_owned(),
        r#","checksum":"sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709""#.to_owned(),
        r#","checksums":{"md5":"d41d8cd98f00b204e9800998ecf8427e"}"#.to_owned(),
        format!(r#","checksum":"{}""#, &HEX[1..]),
        format!(r#","checksum":"{HEX}0""#),
        format!(r#","checksum":"sha256:sha256:{HEX}""#),
        format!(r#","checksum":"sha512:{HEX}{HEX}""#),
        format!(r#","checksum":"{HEX}","sha256":"{}""#, "cd".repeat(32)),
        r#","checksum":5"#.to_owned(),
    ] {
        assert!(entry(&fields).is_err(), "{fields}");
    }
}

#[test]
fn addresses_are_tried_from_the_most_specific_on() {
    let all = sound(
        r#","download_url":"https://a.example/latest","tarball":"https://a.example/p-1.2.3.tar.gz","downloadUrl":"/p""#,
    );
    assert_eq!(
        urls(&all),
        ["https://a.example/p-1.2.3.tar.gz", "https://a.example/latest", "https://registry.example/p"]
    );
    for key in ["tarball", "tarballUrl", "tarballURL", "download_url", "downloadUrl"] {
        assert_eq!(urls(&sound(&format!(r#","{key}":"p.tgz""#))), ["https://registry.example/v/p.tgz"], "{key}");
    }
    let seed = r#","path":"plugins/probe","repository":"https://github.com/owner/repo.git""#;
    assert_eq!(urls(&sound(seed)), ["https://github.com/owner/repo/archive/refs/heads/main.tar.gz"]);
    assert_eq!(urls(&sound(r#","path":"x","repository":"https://gitlab.com/owner/repo""#)), [""; 0]);
    let half = sound(r#","tarball":"javascript:alert(1)","download_url":"https://a.example/p""#);
    assert_eq!(urls(&half), ["https://a.example/p"]);
    let long = format!("https://a.example/{}", "a".repeat(10_000));
    for bad in
        ["javascript:alert(1)", "file:///etc/passwd", "https://a:b@a.example/p", "ftp://a.example/p", "https://", &long]
    {
        assert!(entry(&format!(r#","tarball":"{bad}""#)).is_err(), "{bad}");
    }
}

#[test]
fn a_folder_registry_has_paths_that_stay_inside() {
    let folder = Base { place: Place::Folder("/srv/registry".into()), ..base() };
    let document = r#"[{"name":"a","version":"1.0.0","tarball":"a/a.tgz"},{"name":"b","version":"1.0.0","tarball":"../b.tgz"},
        {"name":"c","version":"1.0.0","tarball":"/etc/c.tgz"},{"name":"d","version":"1.0.0","tarball":"https://a.example/d"}]"#;
    let contents = read(document.as_bytes(), &folder).expect("read");
    let found: Vec<String> = contents.releases.iter().flat_map(urls).collect();
    assert_eq!(found, ["/srv/registry/a/a.tgz", "https://a.example/d"]);
    assert_eq!(contents.warnings.len(), 2);
}

#[test]
fn ports_are_numbers_or_texts_of_numbers() {
    for (fields, port) in [
        ("", None),
        (r#","port":3101"#, Some(3101)),
        (r#","port":"3101""#, Some(3101)),
        (r#","port":0"#, None),
        (r#","port":0,"config":{"port":5}"#, None),
        (r#","port":"""#, None),
        (r#","implementation":{"defaultPort":3001}"#, Some(3001)),
        (r#","implementation":"go","config":{"port":"3002"}"#, Some(3002)),
        (r#","config":{"defaultPort":3003}"#, Some(3003)),
        (r#","config":{"dashboardPort":4200}"#, Some(4200)),
        (r#","port":1,"implementation":{"defaultPort":2}"#, Some(1)),
    ] {
        assert_eq!(sound(fields).port, port, "{fields}");
    }
    for bad in ["65536", "-1", "80.5", "\"http\"", "true", "[]"] {
        assert!(entry(&format!(r#","port":{bad}"#)).expect_err(bad).contains("port"), "{bad}");
    }
}

#[test]
fn dependencies_of_every_shape_become_words() {
    for (value, words) in [
        ("null", &[][..]),
        (r#"["pg","@scope/x","ioredis","pg"]"#, &["pg", "ioredis"]),
        (r#"{"required":["family","photos"],"optional":["x"]}"#, &["family", "photos"]),
        (r#"{"plugins":["jobs"],"npm":["pg"]}"#, &["jobs"]),
        (r#"{"npm":["pg"]}"#, &[]),
        (r#"{"npm":["pg"],"system":["ffmpeg"]}"#, &[]),
        (r#"{"jobs":"^1.0","x":{"optional":true}}"#, &["jobs"]),
        (r#"[{"name":"jobs","version":"1"},{"name":"x","optional":true}]"#, &["jobs"]),
        (r#""redis""#, &["redis"]),
    ] {
        assert_eq!(sound(&format!(r#","dependencies":{value}"#)).dependencies, words, "{value}");
    }
    assert_eq!(sound(r#","requires":{"plugins":["jobs"],"nself":">=1.4, <2"}"#).dependencies, ["jobs"]);
    for bad in ["5", "[5]", "[{\"a\":1}]", "true"] {
        assert!(entry(&format!(r#","dependencies":{bad}"#)).is_err(), "{bad}");
    }
    let many = format!(r#","dependencies":[{}0]"#, "0,".repeat(100_000));
    assert!(entry(&many).is_err());
}

#[test]
fn the_licence_decides_as_it_is_written() {
    let need = |fields| sound(fields).licence_need != LicenceNeed::None;
    for free in ["", r#","tier":"free""#, r#","requires_license":false,"tier":"pro""#, r#","isCommercial":false"#] {
        assert!(!need(free), "{free}");
    }
    for paid in [
        r#","tier":"pro""#,
        r#","tier":"MAX""#,
        r#","requires_license":true"#,
        r#","requires_license":true,"tier":"free""#,
        r#","requires_license":null,"tier":"pro""#,
        r#","isCommercial":true"#,
    ] {
        assert!(need(paid), "{paid}");
    }
}

#[test]
fn the_host_version_is_the_highest_lower_bound() {
    for (fields, version) in [
        (r#","minNselfVersion":"0.4.8""#, "0.4.8"),
        (r#","min_nself_version":"v1.0.9""#, "1.0.9"),
        (r#","minNselfVersion":"1.0","min_nself_version":"1.1.1""#, "1.1.1"),
        (r#","requires":{"nself":">=1.4, <2"}"#, "1.4.0"),
        (r#","requires":{"nself":"^1.2.3"}"#, "1.2.3"),
        (r#","requires":{"nself":">1"}"#, "2.0.0"),
    ] {
        assert_eq!(sound(fields).min_host.map(|host| host.to_string()).as_deref(), Some(version), "{fields}");
    }
    assert_eq!(sound(r#","requires":{"nself":"<2"}"#).min_host, None);
    assert!(entry(r#","min_nself_version":"soon""#).is_err());
}

#[test]
fn status_says_what_cannot_be_installed_and_what_replaces_it() {
    assert_eq!(sound("").status, "stable");
    assert_eq!(sound(r#","status":"beta""#).status, "beta");
    let gone = sound(r#","deprecation":{"eolDate":"2027-01-01","replacedBy":"other"}"#);
    assert_eq!((gone.status.as_str(), gone.replaced_by.as_deref()), ("deprecated", Some("other")));
    assert_eq!(sound(r#","deprecated":true,"replacement":"other""#).replaced_by.as_deref(), Some("other"));
    assert!(sound(r#","status":"planned""#).not_installable.is_some());
    assert!(sound(r#","installable":false"#).not_installable.is_some());
    assert!(sound(r#","installable":true"#).not_installable.is_none());
}

#[test]
fn texts_are_kept_exactly_and_sets_are_read() {
    let release = sound(r#","description":"a\u001b[31mb","tags":["x","y"],"signature":"ab","author":{"name":"me"}"#);
    assert_eq!(release.description, "a\u{1b}[31mb");
    assert_eq!(release.tags, ["x", "y"]);
    assert_eq!((release.signature.as_deref(), release.author.as_str()), (Some("ab"), "me"));
    let sets = contents(r#"{"plugins":{"a":{"version":"1.0.0"}},"sets":{"core":["a","../b"],"odd":5}}"#);
    assert_eq!(sets.sets["core"], [name("a")]);
    assert_eq!(sets.warnings.len(), 2);
}

/// A document with everything in it, for mutation.
const RICH: &str = r#"{"$schema":"x","version":"1.0.0","plugins":{"a":{"name":"a","version":"1.0.0","tags":["t","\u00e9"],
"implementation":{"defaultPort":3001},"dependencies":{"required":["b"],"optional":[]},"checksums":{"sha256":""},
"requires":{"nself":">=1.4"},"versions":[{"version":"0.9.0","tarball":"x.tgz"}],"deprecation":{"replacedBy":"b"}},
"b":{"version":"2.0.0","port":"80","path":"p","repository":"https://github.com/o/r","envVars":[{"name":"X"}]}},
"sets":{"core":["a"]},"categories":[1,2.5,-3e2,true,null]}"#;

proptest::proptest! {
    #[test]
    fn no_mutation_of_a_document_panics(
        edits in proptest::collection::vec((0..RICH.len(), proptest::num::u8::ANY, 0..4_u8), 1..12),
    ) {
        let mut bytes = RICH.as_bytes().to_vec();
        for (place, byte, kind) in edits {
            let place = place % bytes.len().max(1);
            match kind {
                0 if !bytes.is_empty() => bytes[place] = byte,
                1 => bytes.insert(place.min(bytes.len()), byte),
                2 => bytes.truncate(place),
                _ => {
                    let copy: Vec<u8> = bytes.iter().skip(place).take(40).copied().collect();
                    bytes.splice(place.min(bytes.len())..place.min(bytes.len()), copy);
                }
            }
        }
        if let Ok(contents) = read(&bytes, &base()) {
            for release in &contents.releases {
                proptest::prop_assert!(contents.of(&release.name).contains(release));
            }
        }
    }

    #[test]
    fn any_words_in_any_field_never_panic(key in "[a-zA-Z_]{1,18}", value in "\\PC{0,40}", number in proptest::num::i64::ANY) {
        let text = serde_json::to_string(&value).expect("a text");
        let document = format!(
            r#"[{{"name":"s","version":"1.0.0"}},{{"name":"p","version":{text},"{key}":{number},"dependencies":[{text}],"tarball":{text}}}]"#
        );
        proptest::prop_assert!(read(document.as_bytes(), &base()).is_ok());
    }
}
