//! What the engine did after a transaction was rolled back: it may carry out a request long after its sender was killed.
//! The journal's ended transactions tell what is theirs. Volumes are left alone: a later installation may use them.

use std::collections::BTreeSet;

use super::{observe, of_another_engine, remove_unused_network};
use crate::context::{Context, now, unix_seconds};
use crate::docker::{Observed, ObservedContainer};
use crate::error::Error;
use crate::state::{Ending, Record, Undo};

/// Whether a transaction created a container: its label says so, and those that only containers of this program have.
pub(super) fn is_of(container: &ObservedContainer, transaction: &str) -> bool {
    container.transaction == transaction && !container.config_hash.is_empty()
}

/// Removes containers and networks of rolled-back transactions of a plugin, and gives a renamed container its name back.
/// Forgets the transactions that are too old for that. The caller holds the plugin's lock.
pub(super) async fn settle(cx: &Context, plugin: &str) -> Result<(), Error> {
    let now = unix_seconds(now());
    for finished in cx.state.ended(Ending::Finished)?.iter().filter(|record| record.plugin.as_str() == plugin) {
        cx.state.expire(finished, Ending::Finished, now)?;
    }
    let mut undone = cx.state.ended(Ending::Undone)?;
    undone.retain(|record| record.plugin.as_str() == plugin);
    if undone.is_empty() {
        return Ok(());
    }
    let docker = cx.docker().await?;
    let observed = observe(cx, docker).await?;
    let installed = installed(cx, &undone)?;
    for record in &undone {
        if of_another_engine(cx, record).await.is_some() {
            continue;
        }
        for container in observed.containers.iter().filter(|container| is_of(container, &record.id)) {
            if !installed.contains(&container.id) {
                docker.remove_container(&container.id).await?;
                let text = format!("{plugin}: removed the container `{}` of an interrupted command", container.name);
                cx.warn(&text);
            }
        }
        for (id, from, to) in renamed(record, &observed, &installed) {
            docker.rename_container(id, to).await?;
            cx.warn(&format!("{plugin}: renamed the container `{from}` back to `{to}`"));
        }
        for network in observed.networks.iter().filter(|network| network.transaction.as_ref() == Some(&record.id)) {
            if cx.state.receipts(&record.project)?.is_empty() {
                remove_unused_network(cx, docker, &network.name, |found| found.transaction == network.transaction)
                    .await?;
            }
        }
        cx.state.expire(record, Ending::Undone, now)?;
    }
    Ok(())
}

/// The ids of the containers that the projects' receipts list.
fn installed(cx: &Context, records: &[Record]) -> Result<BTreeSet<String>, Error> {
    let projects: BTreeSet<&str> = records.iter().map(|record| record.project.as_str()).collect();
    let mut ids = BTreeSet::new();
    for project in projects {
        for receipt in cx.state.receipts(project)?.into_iter().flatten() {
            ids.extend(receipt.containers.into_iter().map(|container| container.id));
        }
    }
    Ok(ids)
}

/// Installed containers that a late rename has parked: id, name now, name to get back.
fn renamed<'a>(
    record: &'a Record,
    observed: &'a Observed,
    installed: &BTreeSet<String>,
) -> Vec<(&'a str, &'a str, &'a str)> {
    let restored = record.undo.iter().filter_map(|undo| match undo {
        Undo::RestoreContainer { id: Some(id), name, parked, .. } => Some((id, name, parked)),
        _ => None,
    });
    let parked = restored.filter(|(id, _, parked)| {
        installed.contains(*id)
            && observed.containers.iter().any(|container| container.id == **id && container.name == **parked)
    });
    parked.map(|(id, name, parked)| (id.as_str(), parked.as_str(), name.as_str())).collect()
}
