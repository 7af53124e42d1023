//! Surveying: all that an installation would find out about its plugins before it changes anything, for whoever asks first.

use std::collections::BTreeSet;

use super::along::{Needs, Wishes};
use super::checks::obstacles;
use super::pipeline::{Before, Shared, variables, want};
use super::schedule::plugin_of;
use super::stage::manifest_of;
use crate::commands::target::{Found, Target, cycle};
use crate::environment::assemble;
use crate::error::Error;
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
    /// Whether the command line names it, itself or by a set; else it comes along.
    pub is_named: bool,
    /// The plugins of the same command that it needs.
    pub needs: Vec<PluginName>,
    /// Those that it may have a use for.
    pub uses: Vec<PluginName>,
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
    /// Everything that stands in its way, answered or not, as an installation would tell it.
    pub fn all_problems(&self) -> Vec<Problem> {
        let missing = preflight::missing_variables(&self.manifest.name, &self.missing);
        self.problems.iter().cloned().chain(missing).chain(self.ungranted.clone()).collect()
    }
}

/// What is known of each plugin, by the word that asked for it; an error where nothing can be, or where a plugin that it
/// needs cannot be installed.
pub(super) async fn survey(
    shared: &Shared<'_>,
    found: Vec<Found>,
) -> Result<Vec<(String, Result<Surveyed, Error>)>, Error> {
    shared.fitness.check(shared).await?;
    let circle = cycle(&found);
    let needs = Needs::among(&found, &shared.named);
    let mut refused: BTreeSet<PluginName> = BTreeSet::new();
    let mut surveyed = Vec::new();
    for entry in found {
        let plugin = plugin_of(&entry, &shared.named);
        let (word, target) = entry;
        let known = match target {
            Ok(target) if circle.contains(&target.name) => {
                Err(Error::DependencyCycle(circle.iter().map(ToString::to_string).collect()))
            }
            Ok(target) => one(shared, &target).await,
            Err(error) => Err(error),
        };
        if known.as_ref().map_or(true, |known| !known.problems.is_empty()) {
            refused.extend(plugin.parse::<PluginName>());
        }
        surveyed.push((word, known));
    }
    let refused = needs.with_dependents(refused);
    let idle = needs.idle_without(&refused);
    for (_, entry) in &mut surveyed {
        let Ok(known) = entry else { continue };
        let name = known.manifest.name.clone();
        if idle.contains(&name) && !known.is_installed {
            let wanted_by = needs.wanted_by(&name).into_iter().collect();
            *entry = Err(Error::NotNeeded { name, wanted_by });
            continue;
        }
        let missing: Vec<String> = known
            .needs
            .iter()
            .filter(|need| refused.contains(need))
            .map(|need| format!("`{need}`, which cannot be installed"))
            .collect();
        if known.problems.is_empty() && !missing.is_empty() {
            *entry = Err(Error::DependencyFailed { name, missing });
        }
    }
    Ok(surveyed)
}

/// What these plugins need of one another.
pub fn needs_of(known: &[&Surveyed]) -> Needs {
    Needs::of(known.iter().map(|one| {
        let wishes = Wishes { required: one.needs.clone(), welcome: one.uses.clone() };
        (one.manifest.name.clone(), wishes, one.is_named)
    }))
}

async fn one(shared: &Shared<'_>, target: &Target) -> Result<Surveyed, Error> {
    let cx = shared.cx;
    let manifest = manifest_of(shared, target).await?;
    let before = Before {
        receipt: cx.state.receipt(&shared.project.name, &target.name)?,
        observed: cx.docker().await?.observe(&shared.home).await?,
        values: Values::read(&cx.settings.config_dir, &shared.project.name)?,
    };
    let assembled =
        assemble(&manifest, &variables(shared, &before.values), &shared.services, &shared.generator(&before));
    let wishes = Wishes::of(target);
    let (wanted, _) = want(shared, (&manifest, None), &assembled, &before, "")?;
    // A service that nobody gives may be asked for by its variable.
    let is_asked = |variable: &String| assembled.missing.iter().any(|missing| missing.name == *variable);
    let lacks = target.lacks.iter().filter(|lack| !lack.variable.as_ref().is_some_and(is_asked));
    let mut problems: Vec<Problem> = lacks.map(|lack| lack.problem.clone()).collect();
    problems.extend(obstacles(shared, target, &wanted, &before).await?);
    Ok(Surveyed {
        registry: target.registry_or(before.receipt.as_ref()),
        is_installed: before.receipt.is_some(),
        is_named: shared.named.contains(&target.name),
        needs: wishes.required,
        uses: wishes.welcome,
        ports: wanted.ports.iter().map(|(_, host)| *host).collect(),
        ungranted: preflight::privileges(&manifest, shared.grants(&manifest.name)),
        missing: assembled.missing,
        problems,
        manifest,
    })
}
