//! Undoing and finishing transactions: the one mechanism behind a failure, Ctrl-C and the clean-up after a kill -9.
//! Works from a [`Record`] alone; everything here can be done any number of times.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::context::Context;
use crate::docker::{Docker, Observed, ObservedNetwork, label};
use crate::environment::INTERNAL_SECRET;
use crate::error::Error;
use crate::fs;
use crate::state::{Finish, Record, StateError, Undo};
use crate::ui::Event;
use crate::values::{Values, WHOLE_PROJECT};

/// How long an earlier container that was started again may take to be healthy.
const RESTORED_DEADLINE: Duration = Duration::from_secs(30);

/// Undoes a transaction in reverse order and forgets it. Every undo is tried; gives what is left.
pub async fn undo(cx: &Context, record: &Record) -> Vec<String> {
    let mut left = Vec::new();
    for undo in record.undo.iter().rev() {
        if let Err(error) = undo_one(cx, record, undo).await {
            left.push(format!("{} ({})", describe(undo, record), chain(&error)));
        }
    }
    if left.is_empty()
        && let Err(error) = cx.state.end(&record.id)
    {
        left.push(chain(&error.into()));
    }
    left
}

/// Does what comes after the commit point and forgets the transaction. Gives what could not be done.
pub async fn finish(cx: &Context, record: &Record) -> Vec<String> {
    let mut left = Vec::new();
    for finish in &record.finish {
        if let Err(error) = finish_one(cx, record, finish).await {
            let (action, subject) = finish.words();
            left.push(format!("{action} `{subject}`: {}", chain(&error)));
            // A removal must not forget the receipt of what is still there.
            if record.is_removal {
                return left;
            }
        }
    }
    if left.is_empty()
        && let Err(error) = cx.state.end(&record.id)
    {
        left.push(chain(&error.into()));
    }
    left
}

/// Finishes or undoes every transaction that an earlier process left behind. Transactions that another process works
/// on are not touched. Says what it did.
pub async fn recover(cx: &Context) -> Result<(), Error> {
    let records = cx.state.unfinished()?;
    for record in &records {
        let Ok(_lock) = cx.state.try_lock(record.plugin.as_str())? else { continue };
        recover_one(cx, record).await?;
        forget_unused_secret(cx, &record.project).await?;
    }
    for stray in cx.state.stray_staging()? {
        // A staging folder is named `<plugin>.<id>`; its lock tells whether somebody still works in it.
        let plugin = stray.split('.').next().unwrap_or_default();
        let known = cx.state.unfinished()?.iter().any(|record| record.id == stray);
        if let (false, Ok(_lock)) = (known, cx.state.try_lock(plugin)?) {
            fs::remove_tree(&cx.state.staging(&stray))?;
        }
    }
    Ok(())
}

/// A first installation that failed or was interrupted leaves no project secret behind either.
pub async fn forget_unused_secret(cx: &Context, project: &str) -> Result<(), Error> {
    if !cx.state.receipts(project)?.is_empty() || !cx.state.unfinished()?.is_empty() {
        return Ok(());
    }
    let _lock = cx.state.lock("_values", cx.settings.lock_timeout).await?;
    let mut values = Values::read(&cx.settings.config_dir, project)?;
    let has_others = values.keys(WHOLE_PROJECT).any(|key| key != INTERNAL_SECRET);
    if !has_others && values.is_only(WHOLE_PROJECT) {
        values.forget(WHOLE_PROJECT, INTERNAL_SECRET);
        values.write()?;
    }
    Ok(())
}

/// Finishes or undoes what an interrupted process left of one plugin, whose lock the caller holds.
pub async fn recover_plugin(cx: &Context, plugin: &str) -> Result<(), Error> {
    for record in cx.state.unfinished()?.iter().filter(|record| record.plugin.as_str() == plugin) {
        recover_one(cx, record).await?;
    }
    Ok(())
}

async fn recover_one(cx: &Context, record: &Record) -> Result<(), Error> {
    // Nobody can have finished it meanwhile: its plugin's lock is held. But it may be gone since the list was read.
    if !cx.state.unfinished()?.iter().any(|other| other.id == record.id) {
        return Ok(());
    }
    let is_committed = record.is_removal
        || cx.state.receipt(&record.project, &record.plugin)?.is_some_and(|receipt| receipt.transaction == record.id);
    let (left, text) = if is_committed {
        (finish(cx, record).await, "finished what an interrupted command had begun")
    } else {
        (undo(cx, record).await, "undid what an interrupted command had begun")
    };
    if left.is_empty() {
        cx.reporter.event(Event::Warning { text: &format!("{}: {text}", record.plugin) });
        return Ok(());
    }
    Err(Error::RollbackIncomplete {
        cause: Box::new(Error::Usage {
            message: format!("an interrupted command left things of `{}` behind", record.plugin),
            hint: None,
        }),
        left,
    })
}

async fn undo_one(cx: &Context, record: &Record, undo: &Undo) -> Result<(), Error> {
    match undo {
        Undo::ForgetValues { plugin, keys } => forget_values(cx, record, plugin, keys).await?,
        Undo::RestorePackage { active, staged, staged_inode } => restore_package(active, staged, *staged_inode)?,
        on_engine => undo_on_engine(cx, cx.docker().await?, record, on_engine).await?,
    }
    Ok(())
}

async fn undo_on_engine(cx: &Context, docker: &Docker, record: &Record, undo: &Undo) -> Result<(), Error> {
    match undo {
        Undo::RemoveNewContainers => {
            let observed = observe(cx, docker).await?;
            for container in observed.containers.iter().filter(|container| container.transaction == record.id) {
                docker.remove_container(&container.id).await?;
            }
        }
        Undo::RestoreContainer { name, parked, was_running } => {
            let observed = observe(cx, docker).await?;
            if observed.containers.iter().any(|container| container.name == *parked) {
                docker.rename_container(parked, name).await?;
            }
            if *was_running {
                docker.start_container(name).await?;
                wait_restored(cx, record).await?;
            }
        }
        Undo::RemoveNetwork { name } => {
            let is_first = cx.state.receipts(&record.project)?.is_empty();
            remove_unused_network(cx, docker, name, |network| {
                is_first || network.transaction.as_ref() == Some(&record.id)
            })
            .await?;
        }
        Undo::RemoveVolume { name } => {
            if docker.volume_transaction(name).await?.as_ref() == Some(&record.id) {
                docker.remove_volume(name).await?;
            }
        }
        Undo::RemoveBuiltImages => {
            for image in docker.images_with(&[(label::TRANSACTION, &record.id)]).await? {
                docker.remove_image(&image).await?;
            }
        }
        Undo::RemovePulledImage { reference } => {
            docker.remove_image(reference).await?;
        }
        Undo::ForgetValues { .. } | Undo::RestorePackage { .. } => {}
    }
    Ok(())
}

async fn observe(cx: &Context, docker: &Docker) -> Result<Observed, Error> {
    Ok(docker.observe(&cx.state.home_id()?).await?)
}

/// The earlier version must be as healthy as it was: its receipt says where to ask.
async fn wait_restored(cx: &Context, record: &Record) -> Result<(), Error> {
    let Some(receipt) = cx.state.receipt(&record.project, &record.plugin)? else { return Ok(()) };
    let Some(probe) = receipt.probe() else { return Ok(()) };
    let deadline = tokio::time::Instant::now() + RESTORED_DEADLINE;
    loop {
        let verdict = probe.ask().await;
        if verdict.is_usable() {
            return Ok(());
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(Error::Unhealthy {
                plugin: record.plugin.clone(),
                verdict: "the earlier version was started again and is not healthy yet".into(),
                log: Vec::new(),
            });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn forget_values(cx: &Context, record: &Record, plugin: &str, keys: &[String]) -> Result<(), StateError> {
    // The project's own secret stays as long as another plugin may know it.
    let is_shared = plugin == WHOLE_PROJECT && !cx.state.receipts(&record.project)?.is_empty();
    if is_shared {
        return Ok(());
    }
    let _lock = cx.state.lock("_values", cx.settings.lock_timeout).await?;
    let mut values = Values::read(&cx.settings.config_dir, &record.project)?;
    for key in keys {
        values.forget(plugin, key);
    }
    values.write()
}

/// Whether the exchange was done is told by the folder's inode, which a rename keeps.
fn restore_package(active: &Path, staged: &Path, staged_inode: u64) -> Result<(), Error> {
    let is_ours = std::fs::symlink_metadata(active).is_ok_and(|metadata| metadata.ino() == staged_inode);
    if !is_ours {
        return Ok(());
    }
    if staged.exists() {
        fs::exchange(active, staged)?;
    } else {
        fs::rename(active, staged)?;
    }
    Ok(())
}

async fn finish_one(cx: &Context, record: &Record, finish: &Finish) -> Result<(), Error> {
    match finish {
        Finish::KeepEarlierPackage { from, to } => keep_earlier(from, to)?,
        Finish::RemovePackage { path } => fs::remove_tree(path)?,
        Finish::RemoveReceipt => cx.state.remove_receipt(&record.project, &record.plugin)?,
        Finish::ForgetValues { plugin } => {
            let _lock = cx.state.lock("_values", cx.settings.lock_timeout).await?;
            let mut values = Values::read(&cx.settings.config_dir, &record.project)?;
            values.forget_all(plugin);
            values.write()?;
        }
        Finish::RemoveContainer { name } => {
            let docker = cx.docker().await?;
            docker.stop_container(name).await?;
            docker.remove_container(name).await?;
        }
        Finish::RemoveImage { reference } => {
            cx.docker().await?.remove_image(reference).await?;
        }
        Finish::RemoveVolume { name } => {
            cx.docker().await?.remove_volume(name).await?;
        }
        Finish::RemoveEmptyNetwork { name } => {
            remove_unused_network(cx, cx.docker().await?, name, |_| true).await?;
        }
    }
    Ok(())
}

/// Removes a network that this home made and none of its containers is on, if it may go.
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
    if !is_used && found.is_some_and(may_go) {
        docker.remove_network(name).await?;
    }
    Ok(())
}

fn keep_earlier(from: &Path, to: &Path) -> Result<(), Error> {
    if !from.exists() {
        return Ok(());
    }
    fs::create_folder(to.parent().unwrap_or(to))?;
    fs::remove_tree(to)?;
    // On another file system it cannot be moved in one step; the way back is then the registry.
    if fs::rename(from, to).is_err() {
        fs::remove_tree(from)?;
    }
    Ok(())
}

fn describe(undo: &Undo, record: &Record) -> String {
    match undo {
        Undo::RemoveNewContainers => format!("containers with the label {}={}", label::TRANSACTION, record.id),
        Undo::RestoreContainer { name, parked, .. } => format!("the earlier container `{name}`, perhaps as `{parked}`"),
        Undo::RemoveNetwork { name } => format!("the network `{name}`"),
        Undo::RemoveVolume { name } => format!("the volume `{name}`"),
        Undo::RemoveBuiltImages => format!("images with the label {}={}", label::TRANSACTION, record.id),
        Undo::RemovePulledImage { reference } => format!("the image `{reference}`"),
        Undo::RestorePackage { active, .. } => format!("the package `{}`", active.display()),
        Undo::ForgetValues { keys, .. } => format!("the generated values {}", keys.join(", ")),
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
