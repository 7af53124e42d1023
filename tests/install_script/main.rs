//! What `install.sh` promises about the files below its prefix. Every test runs the real script from a checkout of its
//! own, with stand-ins for cargo and the other tools that building needs: nothing is built, downloaded or asked of a
//! Docker engine, and nothing outside a temporary folder is written.

mod archives;
mod placing;
mod refusals;
mod workflows;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, Permissions};
use std::os::unix::prelude::*;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use tempfile::TempDir;

/// Makes a machine in the working folder: a checkout of the repository `$1`, its build, and tools that are one stand-in
/// under many names. apt-get is among them so that no mistake here changes the real machine, and mv kills the script as
/// soon as something is in the place that `last` names. A shell writes all this: what the tests themselves have open to
/// write to, if only in the fork of another test, cannot be run.
const SET_UP: &str = r#"set -eu
mkdir -p home tmp tools checkout/plugins checkout/target/bundle checkout/target/release
cp -rL "$1/completions" "$1/man" "$1/release" "$1/.github" "$1/README.md" "$1/CHANGELOG.md" "$1/LICENSE" checkout
printf '[workspace.package]\nversion = "0.10.0"\n' >checkout/Cargo.toml
ln -s "$1/install.sh" checkout/install.sh
printf '#!/bin/sh\necho "nself 0.10.0 (plugin manager)"\n' >checkout/target/release/nself
for name in alpha-1.0.0.tar.gz beta-1.0.0.tar.gz registry.json; do echo "$name" >"checkout/target/bundle/$name"; done
cat >stand-in <<'STAND_IN'
#!/bin/bash
case ${0##*/} in
  cargo) [ "$1" != build ] || echo "cargo $*" >>"$WORLD/calls"
    [ "$1" != metadata ] || printf '{"packages":[],"target_directory":"%s"}\n' "$WORLD/checkout/target" ;;
  rustc) echo 'rustc 99.0.0' ;;
  cc) cat >/dev/null ;;
  apt-get) exit 1 ;;
  bundle.sh) echo "bundle.sh $*" >>"$WORLD/calls"
    [ "$1" -ef "$WORLD/checkout/target/bundle" ] || {
      mkdir -p "$1" "${1%bundle}release"
      cp "$WORLD"/checkout/target/bundle/* "$1"
      cp "$WORLD/checkout/target/release/nself" "${1%bundle}release"
    } ;;
  docker) case $* in *label=org.nself.home=home-7*) echo "$1-7" ;; esac ;;
  install | mv) command -p "${0##*/}" "$@" || exit
    if [ -e "$WORLD/last" ] && [ "${!#}" = "$(sed "s/PID/$PPID/" "$WORLD/last")" ]; then kill -KILL "$PPID"; fi ;;
esac
STAND_IN
chmod 755 stand-in checkout/target/release/nself
for name in cargo rustc cc curl redis-check-rdb apt-get docker dpkg install mv; do ln -s ../stand-in "tools/$name"; done
ln -s ../../stand-in checkout/plugins/bundle.sh
"#;

const RECORD: &str = "share/nself/installed-files";

/// Where the script puts what the checkout holds, and with which mode; a folder stands for all in it.
const PLACES: [(&str, &str, u32); 6] = [
    ("target/release/nself", "bin/nself", 0o100_755),
    ("target/bundle/", "share/nself/registry/", 0o100_644),
    ("man/", "share/man/man1/", 0o100_644),
    ("completions/nself.bash", "share/bash-completion/completions/nself", 0o100_644),
    ("completions/_nself", "share/zsh/site-functions/_nself", 0o100_644),
    ("completions/nself.fish", "share/fish/vendor_completions.d/nself.fish", 0o100_644),
];

/// Everything below a folder, by its path from there: what it is, as mode and content (a file's text, a link's target),
/// and which one, as inode and time of change (nothing of a folder, in which things are made and removed again).
type Tree = BTreeMap<String, ((u32, String), Option<(u64, i64, i64)>)>;

fn tree(top: impl AsRef<Path>) -> Tree {
    let mut found = Tree::new();
    for entry in fs::read_dir(&top).unwrap_or_else(|error| panic!("{}: {error}", top.as_ref().display())) {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().expect("it has a name").display().to_string();
        let about = path.symlink_metadata().expect("what was listed is there");
        let target = fs::read_link(&path).map(|target| target.display().to_string());
        let holds = target.or_else(|_| fs::read_to_string(&path)).unwrap_or_default();
        if about.is_dir() {
            found.extend(tree(&path).into_iter().map(|(below, thing)| (format!("{name}/{below}"), thing)));
        }
        let which = (!about.is_dir()).then(|| (about.ino(), about.mtime(), about.mtime_nsec()));
        found.insert(name, ((about.mode(), holds), which));
    }
    found
}

/// The names whose values are not the same in both, which is what a failed comparison should show.
fn differing<Value: PartialEq>(one: &BTreeMap<String, Value>, other: &BTreeMap<String, Value>) -> Vec<String> {
    let names = one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)));
    names.filter(|name| one.get(*name) != other.get(*name)).cloned().collect()
}

struct Outcome {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Outcome {
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self}");
        assert_eq!(self.stderr.is_empty(), code == 0, "it complains where it fails: {self}");
        self
    }

    fn says(&self, line: &str) {
        assert!(self.stdout.lines().any(|said| said == line), "no line `{line}` in: {self}");
    }

    /// The lines that begin with this, without it, sorted.
    fn lines_with(&self, start: &str) -> Vec<&str> {
        let mut lines: Vec<_> = self.stdout.lines().filter_map(|line| line.strip_prefix(start)).collect();
        lines.sort_unstable();
        lines
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}\n{}{}", self.status, self.stdout, self.stderr)
    }
}

struct World {
    root: TempDir,
    environment: RefCell<Vec<(&'static str, String)>>,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder can be made");
        // No test looks for a release on the internet.
        let environment = RefCell::new(vec![("NSELF_RELEASES", "http://127.0.0.1:9/releases".to_owned())]);
        let world = Self { root, environment };
        let mut shell = Command::new("sh");
        shell.args(["-c", SET_UP, "set-up", env!("CARGO_MANIFEST_DIR")]).current_dir(world.path(""));
        assert!(shell.status().expect("there is a shell").success(), "the machine could not be set up");
        world
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.root.path().display())
    }

    /// A path below the prefix, whose space proves that the script quotes.
    fn placed(&self, name: &str) -> String {
        self.path(&format!("a prefix/{name}"))
    }

    fn write(&self, name: &str, text: &str) {
        let path = PathBuf::from(self.path(name));
        fs::create_dir_all(path.parent().expect("it is below")).expect("the folder can be made");
        fs::write(&path, text).unwrap_or_else(|error| panic!("{name}: {error}"));
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it was just written");
    }

    /// Sets a variable for all later runs.
    fn set(&self, variable: &'static str, value: impl Into<String>) {
        self.environment.borrow_mut().push((variable, value.into()));
    }

    fn run(&self, words: &[&str]) -> Outcome {
        self.run_program("checkout/install.sh", words)
    }

    /// Runs a program of this machine, which knows nothing of the real one but its tools.
    fn run_program(&self, program: &str, words: &[&str]) -> Outcome {
        let mut script = Command::new(self.path(program));
        script.args(words).current_dir(self.path("home")).env_clear().env("PATH", self.path("tools:/usr/bin:/bin"));
        script.env("HOME", self.path("home")).env("TMPDIR", self.path("tmp")).env("WORLD", self.root.path());
        script.env("DOCKER_HOST", "unix://../engine").env("SSL_CERT_FILE", "../stand-in");
        script.envs(self.environment.borrow().iter().cloned());
        let output = script.output().unwrap_or_else(|error| panic!("{program}: {error}"));
        let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        Outcome { status: output.status, stdout, stderr }
    }

    /// Runs lines of shell in the machine's root; for what a user would do by hand.
    fn shell(&self, lines: &str) -> String {
        let mut shell = Command::new("bash");
        shell.args(["-euc", lines]).current_dir(self.path("")).env("HOME", self.path("home"));
        let output = shell.output().expect("bash can be run");
        assert!(output.status.success(), "{lines}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What was asked of cargo (only builds) and of plugins/bundle.sh since the last call.
    fn calls(&self) -> Vec<String> {
        let path = self.path("calls");
        let calls = fs::read_to_string(&path).unwrap_or_default().lines().map(ToOwned::to_owned).collect();
        let _ = fs::remove_file(path);
        calls
    }

    fn install(&self) -> Outcome {
        self.run(&["--prefix", &self.path("a prefix")])
    }

    fn uninstall(&self) -> Outcome {
        self.run(&["--prefix", &self.path("a prefix"), "--uninstall"])
    }

    fn inside(&self) -> Tree {
        tree(self.path("a prefix"))
    }

    fn all(&self) -> Tree {
        tree(self.path("")).into_iter().filter(|(name, _)| name != "calls").collect()
    }

    fn outside(&self) -> Tree {
        self.all().into_iter().filter(|(name, _)| !name.starts_with("a prefix")).collect()
    }

    /// Does this, which must leave all files of that part of the machine as they are.
    fn keeping(&self, part: fn(&Self) -> Tree, run: impl FnOnce() -> Outcome) -> Outcome {
        let before = part(self);
        let outcome = run();
        assert_eq!(differing(&before, &part(self)), [""; 0], "these changed: {outcome}");
        outcome
    }

    /// What the prefix must hold beside folders and the record: mode and content.
    fn wanted(&self) -> BTreeMap<String, (u32, String)> {
        let mut wanted = BTreeMap::from([("bin/nself-plugin".to_owned(), (0o120_777, "nself".to_owned()))]);
        for (name, ((_, text), _)) in tree(self.path("checkout")) {
            if let Some((source, place, mode)) = PLACES.iter().find(|(source, ..)| name.starts_with(source)) {
                wanted.insert(name.replacen(source, place, 1), (*mode, text));
            }
        }
        wanted
    }

    fn wanted_paths(&self) -> Vec<String> {
        self.wanted().keys().map(|name| self.placed(name)).collect()
    }

    fn assert_complete(&self) {
        let found = self.inside().into_iter().filter(|(name, (_, which))| which.is_some() && name != RECORD);
        let found = found.map(|(name, (what, _))| (name, what)).collect();
        assert_eq!(differing(&self.wanted(), &found), [""; 0], "these are not as they should be in the prefix");
    }

    fn assert_gone(&self, outcome: &Outcome) {
        assert!(!Path::new(&self.path("a prefix")).exists(), "{:?} are left: {outcome}", self.inside().keys());
    }

    /// Makes the checkout and its build those of a later version, in which these two are placed no more.
    fn update(&self) -> [String; 2] {
        self.write("checkout/target/release/nself", "#!/bin/sh\necho 'nself 0.11.0 (plugin manager)'\n");
        self.write("checkout/target/bundle/beta-1.1.0.tar.gz", "a later archive");
        fs::remove_file(self.path("checkout/target/bundle/beta-1.0.0.tar.gz")).expect("set-up writes it");
        fs::remove_file(self.path("checkout/man/nself-plugin-open.1")).expect("the repository has it");
        ["share/man/man1/nself-plugin-open.1", "share/nself/registry/beta-1.0.0.tar.gz"].map(|name| self.placed(name))
    }
}
