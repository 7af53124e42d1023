//! `self-update`: a release on a server replaces an installed program, or nothing changes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::support::{Answer, Sandbox, Server};

const NEWER: &str = "0.99.0";

/// An installation of this program below a prefix, and a server with a newer release.
struct Site {
    sandbox: Sandbox,
    server: Server,
    key: String,
}

/// What the server's answers are made of.
struct Files {
    sums: Vec<u8>,
    signature: Vec<u8>,
    archive: Vec<u8>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn archive_of(version: &str) -> String {
    format!("nself-{version}-{}-linux", std::env::consts::ARCH)
}

impl Site {
    fn new() -> Self {
        let site = Self { sandbox: Sandbox::new(), server: Server::start(), key: String::new() };
        site.shell("openssl genpkey -algorithm ed25519 -out key.pem");
        let key = site.shell(&format!(". {}/release/sign.sh; public_key_of key.pem", root().display()));
        let site = Self { key, ..site };
        let program = env!("CARGO_BIN_EXE_nself");
        site.unpacked(env!("CARGO_PKG_VERSION"), &format!("cp {program} $D/bin/nself"));
        site.shell(&format!("{}/install.sh --prefix $PWD/prefix", archive_of(env!("CARGO_PKG_VERSION"))));
        site
    }

    /// Runs lines of bash in the sandbox's folder.
    fn shell(&self, lines: &str) -> String {
        let mut bash = Command::new("bash");
        self.sandbox.surround(&mut bash);
        let output = bash.args(["-euc", lines]).current_dir(self.sandbox.path("")).output().unwrap();
        assert!(output.status.success(), "{lines}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Makes the directory that an archive of this version unpacks to; `$D` is its name for the lines that add its program.
    fn unpacked(&self, version: &str, program: &str) {
        self.shell(&format!(
            "D={}; mkdir -p $D/bin $D/share/nself/registry; {program}; echo '{{\"plugins\":{{}}}}' >$D/share/nself/registry/registry.json; \
             cp {}/install.sh $D",
            archive_of(version),
            root().display()
        ));
    }

    /// A signed release whose program is a script with these lines.
    fn release(&self, version: &str, script: &str) -> Files {
        let name = archive_of(version);
        self.unpacked(version, &format!("printf '#!/bin/sh\\n%s\\n' '{script}' >$D/bin/nself; chmod 755 $D/bin/nself"));
        self.shell(&format!(
            "tar -czf {name}.tar.gz {name}; sha256sum {name}.tar.gz >SHA256SUMS; . {}/release/sign.sh; sign key.pem SHA256SUMS t",
            root().display()
        ));
        let read = |name: &str| std::fs::read(self.sandbox.path(name)).unwrap();
        Files {
            sums: read("SHA256SUMS"),
            signature: read("SHA256SUMS.minisig"),
            archive: read(&format!("{name}.tar.gz")),
        }
    }

    /// A release that would do.
    fn good(&self) -> Files {
        self.release(NEWER, &format!("echo \"nself {NEWER} (plugin manager)\""))
    }

    fn publish(&self, version: &str, files: Files) {
        self.server.answer("/releases/latest/download/SHA256SUMS", Answer::Bytes(files.sums));
        self.server.answer("/releases/latest/download/SHA256SUMS.minisig", Answer::Bytes(files.signature));
        let archive = format!("/releases/download/v{version}/{}.tar.gz", archive_of(version));
        self.server.answer(&archive, Answer::Bytes(files.archive));
    }

    fn program(&self) -> PathBuf {
        self.sandbox.path("prefix/bin/nself")
    }

    fn update(&self, program: &Path, words: &[&str]) -> Output {
        let mut command = Command::new(program);
        self.sandbox.surround(&mut command);
        command.env("NSELF_RELEASES", self.server.url("/releases")).env("NSELF_RELEASE_KEY", &self.key);
        command.arg("self-update").args(words).output().unwrap()
    }

    /// Every file below the prefix with its digest.
    fn installed(&self) -> String {
        self.shell("cd prefix && find . -type f -exec sha256sum {} + | sort -k 2")
    }

    /// The update must end with this code and a part of this error, and change nothing.
    fn refuses(&self, what: &str, code: i32, part: &str) {
        let before = self.installed();
        let output = self.update(&self.program(), &[]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{what}: {errors}");
        assert!(
            errors.starts_with("error: could not ") && errors.contains(part) && errors.contains("hint: "),
            "{what}: {errors}"
        );
        assert_eq!(before, self.installed(), "{what} changed something");
    }
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_newer_release_replaces_the_program_and_keeps_the_previous_one() {
    let site = Site::new();
    site.publish(NEWER, site.good());
    let before = site.installed();
    let said = text(&site.update(&site.program(), &["--check"]));
    assert!(said.starts_with(&format!("nself {NEWER} is available (this is ")), "{said}");
    assert_eq!(before, site.installed(), "--check changes nothing");
    let said = text(&site.update(&site.program(), &["--json"]));
    let document: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((document["result"].as_str(), document["latest"].as_str()), (Some("updated"), Some(NEWER)));
    assert_eq!(site.shell("prefix/bin/nself --version"), format!("nself {NEWER} (plugin manager)"));
    let previous = site.shell("prefix/share/nself/previous/nself --version");
    assert_eq!(previous, format!("nself {} (plugin manager)", env!("CARGO_PKG_VERSION")));
    assert_eq!(site.shell("ls -A prefix/share/nself"), "installed-files\nprevious\nregistry", "no scratch is left");
    site.shell(&format!("{}/install.sh --uninstall --prefix $PWD/prefix", archive_of(NEWER)));
    assert!(!site.sandbox.path("prefix").exists(), "the previous program belongs to the installation");
}

#[test]
fn a_release_that_is_not_newer_changes_nothing() {
    let site = Site::new();
    site.publish("0.9.0", site.release("0.9.0", "echo old"));
    let before = site.installed();
    let said = text(&site.update(&site.program(), &[]));
    assert!(said.contains("is up to date (the newest release is 0.9.0)"), "{said}");
    assert_eq!(before, site.installed());
}

#[test]
fn what_is_not_the_signed_release_is_refused_with_5() {
    let site = Site::new();
    let sums = "/releases/latest/download/SHA256SUMS";
    let signature = "/releases/latest/download/SHA256SUMS.minisig";
    site.publish(NEWER, Files { archive: b"other bytes".to_vec(), ..site.good() });
    site.refuses("a changed archive", 5, "but SHA256SUMS lists");
    site.publish(NEWER, Files { archive: site.good().archive[..500].to_vec(), ..site.good() });
    site.refuses("a truncated archive", 5, "but SHA256SUMS lists");
    site.publish(NEWER, Files { sums: b"00  nself-9.0.0-x86_64-linux.tar.gz\n".to_vec(), ..site.good() });
    site.refuses("changed sums", 5, "not signed by the trusted key");
    site.publish(NEWER, Files { signature: b"none".to_vec(), ..site.good() });
    site.refuses("no signature in the file", 5, "its signature cannot be read");
    site.publish(NEWER, site.good());
    site.server.answer(signature, Answer::Status(404, "not here"));
    site.refuses("a missing signature", 5, "404");
    site.server.answer(sums, Answer::Html);
    site.refuses("a web page", 5, "HTML page");
    let other = Site { key: "RWQJj89HV7qEmrLTe+IPp4wsK85w8A3llN8H25nSHqw+P4WYCblW4BIY".to_owned(), ..site };
    other.publish(NEWER, other.good());
    other.refuses("another key", 5, "not signed by the trusted key");
}

#[test]
fn another_platform_no_server_and_a_program_that_does_not_run_are_refused() {
    let site = Site::new();
    site.refuses("no release", 4, "404");
    site.publish(NEWER, site.release(NEWER, "echo \"libc is too old\" >&2; exit 1"));
    site.refuses("a program that does not run", 1, "libc is too old");
    site.shell("sed -i s/x86_64/riscv64/ SHA256SUMS");
    site.shell(&format!(". {}/release/sign.sh; sign key.pem SHA256SUMS t", root().display()));
    let read = |name: &str| std::fs::read(site.sandbox.path(name)).unwrap();
    let files = Files { sums: read("SHA256SUMS"), signature: read("SHA256SUMS.minisig"), archive: Vec::new() };
    site.publish(NEWER, files);
    site.refuses("another platform", 5, "lists no archive for this machine");
}

#[test]
fn a_program_that_install_script_did_not_place_is_refused_with_6() {
    let site = Site::new();
    site.publish(NEWER, site.good());
    let output = site.update(Path::new(env!("CARGO_BIN_EXE_nself")), &[]);
    assert_eq!(output.status.code(), Some(6), "{}", String::from_utf8_lossy(&output.stderr));
    site.shell("cat prefix/share/nself/installed-files | sed '/bin.nself$/d' >record; cp record prefix/share/nself/installed-files");
    site.refuses("a program without record", 6, "it was not placed by install.sh");
    site.shell("mkdir -p Cellar/nself/bin; cp prefix/bin/nself Cellar/nself/bin/nself");
    let output = site.update(&site.sandbox.path("Cellar/nself/bin/nself"), &[]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(6) && errors.contains("brew upgrade nself"), "{errors}");
    assert_eq!(site.server.requests().len(), 0, "the owner is asked before the server");
}
