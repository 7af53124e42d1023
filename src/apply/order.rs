//! What a plugin has to do with the others of its command: all are prepared side by side, and each is started when what
//! it needs is there.

use tokio::sync::watch;

use crate::error::Error;
use crate::name::PluginName;
use crate::needs::{Condition, ServiceNeed};

/// How far a plugin of this command has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Preparing,
    /// It was there before, or has proven itself beside what was: what comes along for it is not in vain.
    Sure,
    /// Its container has all that it needs and is being started.
    Starting,
    /// New and healthy: others may use it. It is not installed before what it needs, nor, where it only comes along, before
    /// one that needs it is sure.
    Usable,
    Installed,
    Failed,
}

impl Progress {
    fn is_end(self) -> bool {
        matches!(self, Self::Installed | Self::Failed)
    }

    fn is_sure(self) -> bool {
        matches!(self, Self::Sure | Self::Usable | Self::Installed)
    }
}

/// Another plugin of the same command.
#[derive(Debug, Clone)]
pub struct Other {
    pub name: PluginName,
    pub progress: watch::Receiver<Progress>,
}

impl Other {
    /// Whether what needs it may be started, by what that one's manifest says of its services.
    fn may_be_followed(&self, progress: Progress, services: &[ServiceNeed]) -> bool {
        let need = services.iter().find(|need| need.name == self.name.as_str());
        let condition = need.map_or(Condition::default(), |need| need.condition);
        match progress {
            Progress::Preparing | Progress::Sure => false,
            Progress::Starting => condition == Condition::Started,
            Progress::Usable | Progress::Installed | Progress::Failed => true,
        }
    }
}

/// The place of one plugin among those of its command.
#[derive(Debug)]
pub struct Order {
    plugin: PluginName,
    needed: Vec<Other>,
    /// Those for which it only comes along; none where it is installed for its own sake.
    wanted_by: Vec<Other>,
    /// Where its own progress is told.
    own: watch::Sender<Progress>,
}

impl Order {
    /// The order of `plugin`, which needs others, comes along for others, and tells its own progress.
    pub fn of(
        plugin: &PluginName,
        (needed, wanted_by): (Vec<Other>, Vec<Other>),
        own: watch::Sender<Progress>,
    ) -> Self {
        Self { plugin: plugin.clone(), needed, wanted_by, own }
    }

    /// Tells those that need it how far it is.
    pub fn tell(&self, progress: Progress) {
        self.own.send_replace(progress);
    }

    /// Whether all that it needs is installed.
    pub fn is_complete(&self) -> bool {
        self.needed.iter().all(|needed| *needed.progress.borrow() == Progress::Installed)
    }

    /// Those for which it cannot be started yet.
    pub fn awaited(&self, services: &[ServiceNeed]) -> Vec<&str> {
        let is_open = |needed: &&Other| !needed.may_be_followed(*needed.progress.borrow(), services);
        self.needed.iter().filter(is_open).map(|needed| needed.name.as_str()).collect()
    }

    /// Those for which it only comes along.
    pub fn wanted_by(&self) -> Vec<&str> {
        self.wanted_by.iter().map(|other| other.name.as_str()).collect()
    }

    /// Fails when one that it needs is known to have failed: nothing more need be done then.
    pub fn check(&self) -> Result<(), Error> {
        let has_failed = |needed: &&Other| *needed.progress.borrow() == Progress::Failed;
        let failed = self.needed.iter().filter(has_failed);
        let missing: Vec<String> = failed.map(|needed| format!("`{}`, which was not installed", needed.name)).collect();
        if missing.is_empty() { Ok(()) } else { Err(Error::DependencyFailed { name: self.plugin.clone(), missing }) }
    }

    /// Waits until it may be started; fails with the names of those that were not installed.
    pub async fn wait_to_start(&self, services: &[ServiceNeed]) -> Result<(), Error> {
        for needed in &self.needed {
            // One whose sender is gone was told its end before.
            let _ = needed.progress.clone().wait_for(|progress| needed.may_be_followed(*progress, services)).await;
        }
        self.check()
    }

    /// Waits until all that it needs is installed; fails with the names of those that were not.
    pub async fn wait_until_installed(&self) -> Result<(), Error> {
        for needed in &self.needed {
            let _ = needed.progress.clone().wait_for(|progress| progress.is_end()).await;
        }
        self.check()
    }

    /// Waits until it is sure that one stays for which it comes along; fails when none does.
    pub async fn wait_until_wanted(&self) -> Result<(), Error> {
        let wishes = self.wanted_by.iter().map(|other| {
            let mut progress = other.progress.clone();
            Box::pin(async move {
                let settled = progress.wait_for(|progress| progress.is_sure() || progress.is_end()).await;
                if settled.is_ok_and(|progress| progress.is_sure()) { Ok(()) } else { Err(()) }
            })
        });
        if self.wanted_by.is_empty() || futures_util::future::select_ok(wishes).await.is_ok() {
            return Ok(());
        }
        let wanted_by = self.wanted_by.iter().map(|other| other.name.clone()).collect();
        Err(Error::NotNeeded { name: self.plugin.clone(), wanted_by })
    }

    /// Waits until one that it needs has failed, for ever if none does.
    pub async fn failure(&self) -> Error {
        let failures = self.needed.iter().map(|needed| {
            let mut progress = needed.progress.clone();
            Box::pin(async move { progress.wait_for(|progress| *progress == Progress::Failed).await.map(drop) })
        });
        if !self.needed.is_empty()
            && futures_util::future::select_ok(failures).await.is_ok()
            && let Err(error) = self.check()
        {
            return error;
        }
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> (watch::Sender<Progress>, Order) {
        let redis = watch::Sender::new(Progress::Preparing);
        let needed = vec![Other { name: "redis".parse().unwrap(), progress: redis.subscribe() }];
        let own = watch::Sender::new(Progress::Preparing);
        (redis, Order::of(&"jobs".parse().unwrap(), (needed, Vec::new()), own))
    }

    fn need(condition: Condition) -> [ServiceNeed; 1] {
        [ServiceNeed { condition, ..ServiceNeed::named("redis".to_owned()) }]
    }

    async fn is_waiting(work: impl Future) -> bool {
        tokio::time::timeout(std::time::Duration::from_millis(20), work).await.is_err()
    }

    #[tokio::test]
    async fn what_needs_a_started_one_follows_at_once_and_ends_after_it() {
        let (redis, jobs) = order();
        let services = need(Condition::Started);
        assert_eq!(jobs.awaited(&services), ["redis"]);
        redis.send_replace(Progress::Starting);
        assert!(jobs.awaited(&services).is_empty() && !jobs.is_complete());
        jobs.wait_to_start(&services).await.unwrap();
        assert!(is_waiting(jobs.wait_until_installed()).await);
        redis.send_replace(Progress::Installed);
        jobs.wait_until_installed().await.unwrap();
        assert!(jobs.is_complete());
    }

    #[tokio::test]
    async fn what_needs_a_healthy_one_waits_until_it_is_installed() {
        let (redis, jobs) = order();
        redis.send_replace(Progress::Starting);
        for services in [&need(Condition::Healthy)[..], &[]] {
            assert_eq!(jobs.awaited(services), ["redis"]);
            assert!(is_waiting(jobs.wait_to_start(services)).await);
        }
        redis.send_replace(Progress::Installed);
        jobs.wait_to_start(&[]).await.unwrap();
    }

    #[tokio::test]
    async fn the_failure_of_what_is_needed_is_told_by_name() {
        let (redis, jobs) = order();
        jobs.check().unwrap();
        assert!(is_waiting(jobs.failure()).await);
        let (failure, ()) = tokio::join!(jobs.failure(), async { redis.send(Progress::Failed).unwrap() });
        for error in [failure, jobs.check().unwrap_err(), jobs.wait_until_installed().await.unwrap_err()] {
            assert_eq!(error.to_string(), "`jobs` needs `redis`, which was not installed");
        }
    }

    #[tokio::test]
    async fn what_comes_along_stays_when_one_that_needs_it_does() {
        let others = ["jobs", "mail"].map(|name| (name, watch::Sender::new(Progress::Preparing)));
        let wanted_by =
            others.iter().map(|(name, sender)| Other { name: name.parse().unwrap(), progress: sender.subscribe() });
        let redis = Order::of(
            &"redis".parse().unwrap(),
            (Vec::new(), wanted_by.collect()),
            watch::Sender::new(Progress::Usable),
        );
        let [(_, jobs), (_, mail)] = &others;
        assert!(is_waiting(redis.wait_until_wanted()).await);
        jobs.send_replace(Progress::Failed);
        assert!(is_waiting(redis.wait_until_wanted()).await);
        for progress in [Progress::Sure, Progress::Usable, Progress::Installed] {
            mail.send_replace(progress);
            redis.wait_until_wanted().await.unwrap();
        }
        mail.send_replace(Progress::Failed);
        let error = redis.wait_until_wanted().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "`redis` was to come along for `jobs` and `mail`, and none of them was installed"
        );
    }
}
