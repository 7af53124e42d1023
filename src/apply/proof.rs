//! Proving: a container that was started becomes usable in time, or what is known of why it does not.

use std::time::Duration;

use super::{Progress, Run};
use crate::docker::Docker;
use crate::error::Error;
use crate::health::{EARLY, FIRST_PAUSE, LONGEST_EARLY_PAUSE, LONGEST_PAUSE, Probe, Verdict};

/// How long a container without a port must run to count as healthy.
const STEADY: Duration = Duration::from_secs(5);
/// How often the container's state is asked for while health is awaited, besides the engine's own word of its exit.
const STATE_EVERY: Duration = Duration::from_secs(1);
/// How many of the last log lines a failure shows.
const LAST_LINES: u32 = 20;

/// What is asked until it is usable: a running container, at its port where it has one that speaks HTTP.
#[derive(Debug)]
pub struct Proof<'a> {
    pub docker: &'a Docker,
    pub container: &'a str,
    /// Where health is asked; without one the engine's word counts.
    pub probe: Option<Probe>,
}

impl Proof<'_> {
    /// Waits until the container is usable, not longer than the limit; the error is why it is not.
    pub async fn within(&self, limit: Duration) -> Result<Verdict, String> {
        match tokio::time::timeout(limit, self.until_usable()).await {
            Ok(verdict) => verdict,
            Err(_) => self.last_verdict(limit).await,
        }
    }

    /// The last word when the time is over.
    async fn last_verdict(&self, limit: Duration) -> Result<Verdict, String> {
        let last = match &self.probe {
            Some(probe) => probe.ask().await,
            None => Verdict::Unhealthy("it did not keep running".into()),
        };
        let Verdict::Unhealthy(reason) = last else { return Ok(last) };
        // An exit says more than a closed port.
        self.check_still_running().await?;
        Err(format!("not within {} s: {reason}", limit.as_secs_f64()))
    }

    async fn until_usable(&self) -> Result<Verdict, String> {
        let mut pause = FIRST_PAUSE;
        let mut last_look = tokio::time::Instant::now();
        let began = last_look;
        loop {
            match &self.probe {
                Some(probe) => {
                    let verdict = probe.ask().await;
                    if verdict.is_usable() {
                        return Ok(verdict);
                    }
                }
                None => {
                    if self.engine_says_healthy(began.elapsed()).await? {
                        return Ok(Verdict::Healthy);
                    }
                }
            }
            if last_look.elapsed() >= STATE_EVERY {
                last_look = tokio::time::Instant::now();
                self.check_still_running().await?;
            }
            tokio::time::sleep(pause).await;
            // The engine's own check costs more than a request.
            let is_early = self.probe.is_some() && began.elapsed() < EARLY;
            pause = (pause * 2).min(if is_early { LONGEST_EARLY_PAUSE } else { LONGEST_PAUSE });
        }
    }

    /// Without a port: the image's own check if it has one, else running for a while. The check is run here and now
    /// where it can be, since the engine waits for its interval first.
    async fn engine_says_healthy(&self, so_far: Duration) -> Result<bool, String> {
        let state = self.docker.inspect_container(self.container).await.map_err(|error| error.to_string())?;
        match state.health.as_deref() {
            Some("healthy") => Ok(true),
            None | Some("" | "none") => Ok(state.running && so_far >= STEADY),
            Some(_) if !state.running => Ok(false),
            Some(_) => {
                let passed = self.docker.run_check(self.container).await.map_err(|error| error.to_string())?;
                Ok(passed == Some(true))
            }
        }
    }

    async fn check_still_running(&self) -> Result<(), String> {
        let state = self.docker.inspect_container(self.container).await.map_err(|error| error.to_string())?;
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
}

impl Run<'_> {
    /// Waits until the container has proven itself: usable, and again when all that the plugin needs is installed. A new one
    /// that only comes along waits for one that needs it.
    pub(super) async fn wait_healthy(&mut self, container: &str, probe: Option<Probe>) -> Result<(), Error> {
        self.started("waiting until it is healthy");
        let since = self.started.unwrap_or_else(tokio::time::Instant::now);
        let proof = Proof { docker: self.docker, container, probe };
        let verdict = self.prove(&proof).await?;
        self.proven.healthy_after = since.elapsed();
        self.proven.verdict = Some(verdict);
        if self.job.is_new {
            self.job.order.tell(Progress::Usable);
            self.wait_until_wanted().await?;
        } else {
            self.job.order.tell(Progress::Sure);
        }
        if !self.job.order.is_complete() {
            // Healthy before what it needs: much may have happened to it when that is there.
            self.job.order.wait_until_installed().await?;
            self.proven.verdict = Some(self.prove(&proof).await?);
        }
        Ok(())
    }

    async fn wait_until_wanted(&self) -> Result<(), Error> {
        let by = self.job.order.wanted_by();
        if !by.is_empty() {
            self.started(&format!("healthy; waiting for {}", by.join(" or ")));
        }
        tokio::select! {
            wanted = self.job.order.wait_until_wanted() => wanted,
            error = self.job.order.failure() => Err(error),
            () = self.cx.interrupt.wanted() => Err(Error::Interrupted),
        }
    }

    /// The proof, unless the container exits, what it needs fails, or the user has enough of it. Its time is counted from
    /// when the engine says that the container runs: how long the engine took is not the plugin's doing.
    async fn prove(&mut self, proof: &Proof<'_>) -> Result<Verdict, Error> {
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
            // The exit says more than what follows from it.
            biased;
            code = exited => Err(format!("its container exited with code {code}")),
            verdict = proof.within(self.cx.settings.ready_timeout) => verdict,
            error = self.job.order.failure() => return Err(error),
            () = self.cx.interrupt.wanted() => return Err(Error::Interrupted),
        };
        match outcome {
            Ok(verdict) => Ok(verdict),
            Err(verdict) => Err(self.unhealthy(proof.container, verdict).await),
        }
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
