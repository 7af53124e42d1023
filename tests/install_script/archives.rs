//! Release archives: what release/build.sh makes of a build, and every way in which install.sh installs it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use super::{Outcome, World, differing, tree};

/// What this machine is called in the names of archives.
const PLATFORM: &str = if cfg!(target_arch = "aarch64") { "aarch64-linux" } else { "x86_64-linux" };

pub(crate) fn archive() -> String {
    format!("nself-0.10.0-{PLATFORM}.tar.gz")
}

/// Serves a directory over HTTP until the test ends, each path that holds `page` as a web page; returns its address.
pub(crate) fn serve(folder: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = format!("http://{}", listener.local_addr().expect("it is bound"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = BufReader::new(stream.try_clone().expect("a socket can be shared"));
            let (mut line, mut rest) = (String::new(), String::new());
            let _ = request.read_line(&mut line);
            while request.read_line(&mut rest).is_ok_and(|length| length > 2) {}
            let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            let found = fs::read(format!("{folder}{path}"));
            let (status, kind, body) = match found {
                _ if path.contains("page") => ("200 OK", "text/html; charset=utf-8", b"<html>sign in</html>".to_vec()),
                Ok(body) => ("200 OK", "application/octet-stream", body),
                Err(_) => ("404 Not Found", "text/plain", b"not found".to_vec()),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    address
}

impl World {
    /// A machine with a release in `out`, made from its checkout and signed with a key of its own, which it trusts.
    pub(crate) fn with_release() -> Self {
        let world = Self::new();
        world.shell("openssl genpkey -algorithm ed25519 -out key.pem");
        world.set("SOURCE_DATE_EPOCH", "1700000000");
        world.release("out").exits(0);
        let key = world.shell("sed -n 's/^release_key=\"\\(.*\\)\"/\\1/p' out/install.sh");
        world.set("NSELF_RELEASE_KEY", key.trim());
        world.calls();
        world
    }

    /// Makes the release from the checkout.
    pub(crate) fn release(&self, output: &str) -> Outcome {
        self.run_program("checkout/release/build.sh", &["--output", &self.path(output), "--key", &self.path("key.pem")])
    }

    /// Serves `out` where releases of this version are looked for.
    pub(crate) fn publish(&self) -> String {
        self.shell("mkdir -p site/download && ln -s ../../out site/download/v0.10.0 && rm tools/curl");
        let address = serve(self.path("site"));
        self.set("NSELF_RELEASES", address.clone());
        address
    }

    pub(crate) fn install_from(&self, from: &str) -> Outcome {
        self.run(&["--prefix", &self.path("a prefix"), "--from", from])
    }

    /// Leaves only these tools and those of every system, so that nothing can be compiled.
    pub(crate) fn without_compiler(&self) {
        self.shell("rm -f tools/cargo tools/rustc tools/cc; printf '#!/bin/sh\nexit 1\n' >no; chmod 755 no; ln -s ../no tools/cc");
    }

    pub(crate) fn assert_holds_archive(&self) {
        self.shell(&format!("rm -rf unpacked && mkdir unpacked && tar -xzf out/{} -C unpacked", archive()));
        let unpacked = tree(self.path(&format!("unpacked/{}", archive().trim_end_matches(".tar.gz"))));
        let wanted = unpacked.into_iter().filter(|(name, (_, which))| which.is_some() && name != "install.sh");
        let mut wanted: std::collections::BTreeMap<_, _> = wanted.map(|(name, (what, _))| (name, what)).collect();
        wanted.insert("bin/nself-plugin".to_owned(), (0o120_777, "nself".to_owned()));
        assert!(wanted.contains_key("bin/nself") && wanted.contains_key("share/nself/registry/registry.json"));
        let found = self.inside().into_iter().filter(|(name, (_, which))| which.is_some() && name != super::RECORD);
        let found = found.map(|(name, (what, _))| (name, what)).collect();
        assert_eq!(differing(&wanted, &found), [""; 0], "these are not as in the archive");
    }
}

#[test]
fn an_archive_holds_all_that_is_placed_and_its_licences() {
    let world = World::with_release();
    let listing = world.shell(&format!("tar -tzf out/{}", archive()));
    let top = archive().replace(".tar.gz", "");
    for path in [
        "bin/nself",
        "install.sh",
        "share/bash-completion/completions/nself",
        "share/doc/nself/LICENCES",
        "share/doc/nself/LICENSE",
        "share/fish/vendor_completions.d/nself.fish",
        "share/man/man1/nself.1",
        "share/nself/registry/alpha-1.0.0.tar.gz",
        "share/nself/registry/registry.json",
        "share/zsh/site-functions/_nself",
    ] {
        assert!(listing.lines().any(|line| line == format!("{top}/{path}")), "{path} is missing in {listing}");
    }
    let sums = world.shell("cd out && sha256sum --check SHA256SUMS");
    for name in [&archive(), "install.sh", "nself.rb"] {
        assert!(sums.contains(&format!("{name}: OK")), "{name} is not in SHA256SUMS: {sums}");
    }
}

#[test]
fn two_builds_in_two_directories_give_the_same_bytes() {
    let (one, other) = (World::with_release(), World::new());
    one.shell(&format!("cp key.pem {}", other.path("")));
    other.set("SOURCE_DATE_EPOCH", "1700000000");
    other.shell(
        "umask 077 && find checkout -exec touch -h -d 2001-01-01 {} + && chmod -R go= checkout/man checkout/target",
    );
    other.release("elsewhere/out").exits(0);
    let sums = [one.shell("cat out/SHA256SUMS"), other.shell("cat elsewhere/out/SHA256SUMS")];
    assert_eq!(sums[0], sums[1]);
    let signatures = [one.shell("cat out/SHA256SUMS.minisig"), other.shell("cat elsewhere/out/SHA256SUMS.minisig")];
    assert_eq!(signatures[0], signatures[1], "Ed25519 signs the same bytes in the same way");
}

#[test]
fn minisign_accepts_the_signature_and_install_script_accepts_minisigns() {
    let world = World::with_release();
    let key = world.shell("sed -n 's/^release_key=\"\\(.*\\)\"/\\1/p' out/install.sh");
    let said = world.shell(&format!("minisign -Vm out/SHA256SUMS -P {}", key.trim()));
    assert!(said.contains("Trusted comment: nself 0.10.0"), "{said}");
    world.shell("minisign -GW -s m.key -p m.pub >/dev/null && minisign -Sm out/SHA256SUMS -s m.key >/dev/null");
    world.set("NSELF_RELEASE_KEY", world.path("m.pub"));
    world.hide(&["minisign"]);
    world.install_from(&world.path(&format!("out/{}", archive()))).exits(0);
    world.assert_holds_archive();
}

#[test]
fn a_file_is_verified_and_installed_without_compiler_and_uninstalled_wholly() {
    for hidden in [&["openssl"][..], &["minisign"]] {
        let world = World::with_release();
        world.without_compiler();
        world.hide(hidden);
        let outcome =
            world.keeping(World::outside, || world.install_from(&world.path(&format!("out/{}", archive()))).exits(0));
        outcome.says(&format!("verified: {}", archive()));
        outcome.says(&format!("installed: nself 0.10.0 (plugin manager) in {}", world.placed("bin/nself")));
        world.assert_holds_archive();
        assert_eq!(world.calls(), [""; 0], "nothing is compiled");
        let outcome = world.uninstall().exits(0);
        world.assert_gone(&outcome);
    }
}

#[test]
fn an_address_is_verified_and_installed() {
    let world = World::with_release();
    world.shell("rm tools/curl");
    let address = serve(world.path("out"));
    world.install_from(&format!("{address}/{}", archive())).exits(0).says(&format!("verified: {}", archive()));
    world.assert_holds_archive();
}

#[test]
fn the_published_script_alone_finds_and_verifies_its_release() {
    let world = World::with_release();
    world.publish();
    world.environment.borrow_mut().retain(|(name, _)| *name != "NSELF_RELEASE_KEY");
    world.shell("mkdir alone && cp out/install.sh alone");
    let outcome = world.run_program("alone/install.sh", &["--prefix", &world.path("a prefix")]).exits(0);
    outcome.says(&format!("verified: {}", archive()));
    world.assert_holds_archive();
}

#[test]
fn the_script_of_an_unpacked_archive_installs_what_lies_beside_it() {
    let world = World::with_release();
    world.without_compiler();
    world.shell(&format!("mkdir there && tar -xzf out/{} -C there --strip-components 1", archive()));
    world.run_program("there/install.sh", &["--prefix", &world.path("a prefix")]).exits(0);
    world.assert_holds_archive();
}

#[test]
fn a_clone_at_its_tag_takes_the_release_and_any_other_clone_compiles() {
    let world = World::with_release();
    world.publish();
    let why = |outcome: Outcome| outcome.lines_with("building from source: ").first().map(ToString::to_string);
    assert_eq!(why(world.install().exits(0)).as_deref(), Some("this is not a git clone"));
    let git = "git -c user.name=t -c user.email=t@t -c commit.gpgsign=false";
    world.shell(&format!(
        "cd checkout && printf 'target\n' >.gitignore && git init -q && git add -A && {git} commit -qm all"
    ));
    assert_eq!(why(world.install().exits(0)).as_deref(), Some("the clone is not at the tag v0.10.0"));
    world.shell("cd checkout && git tag v0.10.0");
    world.calls();
    world.install().exits(0).says(&format!("verified: {}", archive()));
    assert_eq!(world.calls(), [""; 0], "a release is not compiled");
    world.assert_holds_archive();
    let outcome = world.run(&["--prefix", &world.path("a prefix"), "--build"]).exits(0);
    assert_eq!(why(outcome).as_deref(), Some("--build or --only was given"));
    world.assert_complete();
    world.write("checkout/README.md", "changed");
    assert_eq!(why(world.install().exits(0)).as_deref(), Some("the clone has local changes"));
    world.shell("cd checkout && git checkout -q README.md && rm ../site/download/v0.10.0");
    let reason = why(world.install().exits(0)).unwrap_or_default();
    assert!(reason.starts_with("the release could not be had (") && reason.contains("404"), "{reason}");
    assert!(world.calls().iter().any(|call| call.starts_with("cargo build")), "it was compiled");
}

#[test]
fn an_installed_build_is_upgraded_by_an_archive_and_taken_back_by_a_build() {
    let world = World::with_release();
    world.install().exits(0);
    world.shell("rm checkout/man/nself-plugin-open.1");
    world.release("out").exits(0);
    let outcome = world.install_from(&world.path(&format!("out/{}", archive()))).exits(0);
    outcome.says(&format!("  removed {}", world.placed("share/man/man1/nself-plugin-open.1")));
    world.assert_holds_archive();
    world.install().exits(0);
    world.assert_complete();
    let outcome = world.uninstall().exits(0);
    world.assert_gone(&outcome);
}

#[test]
fn only_the_named_plugins_are_built_and_packed() {
    let world = World::new();
    world.shell("mkdir checkout/plugins/realtime checkout/plugins/redis && touch checkout/plugins/{realtime,redis}/plugin.json checkout/plugins/realtime/Cargo.toml");
    world.run(&["--only", "realtime", "redis", "--prefix", &world.path("a prefix")]).exits(0);
    let bundle = format!("bundle.sh {} realtime redis", world.path("checkout/target/bundle"));
    let build = "cargo build --release --locked --package nself --package nself-plugin-realtime";
    assert_eq!(world.calls(), [build, &bundle]);
    world.install().exits(0);
    assert_eq!(world.calls()[0], "cargo build --release --locked --workspace");
}

#[test]
fn licences_name_the_system_libraries_in_the_images() {
    let world = World::new();
    world.shell("openssl genpkey -algorithm ed25519 -out key.pem && rm tools/dpkg");
    let library = world.shell("ldd /bin/sh | grep -o '/[^ ]*/libc.so[^ ]*' | head -n 1");
    world.shell(&format!(
        "L={}; mkdir -p alpha/rootfs/${{L%/*}} && echo >alpha/rootfs/$L && tar -czf checkout/target/bundle/alpha-1.0.0.tar.gz alpha",
        library.trim()
    ));
    world.set("SOURCE_DATE_EPOCH", "1700000000");
    world.release("out").exits(0);
    let listed = world.shell(&format!("tar -xzOf out/{} --wildcards '*/LICENCES'", archive()));
    assert!(listed.contains("Debian's libc6: ") && listed.contains("GNU C Library"), "{listed}");
}
