//! Proving: a container that was started becomes usable in time, or what is known of why it does not.

use std::time::Duration;

use super::Run;
use crate::error::Error;
use crate::health::{FIRST_PAUSE, LONGEST_PAUSE, Probe, Verdict};

/// How long a container without a port must run to count as healthy.
const STEADY: Duration = Duration::from_secs(5);
/// How often the container's state is asked for while health is awaited, besides the engine's own word of its exit.
const STATE_EVERY: Duration = Duration::from_secs(1);
/// How many of the last log lines a failure shows.
const LAST_LINES: u32 = 20;

impl Run<'_> {
    /// Waits until the container has proven itself: usable, and again when all that the plugin needs is installed.
    pub(super) async fn wait_healthy(&mut self, container: &str, port: Option<u16>, path: &str) -> Result<(), Error> {
        self.started("waiting until it is healthy");
        let since = self.started.unwrap_or_else(tokio::time::Instant::now);
        let verdict = self.prove(container, port, path).await?;
        self.proven.healthy_after = since.elapsed();
        self.proven.verdict = Some(verdict);
        if !self.job.order.is_complete() {
            // Healthy before what it needs: much may have happened to it when that is there.
            self.job.order.wait_until_installed().await?;
            self.proven.verdict = Some(self.prove(container, port, path).await?);
        }
        Ok(())
    }

    /// Waits until the container is usable, not longer than the settings allow.
    async fn prove(&mut self, container: &str, port: Option<u16>, path: &str) -> Result<Verdict, Error> {
        // Counted from when the engine says that it runs: how long the engine took is not the plugin's doing.
        let deadline = tokio::time::Instant::now() + self.cx.settings.ready_timeout;
        let exit = self.exit.take();
        let exited = async {
            match exit {
                Some(watch) => match watch.code().await {
                    Some(code) => code,
                    None => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        };
        let outcome = tokio::select! {
            code = exited => Err(format!("its container exited with code {code}")),
            verdict = self.probe_until_usable(container, port, path) => verdict,
            () = tokio::time::sleep_until(deadline) => self.last_verdict(container, port, path).await,
            error = self.job.order.failure() => return Err(error),
            () = self.cx.interrupt.wanted() => return Err(Error::Interrupted),
        };
        match outcome {
            Ok(verdict) => Ok(verdict),
            Err(verdict) => Err(self.unhealthy(container, verdict).await),
        }
    }

    /// The last word when the time is over.
    async fn last_verdict(&self, container: &str, port: Option<u16>, path: &str) -> Result<Verdict, String> {
        let last = match port {
            Some(port) => Probe { port, path: path.to_owned() }.ask().await,
            None => Verdict::Unhealthy("it did not keep running".into()),
        };
        let Verdict::Unhealthy(reason) = last else { return Ok(last) };
        // An exit says more than a closed port.
        self.check_still_running(container).await?;
        Err(format!("not within {} s: {reason}", self.cx.settings.ready_timeout.as_secs_f64()))
    }

    async fn probe_until_usable(&self, container: &str, port: Option<u16>, path: &str) -> Result<Verdict, String> {
        let mut pause = FIRST_PAUSE;
        let mut last_look = tokio::time::Instant::now();
        let began = last_look;
        loop {
            match port {
                Some(port) => {
                    let verdict = Probe { port, path: path.to_owned() }.ask().await;
                    if verdict.is_usable() {
                        return Ok(verdict);
                    }
                }
                None => {
                    if self.engine_says_healthy(container, began.elapsed()).await? {
                        return Ok(Verdict::Healthy);
                    }
                }
            }
            if last_look.elapsed() >= STATE_EVERY {
                last_look = tokio::time::Instant::now();
                self.check_still_running(container).await?;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Without a port: the image's own check if it has one, else running for a while. The check is run here and now
    /// where it can be, since the engine waits for its interval first.
    async fn engine_says_healthy(&self, container: &str, so_far: Duration) -> Result<bool, String> {
        let state = self.docker.inspect_container(container).await.map_err(|error| error.to_string())?;
        match state.health.as_deref() {
            Some("healthy") => Ok(true),
            None | Some("" | "none") => Ok(state.running && so_far >= STEADY),
            Some(_) if !state.running => Ok(false),
            Some(_) => {
                let passed = self.docker.run_check(container).await.map_err(|error| error.to_string())?;
                Ok(passed == Some(true))
            }
        }
    }

    async fn check_still_running(&self, container: &str) -> Result<(), String> {
        let state = self.docker.inspect_container(container).await.map_err(|error| error.to_string())?;
        // Nobody but the engine restarts it while it must prove itself.
        if state.running && state.restarts == 0 {
            return Ok(());
        }
        if state.restarts > 0 {
            return Err("its container ended and was started again".to_owned());
        }
        let memory = if state.out_of_memory { " (out of memory)" } else { "" };
        Err(format!("its container exited with code {}{memory}", state.exit_code))
    }

    async fn unhealthy(&self, container: &str, verdict: String) -> Error {
        let lines = self.docker.last_lines(container, LAST_LINES).await.unwrap_or_default();
        let log = lines.into_iter().map(|line| redact(&line.text, &self.job.secrets)).collect();
        Error::Unhealthy { plugin: self.job.plan.plugin.clone(), verdict, log }
    }
}

/// Takes known secrets out of a line: a plugin may log what it was given.
fn redact(line: &str, secrets: &[String]) -> String {
    secrets.iter().filter(|secret| secret.len() >= 6).fold(line.to_owned(), |line, secret| line.replace(secret, "***"))
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn known_secrets_are_taken_out_of_log_lines() {
        let secrets = ["hunter2hunter2".to_owned(), "abc".to_owned()];
        assert_eq!(redact("key=hunter2hunter2 abc", &secrets), "key=*** abc");
    }
}
