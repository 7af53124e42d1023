//! The plan of a removal.

use std::path::PathBuf;

use super::{Action, Draft, Plan};
use crate::docker::Observed;
use crate::project::Project;
use crate::state::{Finish, Receipt};

/// What a removal takes away.
#[derive(Debug)]
pub struct Removal<'a> {
    pub receipt: &'a Receipt,
    pub observed: &'a Observed,
    pub project: &'a Project,
    pub active: PathBuf,
    pub delete_data: bool,
    pub keep_image: bool,
    /// Where the package goes that belongs to an image which is kept.
    pub keep_package_at: Option<PathBuf>,
    /// Whether another project of this home has the plugin, so that the package stays.
    pub is_shared: bool,
}

/// The plan of a removal. It is committed by its record: every step can be done again.
pub fn remove(removal: &Removal<'_>) -> Plan {
    let receipt = removal.receipt;
    let mut draft = Draft::default();
    let finish = |draft: &mut Draft, finish, reason: &str| draft.step(Action::Finish(finish), reason);
    let (project, plugin) = (receipt.project.as_str(), receipt.plugin.as_str());
    let name = removal.project.object_name(plugin);
    for container in super::own_containers(removal.observed, Some(receipt), project, plugin, &name) {
        let remove = Finish::RemoveContainer { name: container.name.clone(), id: Some(container.id.clone()) };
        finish(&mut draft, remove, "it runs the plugin");
    }
    if let (Some(to), false) = (&removal.keep_package_at, removal.is_shared) {
        let keep = Finish::KeepEarlierPackage { from: removal.active.clone(), to: to.clone() };
        finish(&mut draft, keep, "its image is kept, so that the next installation needs neither again");
    } else if !removal.is_shared {
        finish(&mut draft, Finish::RemovePackage { path: removal.active.clone() }, "no project has it any more");
    }
    if receipt.image.owned && !removal.keep_image {
        let image = Finish::RemoveImage { reference: receipt.image.id.clone() };
        finish(&mut draft, image, "this program brought it; it stays if something uses it");
    }
    if removal.delete_data {
        for name in &receipt.volumes {
            finish(&mut draft, Finish::RemoveVolume { name: name.clone() }, "--delete-data was given");
        }
        let values = Finish::ForgetValues { plugin: receipt.plugin.as_str().to_owned() };
        finish(&mut draft, values, "--delete-data was given");
    }
    finish(&mut draft, Finish::RemoveEmptyNetwork { name: removal.project.network() }, "if no plugin is left on it");
    finish(&mut draft, Finish::RemoveReceipt, "from here on it is not installed");
    Plan {
        plugin: receipt.plugin.clone(),
        version: receipt.version.clone(),
        project: receipt.project.clone(),
        steps: draft.steps,
        notes: Vec::new(),
    }
}
