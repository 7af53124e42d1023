//! What a plugin has to do with the others of its command: all are prepared side by side, and each is started when those
//! that it needs are there.

use tokio::sync::watch;

use crate::error::Error;
use crate::name::PluginName;
use crate::needs::Condition;

/// How far a plugin of this command has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Preparing,
    /// Its container has all that it needs and is being started.
    Starting,
    Installed,
    Failed,
}

impl Progress {
    fn is_end(self) -> bool {
        matches!(self, Self::Installed | Self::Failed)
    }
}

/// Another plugin of the same command that one needs.
#[derive(Debug, Clone)]
pub struct Other {
    pub name: PluginName,
    /// What must be so before the one is started.
    pub condition: Condition,
    pub progress: watch::Receiver<Progress>,
}

impl Other {
    fn may_be_followed(&self, progress: Progress) -> bool {
        progress.is_end() || (progress == Progress::Starting && self.condition == Condition::Started)
    }
}

/// The place of one plugin among those of its command.
#[derive(Debug)]
pub struct Order {
    plugin: PluginName,
    needed: Vec<Other>,
    /// Where its own progress is told.
    own: watch::Sender<Progress>,
}

impl Order {
    /// The order of `plugin`, which needs others and tells its own progress.
    pub fn of(plugin: &PluginName, needed: Vec<Other>, own: watch::Sender<Progress>) -> Self {
        Self { plugin: plugin.clone(), needed, own }
    }

    /// Tells those that need it that it is being started.
    pub fn tell_starting(&self) {
        self.own.send_replace(Progress::Starting);
    }

    /// Those for which it cannot be started yet.
    pub fn awaited(&self) -> Vec<&str> {
        let is_open = |other: &&Other| !other.may_be_followed(*other.progress.borrow());
        self.needed.iter().filter(is_open).map(|other| other.name.as_str()).collect()
    }

    /// Fails when one that it needs is known to have failed: nothing more need be done then.
    pub fn check(&self) -> Result<(), Error> {
        let is_missing = |other: &&Other| *other.progress.borrow() == Progress::Failed;
        let missing: Vec<String> = self
            .needed
            .iter()
            .filter(is_missing)
            .map(|other| format!("`{}`, which was not installed", other.name))
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(Error::DependencyFailed { name: self.plugin.clone(), missing }) }
    }

    /// Waits until it may be started; fails with the names of those that were not installed.
    pub async fn wait_to_start(&self) -> Result<(), Error> {
        for other in &self.needed {
            // One whose sender is gone was told its end before.
            let _ = other.progress.clone().wait_for(|progress| other.may_be_followed(*progress)).await;
        }
        self.check()
    }

    /// Waits until all that it needs is installed; fails with the names of those that were not.
    pub async fn wait(&self) -> Result<(), Error> {
        for other in &self.needed {
            let _ = other.progress.clone().wait_for(|progress| progress.is_end()).await;
        }
        self.check()
    }

    /// Waits until one that it needs has failed, for ever if none does.
    pub async fn failure(&self) -> Error {
        let fails = self.needed.iter().map(|other| {
            let mut progress = other.progress.clone();
            Box::pin(async move {
                if progress.wait_for(|progress| *progress == Progress::Failed).await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
        });
        if self.needed.is_empty() {
            return std::future::pending().await;
        }
        futures_util::future::select_all(fails).await;
        match self.check() {
            Err(error) => error,
            Ok(()) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(condition: Condition) -> (watch::Sender<Progress>, Order) {
        let other = watch::Sender::new(Progress::Preparing);
        let (name, progress) = ("redis".parse().unwrap(), other.subscribe());
        let own = watch::Sender::new(Progress::Preparing);
        (other, Order::of(&"jobs".parse().unwrap(), vec![Other { name, condition, progress }], own))
    }

    #[tokio::test]
    async fn what_needs_a_started_one_follows_at_once_and_ends_after_it() {
        let (redis, jobs) = order(Condition::Started);
        assert_eq!(jobs.awaited(), ["redis"]);
        redis.send_replace(Progress::Starting);
        assert!(jobs.awaited().is_empty());
        jobs.wait_to_start().await.unwrap();
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), jobs.wait()).await.is_err());
        redis.send_replace(Progress::Installed);
        jobs.wait().await.unwrap();
    }

    #[tokio::test]
    async fn what_needs_a_healthy_one_waits_until_it_is_installed() {
        let (redis, jobs) = order(Condition::Healthy);
        redis.send_replace(Progress::Starting);
        assert_eq!(jobs.awaited(), ["redis"]);
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), jobs.wait_to_start()).await.is_err());
        redis.send_replace(Progress::Installed);
        jobs.wait_to_start().await.unwrap();
    }

    #[tokio::test]
    async fn the_failure_of_what_is_needed_is_told_by_name() {
        let (redis, jobs) = order(Condition::Started);
        jobs.check().unwrap();
        let (failure, _) = tokio::join!(jobs.failure(), async { redis.send_replace(Progress::Failed) });
        for error in [failure, jobs.check().unwrap_err(), jobs.wait_to_start().await.unwrap_err()] {
            assert_eq!(error.to_string(), "`jobs` needs `redis`, which was not installed");
        }
    }
}
