use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::test_server::{TestServer, closed_port, respond};
use super::{Access, LoadFailure, Loaded, Location, Origin, Source};
use crate::http::{Deadlines, Http};

const GOOD: &str = r#"{"plugins":{"realtime":{"version":"1.0.0","tarball":"realtime.tgz"}}}"#;
const OTHER: &str = r#"{"plugins":{"jobs":{"version":"1.0.0"}}}"#;

/// A command's surroundings at a given time.
struct Surroundings {
    http: Http,
    folder: TempDir,
    start: SystemTime,
}

impl Surroundings {
    fn new() -> Self {
        let long = Duration::from_secs(20);
        let deadlines = Deadlines { connect: long, document: long, idle: long };
        Self {
            http: Http::with_deadlines(false, deadlines),
            folder: tempfile::tempdir().expect("a folder"),
            start: SystemTime::UNIX_EPOCH + Duration::from_hours(500_000),
        }
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    async fn load_with(
        &self,
        source: &Source,
        seconds: i64,
        change: impl FnOnce(&mut Access<'_>),
    ) -> Result<Loaded, LoadFailure> {
        let cache = self.cache();
        let passed = Duration::from_secs(seconds.unsigned_abs());
        let now = if seconds < 0 { self.start - passed } else { self.start + passed };
        let mut access = Access {
            http: &self.http,
            cache_dir: Some(&cache),
            ttl: Duration::from_mins(5),
            offline: false,
            refresh: false,
            now,
        };
        change(&mut access);
        source.load(&access).await
    }

    async fn load(&self, source: &Source, seconds: i64) -> Loaded {
        self.load_with(source, seconds, |_| {}).await.unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// The cached document; its facts end in `.meta`.
    fn document(&self) -> PathBuf {
        let files = fs::read_dir(self.cache()).expect("a cache").flatten().map(|file| file.path());
        files.filter(|path| path.extension() == Some("json".as_ref())).collect::<Vec<_>>().remove(0)
    }

    fn facts(&self) -> PathBuf {
        self.document().with_extension("json.meta")
    }
}

fn source(locations: &[url::Url]) -> Source {
    let locations = locations.iter().cloned().map(Location::Url).collect();
    Source { name: "nself".into(), locations, pinned: false }
}

fn names(loaded: &Loaded) -> Vec<String> {
    loaded.contents.releases.iter().map(|release| release.name.to_string()).collect()
}

#[tokio::test]
async fn a_base_address_means_the_registry_json_below_it() {
    let around = Surroundings::new();
    let server = TestServer::answering("200 OK", &[], GOOD);
    for (path, asked) in
        [("", "/registry.json"), ("/v1/", "/v1/registry.json"), ("/a/list.json?x=1", "/a/list.json?x=1")]
    {
        around.load(&source(&[server.url(path)]), 0).await;
        let head = server.heads().pop().expect("asked");
        assert!(head.starts_with(&format!("GET {asked} ")), "{path}: {head}");
    }
}

#[tokio::test]
async fn a_fresh_cache_is_not_asked_about_and_an_old_one_is() {
    let around = Surroundings::new();
    let server = TestServer::answering("200 OK", &[], GOOD);
    let source = source(&[server.url("")]);
    assert!(matches!(around.load(&source, 0).await.origin, Origin::Network(_)));
    assert_eq!(fs::read(around.document()).expect("cached"), GOOD.as_bytes(), "as received");
    let cached = around.load(&source, 299).await;
    assert_eq!(cached.origin, Origin::Cache { age: Duration::from_secs(299) });
    assert_eq!(server.heads().len(), 1);
    around.load(&source, 301).await;
    assert_eq!(server.heads().len(), 2);
    around.load_with(&source, 302, |access| access.refresh = true).await.expect("asked");
    assert_eq!(server.heads().len(), 3);
    let cached = around.load(&source, 303).await;
    assert_eq!(cached.origin, Origin::Cache { age: Duration::from_secs(1) }, "a refresh is cached");
}

#[tokio::test]
async fn a_304_renews_the_cache() {
    let around = Surroundings::new();
    let server = TestServer::start(|head, stream| {
        if head.to_ascii_lowercase().contains("if-none-match: \"e1\"") {
            respond(stream, "304 Not Modified", &[], b"");
        } else {
            respond(stream, "200 OK", &["ETag: \"e1\""], GOOD.as_bytes());
        }
    });
    let source = source(&[server.url("")]);
    around.load(&source, 0).await;
    let renewed = around.load(&source, 400).await;
    assert_eq!(
        (renewed.origin, names(&Loaded { origin: Origin::Cache { age: Duration::ZERO }, ..renewed })),
        (Origin::Cache { age: Duration::ZERO }, vec!["realtime".to_owned()])
    );
    around.load(&source, 600).await;
    assert_eq!(server.heads().len(), 2, "confirmed at 400 s, so still fresh at 600 s");
    around.load_with(&source, 601, |access| access.refresh = true).await.expect("asked");
    assert!(!server.heads()[2].to_ascii_lowercase().contains("if-none-match"));
}

#[tokio::test]
async fn every_kind_of_bad_answer_falls_back_to_the_next_address() {
    let good = TestServer::answering("200 OK", &[], GOOD);
    let bad: Vec<(TestServer, &str)> = vec![
        (TestServer::answering("500 Internal Server Error", &[], ""), "answered 500"),
        (TestServer::answering("404 Not Found", &[], ""), "answered 404"),
        (TestServer::answering("200 OK", &[], "<html>"), "answered an HTML page"),
        (TestServer::answering("200 OK", &[], "{\"plugins\":"), "is no registry: EOF"),
        (TestServer::answering("200 OK", &[], "{\"ok\":true}"), "lists no plugins"),
        (TestServer::start(|_, _| {}), "broke off"),
    ];
    for (server, reason) in &bad {
        let around = Surroundings::new();
        let loaded = around.load(&source(&[server.url(""), good.url("")]), 0).await;
        assert_eq!(names(&loaded), ["realtime"]);
        assert!(loaded.notes[0].contains(reason), "{:?}", loaded.notes);
    }
    let around = Surroundings::new();
    let loaded = around.load(&source(&[closed_port(""), good.url("")]), 0).await;
    assert!(loaded.notes[0].contains("refused the connection"), "{:?}", loaded.notes);
}

#[tokio::test]
async fn a_bad_answer_never_replaces_a_good_cache_and_the_next_good_one_does() {
    let around = Surroundings::new();
    let is_bad = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&is_bad);
    let server = TestServer::start(move |_, stream| {
        let body = if switch.load(Ordering::SeqCst) { "<html>" } else { GOOD };
        respond(stream, "200 OK", &[], body.as_bytes());
    });
    let source = source(&[server.url("")]);
    around.load(&source, 0).await;
    is_bad.store(true, Ordering::SeqCst);
    let stale = around.load(&source, 7200).await;
    assert_eq!(stale.origin, Origin::StaleCache { age: Duration::from_hours(2) });
    assert_eq!(stale.origin.to_string(), "stale cache, 2 h old");
    assert!(stale.notes[0].contains("answered an HTML page"), "{:?}", stale.notes);
    assert_eq!(fs::read(around.document()).expect("cached"), GOOD.as_bytes());
    is_bad.store(false, Ordering::SeqCst);
    assert!(matches!(around.load(&source, 7201).await.origin, Origin::Network(_)));
}

#[tokio::test]
async fn with_nothing_left_every_address_is_named_with_its_answer() {
    let around = Surroundings::new();
    let broken = TestServer::answering("503 Service Unavailable", &[], "");
    let mut closed = closed_port("/r.json?key=secret");
    closed.set_password(Some("secret")).expect("possible");
    let failure = around.load_with(&source(&[broken.url(""), closed]), 0, |_| {}).await.expect_err("nothing");
    let text = failure.to_string();
    assert!(text.contains("answered 503 Service Unavailable") && text.contains("refused the connection"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    assert!(!around.cache().exists(), "a failure is not cached");
}

#[tokio::test]
async fn offline_touches_no_network() {
    let around = Surroundings::new();
    let server = TestServer::answering("200 OK", &[], GOOD);
    let source = source(&[server.url("")]);
    let failure = around.load_with(&source, 0, |access| access.offline = true).await.expect_err("no cache");
    assert!(failure.to_string().contains("--offline"), "{failure}");
    assert_eq!(server.heads().len(), 0);
    around.load(&source, 0).await;
    let old = around.load_with(&source, 9000, |access| access.offline = true).await.expect("cached");
    assert_eq!(old.origin, Origin::StaleCache { age: Duration::from_mins(150) });
    assert_eq!(server.heads().len(), 1);
}

#[tokio::test]
async fn a_cache_torn_anywhere_is_a_miss() {
    let around = Surroundings::new();
    let server = TestServer::answering("200 OK", &[], GOOD);
    let source = source(&[server.url("")]);
    around.load(&source, 0).await;
    for file in [around.document(), around.facts()] {
        let whole = fs::read(&file).expect("cached");
        for length in (0..whole.len()).step_by(16) {
            let before = server.heads().len();
            fs::write(&file, &whole[..length]).expect("written");
            assert!(matches!(around.load(&source, 1).await.origin, Origin::Network(_)), "{length}");
            assert_eq!(server.heads().len(), before + 1, "{length}");
        }
    }
    // Sound in itself, but not what the facts are about.
    fs::write(around.document(), OTHER).expect("written");
    assert_eq!(names(&around.load(&source, 1).await), ["realtime"]);
}

#[tokio::test]
async fn a_cache_from_the_future_is_a_miss() {
    let around = Surroundings::new();
    let server = TestServer::answering("200 OK", &[], GOOD);
    let source = source(&[server.url("")]);
    around.load(&source, 0).await;
    assert!(matches!(around.load(&source, -3600).await.origin, Origin::Network(_)));
    around.load(&source, 0).await;
    let early = around.load_with(&source, -7200, |access| access.offline = true).await;
    assert!(early.is_err(), "not used when there is nothing else either");
}

#[tokio::test]
async fn links_fifos_and_folders_in_the_cache_neither_hang_nor_get_written_through() {
    let around = Surroundings::new();
    let server = TestServer::answering("200 OK", &[], GOOD);
    let source = source(&[server.url("")]);
    around.load(&source, 0).await;
    let (document, facts) = (around.document(), around.facts());
    let victim = around.folder.path().join("victim");
    fs::write(&victim, "untouched").expect("written");
    for file in [&document, &facts] {
        fs::remove_file(file).expect("there");
        symlink(&victim, file).expect("linked");
        assert!(matches!(around.load(&source, 1).await.origin, Origin::Network(_)));
        assert_eq!(fs::read_to_string(&victim).expect("there"), "untouched");
        fs::remove_file(file).expect("there");
        rustix::fs::mknodat(rustix::fs::CWD, file, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a fifo");
        assert!(matches!(around.load(&source, 1).await.origin, Origin::Network(_)));
    }
    fs::remove_file(&document).expect("there");
    fs::create_dir(&document).expect("made");
    let loaded = around.load(&source, 1).await;
    assert!(loaded.notes[0].contains("is not cached"), "{:?}", loaded.notes);
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_a_warning() {
    let around = Surroundings::new();
    let server = TestServer::answering("200 OK", &[], GOOD);
    // Root may write into any folder, so that the folder's place is taken by a file.
    fs::write(around.cache(), "in the way").expect("written");
    let loaded = around.load(&source(&[server.url("")]), 0).await;
    assert_eq!(names(&loaded), ["realtime"]);
    assert!(loaded.notes[0].contains("is not cached"), "{:?}", loaded.notes);
}

#[tokio::test]
async fn caches_are_private_and_kept_by_address() {
    let around = Surroundings::new();
    let (one, two) = (TestServer::answering("200 OK", &[], GOOD), TestServer::answering("200 OK", &[], OTHER));
    around.load(&source(&[one.url("")]), 0).await;
    assert_eq!(names(&around.load(&source(&[two.url("")]), 1).await), ["jobs"]);
    for file in fs::read_dir(around.cache()).expect("a cache").flatten() {
        assert_eq!(file.metadata().expect("there").permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
}

#[tokio::test]
async fn validators_of_one_address_are_not_sent_to_another() {
    let around = Surroundings::new();
    let is_down = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&is_down);
    let first = TestServer::start(move |_, stream| {
        let status = if switch.load(Ordering::SeqCst) { "500 Internal Server Error" } else { "200 OK" };
        respond(stream, status, &["ETag: \"first\""], GOOD.as_bytes());
    });
    let second = TestServer::answering("200 OK", &["ETag: \"second\""], OTHER);
    let source = source(&[first.url(""), second.url("")]);
    around.load(&source, 0).await;
    is_down.store(true, Ordering::SeqCst);
    assert_eq!(names(&around.load(&source, 400).await), ["jobs"]);
    assert!(!second.heads()[0].to_ascii_lowercase().contains("if-none-match"));
}

#[tokio::test]
async fn folders_and_files_are_registries_without_a_cache() {
    let around = Surroundings::new();
    let folder = around.folder.path().join("mine");
    fs::create_dir(&folder).expect("made");
    fs::write(folder.join("registry.json"), GOOD).expect("written");
    let text = folder.to_str().expect("text");
    for word in [text.to_owned(), format!("file://{text}"), format!("{text}/registry.json")] {
        let locations = vec![Location::parse(&word).expect("a location")];
        let local = Source { name: "mine".into(), locations, pinned: true };
        let loaded = around.load_with(&local, 0, |access| access.offline = true).await.expect("read");
        assert_eq!(loaded.origin, Origin::Folder(folder.join("registry.json")), "{word}");
        let archives = &loaded.contents.releases[0].archives;
        assert_eq!(archives, &[super::ArchiveAddress::Path(folder.join("realtime.tgz"))]);
    }
    assert!(!around.cache().exists());
    let missing =
        Source { name: "x".into(), locations: vec![Location::Folder(Path::new("/nowhere/x").into())], pinned: false };
    let failure = around.load_with(&missing, 0, |_| {}).await.expect_err("missing");
    assert!(failure.to_string().contains("`/nowhere/x/registry.json`: No such file"), "{failure}");
    for bad in ["", "ftp://a.example/", "https://", "://"] {
        assert!(Location::parse(bad).is_err(), "{bad}");
    }
}
