//! What comes after a transaction's commit point.

use std::path::Path;

use super::{chain, marker, observe, of_another_engine, remove_unused_network};
use crate::context::Context;
use crate::docker::Restarts;
use crate::error::Error;
use crate::fs;
use crate::plan::own_containers;
use crate::state::{Ending, Finish, Record, Undo};
use crate::values::{self, Values};

/// Does what comes after the commit point and ends the transaction. Returns what could not be done.
pub async fn finish(cx: &Context, record: &Record) -> Vec<String> {
    if let Some(why) = of_another_engine(cx, record).await {
        return vec![why];
    }
    let mut left = Vec::new();
    if !record.is_removal
        && let Err(error) = keep(cx, record).await
    {
        left.push(format!("store the generated values: {}", chain(&error)));
    }
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
        && let Err(error) = cx.state.end(&record.id, Ending::Finished)
    {
        left.push(chain(&error.into()));
    }
    left
}

/// Keeps what was the transaction's until now: its generated values, and the active package without its marker.
async fn keep(cx: &Context, record: &Record) -> Result<(), Error> {
    for undo in &record.undo {
        if let Undo::RestorePackage { active, .. } = undo {
            fs::remove_file(&marker(active, &record.id))?;
        }
    }
    if values::has_generated(&cx.settings.config_dir, &record.id) {
        let _lock = cx.state.lock("_values", cx.settings.lock_timeout).await?;
        values::keep_generated(&cx.settings.config_dir, &record.id)?;
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
        Finish::RemoveContainer { name, id } => remove_container(cx, record, name, id.as_deref()).await?,
        Finish::KeepRunning { name } => cx.docker().await?.set_restarts(name, Restarts::Always).await?,
        Finish::RemoveImage { reference } => {
            cx.docker().await?.remove_image(reference).await?;
            cx.state.forget_image(reference)?;
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

/// Removes a container by its id. Records of 0.10 have its name alone: then it must be one that this program created.
async fn remove_container(cx: &Context, record: &Record, name: &str, id: Option<&str>) -> Result<(), Error> {
    let docker = cx.docker().await?;
    let id = match id {
        Some(id) => Some(id.to_owned()),
        None => id_of_0_10(cx, record, name).await?,
    };
    let Some(id) = id else { return Ok(()) };
    docker.stop_container(&id).await?;
    docker.remove_container(&id).await?;
    Ok(())
}

async fn id_of_0_10(cx: &Context, record: &Record, name: &str) -> Result<Option<String>, Error> {
    let receipt = cx.state.receipt(&record.project, &record.plugin).ok().flatten();
    let observed = observe(cx, cx.docker().await?).await?;
    let own = format!("{}_plugin_{}", record.project, record.plugin);
    let own = own_containers(&observed, receipt.as_ref(), &record.project, record.plugin.as_str(), &own);
    Ok(own.iter().find(|container| container.name == name).map(|found| found.id.clone()))
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
