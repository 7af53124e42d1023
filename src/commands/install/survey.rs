//! Surveying: all that an installation would find out about a plugin before it changes anything, for whoever asks first.

use super::checks::obstacles;
use super::pipeline::{Before, Shared, variables, want};
use super::stage::manifest_of;
use super::target::Target;
use crate::environment::assemble;
use crate::error::Error;
use crate::fs;
use crate::name::PluginName;
use crate::package::manifest::{Manifest, Variable};
use crate::preflight::{self, Problem};
use crate::values::Values;

/// What is known of a plugin before it is installed.
#[derive(Debug)]
pub struct Surveyed {
    pub manifest: Manifest,
    /// The registry that would deliver it, or `local`.
    pub registry: String,
    pub is_installed: bool,
    /// The plugins of the same command that need it.
    pub needed_by: Vec<PluginName>,
    /// Its ports on this machine.
    pub ports: Vec<u16>,
    /// Required variables that nobody has set.
    pub missing: Vec<Variable>,
    /// That it asks for power over this machine which nobody has granted.
    pub ungranted: Option<Problem>,
    /// What else stands in its way.
    pub problems: Vec<Problem>,
}

impl Surveyed {
    /// Everything that stands in its way, as an installation would tell it.
    pub fn obstacles(&self) -> Vec<Problem> {
        let missing = preflight::missing_variables(&self.manifest.name, &self.missing);
        self.problems.iter().cloned().chain(missing).chain(self.ungranted.clone()).collect()
    }
}

pub(super) async fn survey(shared: &Shared<'_>, target: &Target) -> Result<Surveyed, Error> {
    let cx = shared.cx;
    let manifest = manifest_of(shared, target).await?;
    let before = Before {
        receipt: cx.state.receipt(&shared.project.name, &target.name)?,
        observed: cx.docker().await?.observe(&shared.home).await?,
        values: Values::read(&cx.settings.config_dir, &shared.project.name)?,
    };
    let assembled = assemble(&manifest, &variables(shared, &before.values), &shared.services, &fs::random_secret);
    let (wanted, _) = want(shared, (&manifest, None), &assembled, &before, "")?;
    let mut problems = obstacles(shared, target, &wanted, &before.observed).await?;
    // A service that nobody gives is asked for by its variable.
    problems.retain(|problem| problem.code != preflight::SERVICE_MISSING || assembled.missing.is_empty());
    Ok(Surveyed {
        registry: target.registry_or(before.receipt.as_ref()),
        is_installed: before.receipt.is_some(),
        needed_by: Vec::new(),
        ports: wanted.ports.iter().map(|(_, host)| *host).collect(),
        ungranted: preflight::privileges(&manifest, shared.grants(&manifest.name)),
        missing: assembled.missing,
        problems,
        manifest,
    })
}
