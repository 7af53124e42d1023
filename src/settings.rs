//! Settings: flags over environment over defaults, read once. The only file that reads the environment; every
//! variable is a documented constant here. Files of the project are read in `project`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::GlobalFlags;
use crate::error::Error;

/// Where active packages lie; `~/.nself/plugins` when unset.
pub const PLUGIN_DIR: &str = "NSELF_PLUGIN_DIR";
/// Where registry documents are cached; `~/.nself/cache/plugins` when unset.
pub const PLUGIN_CACHE: &str = "NSELF_PLUGIN_CACHE";
/// The first registry: a base URL, the address of a .json file, or a folder.
pub const PLUGIN_REGISTRY: &str = "NSELF_PLUGIN_REGISTRY";
/// Seconds for which a cached registry document is used without asking; 300 when unset.
pub const REGISTRY_CACHE_TTL: &str = "NSELF_REGISTRY_CACHE_TTL";
/// How long a plugin may take to become healthy, in seconds or with a unit (`90`, `90s`, `2m`, `500ms`); 60 s when unset.
pub const PLUGIN_READY_TIMEOUT: &str = "NSELF_PLUGIN_READY_TIMEOUT";
/// How long the build of an image may take; 15 minutes when unset.
pub const PLUGIN_BUILD_TIMEOUT: &str = "NSELF_PLUGIN_BUILD_TIMEOUT";
/// The folder of receipts, locks and records; `~/.nself` when unset.
pub const NSELF_HOME: &str = "NSELF_HOME";
/// The folder with the bundled registry; `../share/nself` beside the program when unset.
pub const DATA_DIR: &str = "NSELF_DATA_DIR";
/// A licence key for plugins that need one.
pub const LICENSE_KEY: &str = "NSELF_PLUGIN_LICENSE_KEY";
/// How long to wait for another process's lock; 60 s when unset.
pub const LOCK_TIMEOUT: &str = "NSELF_LOCK_TIMEOUT";
/// Set for the backend CLI when a command is handed over, so that two programs never hand to each other in a circle.
pub const HANDED_OVER: &str = "NSELF_HANDED_OVER";
/// The engine's address, as for the docker CLI.
pub const DOCKER_HOST: &str = "DOCKER_HOST";
/// The engine's context, as for the docker CLI.
pub const DOCKER_CONTEXT: &str = "DOCKER_CONTEXT";
/// The docker CLI's configuration folder; `~/.docker` when unset.
pub const DOCKER_CONFIG: &str = "DOCKER_CONFIG";

/// The public registry.
pub const PUBLIC_REGISTRY: &str = "https://plugins.nself.org/";
/// The mirrors of the public registry, in order.
pub const MIRRORS: &[&str] = &[
    "https://raw.githubusercontent.com/acamarata/nself-plugins/main/registry.json",
    "https://raw.githubusercontent.com/nself-org/plugins/main/registry.json",
];

/// How much is said on the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    Quiet,
    Normal,
    Verbose,
}

/// What the environment and the flags say, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    pub home: PathBuf,
    pub nself_home: PathBuf,
    pub plugin_dir: PathBuf,
    pub cache_dir: PathBuf,
    pub data_dir: Option<PathBuf>,
    pub config_dir: PathBuf,
    /// What replaces the public registry and its mirrors, as the user wrote it.
    pub registry: Option<String>,
    pub cache_ttl: Duration,
    pub ready_timeout: Duration,
    pub build_timeout: Duration,
    pub lock_timeout: Duration,
    pub license_key: Option<String>,
    pub docker: DockerSettings,
    pub working_dir: PathBuf,
    pub flags: GlobalFlags,
    /// The whole process environment that is valid text: plugins may take their variables from it.
    pub environment: Vec<(String, String)>,
}

/// Where the user says that the engine is.
#[derive(Debug, Clone)]
pub struct DockerSettings {
    pub host: Option<String>,
    pub context: Option<String>,
    pub config_dir: PathBuf,
}

impl Settings {
    /// Reads the environment.
    pub fn read(flags: GlobalFlags) -> Result<Self, Error> {
        let home = home_folder()?;
        let nself_home = folder(NSELF_HOME)?.unwrap_or_else(|| home.join(".nself"));
        let config_dir = directories::ProjectDirs::from("org", "nself", "nself")
            .map_or_else(|| home.join(".config/nself"), |folders| folders.config_dir().to_path_buf());
        Ok(Self {
            plugin_dir: folder(PLUGIN_DIR)?.unwrap_or_else(|| nself_home.join("plugins")),
            cache_dir: folder(PLUGIN_CACHE)?.unwrap_or_else(|| nself_home.join("cache/plugins")),
            data_dir: folder(DATA_DIR)?.or_else(beside_program),
            config_dir,
            registry: text(PLUGIN_REGISTRY),
            cache_ttl: duration(REGISTRY_CACHE_TTL, Duration::from_mins(5))?,
            ready_timeout: match &flags.timeout {
                Some(word) => parse_duration(word).ok_or_else(|| bad_duration("--timeout", word))?,
                None => duration(PLUGIN_READY_TIMEOUT, Duration::from_mins(1))?,
            },
            build_timeout: duration(PLUGIN_BUILD_TIMEOUT, Duration::from_mins(15))?,
            lock_timeout: duration(LOCK_TIMEOUT, Duration::from_mins(1))?,
            license_key: text(LICENSE_KEY),
            docker: DockerSettings {
                host: text(DOCKER_HOST),
                context: text(DOCKER_CONTEXT),
                config_dir: folder(DOCKER_CONFIG)?.unwrap_or_else(|| home.join(".docker")),
            },
            working_dir: std::env::current_dir().map_err(|source| Error::Usage {
                message: format!("the working folder cannot be read: {source}"),
                hint: Some("change to a folder that exists".into()),
            })?,
            environment: std::env::vars_os()
                .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            home,
            nself_home,
            flags,
        })
    }
}

/// The PATH and this program's own name: what handing over to a backend CLI needs.
pub fn search_path() -> (Option<OsString>, bool) {
    (std::env::var_os("PATH"), std::env::var_os(HANDED_OVER).is_some())
}

/// Whether colour was refused by the environment (<https://no-color.org>), and whether this is a CI job.
pub fn terminal_wishes() -> (bool, bool) {
    let is_set = |key| std::env::var_os(key).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    (is_set("NO_COLOR") || is_dumb, is_set("CI"))
}

fn home_folder() -> Result<PathBuf, Error> {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|path| !path.as_os_str().is_empty());
    match home {
        Some(path) if path.is_absolute() && path != Path::new("/") => Ok(path),
        Some(path) => Err(Error::Usage {
            message: format!("HOME is `{}`, which is no folder of a user", path.display()),
            hint: Some("set HOME to your home folder: HOME=/root nself plugin list".into()),
        }),
        None => Err(Error::Usage {
            message: "HOME is not set, so there is no place for plugins".into(),
            hint: Some("set HOME to your home folder: HOME=/root nself plugin list".into()),
        }),
    }
}

fn text(key: &str) -> Option<String> {
    std::env::var_os(key).and_then(|value| value.into_string().ok()).filter(|value| !value.trim().is_empty())
}

fn folder(key: &'static str) -> Result<Option<PathBuf>, Error> {
    match std::env::var_os(key).filter(|value| !value.is_empty()).map(PathBuf::from) {
        Some(path) if path.is_absolute() => Ok(Some(path)),
        Some(path) => Err(Error::Usage {
            message: format!("{key} is `{}`, which is no absolute path", path.display()),
            hint: Some(format!("give the whole path: {key}=\"$PWD/{}\"", path.display())),
        }),
        None => Ok(None),
    }
}

fn duration(key: &'static str, default: Duration) -> Result<Duration, Error> {
    match text(key) {
        Some(word) => parse_duration(&word).ok_or_else(|| bad_duration(key, &word)),
        None => Ok(default),
    }
}

fn bad_duration(key: &str, word: &str) -> Error {
    Error::Usage {
        message: format!("{key} is `{}`, which is no time", crate::name::shown(word)),
        hint: Some(format!("give seconds, or a number with ms, s, m or h: {key}=90")),
    }
}

/// Reads `90`, `90s`, `500ms`, `2m` or `1h`; at most a day.
pub fn parse_duration(word: &str) -> Option<Duration> {
    let word = word.trim();
    let split = word.find(|character: char| !character.is_ascii_digit()).unwrap_or(word.len());
    let number: u64 = word[..split].parse().ok()?;
    let milliseconds = match &word[split..] {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let total = Duration::from_millis(number.checked_mul(milliseconds)?);
    (total <= Duration::from_hours(24)).then_some(total)
}

fn beside_program() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.canonicalize().ok()?;
    let data = program.parent()?.parent()?.join("share/nself");
    data.is_dir().then_some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_units() {
        assert_eq!(parse_duration("90"), Some(Duration::from_secs(90)));
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("2m"), Some(Duration::from_mins(2)));
        for bad in ["", "s", "-1", "1.5s", "1d", "99999999999999999999", "48h"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
