//! Which engine this is: its id, its root directory, and a marker volume that the first installation on it creates. The
//! id alone is not enough: engines that share one key file share it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bollard::models::{SystemInfo, VolumeCreateRequest};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::{Docker, EngineError, label};

/// The volume that marks an engine; every installation on the engine shares it, and none removes it.
pub const MARKER_VOLUME: &str = "nself-engine";

/// What identifies an engine, as records and receipts keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineIdentity {
    /// The engine's own id (`/info`, `ID`).
    pub id: String,
    /// Its root directory.
    pub root: String,
    /// The random word of the marker volume; `None` before the first installation on the engine.
    pub marker: Option<String>,
}

/// Whether two identities are of one engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameEngine {
    Yes,
    /// Id and root directory agree, but the marker is missing: the engine was wiped, or its unused volumes were pruned.
    Unmarked,
    No,
}

impl EngineIdentity {
    /// Compares the engine of a record or receipt with the one that answers now.
    pub fn compare(&self, now: &Self) -> SameEngine {
        if self.id != now.id || self.root != now.root {
            return SameEngine::No;
        }
        match (&self.marker, &now.marker) {
            (then, now) if then == now => SameEngine::Yes,
            (Some(_), Some(_)) => SameEngine::No,
            (Some(_), None) => SameEngine::Unmarked,
            // The record is older than the marker.
            (None, _) => SameEngine::Yes,
        }
    }
}

/// What a connection remembers of its engine: `/info` costs the engine tens of milliseconds.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    about: OnceCell<SystemInfo>,
    marker: Mutex<Option<String>>,
}

impl Docker {
    /// The engine's answer to `/info`, asked for once per process.
    pub(super) async fn about(&self) -> Result<&SystemInfo, EngineError> {
        let ask = || async { self.call("ask the engine about itself", self.client.info()).await };
        self.remembered.about.get_or_try_init(ask).await
    }

    /// Identifies the engine; creates nothing. Costs at most one `/info` per process, and one look at the marker volume
    /// until it is found.
    pub async fn identity(&self) -> Result<EngineIdentity, EngineError> {
        let (about, marker) = tokio::join!(self.about(), self.marker());
        self.identity_with(about?, marker?)
    }

    /// The same, but creates the marker volume where there is none: for the first installation on an engine.
    pub async fn marked_identity(&self) -> Result<EngineIdentity, EngineError> {
        let known = self.identity().await?;
        if known.marker.is_some() {
            return Ok(known);
        }
        let labels = HashMap::from([(label::ENGINE.to_owned(), crate::fs::random_id())]);
        let request =
            VolumeCreateRequest { name: Some(MARKER_VOLUME.to_owned()), labels: Some(labels), ..Default::default() };
        // Of two that create it at the same time, both get the first one's labels.
        let created = self.client.create_volume(request);
        let created = self.call(format!("create the volume `{MARKER_VOLUME}`"), created).await?;
        let marker = created.labels.get(label::ENGINE).cloned();
        self.remember(marker.clone());
        self.identity_with(self.about().await?, marker)
    }

    fn identity_with(&self, about: &SystemInfo, marker: Option<String>) -> Result<EngineIdentity, EngineError> {
        let id = about.id.clone().filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| EngineError::Failed {
            action: format!("identify the engine at `{}`", self.endpoint),
            message: "its /info has no ID".to_owned(),
            status: None,
        })?;
        Ok(EngineIdentity { id, root: about.docker_root_dir.clone().unwrap_or_default(), marker })
    }

    async fn marker(&self) -> Result<Option<String>, EngineError> {
        let known = self.remembered.marker.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if known.is_some() {
            return Ok(known);
        }
        let found = self.client.inspect_volume(MARKER_VOLUME);
        match self.call(format!("look at the volume `{MARKER_VOLUME}`"), found).await {
            Ok(volume) => {
                let marker = volume.labels.get(label::ENGINE).cloned();
                self.remember(marker.clone());
                Ok(marker)
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn remember(&self, marker: Option<String>) {
        *self.remembered.marker.lock().unwrap_or_else(PoisonError::into_inner) = marker;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(id: &str, root: &str, marker: Option<&str>) -> EngineIdentity {
        EngineIdentity { id: id.into(), root: root.into(), marker: marker.map(Into::into) }
    }

    #[test]
    fn engines_are_told_apart_by_id_root_and_marker() {
        let then = identity("A", "/var/lib/docker", Some("m"));
        assert_eq!(then.compare(&then), SameEngine::Yes);
        for other in [
            identity("B", "/var/lib/docker", Some("m")),
            identity("A", "/srv/docker", Some("m")),
            identity("A", "/var/lib/docker", Some("n")),
        ] {
            assert_eq!(then.compare(&other), SameEngine::No, "{other:?}");
        }
        assert_eq!(then.compare(&identity("A", "/var/lib/docker", None)), SameEngine::Unmarked);
        assert_eq!(identity("A", "/var/lib/docker", None).compare(&then), SameEngine::Yes);
    }
}
