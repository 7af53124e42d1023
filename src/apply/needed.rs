//! What a plugin needs of the others of its command: it is prepared beside them and started after them.

use tokio::sync::watch;

use crate::error::Error;
use crate::name::PluginName;

/// How a plugin of this command ended; nothing while it is being installed.
pub type End = watch::Receiver<Option<bool>>;

/// The plugins of the same command that must be there before one is started.
#[derive(Debug, Clone)]
pub struct Needed {
    plugin: PluginName,
    others: Vec<(PluginName, End)>,
}

impl Needed {
    /// What `plugin` needs: each other plugin with the place where its end is told.
    pub fn of(plugin: &PluginName, others: Vec<(PluginName, End)>) -> Self {
        Self { plugin: plugin.clone(), others }
    }

    /// Those that are not there yet.
    pub fn awaited(&self) -> Vec<&str> {
        let is_open = |(_, end): &&(PluginName, End)| end.borrow().is_none();
        self.others.iter().filter(is_open).map(|(name, _)| name.as_str()).collect()
    }

    /// Fails as soon as one of them is known to have failed; nothing more need be prepared then.
    pub fn check(&self) -> Result<(), Error> {
        let has_failed = |(_, end): &&(PluginName, End)| *end.borrow() == Some(false);
        let missing: Vec<String> = self.others.iter().filter(has_failed).map(|(name, _)| missing(name)).collect();
        if missing.is_empty() { Ok(()) } else { Err(self.failed(missing)) }
    }

    /// Waits for all of them; fails with the names of those that were not installed.
    pub async fn wait(&self) -> Result<(), Error> {
        let mut without = Vec::new();
        for (name, end) in &self.others {
            let mut end = end.clone();
            let is_there = end.wait_for(Option::is_some).await.is_ok_and(|told| *told == Some(true));
            if !is_there {
                without.push(missing(name));
            }
        }
        if without.is_empty() { Ok(()) } else { Err(self.failed(without)) }
    }

    fn failed(&self, missing: Vec<String>) -> Error {
        Error::DependencyFailed { name: self.plugin.clone(), missing }
    }
}

fn missing(name: &PluginName) -> String {
    format!("`{name}`, which was not installed")
}
