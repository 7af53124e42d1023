//! The command line as types: clap and nothing else. No logic, no reading, no printing.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::sets::SetFlags;

/// What `--version` says after the program's name; the words tell this program from a backend CLI.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (plugin manager)");

/// What `nself --help` and the manual page end with.
const LONG_HELP: &str = "\
Any other word is handed to the nself backend CLI that is next on the PATH.

Exit codes: 0 done, 1 failed (or a sick plugin), 2 usage, 3 not found, 4 registry or network, 5 verification, \
6 preflight (nothing was changed), 7 not healthy and rolled back, 8 roll-back incomplete, 9 busy, 10 partly done, \
130 interrupted and undone.

Environment: NSELF_PLUGIN_REGISTRY, NSELF_REGISTRY_CACHE_TTL, NSELF_PLUGIN_DIR, NSELF_PLUGIN_CACHE, NSELF_HOME, \
NSELF_DATA_DIR, NSELF_PLUGIN_READY_TIMEOUT, NSELF_LOCK_TIMEOUT, NSELF_PLUGIN_LICENSE_KEY, DOCKER_HOST, \
DOCKER_CONTEXT, DOCKER_CONFIG, the proxy variables, SSL_CERT_FILE, NO_COLOR and CI; docs/reference.md describes each.";

/// Brings a self-hosted backend's plugins up healthy on Docker, in one command, or leaves nothing behind
#[derive(Debug, Parser)]
#[command(name = "nself", version = VERSION, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = "Any other word is handed to the nself backend CLI that is next on the PATH.")]
#[command(after_long_help = LONG_HELP)]
pub struct Cli {
    #[command(flatten)]
    pub flags: GlobalFlags,
    #[command(subcommand)]
    pub command: TopCommand,
}

/// The words after `nself`.
#[derive(Debug, Subcommand)]
pub enum TopCommand {
    /// Install, look after and remove plugins
    #[command(visible_alias = "plugins", arg_required_else_help = true)]
    Plugin {
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Show a plugin's log (without a backend CLI)
    Logs(LogsArguments),
    /// Show the state of the installed plugins (without a backend CLI)
    Status(StatusArguments),
    /// Start stopped plugins (without a backend CLI)
    Start(NamesArguments),
    /// Stop plugins (without a backend CLI)
    Stop(NamesArguments),
    /// Restart plugins (without a backend CLI)
    Restart(NamesArguments),
    /// Check all that an installation needs (without a backend CLI)
    Doctor(DoctorArguments),
    /// Update this program to the newest release, verified first
    SelfUpdate(SelfUpdateArguments),
}

/// The words after `nself plugin`.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Install plugins and prove them healthy
    #[command(visible_alias = "add")]
    Install(InstallArguments),
    /// Remove plugins; data and settings are kept
    #[command(visible_aliases = ["rm", "uninstall"])]
    Remove(RemoveArguments),
    /// List the plugins there are, or those installed
    #[command(visible_alias = "ls")]
    List(ListArguments),
    /// Show all that is known of a plugin
    Info(InfoArguments),
    /// Show the state of the installed plugins: container, address, health
    Status(StatusArguments),
    /// Ask the installed plugins for their health; exit 1 if one is sick
    Health(NamesArguments),
    /// Show a plugin's log
    Logs(LogsArguments),
    /// Start stopped plugins
    Start(NamesArguments),
    /// Stop plugins; they stay stopped until started
    Stop(NamesArguments),
    /// Restart plugins
    Restart(NamesArguments),
    /// Check all that an installation needs: engine, disk, memory, ports, variables, registries; changes nothing
    Doctor(DoctorArguments),
    /// Fetch the registry documents anew
    #[command(visible_alias = "sync-registry")]
    Refresh(RegistryFlags),
    /// Show or set a plugin's values
    Config(ConfigArguments),
    /// Choose plugins, give what they need, install and verify them: guided, or by flags
    Setup(SetupArguments),
    /// Print the addresses of installed plugins as variables for a frontend
    Env(EnvArguments),
    /// Open a plugin's page in a browser, or print its address
    Open(OpenArguments),
    /// Make archives and a registry document from package folders (for authors)
    Pack(PackArguments),
    /// Run an action of an installed plugin; the same as `nself plugin NAME ACTION`
    Run(RunArguments),
    /// Run a program inside an installed plugin's container
    Exec(ExecArguments),
    /// An action of an installed plugin
    #[command(external_subcommand)]
    Other(Vec<String>),
}

#[derive(Debug, Args)]
pub struct RunArguments {
    /// The plugin
    #[arg(value_name = "NAME")]
    pub plugin: String,
    /// The action and its arguments; `help` lists the actions
    #[arg(value_name = "ACTION", trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ExecArguments {
    /// The plugin
    #[arg(value_name = "NAME")]
    pub plugin: String,
    /// The program and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Default, Args)]
pub struct GlobalFlags {
    /// Print one JSON document on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing but the answer and errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more of what is done and why
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: ColorChoice,
    /// The project's name, before what its env files say
    #[arg(long, global = true, value_name = "NAME")]
    pub project: Option<String>,
    /// The project's folder (default: `.`, else `./backend`)
    #[arg(long, global = true, value_name = "DIR")]
    pub project_dir: Option<PathBuf>,
    /// How long a plugin may take to become healthy, such as 90s or 2m
    #[arg(long, global = true, value_name = "TIME")]
    pub timeout: Option<String>,
}

/// When output is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    #[default]
    Auto,
    Always,
    Never,
}

/// Which registries are asked, and how.
#[derive(Debug, Clone, Default, Args)]
pub struct RegistryFlags {
    /// Ask this registry only
    #[arg(long, value_name = "NAME")]
    pub registry: Option<String>,
    /// Never touch the network
    #[arg(long, conflicts_with = "refresh")]
    pub offline: bool,
    /// Fetch registry documents anew, whatever the cache holds
    #[arg(long)]
    pub refresh: bool,
    /// Permit plain http to other machines
    #[arg(long)]
    pub allow_http: bool,
}

/// What happens where a plugin needs a service that nobody gives.
#[derive(Debug, Clone, Default, Args)]
pub struct ServiceFlags {
    /// Install services that plugins need and that nobody gives, without asking: the default, but beside a backend
    #[arg(long)]
    pub with_services: bool,
    /// Never install a service; a plugin that needs one is left out
    #[arg(long, conflicts_with = "with_services")]
    pub no_services: bool,
}

#[derive(Debug, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are independent")]
pub struct InstallArguments {
    /// NAME, NAME@VERSION, REGISTRY/NAME, or the path of a package folder or archive
    #[arg(required_unless_present_any = ["core_only", "with_auth", "all", "sets"], value_name = "PLUGIN")]
    pub plugins: Vec<String>,
    #[command(flatten)]
    pub services: ServiceFlags,
    #[command(flatten)]
    pub sets: SetFlags,
    /// Do not restart the backend after a set was installed; print the command instead
    #[arg(long)]
    pub skip_restart: bool,
    #[command(flatten)]
    pub registries: RegistryFlags,
    /// Print what the registries say would be installed, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Like --dry-run, but fetch the packages and check everything, with the exit codes of an installation
    #[arg(long)]
    pub check: bool,
    /// Like --dry-run, but print only the names, in the order of the installation
    #[arg(long)]
    pub order_only: bool,
    /// The version, where one plugin is named; the same as NAME@VERSION
    #[arg(long = "version", value_name = "VERSION")]
    pub version: Option<String>,
    /// Set a variable for the plugins; goes before the environment and all files
    #[arg(long = "env", value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// Whether an archive must have a digest: require, warn, or off (default: warn; bundled always require)
    #[arg(long, value_enum, value_name = "POLICY")]
    pub verify: Option<VerifyChoice>,
    /// Grant what the manifest asks for beyond the hardened defaults
    #[arg(long)]
    pub allow_privileged: bool,
    /// Allow the build of a package that is not bundled to run its programs, without network access unless `network` is given
    #[arg(long, value_enum, value_name = "WITH", num_args = 0..=1, require_equals = true, default_missing_value = "offline")]
    pub allow_build: Option<BuildAllowed>,
    /// Install again although it is installed and healthy
    #[arg(long)]
    pub force: bool,
    /// Answer every question with yes
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct SetupArguments {
    /// Plugins to set up besides those of the sets
    #[arg(value_name = "PLUGIN")]
    pub plugins: Vec<String>,
    #[command(flatten)]
    pub services: ServiceFlags,
    #[command(flatten)]
    pub sets: SetFlags,
    #[command(flatten)]
    pub registries: RegistryFlags,
    /// Set a variable for the plugins; it is kept in .env.plugins where that has no value for it
    #[arg(long = "env", value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// Do not restart the backend afterwards; print the command instead
    #[arg(long)]
    pub skip_restart: bool,
    /// Grant what manifests ask for beyond the hardened defaults
    #[arg(long)]
    pub allow_privileged: bool,
    /// Ask nothing: take what the flags and the environment say; without plugins or sets, the core set
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct EnvArguments {
    /// The plugins (default: all installed ones)
    #[arg(value_name = "NAME")]
    pub plugins: Vec<String>,
    /// Format of the output
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: EnvFormat,
    /// Print addresses with this host name or IP address
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Where the frontend's server runs; the browser's addresses are the same
    #[arg(long = "for", value_enum, default_value_t, value_name = "PLACE")]
    pub place: Place,
    /// Print what a server of the application needs: addresses, keys and passwords
    #[arg(long)]
    pub server: bool,
    /// With --server: show keys and passwords
    #[arg(long, requires = "server")]
    pub reveal: bool,
    /// With --server: write everything, secrets included, to FILE, which only you can read
    #[arg(long, requires = "server", value_name = "FILE")]
    pub write: Option<PathBuf>,
}

/// Where a server of the application runs.
/// What the build of an image may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BuildAllowed {
    /// Run programs without network access
    Offline,
    /// Run programs with network access
    Network,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Place {
    /// On this machine
    #[default]
    Host,
    /// In a container of the project's network
    Container,
}

/// How variables are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum EnvFormat {
    /// KEY=value
    #[default]
    Dotenv,
    /// export KEY='value'
    Shell,
    /// One object
    Json,
    /// As .env.local of a Next.js application, with comments
    Nextjs,
}

#[derive(Debug, Args)]
pub struct OpenArguments {
    /// The plugin
    #[arg(value_name = "NAME")]
    pub plugin: String,
    /// Which of its addresses, by name (default: the main one)
    #[arg(value_name = "PORT")]
    pub port: Option<String>,
    /// Print the address and open nothing
    #[arg(long)]
    pub print: bool,
}

/// What is asked of an archive's digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VerifyChoice {
    Require,
    Warn,
    Off,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are independent")]
pub struct RemoveArguments {
    /// The plugins
    #[arg(required = true, value_name = "NAME")]
    pub plugins: Vec<String>,
    /// Delete the plugin's volumes and stored values too
    #[arg(long, alias = "purge")]
    pub delete_data: bool,
    /// Keep data (this is the default)
    #[arg(long, conflicts_with = "delete_data")]
    pub keep_data: bool,
    /// Keep the image and its package, so that the next installation makes neither again
    #[arg(long)]
    pub keep_image: bool,
    /// Remove even what another installed plugin needs, or what an interrupted command left and cannot be recovered
    #[arg(long)]
    pub force: bool,
    /// Print the plan and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Answer every question with yes
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct ListArguments {
    /// Only what is installed
    #[arg(long, short)]
    pub installed: bool,
    /// With descriptions and addresses
    #[arg(long, short)]
    pub detailed: bool,
    /// Only this category
    #[arg(long, short, value_name = "CATEGORY")]
    pub category: Option<String>,
    #[command(flatten)]
    pub registries: RegistryFlags,
}

#[derive(Debug, Args)]
pub struct InfoArguments {
    /// NAME, NAME@VERSION or REGISTRY/NAME
    #[arg(value_name = "PLUGIN")]
    pub plugin: String,
    #[command(flatten)]
    pub registries: RegistryFlags,
}

#[derive(Debug, Args)]
pub struct NamesArguments {
    /// The plugins (default: all that are installed)
    #[arg(value_name = "NAME")]
    pub plugins: Vec<String>,
    /// All that are installed
    #[arg(long, short)]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct StatusArguments {
    #[command(flatten)]
    pub names: NamesArguments,
    /// Finish or roll back what interrupted commands left, in every project
    #[arg(long)]
    pub repair: bool,
    /// Give up what cannot be recovered, without asking
    #[arg(long, short, requires = "repair")]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// Plugins to check before they are installed, as for install; what is installed is checked anyway
    #[arg(value_name = "PLUGIN")]
    pub plugins: Vec<String>,
    #[command(flatten)]
    pub sets: SetFlags,
    /// Never touch the network
    #[arg(long)]
    pub offline: bool,
    /// Permit plain http to other machines
    #[arg(long)]
    pub allow_http: bool,
}

#[derive(Debug, Args)]
pub struct LogsArguments {
    /// The plugin
    #[arg(value_name = "NAME")]
    pub plugin: String,
    /// Go on until interrupted
    #[arg(long, short)]
    pub follow: bool,
    /// How many lines from the end
    #[arg(long, short = 'n', alias = "tail", value_name = "N", default_value_t = 100)]
    pub lines: u32,
    /// Only lines that contain this text
    #[arg(long, value_name = "TEXT")]
    pub grep: Option<String>,
    /// Control characters as they are, even on a terminal
    #[arg(long)]
    pub raw: bool,
}

#[derive(Debug, Args)]
pub struct ConfigArguments {
    /// The plugin
    #[arg(value_name = "NAME")]
    pub plugin: String,
    #[command(subcommand)]
    pub action: Option<ConfigAction>,
}

#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// Show one value or all; secrets only with --reveal
    #[command(visible_alias = "show")]
    Get {
        #[arg(value_name = "KEY")]
        key: Option<String>,
        /// Show secret values
        #[arg(long)]
        reveal: bool,
    },
    /// Store a value; it takes effect at the next install
    Set {
        #[arg(value_name = "KEY")]
        key: String,
        #[arg(value_name = "VALUE")]
        value: String,
    },
    /// Forget a stored value
    Unset {
        #[arg(value_name = "KEY")]
        key: String,
    },
}

#[derive(Debug, Args)]
pub struct PackArguments {
    /// Package folders
    #[arg(required = true, value_name = "FOLDER")]
    pub folders: Vec<PathBuf>,
    /// Where archives and registry.json are written
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,
}

/// The words after `nself self-update`.
#[derive(Debug, Clone, Args)]
pub struct SelfUpdateArguments {
    /// Only look whether there is a newer release
    #[arg(long)]
    pub check: bool,
}
