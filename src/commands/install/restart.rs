//! What the running backend must be told after plugins have changed: `nself restart` through its own CLI.

use serde_json::{Value, json};

use crate::backend;
use crate::context::Context;
use crate::error::Error;
use crate::project::Strictness;
use crate::ui::Event;
use crate::values::Values;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    Done,
    /// `--skip-restart` was given.
    Skipped,
    /// It ended with another exit code than 0.
    Failed(i32),
}

impl Restart {
    /// As the report's document holds it.
    pub fn json(self) -> Value {
        let (result, code) = match self {
            Self::Done => ("done", Some(0)),
            Self::Skipped => ("skipped", None),
            Self::Failed(code) => ("failed", Some(code)),
        };
        json!({ "command": "nself restart", "result": result, "exit_code": code })
    }

    /// For people.
    pub fn text(self) -> String {
        match self {
            Self::Done => "the backend was restarted".to_owned(),
            Self::Skipped => "the backend does not know of the change yet; run: nself restart".to_owned(),
            Self::Failed(code) => format!("the backend could not be restarted (exit code {code}); run: nself restart"),
        }
    }
}

/// Restarts the backend of this project if there is one: a backend CLI, and its network on the engine. Without them the
/// plugins have seen the change already, since their containers were made anew.
pub async fn restart_backend(cx: &Context, is_skipped: bool) -> Result<Option<Restart>, Error> {
    let Some(program) = backend::find() else { return Ok(None) };
    let project = cx.project(Strictness::Lenient)?;
    let values = Values::read(&cx.settings.config_dir, &project.name)?;
    let variables = crate::environment::Variables {
        flags: &[],
        process: &cx.process_environment,
        project: &project,
        values: &values,
    };
    let network = variables.backend_network("");
    if cx.docker().await?.observe(&cx.state.home_id()?).await?.network(&network).is_none() {
        return Ok(None);
    }
    if is_skipped {
        return Ok(Some(Restart::Skipped));
    }
    cx.reporter.event(Event::Started { plugin: "backend", what: "nself restart" });
    let code = backend::run(&program, &["restart"], &project.folder).await;
    cx.reporter.event(Event::Finished { plugin: "backend", text: if code == 0 { "restarted" } else { "failed" } });
    Ok(Some(if code == 0 { Restart::Done } else { Restart::Failed(code) }))
}
