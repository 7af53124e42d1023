//! A real mail server that keeps what it gets: Debian's python3-aiosmtpd.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{SOON, free_port, until};

pub(crate) struct Sink {
    pub(crate) port: u16,
    folder: tempfile::TempDir,
    arguments: Vec<String>,
    process: Option<Child>,
}

impl Sink {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// A sink with further arguments of `smtp_sink.py`.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        let mut sink = Self::stopped(arguments);
        sink.resume();
        sink
    }

    /// A sink that is not there yet; its port is known.
    pub(crate) fn stopped(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let arguments = arguments.iter().map(ToString::to_string).collect();
        Self { port: free_port(), folder, arguments, process: None }
    }

    pub(crate) fn resume(&mut self) {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/smtp_sink.py");
        let mut process = Command::new("/usr/bin/python3")
            .arg(script)
            .arg(self.output())
            .args(["--port", &self.port.to_string()])
            .args(&self.arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("these tests need Debian's python3 and python3-aiosmtpd");
        let mut line = String::new();
        let output = process.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("readable");
        assert!(line.starts_with("listening"), "the sink did not start; these tests need Debian's python3-aiosmtpd");
        self.process = Some(process);
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("mails")
    }

    /// Every mail so far, in the order of arrival.
    pub(crate) fn mails(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.output()).unwrap_or_default();
        // The last line may be half written.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    pub(crate) fn mails_to(&self, address: &str) -> Vec<Value> {
        self.mails().into_iter().filter(|mail| mail["recipients"][0] == address).collect()
    }

    /// The one mail to this address, once it is there.
    pub(crate) async fn mail_to(&self, address: &str) -> Value {
        let what = format!("a mail to {address}");
        until(&what, SOON, async || self.mails_to(address).into_iter().next()).await
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The text of a mail's part of this type.
pub(crate) fn text_of<'a>(mail: &'a Value, kind: &str) -> &'a str {
    let part = mail["parts"].as_array().into_iter().flatten().find(|part| part["type"] == kind);
    part.and_then(|part| part["text"].as_str()).unwrap_or_else(|| panic!("no {kind} in {mail}"))
}
