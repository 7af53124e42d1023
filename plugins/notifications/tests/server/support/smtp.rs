//! A small mail server within the test that writes down how it was spoken to.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// The commands of each piece that arrived, by their first word.
    pub(crate) pieces: Vec<Vec<String>>,
    /// When each mail had arrived.
    pub(crate) mails: Vec<Instant>,
    pub(crate) connections: usize,
}

pub(crate) struct Smtp {
    pub(crate) port: u16,
    seen: Arc<Mutex<Seen>>,
    server: tokio::task::JoinHandle<()>,
}

impl Smtp {
    /// A server that offers these extensions.
    pub(crate) async fn start(extensions: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let noted = seen.clone();
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("it listens");
                noted.lock().expect("no panic").connections += 1;
                tokio::spawn(talk(stream, extensions, noted.clone()));
            }
        });
        Self { port, seen, server }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().expect("no panic").clone()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn talk(mut stream: TcpStream, extensions: &'static [&'static str], seen: Arc<Mutex<Seen>>) -> Option<()> {
    stream.write_all(b"220 sink.example ESMTP\r\n").await.ok()?;
    let (mut buffer, mut is_content) = (Vec::new(), false);
    loop {
        let mut piece = vec![0; 64 * 1024];
        let count = stream.read(&mut piece).await.ok().filter(|count| *count > 0)?;
        buffer.extend_from_slice(&piece[..count]);
        if is_content {
            if !buffer.ends_with(b"\r\n.\r\n") {
                continue;
            }
            is_content = false;
            buffer.clear();
            seen.lock().expect("no panic").mails.push(Instant::now());
            stream.write_all(b"250 kept\r\n").await.ok()?;
            continue;
        }
        let text = String::from_utf8_lossy(&buffer).into_owned();
        let Some(end) = text.rfind("\r\n") else { continue };
        buffer.drain(..end + 2);
        let (mut words, mut answer) = (Vec::new(), String::new());
        for line in text[..end].split("\r\n") {
            let word = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
            match word.as_str() {
                "EHLO" => {
                    let mut lines = vec!["sink.example"];
                    lines.extend(extensions);
                    let last = lines.len() - 1;
                    for (place, line) in lines.iter().enumerate() {
                        answer.push_str(if place == last { "250 " } else { "250-" });
                        answer.push_str(line);
                        answer.push_str("\r\n");
                    }
                }
                "DATA" => {
                    is_content = true;
                    answer += "354 go on\r\n";
                }
                "QUIT" => answer += "221 bye\r\n",
                _ => answer += "250 OK\r\n",
            }
            words.push(word);
        }
        seen.lock().expect("no panic").pieces.push(words);
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}
