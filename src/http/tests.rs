use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::redirect::{Refusal, judge};
use super::*;
use crate::registry::test_server::{TestServer, closed_port, read_head, respond};

const LIMIT: u64 = 1 << 20;

fn quick() -> Http {
    let short = Duration::from_millis(600);
    Http::with_deadlines(false, Deadlines { connect: short, document: short, idle: short })
}

/// For what must succeed, also on a machine that is busy with much else.
fn patient() -> Http {
    let long = Duration::from_secs(20);
    Http::with_deadlines(false, Deadlines { connect: long, document: long, idle: long })
}

async fn body_of(server: &TestServer) -> Result<Vec<u8>, HttpError> {
    match patient().document(&server.url("/registry.json"), LIMIT, &Validators::default()).await? {
        Document::Fresh(bytes, _) => Ok(bytes),
        Document::Unchanged => panic!("304 was not asked for"),
    }
}

async fn complaint(server: &TestServer) -> String {
    body_of(server).await.expect_err("not usable").to_string()
}

/// Sends a literal answer, then closes.
fn literal(answer: &'static [u8]) -> TestServer {
    TestServer::start(move |_, stream| {
        let _ = stream.write_all(answer);
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[tokio::test]
async fn a_document_comes_with_its_validators_and_our_name_is_told() {
    let server = TestServer::answering("200 OK", &["ETag: \"a1\"", "Last-Modified: yesterday"], "{}");
    let document = patient().document(&server.url("/r"), LIMIT, &Validators::default()).await.expect("answered");
    let Document::Fresh(bytes, validators) = document else { panic!("fresh") };
    assert_eq!(bytes, b"{}");
    assert_eq!(validators.etag.as_deref(), Some("\"a1\""));
    assert_eq!(validators.last_modified.as_deref(), Some("yesterday"));
    let head = server.heads().remove(0).to_ascii_lowercase();
    assert!(head.contains(concat!("user-agent: nself/", env!("CARGO_PKG_VERSION"))), "{head}");
    assert!(!head.contains("if-none-match"), "{head}");
}

#[tokio::test]
async fn validators_are_sent_and_304_means_unchanged_only_then() {
    let server = TestServer::answering("304 Not Modified", &[], "");
    let validators = Validators { etag: Some("\"a1\"".into()), last_modified: None };
    let answer = patient().document(&server.url("/r"), LIMIT, &validators).await;
    assert!(matches!(answer, Ok(Document::Unchanged)), "{answer:?}");
    assert!(server.heads()[0].to_ascii_lowercase().contains("if-none-match: \"a1\""));
    assert_eq!(complaint(&server).await, "answered 304 Not Modified");
}

#[tokio::test]
async fn statuses_are_told_as_they_are() {
    for (status, text) in [
        ("401 Unauthorized", "answered 401 Unauthorized"),
        ("404 Not Found", "answered 404 Not Found"),
        ("410 Gone", "answered 410 Gone: it has been revoked"),
        ("204 No Content", "answered 204 No Content"),
        ("206 Partial Content", "answered 206 Partial Content"),
        ("302 Found", "answered 302 Found"),
        ("500 Internal Server Error", "answered 500 Internal Server Error"),
        ("503 Service Unavailable", "answered 503 Service Unavailable"),
    ] {
        assert_eq!(complaint(&TestServer::answering(status, &[], "{}")).await, text);
    }
}

#[tokio::test]
async fn portals_and_empty_answers_are_no_documents() {
    let page = "<!DOCTYPE html><html></html>";
    assert_eq!(complaint(&TestServer::answering("200 OK", &[], page)).await, "answered an HTML page");
    let typed = TestServer::answering("200 OK", &["Content-Type: text/html"], "{}");
    assert_eq!(complaint(&typed).await, "answered an HTML page");
    assert_eq!(complaint(&TestServer::answering("200 OK", &[], "")).await, "answered an empty body");
}

#[tokio::test]
async fn a_server_error_is_tried_once_more_and_a_client_error_is_not() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let server = TestServer::start(move |_, stream| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => respond(stream, "503 Service Unavailable", &[], b""),
        _ => respond(stream, "200 OK", &[], b"{}"),
    });
    assert_eq!(body_of(&server).await.expect("second try"), b"{}");
    assert_eq!(count.load(Ordering::SeqCst), 2);
    let missing = TestServer::answering("404 Not Found", &[], "");
    complaint(&missing).await;
    assert_eq!(missing.heads().len(), 1);
}

#[test]
fn retry_after_may_be_a_date() {
    let now = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(784_111_770);
    let wait = |text| super::wait_of(text, now).map(|wait| wait.as_secs());
    assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7));
    assert_eq!(wait("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0));
    assert_eq!((wait("3"), wait("soon")), (Some(3), None));
}

#[tokio::test]
async fn retry_after_is_honoured_once_and_only_when_it_is_short() {
    for (header, requests) in [("Retry-After: 0", 2), ("Retry-After: 1000000000", 1), ("Retry-After: soon", 1)] {
        let server = TestServer::answering("429 Too Many Requests", &[header], "");
        assert_eq!(complaint(&server).await, "answered 429 Too Many Requests", "{header}");
        assert_eq!(server.heads().len(), requests, "{header}");
    }
}

#[tokio::test]
async fn truncated_answers_are_never_whole() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"plugins\""[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"",
    ] {
        let error = body_of(&literal(answer)).await.expect_err("truncated");
        assert!(matches!(error, HttpError::Broken { .. }), "{answer:?}: {error:?}");
    }
}

#[tokio::test]
async fn slow_and_silent_servers_are_given_up() {
    let drip = TestServer::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        while stream.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let asked = async |server: &TestServer| {
        let answer = quick().document(&server.url("/r"), LIMIT, &Validators::default()).await;
        answer.map(drop).expect_err("too slow").to_string()
    };
    assert_eq!(asked(&drip).await, "did not answer within 600 ms");
    let silent = TestServer::start(|_, stream| {
        let _ = read_head(stream);
    });
    assert_eq!(asked(&silent).await, "did not answer within 600 ms");
    let streamed = quick().stream(&drip.url("/a"), LIMIT, &mut |_, _| Ok(())).await.expect_err("too slow");
    assert_eq!(streamed.to_string(), "sent less than 1 KiB/s over 600 ms");
}

#[tokio::test]
async fn endless_and_inflated_bodies_stop_at_the_limit() {
    let endless = TestServer::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b' '; 8192]).is_ok() {}
    });
    assert_eq!(complaint(&endless).await, "answered more than 1 MiB");
    let streamed = patient().stream(&endless.url("/a"), LIMIT, &mut |_, _| Ok(())).await.expect_err("too much");
    assert!(matches!(streamed, HttpError::TooLarge { .. }), "{streamed:?}");
    let bomb = TestServer::answering("200 OK", &["Content-Encoding: gzip"], gzip(&vec![b' '; 64 << 20]));
    assert_eq!(complaint(&bomb).await, "answered more than 1 MiB");
}

#[tokio::test]
async fn gzip_is_undone_and_other_encodings_are_refused() {
    let good = TestServer::answering("200 OK", &["Content-Encoding: gzip"], gzip(b"{\"a\":1}"));
    assert_eq!(body_of(&good).await.expect("decoded"), b"{\"a\":1}");
    let mut torn = gzip(&[b'x'; 5000]);
    torn.truncate(torn.len() - 4);
    let torn = TestServer::answering("200 OK", &["Content-Encoding: gzip"], torn);
    assert!(complaint(&torn).await.starts_with("broke off: its gzip encoding is damaged"));
    for encoding in ["Content-Encoding: br", "Content-Encoding: gzip, gzip"] {
        let server = TestServer::answering("200 OK", &[encoding], "{}");
        assert!(complaint(&server).await.starts_with("answered in an encoding"), "{encoding}");
    }
    let twice = TestServer::answering("200 OK", &["Content-Encoding: gzip", "Content-Encoding: gzip"], "{}");
    assert!(complaint(&twice).await.starts_with("answered in an encoding"));
}

#[tokio::test]
async fn a_download_keeps_the_bytes_of_the_file() {
    let archive = gzip(&vec![7; 100_000]);
    let server = TestServer::answering("200 OK", &["Content-Encoding: gzip"], archive.clone());
    let mut received = Vec::new();
    let mut total = None;
    let count = patient()
        .stream(&server.url("/a.tar.gz"), LIMIT, &mut |chunk, expected| {
            received.extend_from_slice(chunk);
            total = expected;
            Ok(())
        })
        .await
        .expect("whole");
    assert_eq!(received, archive);
    assert_eq!((count, total), (archive.len() as u64, Some(archive.len() as u64)));
    assert!(server.heads()[0].to_ascii_lowercase().contains("accept-encoding: identity"));
}

#[tokio::test]
async fn a_download_that_ends_early_or_cannot_be_written_fails() {
    let short = literal(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
    let error = patient().stream(&short.url("/a"), LIMIT, &mut |_, _| Ok(())).await.expect_err("short");
    assert!(matches!(error, HttpError::Broken { .. }), "{error:?}");
    let whole = TestServer::answering("200 OK", &[], "abc");
    let mut full = |_: &[u8], _: Option<u64>| Err(std::io::ErrorKind::StorageFull.into());
    let error = patient().stream(&whole.url("/a"), LIMIT, &mut full).await.expect_err("no space");
    assert!(matches!(error, HttpError::Sink(_)), "{error:?}");
}

#[tokio::test]
async fn redirects_end_after_five_and_never_leave_http() {
    let target = TestServer::answering("200 OK", &[], "{}");
    let location = format!("Location: {}", target.url("/r?token=secret"));
    let good = TestServer::answering("302 Found", &[&location], "");
    assert_eq!(body_of(&good).await.expect("followed"), b"{}");
    let round = TestServer::answering("308 Permanent Redirect", &["Location: /again"], "");
    assert_eq!(complaint(&round).await, "redirected more than 5 times");
    assert_eq!(round.heads().len(), 6);
    // An address without a host is not even taken for a redirect.
    let local = TestServer::answering("301 Moved Permanently", &["Location: file:///etc/passwd"], "");
    assert_eq!(complaint(&local).await, "answered 301 Moved Permanently");
    for address in ["file://host/etc/passwd", "ftp://127.0.0.1/x", "http://a:b@127.0.0.1/x", "http://example.com/"] {
        let header = format!("Location: {address}");
        let text = complaint(&TestServer::answering("301 Moved Permanently", &[&header], "")).await;
        assert!(text.starts_with("redirected to "), "{address}: {text}");
    }
}

#[test]
fn redirects_inward_and_downward_are_refused() {
    let url = |word: &str| Url::parse(word).expect("valid");
    let public = [url("https://plugins.nself.org/registry.json")];
    for inward in [
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest",
        "https://192.168.1.1/",
        "https://[::1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://0.0.0.0/",
        "https://[::ffff:10.0.0.1]/",
        "https://100.64.0.1/",
    ] {
        assert_eq!(judge(&public, &url(inward), true), Some(Refusal::Inward), "{inward}");
    }
    assert_eq!(judge(&public, &url("https://example.com/"), false), None);
    assert_eq!(judge(&public, &url("http://plugins.nself.org/"), true), Some(Refusal::Downgrade));
    let plain = [url("http://example.com/")];
    assert_eq!(judge(&plain, &url("http://example.org/"), false), Some(Refusal::PlainHttp));
    assert_eq!(judge(&plain, &url("http://example.org/"), true), None);
    let inner = [url("http://127.0.0.1:1/")];
    assert_eq!(judge(&inner, &url("http://127.0.0.1:2/"), false), None);
}

#[tokio::test]
async fn credentials_stay_with_the_origin_they_are_for() {
    let other = TestServer::answering("200 OK", &[], "{}");
    let location = format!("Location: {}", other.url("/r"));
    let first = TestServer::answering("302 Found", &[&location], "");
    let mut url = first.url("/r");
    url.set_username("name").expect("possible");
    url.set_password(Some("secret")).expect("possible");
    patient().document(&url, LIMIT, &Validators::default()).await.expect("followed");
    assert!(first.heads()[0].to_ascii_lowercase().contains("authorization: basic"));
    assert!(!other.heads()[0].to_ascii_lowercase().contains("authorization"));
    assert!(!other.heads()[0].to_ascii_lowercase().contains("referer"));
}

#[tokio::test]
async fn plain_http_and_other_schemes_are_refused_before_connecting() {
    let url = |word: &str| Url::parse(word).expect("valid");
    // 192.0.2.0/24 is for documentation: a connection would not be refused, it would hang.
    let plain = patient().document(&url("http://192.0.2.1/r"), LIMIT, &Validators::default()).await;
    assert!(matches!(plain, Err(HttpError::PlainHttp { .. })), "{plain:?}");
    let file = patient().stream(&url("file:///etc/passwd"), LIMIT, &mut |_, _| Ok(())).await;
    assert!(matches!(file, Err(HttpError::Scheme { .. })), "{file:?}");
    let permitted =
        Http::with_deadlines(true, Deadlines { connect: Duration::from_millis(50), ..Deadlines::default() });
    let answer = permitted.document(&url("http://192.0.2.1/r"), LIMIT, &Validators::default()).await;
    assert!(!matches!(answer, Err(HttpError::PlainHttp { .. })), "{answer:?}");
}

#[tokio::test]
async fn unreachable_servers_are_told_apart_and_secrets_are_not_shown() {
    let mut closed = closed_port("/r?key=secret");
    closed.set_password(Some("secret")).expect("possible");
    let error = patient().document(&closed, LIMIT, &Validators::default()).await.expect_err("closed");
    assert_eq!(error.to_string(), "refused the connection");
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    // No resolver has to be asked to know that a label of 64 characters does not exist.
    let nowhere = Url::parse(&format!("http://{}.invalid/r", "a".repeat(64))).expect("valid");
    let error = Http::new(true)
        .expect("lazy")
        .document(&nowhere, LIMIT, &Validators::default())
        .await
        .expect_err("no such name");
    assert_eq!(error.to_string(), "name not found");
}

/// A TLS server for `localhost`, and its certificate.
fn tls_server(name: &str) -> (Url, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a server");
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            thread::spawn(move || answer_over_tls(config, stream));
        }
    });
    (Url::parse(&format!("https://localhost:{port}/r")).expect("valid"), made.cert.pem())
}

fn answer_over_tls(config: Arc<rustls::ServerConfig>, stream: TcpStream) {
    let connection = rustls::ServerConnection::new(config).expect("a connection");
    let mut stream = rustls::StreamOwned::new(connection, stream);
    if read_head(&mut stream).is_some() {
        respond(&mut stream, "200 OK", &[], b"{\"tls\":1}");
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }
}

#[tokio::test]
async fn unknown_certificates_are_not_trusted() {
    let (url, _) = tls_server("localhost");
    let error = patient().document(&url, LIMIT, &Validators::default()).await.expect_err("self-signed");
    assert!(error.to_string().starts_with("certificate not trusted"), "{error:?}");
}

/// Where a test runs itself again in a process of its own, since the environment belongs to the process: the second
/// one asks this address, tells what came of it, and is done.
const URL_TO_ASK: &str = "NSELF_TEST_URL";

/// Runs a test of this file again, as the one that asks.
fn ask_in_child(test: &str, url: &Url, environment: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "--nocapture", &format!("http::tests::{test}")])
        .env_remove("REQUEST_METHOD")
        .env(URL_TO_ASK, url.as_str())
        .envs(environment.iter().copied())
        .output()
        .expect("runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Asks when this is the second process; says whether it was.
fn asked_as_child() -> bool {
    let Some(url) = std::env::var_os(URL_TO_ASK) else { return false };
    let url = Url::parse(url.to_str().expect("text")).expect("valid");
    let http = Http::with_deadlines(true, Deadlines { connect: Duration::from_secs(2), ..Deadlines::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let text = match runtime.block_on(http.document(&url, LIMIT, &Validators::default())) {
        Ok(Document::Fresh(bytes, _)) => format!("[{}]", String::from_utf8_lossy(&bytes)),
        other => format!("[{other:?}]"),
    };
    std::io::stdout().write_all(text.as_bytes()).expect("stdout");
    true
}

#[test]
fn roots_come_from_ssl_cert_file_and_names_must_match() {
    if asked_as_child() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    for (name, wanted) in [("localhost", "[{\"tls\":1}]"), ("other.example", "[Err(Certificate")] {
        let (url, pem) = tls_server(name);
        let file = folder.path().join(name);
        std::fs::write(&file, pem).expect("written");
        let text = ask_in_child(
            "roots_come_from_ssl_cert_file_and_names_must_match",
            &url,
            &[("SSL_CERT_FILE", file.to_str().expect("text"))],
        );
        assert!(text.contains(wanted), "{name}: {text}");
    }
}

#[test]
fn proxies_of_the_environment_are_used_and_no_proxy_exempts() {
    if asked_as_child() {
        return;
    }
    let proxy = TestServer::answering("200 OK", &[], "{\"by\":\"proxy\"}");
    let direct = TestServer::answering("200 OK", &[], "{\"by\":\"itself\"}");
    let address = proxy.url("");
    let with_secret =
        format!("http://name:secret@{}:{}", address.host_str().expect("host"), address.port().expect("port"));
    let far = Url::parse("http://registry.invalid/r").expect("valid");
    let text =
        ask_in_child("proxies_of_the_environment_are_used_and_no_proxy_exempts", &far, &[("HTTP_PROXY", &with_secret)]);
    assert!(text.contains("proxy"), "{text}");
    assert!(proxy.heads()[0].to_ascii_lowercase().contains("proxy-authorization: basic"));
    let text = ask_in_child(
        "proxies_of_the_environment_are_used_and_no_proxy_exempts",
        &direct.url("/r"),
        &[("HTTP_PROXY", address.as_str()), ("NO_PROXY", "127.0.0.1")],
    );
    assert!(text.contains("itself"), "{text}");
    let tunnel = Url::parse("https://registry.invalid/r").expect("valid");
    let refusing = TestServer::answering("502 Bad Gateway", &[], "");
    let refused = refusing.url("");
    let secret = format!("http://name:secret@{}:{}", refused.host_str().expect("host"), refused.port().expect("port"));
    let text =
        ask_in_child("proxies_of_the_environment_are_used_and_no_proxy_exempts", &tunnel, &[("HTTPS_PROXY", &secret)]);
    assert!(refusing.heads()[0].starts_with("CONNECT registry.invalid:443"), "{text}");
    assert!(text.contains("[Err(") && !text.contains("secret"), "{text}");
}
