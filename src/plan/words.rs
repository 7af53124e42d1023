//! Plans in words: the text that `--check` prints, and the same as data.

use std::fmt;

use serde::{Serialize, Serializer};

use super::{Action, Plan, Step};
use crate::state::Finish;

impl Action {
    /// One word, and what it is done to.
    pub fn words(&self) -> (&'static str, String) {
        match self {
            Self::StoreValues { keys } => ("store values", keys.join(", ")),
            Self::UseImage { reference, .. } => ("use image", reference.clone()),
            Self::BuildImage { tag } => ("build image", tag.clone()),
            Self::PullImage { reference } => ("pull image", reference.clone()),
            Self::CreateNetwork { name } => ("create network", name.clone()),
            Self::CreateVolume { name } => ("create volume", name.clone()),
            Self::CreateContainer { spec } => ("create container", spec.name.clone()),
            Self::JoinNetwork { network, .. } => ("join network", network.clone()),
            Self::StopContainer { name, .. } => ("stop container", name.clone()),
            Self::StartContainer { name } => ("start container", name.clone()),
            Self::WaitHealthy { container, port: Some(port), path } => {
                ("wait until healthy", format!("{container} at http://127.0.0.1:{port}{path}"))
            }
            Self::WaitHealthy { container, port: None, .. } => ("wait until healthy", container.clone()),
            Self::RenameContainer { from, to, .. } => ("rename container", format!("{from} to {to}")),
            Self::ActivatePackage { path } => ("activate package", path.display().to_string()),
            Self::WriteReceipt => ("write receipt", "commit".to_owned()),
            Self::Finish(finish) => finish.words(),
        }
    }
}

impl Finish {
    /// One word, and what it is done to.
    pub fn words(&self) -> (&'static str, String) {
        match self {
            Self::KeepRunning { name } => ("keep running", name.clone()),
            Self::RemoveContainer { name, .. } => ("remove container", name.clone()),
            Self::KeepEarlierPackage { to, .. } => ("keep earlier package", to.display().to_string()),
            Self::RemoveImage { reference } => ("remove image", reference.clone()),
            Self::RemoveEmptyNetwork { name } => ("remove network", name.clone()),
            Self::RemoveVolume { name } => ("remove volume", name.clone()),
            Self::RemovePackage { path } => ("remove package", path.display().to_string()),
            Self::RemoveReceipt => ("remove receipt", "commit".to_owned()),
            Self::ForgetValues { plugin } => ("forget values", plugin.clone()),
        }
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let (action, subject) = self.action.words();
        let mut fields = serializer.serialize_struct("Step", 3)?;
        fields.serialize_field("action", action)?;
        fields.serialize_field("subject", &subject)?;
        fields.serialize_field("reason", &self.reason)?;
        fields.end()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} in project {}:", self.plugin, self.version, self.project)?;
        for (number, step) in self.steps.iter().enumerate() {
            let (action, subject) = step.action.words();
            write!(formatter, "\n  {:>2}. {action} {subject} ({})", number + 1, step.reason)?;
        }
        for note in &self.notes {
            write!(formatter, "\n  note: {note}")?;
        }
        Ok(())
    }
}
