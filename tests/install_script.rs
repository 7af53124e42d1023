//! What `install.sh` promises about the files below its prefix. Every test runs the real script from a checkout of its
//! own, with stand-ins for cargo and the other tools that building needs: nothing is built, downloaded or asked of a
//! Docker engine, and nothing outside a temporary folder is written.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::net::UnixListener;
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
cp -rL "$1/completions" "$1/man" checkout
ln -s "$1/install.sh" checkout/install.sh
printf '#!/bin/sh\necho "nself 0.10.0 (plugin manager)"\n' >checkout/target/release/nself
for name in alpha-1.0.0.tar.gz beta-1.0.0.tar.gz registry.json; do echo "$name" >"checkout/target/bundle/$name"; done
cat >stand-in <<'STAND_IN'
#!/bin/bash
case ${0##*/} in
  cargo) [ "$1" != metadata ] || printf '{"packages":[],"target_directory":"%s"}\n' "$WORLD/checkout/target" ;;
  rustc) echo 'rustc 99.0.0' ;;
  cc) cat >/dev/null ;;
  apt-get) exit 1 ;;
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

struct World(TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().expect("a temporary folder can be made"));
        let mut shell = Command::new("sh");
        shell.args(["-c", SET_UP, "set-up", env!("CARGO_MANIFEST_DIR")]).current_dir(world.path(""));
        assert!(shell.status().expect("there is a shell").success(), "the machine could not be set up");
        world
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.0.path().display())
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

    fn run(&self, words: &[&str]) -> Outcome {
        let mut script = Command::new(self.path("checkout/install.sh"));
        script.args(words).current_dir(self.path("home")).env_clear().env("PATH", self.path("tools:/usr/bin:/bin"));
        script.env("HOME", self.path("home")).env("TMPDIR", self.path("tmp")).env("WORLD", self.path(""));
        script.env("DOCKER_HOST", "unix://../engine").env("SSL_CERT_FILE", "../stand-in");
        let output = script.output().expect("install.sh can be run");
        let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        Outcome { status: output.status, stdout, stderr }
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
        tree(self.path(""))
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

#[test]
fn everything_wanted_is_placed_with_its_mode_and_nothing_outside_the_prefix_changes() {
    let world = World::new();
    let outcome = world.keeping(World::outside, || world.install().exits(0));
    world.assert_complete();
    assert!(world.inside().contains_key("share/man/man1/nself.1"), "the checkout has man pages");
    assert_eq!(outcome.lines_with("  "), world.wanted_paths(), "it names what it places");
    outcome.says(&format!("installed: nself 0.10.0 (plugin manager) in {}", world.placed("bin/nself")));
}

#[test]
fn each_way_to_name_the_prefix_leads_there_and_uninstalling_the_same_way_leaves_nothing() {
    let world = World::new();
    let equals = format!("--prefix={}", world.path("elsewhere"));
    let ways = [(vec![], "home/.local"), (vec!["--prefix", "below"], "home/below"), (vec![&*equals], "elsewhere")];
    for (mut words, place) in ways {
        world.keeping(World::all, || {
            world.run(&words).exits(0);
            assert!(world.all().contains_key(&format!("{place}/bin/nself")), "{words:?} leads to {place}");
            words.push("--uninstall");
            world.run(&words).exits(0)
        });
    }
}

#[test]
fn a_second_run_changes_no_file_and_says_that_all_is_up_to_date() {
    let world = World::new();
    world.install().exits(0);
    let before = world.inside();
    world.install().exits(0).says(&format!("  already up to date: {} files", world.wanted().len()));
    let after = world.inside();
    assert!(differing(&before, &after).iter().all(|name| name == RECORD), "{:?}", differing(&before, &after));
    assert!(before[RECORD].0 == after[RECORD].0, "the record is written anew, but with the same words");
}

#[test]
fn a_changed_program_is_replaced_in_one_step_and_every_other_file_stays() {
    let world = World::new();
    world.install().exits(0);
    let (before, mut old) = (world.inside(), String::new());
    let mut open = File::open(world.placed("bin/nself")).expect("the program was placed");
    world.write("checkout/target/release/nself", "#!/bin/sh\necho 'nself 0.11.0 (plugin manager)'\n");
    let outcome = world.install().exits(0);
    world.assert_complete();
    assert_eq!(differing(&before, &world.inside()), ["bin/nself", RECORD], "{outcome}");
    open.read_to_string(&mut old).expect("an open file can be read");
    assert_eq!(old, before["bin/nself"].0.1, "a program that runs is not written into");
    assert_eq!(open.metadata().expect("an open file has metadata").nlink(), 0, "it has gone from its folder");
}

#[test]
fn a_program_of_another_maker_is_never_overwritten() {
    for (name, installed) in [("bin/nself", false), ("bin/nself-plugin", false), ("bin/nself", true)] {
        let world = World::new();
        if installed {
            world.install().exits(0);
            fs::remove_file(world.placed("bin/nself")).expect("it was placed");
        }
        world.write(&format!("a prefix/{name}"), "#!/bin/sh\necho 'nself 3.1 (a shell of another maker)'\n");
        let outcome = world.keeping(World::all, || world.install().exits(1));
        let path = world.placed(name);
        let error = format!("error: {path} is another program, not placed by this script; nothing was changed\n");
        assert_eq!(outcome.stderr, error + "hint: choose another place with --prefix DIR, or move that program away\n");
        assert_eq!(outcome.stdout, "", "it is refused before anything is built");
    }
}

#[test]
fn uninstalling_removes_exactly_what_was_placed_and_the_folders_made_for_it() {
    let world = World::new();
    world.install().exits(0);
    let outcome = world.uninstall().exits(0);
    assert_eq!(outcome.lines_with("  removed "), world.wanted_paths());
    world.assert_gone(&outcome);
    for theirs in ["bin/other", "share/man/man1/other.1", "lib/other"] {
        world.write(&format!("a prefix/{theirs}"), "of another maker");
    }
    world.keeping(World::all, || {
        world.install().exits(0);
        world.uninstall().exits(0)
    });
}

#[test]
fn what_the_user_wrote_or_changed_is_kept_and_named() {
    let world = World::new();
    let (theirs, changed) = ("share/zsh/site-functions/_nself", "share/man/man1/nself.1");
    world.write(&format!("a prefix/{theirs}"), "there before");
    world.install().exits(0).says(&format!("  kept {}: it is not as this script placed it", world.placed(theirs)));
    world.write(&format!("a prefix/{changed}"), "changed");
    let mut expected = world.inside();
    let outcome = world.uninstall().exits(0);
    outcome.says(&format!("  kept {}: it was changed after it was placed", world.placed(changed)));
    expected.retain(|name, _| [theirs, changed].iter().any(|kept| kept.starts_with(name)));
    assert_eq!(differing(&expected, &world.inside()), [""; 0], "these are not as they were: {outcome}");
}

#[test]
fn uninstalling_lists_what_stays_with_the_commands_that_remove_it() {
    let world = World::new();
    let _engine = UnixListener::bind(world.path("engine")).expect("no socket has that name");
    world.write("home/.nself/home-id", "home-7\n");
    world.write("home/.config/nself/config.json", "{}");
    world.install().exits(0);
    let outcome = world.keeping(World::outside, || world.uninstall().exits(0));
    let (home, checkout) = (world.path("home"), world.path("checkout"));
    let expected = format!(
        "this stays:
  {home}/.nself (plugins, receipts, settings, secrets): rm -rf '{home}/.nself'
  {home}/.config/nself (plugins, receipts, settings, secrets): rm -rf '{home}/.config/nself'
  this installation's containers: docker container rm -f container-7
  this installation's networks: docker network rm network-7
  this installation's volumes: docker volume rm -f volume-7
  this installation's images: docker image rm -f image-7
  the Docker engine: apt-get purge docker.io containerd runc
  this checkout and its build: rm -rf '{checkout}'
"
    );
    assert!(outcome.stdout.ends_with(&expected), "{expected} is not the end of: {outcome}");
}

#[test]
fn uninstalling_where_nothing_is_installed_says_so_and_changes_nothing() {
    let world = World::new();
    for _ in ["never installed", "installed and removed again"] {
        let outcome = world.keeping(World::all, || world.uninstall().exits(0));
        outcome.says(&format!("nothing that this script placed is in {}", world.path("a prefix")));
        world.assert_gone(&outcome);
        world.install().exits(0);
        world.uninstall().exits(0);
    }
}

#[test]
fn an_update_takes_away_what_it_does_not_place_any_more() {
    let world = World::new();
    world.install().exits(0);
    let gone = world.update();
    let outcome = world.install().exits(0);
    world.assert_complete();
    assert_eq!(outcome.lines_with("  removed "), gone);
}

#[test]
fn a_run_killed_while_placing_is_completed_by_the_next_one_and_taken_away_wholly() {
    let first = [RECORD, "share/man/man1/nself.1", "bin/nself-plugin"].map(|last| (false, last));
    let updates = ["share/nself/registry/beta-1.1.0.tar.gz", "bin/nself"].map(|last| (true, last));
    for (updating, last) in first.into_iter().chain(updates) {
        for completing in [true, false] {
            let world = World::new();
            if updating {
                world.install().exits(0);
                world.update();
            }
            world.write("last", &world.placed(last));
            let outcome = world.install();
            assert_eq!(outcome.status.signal(), Some(9), "after {last}: {outcome}");
            fs::remove_file(world.path("last")).expect("it was just written");
            if completing {
                world.install().exits(0);
                world.assert_complete();
            }
            let outcome = world.uninstall().exits(0);
            assert!(!outcome.stdout.contains("kept"), "all of it is the script's own: {outcome}");
            world.assert_gone(&outcome);
        }
    }
}

#[test]
fn wrong_usage_is_told_with_the_right_one_and_changes_nothing() {
    let world = World::new();
    let help = world.run(&["--help"]).exits(0).stdout;
    assert!(help.starts_with("Usage: ./install.sh ") && help.contains("--prefix DIR"), "{help}");
    for (words, error) in [
        (&["--prefix"][..], "--prefix needs a folder"),
        (&["--prefix="], "--prefix needs a folder"),
        (&["--uninstall", "--prefix"], "--prefix needs a folder"),
        (&["--frobnicate"], "unexpected argument `--frobnicate`"),
        (&["--uninstall", "extra"], "unexpected argument `extra`"),
    ] {
        let outcome = world.keeping(World::all, || world.run(words).exits(2));
        assert_eq!(outcome.stderr, format!("error: {error}\n{help}"), "{words:?}");
    }
}

#[test]
fn what_a_killed_run_was_copying_is_taken_away_by_the_next_run_and_by_uninstalling() {
    for completing in [true, false] {
        let world = World::new();
        world.write("last", &world.placed("bin/nself.new.PID"));
        let outcome = world.install();
        assert_eq!(outcome.status.signal(), Some(9), "{outcome}");
        fs::remove_file(world.path("last")).expect("it was just written");
        if completing {
            world.install().exits(0);
            world.assert_complete();
        }
        let outcome = world.uninstall().exits(0);
        world.assert_gone(&outcome);
    }
}

#[test]
fn a_link_of_the_user_that_leads_nowhere_is_kept() {
    let world = World::new();
    let theirs = world.placed("share/zsh/site-functions/_nself");
    fs::create_dir_all(world.placed("share/zsh/site-functions")).expect("the prefix is empty");
    std::os::unix::fs::symlink("/not/mounted/now", &theirs).expect("nothing has that name");
    world.keeping(World::all, || {
        world.install().exits(0).says(&format!("  kept {theirs}: it is not as this script placed it"));
        world.uninstall().exits(0)
    });
}

#[test]
fn what_the_user_changed_before_an_update_is_named_by_uninstalling_too() {
    let world = World::new();
    world.install().exits(0);
    world.write("a prefix/share/man/man1/nself.1", "changed");
    world.install().exits(0);
    let changed = world.placed("share/man/man1/nself.1");
    world.uninstall().exits(0).says(&format!("  kept {changed}: it was changed after it was placed"));
}

#[test]
fn a_mode_that_was_changed_is_set_right_by_the_next_run() {
    let world = World::new();
    world.install().exits(0);
    fs::set_permissions(world.placed("bin/nself"), Permissions::from_mode(0o644)).expect("it was placed");
    world.install().exits(0);
    world.assert_complete();
}

#[test]
fn a_prefix_that_is_a_flag_or_ends_in_a_slash() {
    let world = World::new();
    world.keeping(World::all, || world.run(&["--prefix", "--uninstall"]).exits(2));
    let slash = world.placed("");
    world
        .run(&["--prefix", &slash])
        .exits(0)
        .says(&format!("installed: nself 0.10.0 (plugin manager) in {}", world.placed("bin/nself")));
}
