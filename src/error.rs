//! The error that ends a command: what it says, its exit code (design: at most a dozen), its stable identifier and
//! the one hint. Modules have their own errors; here they are folded and answered for by exhaustive matches.

use crate::docker::EngineError;
use crate::fs::FileError;
use crate::http::HttpError;
use crate::name::{NameError, PluginName};
use crate::package::PackageError;
use crate::preflight::Problem;
use crate::project::ProjectError;
use crate::registry::RegistryError;
use crate::self_update::SelfUpdateError;
use crate::state::StateError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("{message}")]
    Usage { message: String, hint: Option<String> },
    /// An operation that failed, and no mistake of the user's.
    #[error("{message}")]
    Failed { message: String, hint: Option<String> },
    #[error("there is no nself backend CLI on the PATH that could run `{word}`")]
    NoBackend { word: String },
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    SelfUpdate(#[from] SelfUpdateError),
    #[error("could not use the package of `{plugin}`")]
    Package { plugin: String, source: PackageError },
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("{}", preflight_text(.0))]
    Preflight(Vec<Problem>),
    /// What is wrong with the machine itself: it stops all plugins of a command.
    #[error("{}", preflight_text(.0))]
    Unfit(Vec<Problem>),
    #[error(transparent)]
    Project(#[from] ProjectError),
    #[error("`{plugin}` did not become healthy: {verdict}")]
    Unhealthy { plugin: PluginName, verdict: String, log: Vec<String> },
    #[error("`{plugin}` is not healthy: {verdict}")]
    Sick { plugin: PluginName, verdict: String },
    #[error("{cause}; undoing it was not complete")]
    RollbackIncomplete { cause: Box<Error>, left: Vec<String> },
    #[error(transparent)]
    State(#[from] StateError),
    #[error("`{name}` is not installed in project `{project}`")]
    NotInstalled { name: PluginName, project: String },
    /// An action of a plugin was refused, or could not be asked for.
    #[error("could not run the action of `{plugin}`: {reason}")]
    Action { plugin: PluginName, reason: String },
    #[error("`{name}` has no value `{key}`")]
    NoSuchValue { name: PluginName, key: String },
    #[error("`{name}` is needed by {}", .needed_by.join(", "))]
    StillNeeded { name: PluginName, needed_by: Vec<String> },
    #[error(
        "`{name}` {version} was installed with digest {installed}, and the registry now gives {offered} for the same version"
    )]
    DigestMoved { name: PluginName, version: String, installed: String, offered: String },
    #[error("`{name}` needs {}", .missing.join(", "))]
    DependencyFailed { name: PluginName, missing: Vec<String> },
    /// It was to come along for others, and none of them stays.
    #[error("`{name}` was to come along for {}", in_vain(.wanted_by))]
    NotNeeded { name: PluginName, wanted_by: Vec<PluginName> },
    #[error("the plugins need one another in a circle: {}", .0.join(" → "))]
    DependencyCycle(Vec<String>),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("interrupted; what was begun is undone")]
    Interrupted,
    /// A set that neither this program nor a registry knows.
    #[error("there is no plugin set `{name}`; known are {}", known.join(", "))]
    NoSuchSet { name: String, known: Vec<String>, reasons: Vec<String> },
}

fn preflight_text(problems: &[Problem]) -> String {
    problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("\n")
}

/// Whether a line of what is left says that the engine did not answer.
fn is_of_a_silent_engine(line: &str) -> bool {
    line.contains("no Docker engine answers at") || line.contains("stopped answering while")
}

fn in_vain(wanted_by: &[PluginName]) -> String {
    let names = wanted_by.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
    match wanted_by {
        [_] => format!("{names}, which was not installed"),
        _ => format!("{names}, and none of them was installed"),
    }
}

impl Error {
    /// Whether it says nothing of its own, but that another plugin of the command failed.
    pub fn is_consequence(&self) -> bool {
        matches!(self, Self::DependencyFailed { .. } | Self::NotNeeded { .. })
    }

    /// The process's exit code, as documented in the README.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Name(_) | Self::Usage { .. } | Self::NoBackend { .. } => 2,
            Self::NotInstalled { .. } | Self::NoSuchValue { .. } | Self::NoSuchSet { .. } => 3,
            Self::Registry(error) => error.exit_class(),
            Self::Http(_) => 4,
            Self::SelfUpdate(error) => error.exit_code(),
            Self::Package { source, .. } => source.exit_class(),
            Self::DigestMoved { .. } | Self::DependencyCycle(_) => 5,
            Self::Engine(error) if error.is_preflight() => 6,
            Self::Preflight(_) | Self::Unfit(_) | Self::Project(_) => 6,
            Self::Unhealthy { .. } => 7,
            Self::RollbackIncomplete { .. } => 8,
            Self::State(StateError::Busy { .. }) => 9,
            Self::Interrupted => 130,
            Self::Engine(_)
            | Self::State(_)
            | Self::File(_)
            | Self::Failed { .. }
            | Self::StillNeeded { .. }
            | Self::Sick { .. }
            | Self::Action { .. }
            | Self::NotNeeded { .. }
            | Self::DependencyFailed { .. } => 1,
        }
    }

    /// A stable identifier for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name(_) => "usage.name",
            Self::Usage { .. } => "usage",
            Self::Failed { .. } => "failed",
            Self::NoBackend { .. } => "usage.no_backend",
            Self::Registry(error) if error.exit_class() == 3 => "registry.not_found",
            Self::Registry(_) => "registry.unavailable",
            Self::Http(_) => "network",
            Self::SelfUpdate(error) => error.code(),
            Self::Package { .. } => "package.refused",
            Self::Engine(_) => "engine",
            Self::Preflight(_) => "preflight",
            Self::Unfit(_) => "preflight.machine",
            Self::Project(_) => "project",
            Self::Unhealthy { .. } => "plugin.unhealthy",
            Self::Sick { .. } => "plugin.sick",
            Self::RollbackIncomplete { .. } => "rollback.incomplete",
            Self::State(StateError::Busy { .. }) => "busy",
            Self::State(_) => "state",
            Self::NotInstalled { .. } => "plugin.not_installed",
            Self::Action { .. } => "plugin.action",
            Self::NoSuchValue { .. } => "value.not_found",
            Self::NoSuchSet { .. } => "set.not_found",
            Self::StillNeeded { .. } => "plugin.needed",
            Self::DigestMoved { .. } => "package.digest_moved",
            Self::DependencyFailed { .. } => "dependency.failed",
            Self::NotNeeded { .. } => "dependency.not_needed",
            Self::DependencyCycle(_) => "dependency.cycle",
            Self::File(_) => "file",
            Self::Interrupted => "interrupted",
        }
    }

    /// One line that says what to do, with the command.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Action { plugin, .. } => Some(format!("see its state: nself plugin status {plugin}")),
            Self::Usage { hint, .. } | Self::Failed { hint, .. } => hint.clone(),
            Self::Name(_) | Self::NoSuchSet { .. } => Some("see what there is: nself plugin list".into()),
            Self::NoBackend { .. } => Some(
                "this program owns `nself plugin …`; install the backend CLI from https://nself.org for the rest"
                    .into(),
            ),
            Self::Registry(error) => error.hint(),
            Self::SelfUpdate(error) => error.hint(),
            Self::Http(_) => Some("work without the network: add --offline".into()),
            Self::Package { source, .. } => source.hint(),
            Self::Engine(error) => error.hint(),
            Self::Preflight(problems) | Self::Unfit(problems) => {
                problems.iter().find_map(|problem| problem.hint.clone())
            }
            Self::Project(error) => error.hint(),
            Self::Unhealthy { plugin, verdict, .. } if verdict.contains("exited") => Some(format!(
                "nothing of this attempt was kept; set what its last lines ask for: nself plugin install {plugin} --env KEY=VALUE"
            )),
            Self::Unhealthy { plugin, .. } => Some(format!(
                "nothing of this attempt was kept; give it more time with: nself plugin install {plugin} --timeout 120s"
            )),
            Self::Sick { plugin, .. } => Some(format!("see its log: nself plugin logs {plugin}")),
            Self::RollbackIncomplete { left, .. } if left.iter().any(|thing| is_of_a_silent_engine(thing)) => {
                Some("bring the engine up, then recover: nself plugin status --repair".into())
            }
            Self::RollbackIncomplete { .. } => {
                Some("remove the cause, then recover, or give it up: nself plugin status --repair".into())
            }
            Self::State(error) => error.hint(),
            Self::NotInstalled { name, .. } => Some(format!("install it: nself plugin install {name}")),
            Self::NoSuchValue { name, .. } => Some(format!("see its values: nself plugin config {name} get")),
            Self::StillNeeded { name, .. } => {
                Some(format!("remove it all the same: nself plugin remove {name} --force"))
            }
            Self::DigestMoved { name, .. } => Some(format!(
                "ask the author why; to accept the new archive: nself plugin remove {name} && nself plugin install {name}"
            )),
            Self::DependencyFailed { .. } | Self::NotNeeded { .. } | Self::DependencyCycle(_) | Self::File(_) => None,
            Self::Interrupted => Some("run the same command again".into()),
        }
    }

    /// Further lines: a container's last words, what is left behind.
    pub fn details(&self) -> Vec<String> {
        match self {
            Self::Unhealthy { log, .. } => log.clone(),
            Self::Registry(error) => error.causes(),
            Self::NoSuchSet { reasons, .. } => reasons.clone(),
            Self::RollbackIncomplete { cause, left } => {
                let mut lines = cause.details();
                lines.extend(left.iter().map(|thing| format!("left: {thing}")));
                lines
            }
            _ => Vec::new(),
        }
    }
}
