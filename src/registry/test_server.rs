//! Loopback HTTP servers for the tests: each answers by a function that may break every rule of HTTP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use url::Url;

/// A server that runs until it is dropped.
pub(crate) struct TestServer {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    is_stopped: Arc<AtomicBool>,
}

impl TestServer {
    /// Calls `answer` with each request's head and connection, each on a thread of its own; the connection is closed
    /// when it returns.
    pub(crate) fn start(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("bound");
        let heads = Arc::new(Mutex::new(Vec::new()));
        let is_stopped = Arc::new(AtomicBool::new(false));
        let answer = Arc::new(answer);
        let server = Self { address, heads: Arc::clone(&heads), is_stopped: Arc::clone(&is_stopped) };
        thread::spawn(move || {
            for stream in listener.incoming() {
                if is_stopped.load(Ordering::SeqCst) {
                    break;
                }
                let (Ok(mut stream), heads, answer) = (stream, Arc::clone(&heads), Arc::clone(&answer)) else {
                    continue;
                };
                thread::spawn(move || {
                    let Some(head) = read_head(&mut stream) else { return };
                    heads.lock().expect("no panic while held").push(head.clone());
                    answer(&head, &mut stream);
                });
            }
        });
        server
    }

    /// Answers every request alike.
    pub(crate) fn answering(status: &str, headers: &[&str], body: impl Into<Vec<u8>>) -> Self {
        let (bytes, status) = (body.into(), status.to_owned());
        let headers: Vec<String> = headers.iter().map(|&header| header.to_owned()).collect();
        Self::start(move |_, stream| {
            let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
            respond(stream, &status, &headers, &bytes);
        })
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).expect("a valid address")
    }

    /// The heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no panic while held").clone()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread; it may be gone already.
        let _ = TcpStream::connect(self.address);
    }
}

/// An address at which nobody listens.
pub(crate) fn closed_port(path: &str) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let address = listener.local_addr().expect("bound");
    Url::parse(&format!("http://{address}{path}")).expect("a valid address")
}

/// A whole answer with its length. That the client has gone away is no failure of the test.
pub(crate) fn respond(stream: &mut impl Write, status: &str, headers: &[&str], body: &[u8]) {
    let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).and_then(|()| stream.flush());
}

/// Reads to the end of a request's headers.
pub(crate) fn read_head(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 || head.len() > 64 << 10 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}
