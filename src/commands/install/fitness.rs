//! Whether the machine is fit for what is to be done: what is wrong with it stops every plugin of the command. Looked at
//! when the first plugin is to be changed, and once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use semver::Version;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

use super::pipeline::Shared;
use crate::backend;
use crate::docker::{Docker, EngineError, Observed, ObservedContainer};
use crate::error::Error;
use crate::machine::{Asked, Memory, Store, no_room};
use crate::plan::{DEFAULT_MEMORY, Wanted};
use crate::preflight::{self, Problem};
use crate::ui::Event;

/// What a look at the engine's disk has found.
type Looked = Result<Option<Problem>, EngineError>;

/// What was found out so far.
#[derive(Debug, Default)]
pub(super) struct Fitness {
    problems: OnceCell<Vec<Problem>>,
    for_images: OnceCell<Option<Problem>>,
    /// The look at the engine's disk: it takes the engine some time, in which other things are done.
    engine: Mutex<Option<JoinHandle<Looked>>>,
    host: OnceCell<Version>,
    /// What the machine has, and what the plugins of this command may take of it.
    memory: Mutex<Option<Memory>>,
    /// Whether it was told that they may take too much.
    is_told: AtomicBool,
}

impl Fitness {
    /// The version that a plugin's requirement is compared with.
    pub(super) async fn host(&self) -> &Version {
        self.host.get_or_init(backend::host_version).await
    }

    /// Begins to look, for whoever checks later.
    pub(super) async fn begin(&self, shared: &Shared<'_>) -> Result<(), Error> {
        if shared.makes_images {
            let docker = shared.cx.docker().await?.clone();
            let begun = tokio::spawn(async move { no_room_for_images(&docker).await });
            self.engine.lock().map(|mut engine| *engine = Some(begun)).unwrap_or_default();
        }
        Ok(())
    }

    /// Room for packages and receipts, a backend CLI that is not too old, and room for images where one is to be made.
    pub(super) async fn check(&self, shared: &Shared<'_>) -> Result<(), Error> {
        let look = || async {
            let folder = &shared.cx.settings.plugin_dir;
            let mut problems: Vec<Problem> = no_room(Store::Plugins, folder).into_iter().collect();
            if let Some(program) = backend::find() {
                problems.extend(preflight::backend_too_old(&program, self.host().await));
            }
            if shared.makes_images {
                problems.extend(self.for_images(shared).await?.clone());
            }
            Ok::<_, Error>(problems)
        };
        let problems = self.problems.get_or_try_init(look).await?;
        if problems.is_empty() { Ok(()) } else { Err(Error::Unfit(problems.clone())) }
    }

    /// Room for one more image where the engine keeps them, when it is known that one must be made.
    pub(super) async fn check_for_images(&self, shared: &Shared<'_>) -> Result<(), Error> {
        match self.for_images(shared).await? {
            Some(problem) => Err(Error::Unfit(vec![problem.clone()])),
            None => Ok(()),
        }
    }

    async fn for_images(&self, shared: &Shared<'_>) -> Result<&Option<Problem>, Error> {
        let look = || async {
            let begun = self.engine.lock().ok().and_then(|mut engine| engine.take());
            match begun {
                Some(begun) => match begun.await {
                    Ok(looked) => Ok(looked?),
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                },
                None => Ok::<_, Error>(no_room_for_images(shared.cx.docker().await?).await?),
            }
        };
        self.for_images.get_or_try_init(look).await
    }

    /// Counts what a plugin may take of the memory, and warns when all of them together may take too much.
    pub(super) fn count_memory(&self, shared: &Shared<'_>, wanted: &Wanted<'_>, observed: &Observed) {
        let Ok(mut counted) = self.memory.lock() else { return };
        let memory = counted.get_or_insert_with(Memory::of_this_machine);
        let plugin = &wanted.manifest.name;
        let mut containers = observed.of_plugin(&shared.project.name, plugin.as_str());
        // An installation may begin anew.
        memory.asked.retain(|asked| asked.plugin != plugin.as_str());
        memory.asked.push(Asked {
            plugin: plugin.as_str().to_owned(),
            prefix: plugin.variable_prefix(),
            bytes: wanted.memory.or(wanted.manifest.service.memory).unwrap_or(DEFAULT_MEMORY),
            is_running: containers.any(ObservedContainer::is_running),
        });
        if let Some(why) = memory.shortage()
            && !self.is_told.swap(true, Ordering::Relaxed)
        {
            let hint = memory.hint().unwrap_or_default();
            shared.cx.reporter.event(Event::Warning { text: &format!("{}; {why}; {hint}", memory.text()) });
        }
    }
}

async fn no_room_for_images(docker: &Docker) -> Looked {
    let root = docker.root_dir().await?;
    Ok(root.and_then(|folder| no_room(Store::Images, &folder)))
}
