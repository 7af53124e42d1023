//! The bundled registry as `tests/run.sh` builds it, and what holds for every plugin in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Engine, Running, Sandbox};

/// The folder of the bundled registry.
pub(crate) fn bundle() -> PathBuf {
    let path = std::env::var_os("NSELF_TEST_BUNDLE").map(PathBuf::from);
    let path = path.expect("NSELF_TEST_BUNDLE names the bundled registry; run tests/run.sh, which builds it");
    assert!(path.join("registry.json").is_file(), "there is no registry.json in {}", path.display());
    path
}

/// A client of the folder tests/clients, whose modules `tests/run.sh` installs; it gets these words.
pub(crate) fn node_client(name: &str, words: &[&str]) -> Command {
    let node = std::env::var_os("NSELF_TEST_NODE").unwrap_or_else(|| "node".into());
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name);
    assert!(client.with_file_name("node_modules").is_dir(), "run tests/run.sh, which installs the npm clients");
    let mut command = Command::new(node);
    command.arg(client).args(words);
    command
}

/// Runs a client to its end; it must succeed and have checked at least so many things, an `ok …` line each.
pub(crate) fn passes(command: Command, what: &str, at_least: usize) {
    let outcome = Running::new(command, format!("({what})")).wait_for_client().ok();
    let passed = outcome.stdout.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(passed >= at_least, "{passed} checks: {outcome}");
}

impl Sandbox {
    /// The same sandbox with the bundled registry installed beside the program.
    pub(crate) fn bundled(self) -> Self {
        let data = self.path("share");
        std::fs::create_dir(&data).unwrap();
        std::os::unix::fs::symlink(bundle(), data.join("registry")).unwrap();
        let data = data.display().to_string();
        self.with("NSELF_DATA_DIR", data)
    }

    /// What every bundled plugin promises of its container: not root, nothing writable but what it names, no capability,
    /// an image of at most so many bytes that holds these programs, what they load, and nothing else.
    pub(crate) fn assert_bare(&self, plugin: &str, largest: u64, programs: &[&str]) {
        let container = self.container(plugin).unwrap();
        assert_eq!(container["HostConfig"]["ReadonlyRootfs"], true);
        assert_eq!(container["HostConfig"]["CapDrop"][0], "ALL");
        assert_eq!(container["Config"]["User"], "65532:65532");
        let image = container["Image"].as_str().unwrap();
        let size = Engine::request("GET", &format!("/images/{image}/json"), None).1["Size"].as_u64().unwrap();
        assert!(size <= largest, "the image of {plugin} has {size} bytes");

        let name = self.container_name(plugin);
        let listing = Command::new("sh").args(["-c", &format!("docker export {name} | tar -t")]).output();
        let listing = listing.expect("the docker client and tar are there");
        let files = String::from_utf8_lossy(&listing.stdout).into_owned();
        let own: Vec<&str> = files.lines().filter(|path| !path.ends_with('/') && !is_made_by_engine(path)).collect();
        for program in programs {
            assert!(own.contains(program), "{files}");
        }
        for path in own {
            let is_expected = programs.contains(&path)
                || path.contains(".so")
                || path == "etc/ssl/certs/ca-certificates.crt"
                || path.starts_with("data/");
            assert!(is_expected, "`{path}` is in the image of {plugin}");
        }
    }
}

fn is_made_by_engine(path: &str) -> bool {
    [".dockerenv", "dev/", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf", "proc/", "sys/", "tmp/"]
        .iter()
        .any(|known| path.starts_with(known))
}
