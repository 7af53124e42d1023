//! Programs run inside a container.

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use futures_util::StreamExt;

use super::{Docker, EngineError};

/// A piece of what a program prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    pub is_error_stream: bool,
    pub bytes: Vec<u8>,
}

impl Docker {
    /// Runs a program to its end, without input, and gives its exit code.
    pub async fn exec(
        &self,
        container: &str,
        command: &[String],
        print: &mut dyn FnMut(ExecOutput),
    ) -> Result<i64, EngineError> {
        let failed = || self.failed(format!("run a program in `{container}`"));
        let options = CreateExecOptions {
            cmd: Some(command.to_vec()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..Default::default()
        };
        let id = self.client.create_exec(container, options).await.map_err(failed())?.id;
        if let StartExecResults::Attached { mut output, .. } =
            self.client.start_exec(&id, None).await.map_err(failed())?
        {
            while let Some(piece) = output.next().await {
                let piece = piece.map_err(failed())?;
                let is_error_stream = matches!(piece, LogOutput::StdErr { .. });
                print(ExecOutput { is_error_stream, bytes: piece.into_bytes().to_vec() });
            }
        }
        let ended = self.client.inspect_exec(&id).await.map_err(failed())?;
        Ok(ended.exit_code.unwrap_or(0))
    }
}
