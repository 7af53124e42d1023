//! Recovery: what commands do about transactions that earlier ones left open. A changing command recovers the plugins
//! that it changes, a reading one only reports, and `status --repair` recovers all. A transaction that cannot be
//! recovered blocks its plugin alone, and can be given up.

use std::path::PathBuf;

use super::{finish, late, undo};
use crate::context::Context;
use crate::environment::INTERNAL_SECRET;
use crate::error::Error;
use crate::fs;
use crate::name::PluginName;
use crate::state::{Ending, Record, StateError, UnreadableRecord};
use crate::values::{self, Values, WHOLE_PROJECT};

/// What the recovery of a plugin did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Whether there was something to recover in the project.
    pub is_any: bool,
    /// Whether it finished a removal of the plugin there.
    pub is_removed: bool,
}

/// What earlier commands have left open, for reports.
#[derive(Debug, Default)]
pub struct Unfinished {
    pub records: Vec<Record>,
    /// Plugins that another command works on just now.
    pub at_work: Vec<String>,
    pub unreadable: Vec<UnreadableRecord>,
}

impl Unfinished {
    /// The plugins with open transactions, each once.
    pub fn plugins(&self) -> Vec<&str> {
        let plugins = self.records.iter().map(|record| record.plugin.as_str());
        plugins.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    /// The files among the records that cannot be read.
    pub fn unreadable_paths(&self) -> Vec<String> {
        self.unreadable.iter().map(|file| file.path.display().to_string()).collect()
    }
}

/// A transaction that was given up, and what is left of it.
#[derive(Debug)]
pub struct Given {
    pub plugin: String,
    pub left: Vec<String>,
}

/// Reads what is open; changes nothing.
pub fn unfinished(cx: &Context) -> Result<Unfinished, Error> {
    let journal = cx.state.journal()?;
    let (at_work, records) =
        journal.records.into_iter().partition::<Vec<Record>, _>(|record| cx.state.is_locked(record.plugin.as_str()));
    let at_work = at_work.into_iter().map(|record| record.plugin.as_str().to_owned()).collect();
    Ok(Unfinished { records, at_work, unreadable: journal.unreadable })
}

/// Warns of what is open, for commands that only read.
pub fn warn_of_unfinished(cx: &Context) -> Result<Unfinished, Error> {
    let found = unfinished(cx)?;
    for record in &found.records {
        let plugin = &record.plugin;
        cx.warn(&format!(
            "an interrupted command left `{plugin}` of project `{}` unfinished; to recover: nself plugin status --repair {plugin}",
            record.project
        ));
    }
    for file in &found.unreadable {
        cx.warn(&format!("the record `{}` cannot be read: {}", file.path.display(), file.reason));
    }
    Ok(found)
}

/// Finishes or rolls back what interrupted commands left of one plugin, whose lock the caller holds. What is open in
/// another project is tried too, and no reason to fail.
pub async fn recover_plugin(cx: &Context, project: &str, plugin: &PluginName) -> Result<Recovered, Error> {
    cx.sweep();
    let journal = cx.state.journal()?;
    let mut recovered = Recovered::default();
    for record in journal.records.iter().filter(|record| record.plugin == *plugin) {
        match recover_one(cx, record).await {
            Ok(()) if record.project == project => {
                recovered.is_any = true;
                recovered.is_removed |= record.is_removal;
            }
            Ok(()) => {}
            Err(error) if record.project != project => cx.warn(&format!("project {}: {error}", record.project)),
            Err(error) => return Err(error),
        }
    }
    if let Some(file) = journal.unreadable.iter().find(|file| file.plugin() == Some(plugin.as_str())) {
        return Err(StateError::BrokenRecord { path: file.path.clone(), reason: file.reason.clone() }.into());
    }
    remove_stray_staging(cx, plugin.as_str())?;
    late::settle(cx, plugin.as_str()).await?;
    Ok(recovered)
}

/// The same for several plugins before their locks are taken, so that what is looked up next is true: one that another
/// command works on is left to it, and a failure is left to the plugin's own turn.
pub async fn recover_named(cx: &Context, project: &str, plugins: impl IntoIterator<Item = PluginName>) {
    for plugin in plugins {
        let Ok(Ok(_lock)) = cx.state.try_lock(plugin.as_str()) else { continue };
        if recover_plugin(cx, project, &plugin).await.is_ok_and(|recovered| recovered.is_any) {
            let _ = forget_unused_secret(cx, project).await;
        }
    }
}

/// A staging folder whose transaction never began. The caller holds the plugin's lock.
fn remove_stray_staging(cx: &Context, plugin: &str) -> Result<(), Error> {
    for stray in cx.state.stray_staging()? {
        if crate::state::plugin_of(&stray) == Some(plugin) {
            fs::remove_tree(&cx.state.staging(&stray))?;
        }
    }
    Ok(())
}

/// A first installation that failed or was interrupted leaves no project secret behind either.
pub async fn forget_unused_secret(cx: &Context, project: &str) -> Result<(), Error> {
    let is_used = || -> Result<bool, Error> {
        let journal = cx.state.journal()?;
        let is_open = !journal.unreadable.is_empty() || journal.records.iter().any(|record| record.project == project);
        Ok(is_open || !cx.state.receipts(project)?.is_empty())
    };
    let is_unused = |values: &Values| {
        let mut keys = values.keys(WHOLE_PROJECT).peekable();
        keys.peek().is_some() && keys.all(|key| key == INTERNAL_SECRET) && values.is_only(WHOLE_PROJECT)
    };
    if is_used()? || !is_unused(&Values::read(&cx.settings.config_dir, project)?) {
        return Ok(());
    }
    let _lock = cx.state.lock("_values", cx.settings.lock_timeout).await?;
    let mut values = Values::read(&cx.settings.config_dir, project)?;
    if is_unused(&values) && !is_used()? {
        values.forget(WHOLE_PROJECT, INTERNAL_SECRET);
        values.write()?;
    }
    Ok(())
}

async fn recover_one(cx: &Context, record: &Record) -> Result<(), Error> {
    // It may have ended since the list was read.
    if !cx.state.is_open(&record.id) {
        return Ok(());
    }
    let is_committed = record.is_removal
        || cx.state.receipt(&record.project, &record.plugin)?.is_some_and(|receipt| receipt.transaction == record.id);
    let (left, text) = if is_committed {
        (finish(cx, record).await, "finished what an interrupted command had started")
    } else {
        (undo(cx, record).await, "rolled back what an interrupted command had started")
    };
    if left.is_empty() {
        cx.warn(&format!("{}: {text}", record.plugin));
        return Ok(());
    }
    // What is left after an installation's commit point is litter; only its values are part of it.
    let is_elsewhere = super::of_another_engine(cx, record).await.is_some();
    if is_committed
        && !record.is_removal
        && !is_elsewhere
        && !values::has_generated(&cx.settings.config_dir, &record.id)
    {
        for left in left {
            cx.warn(&format!("{}: {left}", record.plugin));
        }
        return Ok(());
    }
    let message = format!("could not recover `{}` from an interrupted command", record.plugin);
    Err(Error::RollbackIncomplete { cause: Box::new(Error::Failed { message, hint: None }), left })
}

/// Recovers every transaction, or those of some plugins. `may_give_up` is asked about each that cannot be recovered.
/// Returns what was given up; fails with what is left of the first that was not.
pub async fn repair(
    cx: &Context,
    plugins: &[PluginName],
    may_give_up: impl AsyncFn(&str, &[String]) -> Result<bool, Error>,
) -> Result<Vec<Given>, Error> {
    let is_meant = |plugin: &str| plugins.is_empty() || plugins.iter().any(|name| name.as_str() == plugin);
    let journal = cx.state.journal()?;
    let (mut given, mut failure) = (Vec::new(), None);
    for record in journal.records.iter().filter(|record| is_meant(record.plugin.as_str())) {
        let Ok(_lock) = cx.state.try_lock(record.plugin.as_str())? else {
            cx.warn(&format!("{}: another command works on it", record.plugin));
            continue;
        };
        let Err(error) = recover_one(cx, record).await else {
            forget_unused_secret(cx, &record.project).await?;
            continue;
        };
        let left = error.details();
        if may_give_up(record.plugin.as_str(), &left).await? {
            cx.state.set_aside(&record.id, Ending::Undone)?;
            given.push(Given { plugin: record.plugin.as_str().to_owned(), left });
        } else {
            failure.get_or_insert(error);
        }
    }
    for file in &journal.unreadable {
        let Some((id, plugin)) = file.id().zip(file.plugin()).filter(|(_, plugin)| is_meant(plugin)) else { continue };
        let left = vec![format!("left: what the record describes: {} ({})", file.path.display(), file.reason)];
        if may_give_up(plugin, &left).await? {
            cx.state.set_aside(id, Ending::Undone)?;
            given.push(Given { plugin: plugin.to_owned(), left });
        } else {
            let error = StateError::BrokenRecord { path: file.path.clone(), reason: file.reason.clone() };
            failure.get_or_insert(error.into());
        }
    }
    settle_all(cx, is_meant).await?;
    failure.map_or(Ok(given), Err)
}

/// What is left of transactions that ended or never began, of every plugin that is meant.
async fn settle_all(cx: &Context, is_meant: impl Fn(&str) -> bool) -> Result<(), Error> {
    cx.sweep();
    let mut known = std::collections::BTreeSet::new();
    for ending in [Ending::Undone, Ending::Finished] {
        known.extend(cx.state.ended(ending)?.into_iter().map(|record| record.plugin.as_str().to_owned()));
    }
    for stray in cx.state.stray_staging()? {
        known.extend(crate::state::plugin_of(&stray).map(ToOwned::to_owned));
    }
    for plugin in known.into_iter().filter(|plugin| is_meant(plugin)) {
        if let Ok(_lock) = cx.state.try_lock(&plugin)? {
            remove_stray_staging(cx, &plugin)?;
            late::settle(cx, &plugin).await?;
        }
    }
    Ok(())
}

/// Gives up what is open of a plugin in a project; the caller holds its lock. Returns what is left.
pub fn give_up(cx: &Context, project: &str, plugin: &PluginName) -> Result<Vec<String>, Error> {
    let journal = cx.state.journal()?;
    let mut left = Vec::new();
    for record in journal.records.iter().filter(|record| record.plugin == *plugin && record.project == project) {
        let places = record.undo.iter().map(|undo| super::describe(undo, record));
        let finish = record.finish.iter().filter(|_| record.is_removal).map(|finish| finish.words().1);
        left.extend(places.chain(finish));
        cx.state.set_aside(&record.id, Ending::Undone)?;
    }
    let unreadable: Vec<(&str, &PathBuf)> = journal
        .unreadable
        .iter()
        .filter(|file| file.plugin() == Some(plugin.as_str()))
        .filter_map(|file| Some((file.id()?, &file.path)))
        .collect();
    for (id, path) in unreadable {
        cx.state.set_aside(id, Ending::Undone)?;
        left.push(format!("what the record describes: {}", path.display()));
    }
    Ok(left)
}
