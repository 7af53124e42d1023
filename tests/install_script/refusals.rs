//! Archives that must not be installed: each gets one error, and what is installed stays as it is.

use super::World;
use super::archives::{archive, serve};

/// What is wrong, the lines of shell that make it so, and a part of the error.
const WRONG_FILES: [(&str, &str, &str); 9] = [
    ("truncated", "truncate -s -100 $A", "SHA256SUMS lists"),
    ("changed", "printf x | dd of=$A bs=1 seek=100 conv=notrunc status=none", "SHA256SUMS lists"),
    ("missing", "rm $A", "no such file"),
    ("no sums", "rm SHA256SUMS", "SHA256SUMS: no such file"),
    ("no signature", "rm SHA256SUMS.minisig", "SHA256SUMS.minisig: no such file"),
    ("sums of another archive", "sed -i 's/^./0/' SHA256SUMS", "is not signed by the key"),
    ("not a signature", "echo good >SHA256SUMS.minisig", "is not signed by the key"),
    ("comment changed", "sed -i 's/nself 0.10.0/nself 9.9.9/' SHA256SUMS.minisig", "is not signed by the key"),
    (
        "renamed",
        "mv $A nself-9.9.9-x86_64-linux.tar.gz; A=nself-9.9.9-x86_64-linux.tar.gz",
        "does not list nself-9.9.9",
    ),
];

impl World {
    /// Takes these programs off the PATH of later runs.
    pub(super) fn hide(&self, names: &[&str]) {
        self.shell(&format!(
            "mkdir system && ln -s /usr/bin/* /bin/* system 2>/dev/null || true; cd system && rm -f {}",
            names.join(" ")
        ));
        self.set("PATH", self.path("tools:") + &self.path("system"));
    }

    /// The run must fail with this in its first line, have a hint, and change nothing on the whole machine.
    fn refuses(&self, what: &str, run: impl FnOnce() -> super::Outcome, part: &str) {
        let outcome = self.keeping(Self::all, || run().exits(1));
        let lines: Vec<&str> = outcome.stderr.lines().collect();
        assert!(lines[0].starts_with("error: could not ") && lines[0].contains(part), "{what}: {outcome}");
        assert!(lines.len() == 2 && lines[1].starts_with("hint: "), "{what}: {outcome}");
        assert_eq!(self.calls(), [""; 0], "{what} must not fall back to compiling: {outcome}");
    }
}

#[test]
fn a_wrong_file_is_refused_whichever_tool_verifies() {
    for hidden in [&["openssl"][..], &["minisign"]] {
        let world = World::with_release();
        world.install().exits(0);
        world.hide(hidden);
        world.calls();
        for (what, lines, part) in WRONG_FILES {
            let made = format!("rm -rf wrong && cp -r out wrong && cd wrong; A={}; {lines}; echo $A", archive());
            let name = world.shell(&made);
            world.refuses(what, || world.install_from(&world.path(&format!("wrong/{}", name.trim()))), part);
        }
    }
}

#[test]
fn a_key_that_did_not_sign_or_none_is_refused() {
    let world = World::with_release();
    let from = world.path(&format!("out/{}", archive()));
    world.set("NSELF_RELEASE_KEY", "RWQJj89HV7qEmrLTe+IPp4wsK85w8A3llN8H25nSHqw+P4WYCblW4BIY");
    world.refuses("another key", || world.install_from(&from), "is not signed by the key RWQJ");
    world.set("NSELF_RELEASE_KEY", "none");
    world.refuses("no key at all", || world.install_from(&from), "is not signed by the key none");
    world.set("NSELF_RELEASE_KEY", "");
    world.refuses("an empty key", || world.install_from(&from), "no public key is known");
}

#[test]
fn without_a_tool_that_verifies_it_names_the_package() {
    let world = World::with_release();
    world.hide(&["openssl", "minisign"]);
    let from = world.path(&format!("out/{}", archive()));
    world.refuses("no tool", || world.install_from(&from), "neither minisign nor openssl 3 is installed");
}

#[test]
fn the_archive_of_another_platform_is_refused() {
    let world = World::with_release();
    world.shell(&format!("mv out/{} out/nself-0.10.0-riscv64-linux.tar.gz", archive()));
    world.shell("source checkout/install.sh; source checkout/release/sign.sh; cd out; sha256sum *.tar.gz >SHA256SUMS; sign ../key.pem SHA256SUMS other");
    let from = world.path("out/nself-0.10.0-riscv64-linux.tar.gz");
    world.refuses("another platform", || world.install_from(&from), "it is not for this machine");
}

#[test]
fn an_address_that_answers_otherwise_is_refused() {
    let world = World::with_release();
    world.shell("rm tools/curl");
    let address = serve(world.path("out"));
    for (from, part) in [
        (format!("{address}/page/{}", archive()), "the server answers with a web page"),
        (format!("{address}/none/{}", archive()), "404"),
        (format!("http://127.0.0.1:9/{}", archive()), "127.0.0.1"),
    ] {
        world.refuses(&from, || world.install_from(&from), part);
    }
}

#[test]
fn a_release_that_fails_verification_is_not_replaced_by_compiling() {
    let world = World::with_release();
    let address = world.publish();
    let git = "git -c user.name=t -c user.email=t@t -c commit.gpgsign=false";
    world.shell(&format!("cd checkout && printf 'target\n' >.gitignore && git init -q && git add -A && {git} commit -qm all && git tag v0.10.0"));
    world.shell(&format!("printf x >>out/{}", archive()));
    world.refuses("changed", || world.install(), "SHA256SUMS lists");
    world.shell("rm out/SHA256SUMS.minisig");
    world.refuses("no signature", || world.install(), "404");
    world.set("NSELF_RELEASES", address + "/page");
    world.refuses("web page", || world.install(), "the server answers with a web page");
}

#[test]
fn the_script_alone_says_what_it_looked_for() {
    let world = World::with_release();
    world.shell("mkdir alone && cp out/install.sh alone && rm tools/curl");
    let run = || world.run_program("alone/install.sh", &["--prefix", &world.path("a prefix")]);
    world.refuses("no network", run, &format!("http://127.0.0.1:9/releases/download/v0.10.0/{}", archive()));
    let run = || world.run_program("alone/install.sh", &["--build", "--prefix", &world.path("a prefix")]);
    world.refuses("no clone", run, "this script is not in a clone");
}
