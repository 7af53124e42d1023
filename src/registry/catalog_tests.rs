use std::path::Path;
use std::time::{Duration, SystemTime};

use super::test_server::{TestServer, closed_port};
use super::{Access, Ask, Catalog, Location, RegistryError, Selection, Source};
use crate::http::Http;
use crate::name::PluginName;

fn name(word: &str) -> PluginName {
    word.parse().expect("a name")
}

fn remote(name: &str, url: url::Url) -> Source {
    Source { name: name.into(), locations: vec![Location::Url(url)], pinned: false }
}

/// A registry of entries that are `NAME VERSION` with further fields.
fn serving(entries: &[(&str, &str, &str)]) -> TestServer {
    TestServer::answering("200 OK", &[], document(entries))
}

fn document(entries: &[(&str, &str, &str)]) -> String {
    let entries: Vec<String> = entries
        .iter()
        .map(|(name, version, more)| {
            format!(r#"{{"name":"{name}","version":"{version}","tarball":"https://a.example/{name}.tgz"{more}}}"#)
        })
        .collect();
    format!(r#"{{"plugins":[{}]}}"#, entries.join(","))
}

fn pinned(folder: &Path, entries: &[(&str, &str, &str)]) -> Source {
    std::fs::write(folder.join("registry.json"), document(entries)).expect("written");
    Source { name: "bundled".into(), locations: vec![Location::Folder(folder.into())], pinned: true }
}

fn access(http: &Http) -> Access<'_> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
    Access { http, cache_dir: None, ttl: Duration::from_mins(5), offline: false, refresh: false, now }
}

async fn select(sources: Vec<Source>, word: &str) -> Result<Selection, RegistryError> {
    let http = Http::new(false).expect("lazy");
    let catalog = Catalog::new(sources, access(&http));
    let (registry, rest) = word.split_once('/').map_or((None, word), |(registry, rest)| (Some(registry), rest));
    let (plugin, version) = rest.split_once('@').map_or((rest, None), |(plugin, version)| (plugin, Some(version)));
    let version = version.map(|version| version.parse().expect("a version"));
    let name = name(plugin);
    catalog.select(&Ask { registry, name: &name, version: version.as_ref(), has_licence_key: false }).await
}

fn told(selection: &Selection) -> String {
    let others: Vec<String> = selection.passed_over.iter().map(ToString::to_string).collect();
    format!("{} {} | {}", selection.release.registry, selection.release.version, others.join(" | "))
}

const DIGEST: &str = r#","checksum":"abababababababababababababababababababababababababababababababab""#;

#[tokio::test]
async fn a_pinned_registry_wins_without_asking_the_network() {
    let folder = tempfile::tempdir().expect("a folder");
    let nself = serving(&[("realtime", "9.0.0", DIGEST)]);
    let sources = || vec![remote("nself", nself.url("")), pinned(folder.path(), &[("realtime", "1.0.0", "")])];
    let selection = select(sources(), "realtime").await.expect("found");
    assert_eq!(told(&selection), "bundled 1.0.0 | registry `nself`: not asked: `bundled` is pinned and has it");
    assert_eq!(nself.heads().len(), 0);
    let newer = select(sources(), "realtime@9.0.0").await.expect("found");
    assert_eq!(told(&newer), "nself 9.0.0 | registry `bundled`: does not have that version, it has 1.0.0");
    assert_eq!(select(sources(), "nself/realtime").await.expect("found").release.registry, "nself");
}

#[tokio::test]
async fn a_digest_wins_over_none_and_the_order_decides_among_equals() {
    let (plain, proven) = (serving(&[("a", "1.0.0", "")]), serving(&[("a", "0.9.0", DIGEST)]));
    let by_digest = select(vec![remote("one", plain.url("")), remote("two", proven.url(""))], "a").await;
    assert_eq!(told(&by_digest.expect("found")), "two 0.9.0 | registry `one`: has 1.0.0 without a checksum");
    let newer = serving(&[("a", "2.0.0", "")]);
    let by_order = select(vec![remote("one", plain.url("")), remote("two", newer.url(""))], "a").await;
    assert_eq!(told(&by_order.expect("found")), "one 1.0.0 | registry `two`: has 2.0.0, but comes later in the list");
}

#[tokio::test]
async fn what_cannot_be_installed_does_not_count_and_says_why() {
    let paid = serving(&[("a", "2.0.0", r#","requires_license":true"#), ("b", "1.0.0", r#","status":"planned""#)]);
    let free = serving(&[("a", "1.0.0", "")]);
    let sources = || vec![remote("nself", paid.url("")), remote("mine", free.url(""))];
    let selection = select(sources(), "a").await.expect("found");
    assert_eq!(told(&selection), "mine 1.0.0 | registry `nself`: needs a licence: `requires_license` is true");
    let error = select(vec![remote("nself", paid.url(""))], "a").await.expect_err("paid");
    assert_eq!((error.exit_class(), error.to_string().as_str()), (3, "plugin `a` cannot be installed"));
    assert!(error.hint().expect("a hint").contains("NSELF_PLUGIN_LICENSE_KEY"));
    let planned = select(sources(), "b").await.expect_err("planned");
    assert!(planned.causes()[0].contains("not installable: planned"), "{:?}", planned.causes());
    let mixed = serving(&[("a", "2.0.0-rc.1", ""), ("a", "1.5.0", ""), ("a", "1.9.0", r#","tier":"pro""#)]);
    assert_eq!(
        select(vec![remote("x", mixed.url(""))], "a").await.expect("found").release.version.to_string(),
        "1.5.0"
    );
}

#[tokio::test]
async fn what_is_not_found_names_what_is_near_and_where_it_was_looked_for() {
    let server = serving(&[("realtime", "1.0.0", ""), ("jobs", "1.0.0", ""), ("realtime", "0.9.0", "")]);
    let sources = || vec![remote("nself", server.url("")), remote("down", closed_port(""))];
    let known = select(vec![remote("nself", server.url(""))], "realtme").await.expect_err("mistyped");
    assert_eq!((known.exit_class(), known.to_string().as_str()), (3, "plugin `realtme` was not found"));
    // While a registry is down nobody knows whether it has the plugin.
    let error = select(sources(), "realtme").await.expect_err("mistyped");
    assert_eq!(error.exit_class(), 4);
    assert_eq!(error.to_string(), "plugin `realtme` could not be looked up: not every registry answered");
    assert_eq!(error.hint().as_deref(), Some("did you mean `realtime`?"));
    let causes = error.causes();
    assert!(causes[0].starts_with("registry `nself`: does not have it (http://127.0.0.1"), "{causes:?}");
    assert!(causes[1].starts_with("registry `down`: could not be read: "), "{causes:?}");
    assert!(causes[1].ends_with("refused the connection"), "{causes:?}");
    let far = select(sources(), "mlflow").await.expect_err("unknown");
    assert!(far.hint().expect("a hint").ends_with("nself plugin doctor"));
    let far = select(vec![remote("nself", server.url(""))], "mlflow").await.expect_err("unknown");
    assert_eq!(far.hint().as_deref(), Some("`nself plugin list` shows what there is"));
    let version = select(sources(), "realtime@3.0.0").await.expect_err("no such version");
    assert_eq!(version.exit_class(), 3);
    assert_eq!(version.causes()[0], "the versions are `1.0.0`, `0.9.0`");
    let registry = select(sources(), "other/realtime").await.expect_err("no such registry");
    assert_eq!(registry.causes(), ["the registries are `nself`, `down`"]);
}

#[tokio::test]
async fn a_valid_answer_without_the_plugin_does_not_fall_back() {
    let (first, second) = (serving(&[("a", "1.0.0", "")]), serving(&[("b", "1.0.0", "")]));
    let locations = vec![Location::Url(first.url("")), Location::Url(second.url(""))];
    let error = select(vec![Source { name: "nself".into(), locations, pinned: false }], "b").await.expect_err("no b");
    assert_eq!(error.exit_class(), 3);
    assert_eq!(second.heads().len(), 0);
}

#[tokio::test]
async fn no_registry_at_all_is_a_failure_of_the_registries() {
    let error =
        select(vec![remote("one", closed_port("")), remote("two", closed_port(""))], "a").await.expect_err("down");
    assert_eq!((error.exit_class(), error.to_string().as_str()), (4, "none of 2 registries could be read"));
    assert_eq!(error.causes().len(), 2);
    let http = Http::new(false).expect("lazy");
    let catalog = Catalog::new(vec![remote("one", closed_port(""))], access(&http));
    assert_eq!(catalog.merged(false).await.expect_err("down").exit_class(), 4);
    assert_eq!(catalog.whole("one").await.expect_err("down").exit_class(), 4);
}

#[tokio::test]
async fn a_list_shows_each_name_once_by_the_same_trust() {
    let folder = tempfile::tempdir().expect("a folder");
    let nself =
        serving(&[("a", "3.0.0", DIGEST), ("b", "1.0.0", r#","tier":"pro""#), ("c", "1.0.0", ""), ("c", "2.0.0", "")]);
    let mine = serving(&[("b", "0.5.0", "")]);
    let http = Http::new(false).expect("lazy");
    let sources = vec![
        remote("nself", nself.url("")),
        remote("mine", mine.url("")),
        remote("down", closed_port("")),
        pinned(folder.path(), &[("a", "1.0.0", r#","dependencies":["c","pg","a","@x/y"]"#)]),
    ];
    let catalog = Catalog::new(sources, access(&http));
    let merged = catalog.merged(false).await.expect("listed");
    let shown: Vec<String> = merged
        .releases
        .iter()
        .map(|release| format!("{}/{}@{}", release.registry, release.name, release.version))
        .collect();
    assert_eq!(shown, ["bundled/a@1.0.0", "mine/b@0.5.0", "nself/c@2.0.0"]);
    assert_eq!(merged.warnings.len(), 1, "{:?}", merged.warnings);
    assert_eq!(merged.origins.len(), 3);
    assert_eq!(catalog.plugin_dependencies(merged.releases[0]), [name("c")]);
    assert_eq!(catalog.whole("nself").await.expect("read").contents.releases.len(), 4);
    assert_eq!(nself.heads().len(), 1, "each registry is read once");
}
