//! What every command works with: settings, state, the clock, where to print. Read once; the engine is connected to
//! at the first need.

use std::collections::HashMap;
use std::time::SystemTime;

use tokio::sync::OnceCell;

use crate::docker::{Docker, Endpoint};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::name::PluginName;
use crate::project::{Project, Strictness};
use crate::settings::Settings;
use crate::state::State;
use crate::ui::{Choice, Event, Output, Reporter};

/// Built once a process.
#[derive(Debug)]
pub struct Context {
    pub settings: Settings,
    pub state: State,
    pub output: Output,
    pub reporter: Reporter,
    pub interrupt: Interrupt,
    pub process_environment: HashMap<String, String>,
    docker: OnceCell<Docker>,
}

/// A link whose target is missing, such as a disk that is not mounted, is reported by where it points.
fn check_link(path: &std::path::Path) -> Result<(), Error> {
    match std::fs::read_link(path) {
        Ok(target) if !path.exists() => {
            let folder = path.parent().map_or_else(|| target.clone(), |parent| parent.join(&target));
            Err(crate::project::ProjectError::DanglingLink { path: path.to_path_buf(), folder }.into())
        }
        _ => Ok(()),
    }
}

impl Context {
    /// Puts it together; touches neither disk nor network.
    pub fn new(settings: Settings, output: Output) -> Result<Self, Error> {
        check_link(&settings.nself_home)?;
        check_link(&settings.plugin_dir)?;
        let interrupt = Interrupt::listen()
            .map_err(|error| Error::Usage { message: format!("signals cannot be listened to: {error}"), hint: None })?;
        Ok(Self {
            state: State::new(&settings.nself_home, &settings.plugin_dir),
            reporter: output.reporter(),
            process_environment: settings.environment.iter().cloned().collect(),
            settings,
            output,
            interrupt,
            docker: OnceCell::new(),
        })
    }

    /// The engine, connected to at the first call.
    pub async fn docker(&self) -> Result<&Docker, Error> {
        Ok(self.docker.get_or_try_init(|| Docker::connect(&self.settings.docker)).await?)
    }

    /// Where the engine would be, without touching it.
    pub fn endpoint(&self) -> Result<Endpoint, Error> {
        Ok(Endpoint::find(&self.settings.docker)?)
    }

    /// The project of this command.
    pub fn project(&self, strictness: Strictness) -> Result<Project, Error> {
        let flags = &self.settings.flags;
        let project = Project::read_in(
            &self.process_environment,
            (&self.settings.working_dir, flags.project_dir.as_deref()),
            flags.project.as_deref(),
            strictness,
        )?;
        for warning in &project.warnings {
            self.reporter.event(Event::Warning { text: warning });
        }
        Ok(project)
    }

    /// The project of a command that changes something but reads nothing from env files save the project's name: a
    /// malformed file is passed over where `--project` gives the name, else it might name another project.
    pub fn project_to_change(&self) -> Result<Project, Error> {
        let is_named = self.settings.flags.project.is_some();
        self.project(if is_named { Strictness::Lenient } else { Strictness::Strict })
    }

    /// Prints a warning.
    pub fn warn(&self, text: &str) {
        self.reporter.event(Event::Warning { text });
    }

    /// Removes the temporary files that killed commands left behind, wherever this program writes.
    pub fn sweep(&self) {
        self.state.sweep();
        crate::values::sweep(&self.settings.config_dir);
        crate::fs::sweep(&self.settings.cache_dir);
    }

    /// Asks a question that yes or no answers.
    pub async fn agree(&self, question: &str) -> Result<bool, Error> {
        self.reporter.clear();
        self.output.agree(&self.interrupt, question).await
    }

    /// Asks whether to go on; `command` says yes where nobody can be asked.
    pub async fn confirm(&self, question: &str, command: &str) -> Result<(), Error> {
        self.reporter.clear();
        self.output.confirm(&self.interrupt, question, command).await
    }

    /// Lets the user choose any number of things.
    pub async fn choose(&self, question: &str, choices: Vec<Choice>) -> Result<Vec<usize>, Error> {
        self.reporter.clear();
        self.output.choose(&self.interrupt, question, choices).await
    }

    /// Asks for a text.
    pub async fn ask(&self, question: &str, is_secret: bool) -> Result<String, Error> {
        self.reporter.clear();
        self.output.ask(&self.interrupt, question, is_secret).await
    }

    /// Takes the lock of a plugin.
    pub async fn lock(&self, name: &PluginName) -> Result<crate::state::Lock, Error> {
        tokio::select! {
            lock = self.state.lock(name.as_str(), self.settings.lock_timeout) => Ok(lock?),
            () = self.interrupt.wanted() => Err(Error::Interrupted),
        }
    }
}

/// The time now. The only place that reads the wall clock.
#[expect(clippy::disallowed_methods, reason = "the one home of the wall clock")]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// Seconds since 1970.
pub fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
