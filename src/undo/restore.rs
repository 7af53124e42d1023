//! Giving an earlier container back its name and the state that it had. Its health is reported, never required: it may
//! have been unhealthy before, which is why somebody replaced it.

use std::time::Duration;

use super::{Ended, observe};
use crate::context::Context;
use crate::docker::{Docker, Observed, ObservedContainer, Restarts};
use crate::error::Error;
use crate::plan::own_containers;
use crate::state::{Record, Undo};

/// How long a container that was healthy is waited for.
const HEALTHY_WITHIN: Duration = Duration::from_secs(30);
/// The same when the user has interrupted the command.
const HEALTHY_WITHIN_INTERRUPTED: Duration = Duration::from_secs(5);

pub(super) async fn container(cx: &Context, docker: &Docker, record: &Record, undo: &Undo) -> Result<Ended, Error> {
    let Undo::RestoreContainer { id, name, parked, state, was_running } = undo else { return Ok(Ended::Done) };
    let observed = observe(cx, docker).await?;
    let found = match id {
        Some(id) => observed.containers.iter().find(|container| container.id == *id),
        None => of_0_10(&observed, record, [parked, name]),
    };
    let Some(found) = found else {
        return Ok(Ended::NotOurs(format!("the earlier container `{name}` is not there any more")));
    };
    if found.name != *name {
        docker.rename_container(&found.id, name).await?;
    }
    match state.as_deref().unwrap_or(if *was_running { "running" } else { "exited" }) {
        // It was not stopped yet.
        "paused" if found.state == "paused" => {}
        "running" => {
            docker.start_container(&found.id, Restarts::Always).await?;
            report_health(cx, record).await;
        }
        "unhealthy" => docker.start_container(&found.id, Restarts::Always).await?,
        // One that fails at every start may fail at this one, too.
        "restarting" => {
            if let Err(error) = docker.start_container(&found.id, Restarts::Always).await
                && !matches!(error, crate::docker::EngineError::Failed { status: Some(400..=500), .. })
            {
                return Err(error.into());
            }
        }
        "paused" => {
            docker.start_container(&found.id, Restarts::Always).await?;
            docker.pause_container(&found.id).await?;
        }
        _ => {}
    }
    Ok(Ended::Done)
}

/// The earlier container of a record without its id: created by this program, for this plugin, under one of the names.
fn of_0_10<'a>(observed: &'a Observed, record: &Record, names: [&String; 2]) -> Option<&'a ObservedContainer> {
    let name = names[1].as_str();
    let own = own_containers(observed, None, &record.project, record.plugin.as_str(), name);
    names.iter().find_map(|name| {
        own.iter().find(|container| container.name == **name && container.transaction != record.id).copied()
    })
}

/// Waits until the earlier version answers well again, and warns if it does not. An interrupt ends the wait.
async fn report_health(cx: &Context, record: &Record) {
    let Ok(Some(receipt)) = cx.state.receipt(&record.project, &record.plugin) else { return };
    let Some(probe) = receipt.probe() else { return };
    let was_interrupted = cx.interrupt.is_wanted();
    let limit = if was_interrupted { HEALTHY_WITHIN_INTERRUPTED } else { HEALTHY_WITHIN };
    let healthy = async {
        while !probe.ask().await.is_usable() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let is_healthy = tokio::select! {
        healthy = tokio::time::timeout(limit, healthy) => healthy.is_ok(),
        () = cx.interrupt.wanted(), if !was_interrupted => false,
    };
    if !is_healthy {
        cx.warn(&format!("{}: the earlier version was started again and is not healthy yet", record.plugin));
    }
}
