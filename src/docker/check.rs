//! An image's own health check (HEALTHCHECK), run when it is wanted: the engine itself runs it first after its interval.

use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use bollard::query_parameters::InspectContainerOptions;
use futures_util::StreamExt;

use super::{Docker, EngineError};

impl Docker {
    /// Runs the check of a container's image once: whether it passed, or `None` where the image has no check that is a
    /// program with arguments (form `CMD`; Docker Engine API, `HealthConfig.Test`).
    pub async fn run_check(&self, container: &str) -> Result<Option<bool>, EngineError> {
        let answer = self.client.inspect_container(container, None::<InspectContainerOptions>);
        let answer = self.call(format!("look at the container `{container}`"), answer).await?;
        let test = answer.config.and_then(|config| config.healthcheck).and_then(|check| check.test).unwrap_or_default();
        let Some(("CMD", command)) = test.split_first().map(|(form, command)| (form.as_str(), command)) else {
            return Ok(None);
        };
        let action = || format!("run the health check of the container `{container}`");
        let config = ExecConfig { cmd: Some(command.to_vec()), attach_stdout: Some(true), ..Default::default() };
        let run = self.call(action(), self.client.create_exec(container, config)).await?;
        let started = self.call(action(), self.client.start_exec(&run.id, None)).await?;
        if let StartExecResults::Attached { mut output, .. } = started {
            // Its end is the program's.
            while self.call_stream(&action(), output.next()).await?.is_some() {}
        }
        let ended = self.call(action(), self.client.inspect_exec(&run.id)).await?;
        Ok(Some(ended.exit_code == Some(0)))
    }
}
