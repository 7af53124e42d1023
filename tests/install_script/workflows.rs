//! The workflows and the action, which cannot run here: the rules that they keep, and the script that is their step.

use std::fs;
use std::path::Path;

use super::World;
use super::archives::archive;

const WORKFLOWS: [&str; 3] =
    [".github/workflows/release.yml", ".github/workflows/test.yml", ".github/actions/setup-nself-plugin/action.yml"];

#[test]
fn actions_are_pinned_and_inputs_never_become_shell() {
    for name in WORKFLOWS {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("the repository has it");
        for line in text.lines().map(|line| line.trim_start_matches([' ', '-'])).filter(|line| !line.starts_with('#')) {
            if let Some(action) = line.strip_prefix("uses: ") {
                let commit = action.split_once('@').expect("it has a version").1;
                let is_commit = |word: &str| word.len() == 40 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
                assert!(commit.split(' ').next().is_some_and(is_commit), "{name}: {line}");
            }
            assert!(!line.starts_with("run:") || !line.contains("${{"), "{name}: {line}");
            assert!(!line.contains("pull_request_target"), "{name}: secrets would be within reach of forks");
            assert!(!line.starts_with("run: |"), "{name}: steps are scripts of the repository");
        }
        assert!(!name.contains("test.yml") || !text.contains("secrets."), "{name} runs for pull requests");
    }
}

impl World {
    fn action(&self) -> super::Outcome {
        self.set("GITHUB_PATH", self.path("tmp/path"));
        self.set("GITHUB_OUTPUT", self.path("tmp/output"));
        self.run_program("checkout/.github/actions/setup-nself-plugin/setup.sh", &[])
    }
}

#[test]
fn the_action_installs_a_verified_release_and_never_compiles() {
    let world = World::with_release();
    world.shell("rm tools/curl && mkdir -p site/download && ln -s ../../out site/download/v0.10.0");
    let outcome = world.action().exits(1);
    assert!(outcome.stderr.contains(&format!("releases/download/v0.10.0/{}", archive())), "{outcome}");
    world.set("INPUT_RELEASES", super::archives::serve(world.path("site")));
    world.set("INPUT_PUBLIC_KEY", world.shell("sed -n 's/^release_key=\"\\(.*\\)\"/\\1/p' out/install.sh").trim());
    world.set("INPUT_PLUGINS", "realtime jobs");
    world.action().exits(0).says(&format!("verified: {}", archive()));
    assert_eq!(world.shell("cat tmp/path tmp/output"), format!("{}\nversion=0.10.0\n", world.path("home/.local/bin")));
    world.set("INPUT_PLUGINS", "realtime --force");
    assert!(world.action().exits(1).stderr.contains("--force is not the name of a plugin"));
    assert_eq!(world.calls(), [""; 0], "nothing is compiled");
}

#[test]
fn a_tag_that_is_not_the_version_is_refused() {
    let world = World::new();
    world.run_program("checkout/release/check-tag.sh", &["v0.10.0"]).exits(0);
    for tag in ["v0.10.1", "0.10.0", ""] {
        let outcome = world.run_program("checkout/release/check-tag.sh", &[tag]).exits(1);
        assert!(outcome.stderr.contains("is not v0.10.0"), "{outcome}");
    }
}

#[test]
fn the_release_step_signs_with_the_key_of_its_environment_and_leaves_no_file_of_it() {
    let world = World::with_release();
    let outcome = world.run_program("checkout/release/ci.sh", &[&world.path("signed")]).exits(1);
    assert!(outcome.stderr.contains("NSELF_SIGNING_KEY is not set"), "{outcome}");
    world.set("NSELF_SIGNING_KEY", world.shell("cat key.pem"));
    world.run_program("checkout/release/ci.sh", &[&world.path("signed")]).exits(0);
    assert_eq!(
        world.shell(
            "cmp out/SHA256SUMS signed/SHA256SUMS; cmp out/SHA256SUMS.minisig signed/SHA256SUMS.minisig; ls tmp"
        ),
        ""
    );
}
