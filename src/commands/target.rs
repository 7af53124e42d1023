//! Targets: from the words of the command line to what is to be installed, dependencies included and put in order.
//! Asks registries; touches neither engine nor packages.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use semver::Version;

use crate::context::Context;
use crate::error::Error;
use crate::name::{PluginName, PluginSpec};
use crate::needs::{ServiceNeed, is_service};
use crate::package::Package;
use crate::package::manifest::{Manifest, Requires};
use crate::preflight::Problem;
use crate::registries::BUNDLED;
use crate::registry::{Ask, Catalog, Release};
use crate::state::Receipt;
use crate::ui::{Event, shell_path};
use crate::version_range::VersionRange;

/// What a receipt calls the registry of a folder or archive of this machine.
const LOCAL: &str = "local";

/// Where a plugin's package is to come from.
#[derive(Debug)]
pub(super) enum Source {
    /// From a registry.
    Release(Box<Release>),
    /// It is installed, and nothing else was asked for.
    Installed,
    /// From a folder of this machine.
    Folder(PathBuf),
    /// From an archive of this machine.
    Archive(PathBuf),
}

/// One plugin to install.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: PluginName,
    pub(super) source: Source,
    /// Plugins that must be there first.
    pub(super) dependencies: Vec<PluginName>,
    /// Services that it uses.
    pub(super) services: Vec<ServiceNeed>,
    /// The services that it needs and nobody gives.
    pub(super) lacks: Vec<Lack>,
    /// Why other registries did not deliver.
    pub(super) passed_over: Vec<String>,
    /// The newest version that is known, when it is not what is meant.
    newest: Option<Version>,
}

/// A service that nobody gives.
#[derive(Debug)]
pub(super) struct Lack {
    /// The variable that would take its address.
    pub(super) variable: Option<String>,
    pub(super) problem: Problem,
}

impl Target {
    fn new(name: PluginName, source: Source) -> Self {
        Self {
            name,
            source,
            dependencies: Vec::new(),
            services: Vec::new(),
            lacks: Vec::new(),
            passed_over: Vec::new(),
            newest: None,
        }
    }

    /// Whether a service of which nobody gives the address has this variable: it is told with the service.
    pub(super) fn tells_of(&self, variable: &str) -> bool {
        self.lacks.iter().any(|lack| lack.variable.as_deref() == Some(variable))
    }

    /// Whether what is installed is what was asked for. The same version with another digest is an error, unless it
    /// comes from the bundled registry, whose archives are built anew with the program.
    pub(super) fn accepts(&self, receipt: &Receipt) -> Result<bool, Error> {
        let release = match &self.source {
            Source::Installed => return Ok(true),
            Source::Folder(_) | Source::Archive(_) => return Ok(false),
            Source::Release(release) => release,
        };
        if release.version != receipt.version {
            return Ok(false);
        }
        match (release.digest, receipt.digest) {
            (Some(offered), Some(installed)) if offered != installed && !release.pinned => Err(Error::DigestMoved {
                name: self.name.clone(),
                version: release.version.to_string(),
                installed: installed.to_string(),
                offered: offered.to_string(),
            }),
            (Some(offered), Some(installed)) => Ok(offered == installed),
            _ => Ok(release.registry == receipt.registry),
        }
    }

    /// Whether its archive may have to be fetched from another machine.
    pub(super) fn is_foreign(&self) -> bool {
        matches!(&self.source, Source::Release(release) if !release.pinned)
    }

    /// Whether an image must be made for it: it is new here, and no removal has kept its image with its package.
    pub(super) fn makes_image(&self, cx: &Context, project: &str) -> bool {
        let kept = match &self.source {
            Source::Installed => return false,
            Source::Release(release) => release.digest.map(|digest| cx.state.kept_package(&self.name, &digest)),
            Source::Folder(_) | Source::Archive(_) => None,
        };
        matches!(cx.state.receipt(project, &self.name), Ok(None)) && !kept.is_some_and(|kept| kept.exists())
    }

    /// What the command line calls it: its name, or its path.
    pub(super) fn word(&self) -> String {
        match &self.source {
            Source::Folder(path) | Source::Archive(path) => shell_path(path),
            Source::Release(_) | Source::Installed => self.name.as_str().to_owned(),
        }
    }

    /// Its name, where the user named it by a path.
    pub(super) fn local_name(&self) -> Option<PluginName> {
        matches!(self.source, Source::Folder(_) | Source::Archive(_)).then(|| self.name.clone())
    }

    /// The lowest version of the backend CLI that the registry names.
    pub(super) fn lowest_host(&self) -> Option<&Version> {
        match &self.source {
            Source::Release(release) => release.min_host.as_ref(),
            _ => None,
        }
    }

    /// The newer version that could be installed by name.
    pub(super) fn newer_than(&self, receipt: &Receipt) -> Option<String> {
        self.newest.as_ref().filter(|newest| **newest > receipt.version).map(ToString::to_string)
    }

    /// What the receipt says of where it came from.
    pub(super) fn registry_or(&self, earlier: Option<&Receipt>) -> String {
        match &self.source {
            Source::Release(release) => release.registry.clone(),
            Source::Installed => earlier.map_or_else(|| LOCAL.to_owned(), |receipt| receipt.registry.clone()),
            Source::Folder(_) | Source::Archive(_) => LOCAL.to_owned(),
        }
    }
}

/// How targets are found.
pub(super) struct Finder<'a> {
    pub(super) cx: &'a Context,
    pub(super) catalog: &'a Catalog<'a>,
    pub(super) project: &'a str,
    /// `--registry`.
    pub(super) registry: Option<&'a str>,
    pub(super) force: bool,
    /// Whether plugins are to stay what they are, whatever a registry has.
    pub(super) is_renewal: bool,
}

/// What was found for a word, or why nothing was.
pub(super) type Found = (String, Result<Target, Error>);

impl Finder<'_> {
    /// Finds the targets of all words and of what they need, each once.
    pub(super) async fn find(&self, specs: Vec<(String, PluginSpec)>) -> Vec<Found> {
        self.find_beside(&[], specs).await
    }

    /// The same for what is not found already.
    pub(super) async fn find_beside(&self, earlier: &[Found], specs: Vec<(String, PluginSpec)>) -> Vec<Found> {
        let mut found: Vec<Found> = Vec::new();
        let name_of = |(word, target): &Found| match target {
            Ok(target) => Some(target.name.clone()),
            Err(_) => word.parse().ok(),
        };
        let mut known: BTreeSet<PluginName> = earlier.iter().filter_map(name_of).collect();
        let mut waiting: VecDeque<(String, PluginSpec)> = specs.into();
        while let Some((word, spec)) = waiting.pop_front() {
            if let PluginSpec::Named { name, .. } = &spec
                && !known.insert(name.clone())
            {
                continue;
            }
            let target = self.find_one(&spec).await;
            if let Ok(target) = &target {
                known.insert(target.name.clone());
                let missing = target.dependencies.iter().filter(|name| !known.contains(name));
                waiting.extend(missing.map(PluginSpec::of));
            }
            let name = target.as_ref().map_or(word, |target| target.name.as_str().to_owned());
            found.push((name, target));
        }
        found
    }

    async fn find_one(&self, spec: &PluginSpec) -> Result<Target, Error> {
        match spec {
            PluginSpec::Local(path) => self.local(path).await,
            PluginSpec::Named { registry, name, version } => {
                let registry = registry.as_deref().or(self.registry);
                self.named(name, registry, version.as_ref()).await
            }
        }
    }

    async fn local(&self, path: &std::path::Path) -> Result<Target, Error> {
        let path = self.cx.settings.working_dir.join(path);
        let shown = path.display().to_string();
        let refused = |source| Error::Package { plugin: shown.clone(), source };
        let manifest = Package::peek(&path).map_err(refused)?;
        let source = if path.is_dir() { Source::Folder(path) } else { Source::Archive(path) };
        let mut target = Target::new(manifest.name.clone(), source);
        self.take_needs(&mut target, &manifest).await;
        Ok(target)
    }

    /// What a manifest says beyond the registry, or in place of it.
    pub(super) async fn take_needs(&self, target: &mut Target, manifest: &Manifest) {
        let Requires { dependencies, services, .. } = &manifest.requires;
        // The manifest has the last word on what it knows; what only the registry says of its services stays.
        target.services.retain(|known| services.iter().all(|need| need.name != known.name));
        target.services.extend(services.iter().cloned());
        let names = dependencies.iter().filter_map(|word| word.parse::<PluginName>().ok());
        let names: Vec<PluginName> = names.filter(|name| !target.dependencies.contains(name)).collect();
        target.dependencies.extend(self.catalog.plugins_among(&target.name, names).await);
    }

    async fn named(
        &self,
        name: &PluginName,
        registry: Option<&str>,
        version: Option<&VersionRange>,
    ) -> Result<Target, Error> {
        let receipt = self.cx.state.receipt(self.project, name).unwrap_or_default();
        let ask = Ask { registry, name, version, has_licence_key: self.cx.settings.license_key.is_some() };
        // What came from this machine is in no registry: to install it again is to start it anew from its package.
        let from_registry = |receipt: &Receipt| self.force && receipt.registry != LOCAL;
        if let (Some(receipt), None, None) = (&receipt, registry, version)
            && !from_registry(receipt)
        {
            return Ok(self.installed(name, receipt).await);
        }
        let selection = self.catalog.select(&ask).await?;
        for note in &selection.notes {
            self.cx.reporter.event(Event::Warning { text: note });
        }
        let release = selection.release;
        let dependencies = self.catalog.plugin_dependencies(&release).into_iter();
        let mut services = release.services.clone();
        let is_plugin = |name: &PluginName| {
            let word = name.as_str();
            if is_service(word) && services.iter().all(|need| need.name != word) {
                services.push(ServiceNeed::guessed(word.to_owned()));
            }
            !is_service(word)
        };
        Ok(Target {
            dependencies: dependencies.filter(is_plugin).collect(),
            services,
            passed_over: selection.passed_over.iter().map(ToString::to_string).collect(),
            ..Target::new(name.clone(), Source::Release(Box::new(release)))
        })
    }

    /// What is installed stays as it is, unless the program's own bundle has been built anew since. No network.
    async fn installed(&self, name: &PluginName, receipt: &Receipt) -> Target {
        let active = Package::peek(&self.cx.state.active_package(name.as_str()));
        // Without a readable package there is nothing to repair, which the pipeline says better.
        let services = active.map(|manifest| manifest.requires.services).unwrap_or_default();
        // A service's plugin is a dependency again where nobody else gives the service now.
        let is_service = |name: &&PluginName| services.iter().any(|need| need.name == name.as_str());
        let mut target = Target {
            dependencies: receipt.dependencies.iter().filter(|name| !is_service(name)).cloned().collect(),
            services,
            ..Target::new(name.clone(), Source::Installed)
        };
        if receipt.registry != BUNDLED || self.is_renewal {
            return target;
        }
        let ask = Ask { registry: Some(BUNDLED), name, version: None, has_licence_key: false };
        if let Ok(selection) = self.catalog.select(&ask).await {
            let release = selection.release;
            if release.version != receipt.version {
                target.newest = Some(release.version);
            } else if release.digest != receipt.digest {
                target.services.clone_from(&release.services);
                target.source = Source::Release(Box::new(release));
            }
        }
        target
    }
}

/// The plugins that can never be installed since they need one another in a circle, or need one that does.
pub(super) fn cycle(found: &[Found]) -> BTreeSet<PluginName> {
    let targets = found.iter().filter_map(|(_, target)| target.as_ref().ok());
    unordered(&targets.map(|target| (&target.name, target.dependencies.as_slice())).collect())
}

fn unordered(dependencies: &BTreeMap<&PluginName, &[PluginName]>) -> BTreeSet<PluginName> {
    let mut waiting: BTreeSet<&PluginName> = dependencies.keys().copied().collect();
    loop {
        let is_ready = |name: &PluginName| dependencies[name].iter().all(|needed| !waiting.contains(needed));
        let ready: Vec<&PluginName> = waiting.iter().copied().filter(|name| is_ready(name)).collect();
        if ready.is_empty() {
            return waiting.into_iter().cloned().collect();
        }
        waiting.retain(|name| !ready.contains(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unordered_of(edges: &[(&str, &[&str])]) -> Vec<String> {
        let name = |word: &str| word.parse::<PluginName>().unwrap();
        let graph: Vec<(PluginName, Vec<PluginName>)> =
            edges.iter().map(|(from, to)| (name(from), to.iter().map(|word| name(word)).collect())).collect();
        let graph = graph.iter().map(|(name, needs)| (name, needs.as_slice())).collect();
        unordered(&graph).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_absent_stands_in_nobodys_way() {
        assert!(unordered_of(&[("jobs", &["redis"]), ("redis", &[]), ("realtime", &["absent"])]).is_empty());
    }

    #[test]
    fn a_circle_is_found_with_what_needs_it() {
        assert_eq!(unordered_of(&[("a", &["b"]), ("b", &["a"]), ("c", &[]), ("d", &["a"])]), ["a", "b", "d"]);
    }
}
