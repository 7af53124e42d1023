//! Rolling back and finishing transactions: the one mechanism behind a failure, Ctrl-C and the recovery after a kill -9.
//! Works from a [`Record`] alone; everything here can be done any number of times, and touches only what the record or
//! the transaction's id proves to be the transaction's.

mod finish;
mod late;
mod recover;
mod restore;

use std::path::Path;

use crate::build_journal;
use crate::context::Context;
use crate::docker::{Docker, Observed, ObservedNetwork, SameEngine, label};
use crate::error::Error;
use crate::fs;
use crate::state::{Ending, Record, StateError, Undo};
use crate::values::{self, Values, WHOLE_PROJECT};

pub use finish::finish;
pub use recover::{
    Given, Recovered, Unfinished, forget_unused_secret, give_up, recover_named, recover_plugin, repair, unfinished,
    warn_of_unfinished,
};

/// How a step of an undo ended; an error means that it is to be tried again.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Done,
    /// There is nothing to roll back: what the step would undo is not the transaction's any more. Says why.
    NotOurs(String),
}

/// Rolls a transaction back in reverse order and ends it. Every step is tried; returns what is left.
pub async fn undo(cx: &Context, record: &Record) -> Vec<String> {
    if let Some(why) = of_another_engine(cx, record).await {
        return vec![why];
    }
    let mut left = Vec::new();
    for undo in record.undo.iter().rev() {
        match undo_one(cx, record, undo).await {
            Ok(Ended::Done) => {}
            Ok(Ended::NotOurs(why)) => cx.warn(&format!("{}: {why}", record.plugin)),
            Err(error) => left.push(format!("{} ({})", describe(undo, record), chain(&error))),
        }
    }
    if left.is_empty()
        && let Err(error) = cx.state.end(&record.id, Ending::Undone)
    {
        left.push(chain(&error.into()));
    }
    left
}

/// Why nothing can be done here about a record: it works on another engine. One that does not answer is reported by the
/// steps.
async fn of_another_engine(cx: &Context, record: &Record) -> Option<String> {
    let engine = record.engine.as_ref()?;
    let now = cx.docker().await.ok()?.identity().await.ok()?;
    (engine.compare(&now) == SameEngine::No).then(|| {
        let (id, root) = (crate::name::shown(&engine.id), crate::name::shown(&engine.root));
        format!("all of it, on another Docker engine: {id} in `{root}`")
    })
}

async fn undo_one(cx: &Context, record: &Record, undo: &Undo) -> Result<Ended, Error> {
    match undo {
        Undo::DiscardValues { .. } => values::discard_generated(&cx.settings.config_dir, &record.id)?,
        Undo::ForgetValues { plugin, keys } => forget_values(cx, record, plugin, keys).await?,
        Undo::RestorePackage { active, staged, staged_inode } => {
            restore_package(cx, record, (active, staged), *staged_inode)?;
        }
        on_engine => return undo_on_engine(cx, cx.docker().await?, record, on_engine).await,
    }
    Ok(Ended::Done)
}

async fn undo_on_engine(cx: &Context, docker: &Docker, record: &Record, undo: &Undo) -> Result<Ended, Error> {
    match undo {
        Undo::RemoveNewContainers => {
            let observed = observe(cx, docker).await?;
            for container in observed.containers.iter().filter(|container| late::is_of(container, &record.id)) {
                docker.remove_container(&container.id).await?;
            }
        }
        Undo::RestoreContainer { .. } => return restore::container(cx, docker, record, undo).await,
        Undo::RemoveNetwork { name } => remove_new_network(cx, docker, record, name).await?,
        Undo::RemoveVolume { name } => {
            // A volume that a receipt names holds an installation's data, whoever created it.
            if docker.volume_transaction(name).await?.as_ref() == Some(&record.id) && !is_in_a_receipt(cx, name)? {
                docker.remove_volume(name).await?;
            }
        }
        Undo::RemoveBuiltImages => {
            build_journal::remove_built(docker, &cx.state.staging(&record.id), &cx.state.home_id()?).await?;
        }
        Undo::RemovePulledImage { reference } => {
            docker.remove_image(reference).await?;
        }
        Undo::DiscardValues { .. } | Undo::ForgetValues { .. } | Undo::RestorePackage { .. } => {}
    }
    Ok(Ended::Done)
}

async fn observe(cx: &Context, docker: &Docker) -> Result<Observed, Error> {
    Ok(docker.observe(&cx.state.home_id()?).await?)
}

fn is_in_a_receipt(cx: &Context, volume: &str) -> Result<bool, Error> {
    for project in cx.state.projects()? {
        // A receipt that cannot be read may name it.
        let names_it = |receipt: &Result<crate::state::Receipt, StateError>| {
            receipt.as_ref().map_or(true, |receipt| receipt.volumes.iter().any(|name| name == volume))
        };
        if cx.state.receipts(&project)?.iter().any(names_it) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes the project's network if this transaction created it, or another one of the journal, perhaps of a plugin of
/// the same command, whose own undo found this plugin still on it.
async fn remove_new_network(cx: &Context, docker: &Docker, record: &Record, name: &str) -> Result<(), Error> {
    let is_first = cx.state.receipts(&record.project)?.is_empty();
    let open = cx.state.unfinished()?;
    let undone = cx.state.ended(Ending::Undone)?;
    remove_unused_network(cx, docker, name, |network| {
        let is_of = |other: &Record| network.transaction.as_ref() == Some(&other.id) && other.project == record.project;
        is_of(record) || (is_first && open.iter().chain(&undone).any(is_of))
    })
    .await
}

/// Removes a network that this installation created and that none of its containers is on, if it may go.
async fn remove_unused_network(
    cx: &Context,
    docker: &Docker,
    name: &str,
    may_go: impl FnOnce(&ObservedNetwork) -> bool,
) -> Result<(), Error> {
    let home = cx.state.home_id()?;
    let observed = docker.observe(&home).await?;
    // Stopped containers do not hold a network on the engine, but they need it to start again.
    let is_used = observed.containers.iter().any(|container| container.networks.iter().any(|network| network == name));
    let found = observed.network(name).filter(|network| network.home.as_ref() == Some(&home));
    if let Some(network) = found.filter(|network| !is_used && may_go(network)) {
        docker.remove_network(&network.id).await?;
    }
    Ok(())
}

/// For records of 0.10 alone. A plugin that is installed may run with these values: they stay.
async fn forget_values(cx: &Context, record: &Record, plugin: &str, keys: &[String]) -> Result<(), Error> {
    let is_installed = match plugin.parse() {
        Ok(plugin) => !matches!(cx.state.receipt(&record.project, &plugin), Ok(None)),
        // The project's own secret stays as long as another plugin may know it.
        Err(_) => plugin != WHOLE_PROJECT || !cx.state.receipts(&record.project)?.is_empty(),
    };
    if is_installed {
        return Ok(());
    }
    let _lock = cx.state.lock("_values", cx.settings.lock_timeout).await?;
    let mut values = Values::read(&cx.settings.config_dir, &record.project)?;
    for key in keys {
        values.forget(plugin, key);
    }
    Ok(values.write()?)
}

/// Puts the earlier package back if the active one is the transaction's: it carries its marker.
fn restore_package(
    cx: &Context,
    record: &Record,
    (active, staged): (&Path, &Path),
    staged_inode: Option<u64>,
) -> Result<(), Error> {
    let is_ours = match staged_inode {
        None => marker(active, &record.id).symlink_metadata().is_ok(),
        Some(inode) => is_ours_by_inode(cx, record, (active, staged), inode),
    };
    if !is_ours {
        return Ok(());
    }
    if staged.exists() {
        fs::exchange(active, staged)?;
    } else {
        fs::create_folder(fs::folder_of(staged))?;
        fs::rename(active, staged)?;
    }
    Ok(())
}

/// Records of 0.10 know their package by its inode, which another folder may have got since: the staging folder must
/// agree, or nothing be installed.
fn is_ours_by_inode(cx: &Context, record: &Record, (active, staged): (&Path, &Path), inode: u64) -> bool {
    use std::os::unix::fs::MetadataExt;
    let inode_of = |path: &Path| path.symlink_metadata().ok().map(|facts| facts.ino());
    let was_exchanged = match inode_of(staged) {
        Some(found) => found != inode,
        None => matches!(cx.state.receipt(&record.project, &record.plugin), Ok(None)),
    };
    was_exchanged && inode_of(active) == Some(inode)
}

/// The empty file that marks a package as a transaction's, from before it becomes the active one until the commit.
pub fn marker(package: &Path, transaction: &str) -> std::path::PathBuf {
    package.join(format!(".{transaction}.transaction"))
}

fn describe(undo: &Undo, record: &Record) -> String {
    match undo {
        Undo::RemoveNewContainers => format!("containers with the label {}={}", label::TRANSACTION, record.id),
        Undo::RestoreContainer { name, parked, .. } => format!("the earlier container `{name}`, perhaps as `{parked}`"),
        Undo::RemoveNetwork { name } => format!("the network `{name}`"),
        Undo::RemoveVolume { name } => format!("the volume `{name}`"),
        Undo::RemoveBuiltImages => "the image and the images of its build's steps".to_owned(),
        Undo::RemovePulledImage { reference } => format!("the image `{reference}`"),
        Undo::RestorePackage { active, .. } => format!("the package `{}`", active.display()),
        Undo::DiscardValues { keys } | Undo::ForgetValues { keys, .. } => {
            format!("the generated values {}", keys.join(", "))
        }
    }
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let message = cause.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        source = cause.source();
    }
    text
}
