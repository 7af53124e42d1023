//! The rows.

/// What an old word means here.
#[derive(Debug, Clone, Copy)]
pub enum Meaning {
    /// It is carried out as these words of ours.
    Is(&'static [&'static str]),
    /// It is accepted and changes nothing, for this reason.
    NoEffect(&'static str),
    /// It is refused, for this reason; a hint, or nothing.
    Refused(&'static str, &'static str),
}

/// A word after `plugin`.
#[derive(Debug)]
pub struct Verb {
    pub word: &'static str,
    pub meaning: Meaning,
}

/// A flag of some commands.
#[derive(Debug)]
pub struct Flag {
    pub verbs: &'static [&'static str],
    pub flag: &'static str,
    pub has_value: bool,
    pub meaning: Meaning,
}

impl Flag {
    /// Whether a word after a command is this flag.
    pub fn is(&self, name: &str, verb: &str) -> bool {
        self.flag == name && self.verbs.contains(&verb)
    }
}

const fn verb(word: &'static str, meaning: Meaning) -> Verb {
    Verb { word, meaning }
}

const fn is(word: &'static str, ours: &'static [&'static str]) -> Verb {
    verb(word, Meaning::Is(ours))
}

/// A command that is not there yet: its word is kept for it.
const fn coming(word: &'static str, hint: &'static str) -> Verb {
    verb(word, Meaning::Refused("this version does not have the command yet", hint))
}

const fn refused(word: &'static str, reason: &'static str, hint: &'static str) -> Verb {
    verb(word, Meaning::Refused(reason, hint))
}

const NEWEST: &str = "install the newest version: nself plugin install NAME --force";
const SEARCH: &str = "see every plugin: nself plugin list --detailed";
const AUTHORS: &str = "pack a directory that holds a plugin.json: nself plugin pack DIR --output OUT";
const LICENCE: &str = "set the key in the environment: NSELF_PLUGIN_LICENSE_KEY=… nself plugin install NAME";

/// Words before `plugin` in the Go tools.
pub(super) const TOP: &[(&str, &[&str])] = &[
    ("add", &["plugin", "install"]),
    ("install", &["plugin", "install"]),
    ("remove", &["plugin", "remove"]),
    ("version", &["--version"]),
];

/// Words after `plugin` that are not commands of ours.
pub const VERBS: &[Verb] = &[
    is("ps", &["status"]),
    is("running", &["status"]),
    is("installed", &["list", "--installed"]),
    is("inventory", &["list", "--installed", "--detailed"]),
    is("count", &["list", "--installed"]),
    is("check-deps", &["doctor"]),
    is("prerequisites", &["doctor"]),
    is("compat-check", &["doctor"]),
    is("check-conflicts", &["doctor"]),
    is("validate", &["doctor"]),
    is("port", &["open", "--print"]),
    is("package", &["pack"]),
    verb(
        "install-deps",
        Meaning::NoEffect("a plugin's image holds what it needs, and plugins bring their dependencies"),
    ),
    verb("sync", Meaning::NoEffect("plugins run from images; no sources are copied into the project")),
    verb("source-sync", Meaning::NoEffect("plugins run from images; no sources are copied into the project")),
    verb("apply", Meaning::NoEffect("install, remove and restart apply their changes themselves")),
    coming("update", NEWEST),
    coming("upgrade", NEWEST),
    coming("updates", "compare the versions: nself plugin list"),
    coming("check-updates", "compare the versions: nself plugin list"),
    coming("outdated", "compare the versions: nself plugin list"),
    coming("rollback", "install an earlier version: nself plugin install NAME@VERSION"),
    coming("search", SEARCH),
    coming("versions", "see what is offered: nself plugin info NAME"),
    coming("changelog", "see what is offered: nself plugin info NAME"),
    coming("verify", "see how it was verified: nself plugin info NAME"),
    coming("backup", ""),
    coming("restore", ""),
    coming("prune", "see what is left over: nself plugin doctor"),
    coming("save", ""),
    coming("export", ""),
    coming("ui", "see the state in the terminal: nself plugin status"),
    coming("watch", "see the state in the terminal: nself plugin status"),
    coming("enable", "start it: nself plugin start NAME"),
    coming("disable", "stop it: nself plugin stop NAME"),
    coming("keys", ""),
    coming("trust", ""),
    coming("license", LICENCE),
    coming("registry", "name another one for a command: NSELF_PLUGIN_REGISTRY=https://… nself plugin list"),
    coming("audit", "see what is wrong: nself plugin doctor"),
    coming("create", AUTHORS),
    coming("new", AUTHORS),
    coming("publish", AUTHORS),
    coming("submit", AUTHORS),
    coming("dev", "install from a directory: nself plugin install ./DIR"),
    coming("link", "install from a directory: nself plugin install ./DIR"),
    coming("unlink", "remove it: nself plugin remove NAME"),
    coming("test", "install from a directory: nself plugin install ./DIR"),
    coming("debug", "see its log: nself plugin logs NAME"),
    coming("install-suite", "choose plugins: nself plugin setup"),
    coming("list-suites", "choose plugins: nself plugin setup"),
    coming("bundle", "choose plugins: nself plugin setup"),
    refused("marketplace", "there is no marketplace beside the registries", SEARCH),
    refused("audit-tables", "plugins own their tables, and this program reads no database", ""),
    refused("configure", "the command is called `config`", "show a plugin's values: nself plugin config NAME"),
];

const fn flag(verbs: &'static [&'static str], flag: &'static str, has_value: bool, meaning: Meaning) -> Flag {
    Flag { verbs, flag, has_value, meaning }
}

/// Both names, since people type either.
const INSTALL: &[&str] = &["install", "add"];
const LIST: &[&str] = &["list", "ls"];

/// Flags that are not flags of ours.
pub const FLAGS: &[Flag] = &[
    flag(INSTALL, "--preview", false, Meaning::Is(&["--dry-run"])),
    flag(INSTALL, "--show-graph", false, Meaning::Is(&["--dry-run"])),
    flag(INSTALL, "--check-env", false, Meaning::Is(&["--check"])),
    flag(INSTALL, "--no-cache", false, Meaning::Is(&["--refresh"])),
    flag(INSTALL, "--tier", true, Meaning::NoEffect("the registry's entry names the tier")),
    flag(INSTALL, "--allow-eol", false, Meaning::NoEffect("a plugin at its end of life is installed with a warning")),
    flag(INSTALL, "--skip-sbom-check", false, Meaning::NoEffect("no SBOM is checked")),
    flag(INSTALL, "--skip-sync", false, Meaning::NoEffect("plugins run from images; no sources are copied")),
    flag(INSTALL, "--with-optional", false, Meaning::NoEffect("optional services are used where they are installed")),
    flag(
        INSTALL,
        "--key",
        true,
        Meaning::Refused("a key on the command line is visible to every user of this machine", LICENCE),
    ),
    flag(
        INSTALL,
        "--bundle",
        true,
        Meaning::Refused("there are no bundles beside the sets", "choose plugins: nself plugin setup"),
    ),
    flag(&["stop"], "--force", false, Meaning::NoEffect("a container that does not stop in time is killed anyway")),
    flag(&["logs"], "--no-follow", false, Meaning::NoEffect("logs are followed only with --follow")),
    flag(&["logs"], "--no-color", false, Meaning::Is(&["--color", "never"])),
    flag(
        &["logs"],
        "--since",
        true,
        Meaning::Refused(
            "this version counts lines only",
            "see the last 500 lines: nself plugin logs NAME --lines 500",
        ),
    ),
    flag(&["status", "health"], "--detailed", false, Meaning::NoEffect("status always shows everything")),
    flag(LIST, "--available", false, Meaning::NoEffect("list shows what is available unless --installed is given")),
    flag(LIST, "--show-eol", false, Meaning::NoEffect("list shows every plugin with its status")),
    flag(&["refresh", "sync-registry"], "--info", false, Meaning::NoEffect("refresh always tells what it has fetched")),
    flag(&["doctor"], "--check-only", false, Meaning::NoEffect("doctor changes nothing")),
    flag(&["doctor"], "--fix", false, Meaning::NoEffect("doctor prints the commands that mend what is wrong")),
    flag(&["doctor"], "--strict", false, Meaning::NoEffect("doctor fails where an installation would")),
];
