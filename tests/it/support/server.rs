//! A loopback HTTP server for registry documents and archives, which can misbehave, and which tells what it was asked.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::packages::{Archive, Package};

/// What a path answers.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// 200 with these bytes.
    Bytes(Vec<u8>),
    /// 200 with these bytes and these header lines, each with its end.
    Headed(Vec<u8>, String),
    /// 200 with these bytes and an `ETag`; 304 to who has it.
    Tagged(Vec<u8>, String),
    /// Another status, with a body.
    Status(u16, &'static str),
    /// A web page where something else was expected.
    Html,
    /// A redirect.
    Redirect(String),
    /// Announces all of it, sends half and closes.
    Half(Vec<u8>),
    /// A byte every second.
    Drip(Vec<u8>),
    /// Closes without a word.
    Close,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// All header lines, in lower case.
    pub(crate) headers: String,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<HashMap<String, Answer>>,
    requests: Mutex<Vec<Request>>,
}

/// The server; it lives as long as the test's process.
pub(crate) struct Server {
    port: u16,
    shared: Arc<Shared>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let for_threads = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&for_threads);
                std::thread::spawn(move || {
                    // A client that goes away is no failure of the test.
                    let _ = serve(stream, &shared);
                });
            }
        });
        Self { port, shared }
    }

    /// An address on this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Sets what a path answers from now on.
    pub(crate) fn answer(&self, path: &str, answer: Answer) {
        self.shared.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How often a path was asked for.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.requests().iter().filter(|request| request.path == path).count()
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut head = Vec::new();
    let mut byte = [0_u8; 1];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.split_whitespace();
    let path = words.nth(1).unwrap_or_default().to_owned();
    shared.requests.lock().unwrap().push(Request { path: path.clone(), headers: head.to_ascii_lowercase() });
    let answer = shared.answers.lock().unwrap().get(&path).cloned();
    reply(&mut stream, answer, &head)
}

fn reply(stream: &mut TcpStream, answer: Option<Answer>, head: &str) -> std::io::Result<()> {
    match answer {
        None => send(stream, 404, "", b"not here"),
        Some(Answer::Bytes(bytes)) => send(stream, 200, "", &bytes),
        // Asked for the head alone, the length is that of the body which is not sent.
        Some(Answer::Headed(bytes, headers)) if head.starts_with("HEAD") => {
            let length = bytes.len();
            write!(stream, "HTTP/1.1 200 OK\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n")
        }
        Some(Answer::Headed(bytes, headers)) => send(stream, 200, &headers, &bytes),
        Some(Answer::Tagged(_, tag)) if head.contains(&tag) => send(stream, 304, &format!("ETag: {tag}\r\n"), b""),
        Some(Answer::Tagged(bytes, tag)) => send(stream, 200, &format!("ETag: {tag}\r\n"), &bytes),
        Some(Answer::Status(status, body)) => send(stream, status, "", body.as_bytes()),
        Some(Answer::Html) => {
            send(stream, 200, "Content-Type: text/html\r\n", b"<!doctype html><html><body>Please log in</body></html>")
        }
        Some(Answer::Redirect(to)) => send(stream, 302, &format!("Location: {to}\r\n"), b""),
        Some(Answer::Half(bytes)) => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len())?;
            stream.write_all(&bytes[..bytes.len() / 2])
        }
        Some(Answer::Drip(bytes)) => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len())?;
            for byte in bytes {
                stream.write_all(&[byte])?;
                std::thread::sleep(Duration::from_secs(1));
            }
            Ok(())
        }
        Some(Answer::Close) => Ok(()),
    }
}

fn send(stream: &mut TcpStream, status: u16, headers: &str, body: &[u8]) -> std::io::Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} Status\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(body)
}

/// A server with a registry on it: documents and archives are put there as releases are added.
pub(crate) struct Registry {
    pub(crate) server: Server,
    entries: Mutex<Vec<Value>>,
}

impl Registry {
    pub(crate) fn start() -> Self {
        let registry = Self { server: Server::start(), entries: Mutex::new(Vec::new()) };
        registry.publish();
        registry
    }

    /// What `NSELF_PLUGIN_REGISTRY` is set to.
    pub(crate) fn url(&self) -> String {
        self.server.url("/")
    }

    /// Lists a package and serves its archive.
    pub(crate) fn add(&self, package: &Package) -> Archive {
        self.add_with(package, |_| {})
    }

    /// The same, with fields of the entry changed.
    pub(crate) fn add_with(&self, package: &Package, change: impl FnOnce(&mut Map<String, Value>)) -> Archive {
        let archive = package.archive();
        self.add_archive(package, &archive, change);
        archive
    }

    /// Lists a package with an archive of the test's own making.
    pub(crate) fn add_archive(
        &self,
        package: &Package,
        archive: &Archive,
        change: impl FnOnce(&mut Map<String, Value>),
    ) {
        let path = Self::archive_path(package);
        self.server.answer(&path, Answer::Bytes(archive.bytes.clone()));
        let mut entry = Map::new();
        entry.insert("name".into(), json!(package.name));
        entry.insert("version".into(), json!(package.version));
        entry.insert("description".into(), json!("A probe for tests"));
        entry.insert("category".into(), json!("testing"));
        entry.insert("port".into(), json!(package.port));
        entry.insert("checksum".into(), json!(format!("sha256:{}", archive.sha256)));
        entry.insert("tarballUrl".into(), json!(self.server.url(&path)));
        change(&mut entry);
        self.entries.lock().unwrap().push(Value::Object(entry));
        self.publish();
    }

    /// Takes all releases of a plugin from the list; archives stay where they are.
    pub(crate) fn forget(&self, package: &Package) {
        self.entries.lock().unwrap().retain(|entry| entry["name"] != json!(package.name));
        self.publish();
    }

    /// How often a package's archive was asked for.
    pub(crate) fn downloads(&self, package: &Package) -> usize {
        self.server.count(&Self::archive_path(package))
    }

    pub(crate) fn archive_path(package: &Package) -> String {
        format!("/archives/{}-{}.tar.gz", package.name, package.version)
    }

    /// The document as it is now.
    pub(crate) fn document(&self) -> Vec<u8> {
        json!({ "version": "1.0.0", "plugins": *self.entries.lock().unwrap() }).to_string().into_bytes()
    }

    fn publish(&self) {
        self.server.answer("/registry.json", Answer::Bytes(self.document()));
    }
}
