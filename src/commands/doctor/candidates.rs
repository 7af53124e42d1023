//! Gathers what is known of the plugins that are installed or named. Fetches nothing: a package is looked into only
//! where it lies on this machine. Judges nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use semver::Version;

use super::finding::Trouble;
use super::plugins::{
    ContainerFacts, PluginFacts, PortFacts, PortState, PrivilegeFacts, Provider, ServiceFacts, Standing, VariableFacts,
};
use crate::commands::services::{self, Present};
use crate::commands::target::{Finder, Found, Source, Target};
use crate::context::Context;
use crate::docker::{Docker, Observed};
use crate::environment::{Variables, assemble};
use crate::error::Error;
use crate::name::{PluginName, PluginSpec};
use crate::needs::{ServiceNeed, password_variable};
use crate::package::archive::Archive;
use crate::package::manifest::Manifest;
use crate::package::{Package, PackageError};
use crate::plan::DEFAULT_MEMORY;
use crate::preflight::{self, PortMover, Problem};
use crate::registries::BUNDLED;
use crate::registry::{ArchiveAddress, Ask, Catalog, RegistryError, Release};
use crate::state::Receipt;

/// What plugins are looked at against.
pub(super) struct Ground<'a> {
    pub(super) cx: &'a Context,
    pub(super) variables: &'a Variables<'a>,
    pub(super) catalog: &'a Catalog<'a>,
    /// The engine, where it answers, and what it holds of ours.
    pub(super) engine: Option<(&'a Docker, &'a Observed)>,
    /// What a plugin's lowest version of the backend CLI is compared with.
    pub(super) host: Version,
}

/// A plugin as far as it is known.
struct Candidate {
    name: PluginName,
    /// What the command line calls it.
    word: String,
    standing: Standing,
    receipt: Option<Receipt>,
    manifest: Option<Manifest>,
    /// What the registry tells of it, for what is not in the manifest.
    release: Option<Release>,
    services: Vec<ServiceNeed>,
}

impl Ground<'_> {
    /// The installed plugins of the project, the named ones and what would come along, and of which words nothing can be
    /// used.
    pub(super) async fn gather(&self, specs: Vec<(String, PluginSpec)>) -> (Vec<PluginFacts>, Vec<(String, Trouble)>) {
        let finder = Finder {
            cx: self.cx,
            catalog: self.catalog,
            project: &self.variables.project.name,
            registry: None,
            force: false,
            is_renewal: true,
        };
        let named: BTreeSet<String> = specs.iter().map(|(word, _)| word.clone()).collect();
        // One that is named in a version or from a registry is looked at as that.
        let is_meant_otherwise = |name: &PluginName| {
            specs.iter().any(|(_, spec)| match spec {
                PluginSpec::Named { name: meant, registry, version } => {
                    meant == name && (registry.is_some() || version.is_some())
                }
                PluginSpec::Local(_) => false,
            })
        };
        let receipts = self.cx.state.receipts(finder.project).unwrap_or_default();
        let installed = receipts.into_iter().flatten().map(|receipt| receipt.plugin);
        let installed = installed.filter(|name| !is_meant_otherwise(name)).map(|name| PluginSpec::of(&name));
        let specs = installed.collect::<Vec<_>>().into_iter().chain(specs).collect();

        let mut found = finder.find(specs).await;
        let (mut plugins, mut unusable) = (Vec::new(), Vec::new());
        let mut next = 0;
        while let Some((word, target)) = found.get_mut(next) {
            next += 1;
            let looked = match target {
                Ok(target) => self.look_into(&finder, target).await,
                // What each registry answered has lines of its own.
                Err(Error::Registry(error @ RegistryError::NoPlugin { .. })) => {
                    Err(Trouble { message: error.to_string(), hint: error.hint() })
                }
                Err(error) => Err((&*error).into()),
            };
            match looked {
                Ok(mut candidate) => {
                    if candidate.release.is_some() && !named.contains(word.as_str()) {
                        candidate.standing.comes_along_with(needing(&found, &candidate.name));
                    }
                    let facts = self.facts(candidate).await;
                    let more = finder.find_beside(&found, brought_by(&facts, &found)).await;
                    plugins.push(facts);
                    found.extend(more);
                }
                Err(trouble) => unusable.push((word.clone(), trouble)),
            }
        }
        (plugins, unusable)
    }

    /// What its package says, where that lies on this machine.
    async fn look_into(&self, finder: &Finder<'_>, target: &mut Target) -> Result<Candidate, Trouble> {
        let offered = |version: &Version, from: String| Standing::Offered {
            version: version.to_string(),
            from,
            needed_by: Vec::new(),
        };
        let (standing, manifest, release) = match &target.source {
            Source::Installed => return self.installed(target),
            Source::Release(release) => {
                let manifest = match release.archives.first() {
                    Some(ArchiveAddress::Path(path)) => Some(manifest_of(path, release)?),
                    _ => None,
                };
                (offered(&release.version, release.registry.clone()), manifest, Some(release.as_ref().clone()))
            }
            Source::Folder(path) | Source::Archive(path) => {
                let manifest = Package::peek(path).map_err(|source| refused(&target.name, source))?;
                (offered(&manifest.version, path.display().to_string()), Some(manifest), None)
            }
        };
        if let Some(manifest) = &manifest {
            finder.take_needs(target, manifest).await;
        }
        let (name, word, services) = (target.name.clone(), target.word(), target.services.clone());
        Ok(Candidate { name, word, standing, receipt: None, manifest, release, services })
    }

    fn installed(&self, target: &Target) -> Result<Candidate, Trouble> {
        let name = target.name.clone();
        let receipt = self.cx.state.receipt(&self.variables.project.name, &name).map_err(Error::from)?;
        let manifest = Package::peek(&self.cx.state.active_package(name.as_str())).map_err(|error| {
            let hint = Some(format!("install it again: nself plugin install {name} --force"));
            Trouble { hint, ..refused(&name, error) }
        })?;
        let version = receipt.as_ref().map_or_else(|| manifest.version.clone(), |receipt| receipt.version.clone());
        let standing = Standing::Installed {
            version: version.to_string(),
            registry: target.registry_or(receipt.as_ref()),
            container: self.container(&name),
        };
        let (word, services) = (target.word(), target.services.clone());
        Ok(Candidate { name, word, standing, receipt, manifest: Some(manifest), release: None, services })
    }

    fn container(&self, plugin: &PluginName) -> ContainerFacts {
        let project = self.variables.project;
        let Some((_, observed)) = self.engine else { return ContainerFacts::Unknown };
        let container = observed.container(&project.object_name(plugin.as_str()));
        container.map_or(ContainerFacts::Missing, |container| ContainerFacts::State(container.state.clone()))
    }

    async fn facts(&self, candidate: Candidate) -> PluginFacts {
        let mut problems = Vec::new();
        let ports = self.ports(&candidate, &mut problems).await;
        let services = self.services(&candidate).await;
        let variables = candidate.manifest.as_ref().map(|manifest| self.required(manifest, &candidate, &services));
        let memory = candidate.manifest.as_ref().map(|manifest| self.memory(manifest, &mut problems));
        let privileges = candidate.manifest.as_ref().map(|manifest| PrivilegeFacts {
            granted: candidate
                .receipt
                .as_ref()
                .map_or_else(|| preflight::granted(manifest), |receipt| receipt.granted.clone()),
            problem: preflight::privileges(manifest, false),
        });
        let lowest = candidate.release.as_ref().and_then(|release| release.min_host.as_ref());
        let too_old = match (&candidate.manifest, lowest) {
            (Some(manifest), _) => preflight::host_too_old(manifest, lowest, &self.host),
            (None, Some(lowest)) => preflight::host_below(&candidate.name, lowest, &self.host),
            (None, None) => None,
        };
        problems.extend(too_old);
        let missing_key = candidate.receipt.as_ref().and_then(|receipt| self.missing_key(receipt));
        let Candidate { name, standing, .. } = candidate;
        PluginFacts { name, standing, ports, variables, services, privileges, problems, memory, missing_key }
    }

    /// Bundled plugins have had a key since 0.11, and redis a password; `None` where it has one or needs none.
    fn missing_key(&self, receipt: &Receipt) -> Option<String> {
        if receipt.registry != BUNDLED {
            return None;
        }
        if let Some(key) = password_variable(receipt.plugin.as_str()) {
            return (!services::has_password(&self.cx.state, receipt)).then(|| key.to_owned());
        }
        let key = receipt.plugin.api_key_variable();
        (receipt.health_port().is_some() && !receipt.variables.contains(&key)).then_some(key)
    }

    async fn ports(&self, candidate: &Candidate, problems: &mut Vec<Problem>) -> Vec<PortFacts> {
        let mut ports = Vec::new();
        for (port, variable, is_optional) in self.wanted_ports(candidate, problems) {
            // Who holds a port that may be the plugin's own is not known without the engine.
            if self.engine.is_none() && candidate.receipt.is_some() {
                continue;
            }
            let state = self.port_state(&candidate.name, port).await;
            let mover = PortMover::of(self.variables, &candidate.name, &candidate.word, variable.as_deref());
            ports.push(PortFacts { port, mover, is_optional, state });
        }
        ports
    }

    /// What the manifest wants, else what the registry tells, where its variables put it now: an installed plugin goes
    /// there with its next container. Each with the variable that moves it, and whether the plugin does without.
    fn wanted_ports(&self, candidate: &Candidate, problems: &mut Vec<Problem>) -> Vec<(u16, Option<String>, bool)> {
        let main = candidate.release.as_ref().and_then(|release| release.port);
        let variable = Some(candidate.name.port_variable());
        let main = main.filter(|_| candidate.manifest.is_none()).map(|port| (port, variable, false));
        let listed = candidate.manifest.iter().flat_map(|manifest| &manifest.ports).filter_map(|port| {
            let wanted = (port.port, port.variable.clone(), port.optional);
            let Some(receipt) = &candidate.receipt else { return Some(wanted) };
            let is_set = |key: &String| self.variables.find(candidate.name.as_str(), key).is_some();
            if port.variable.as_ref().is_some_and(is_set) {
                return Some(wanted);
            }
            // Without one, another had the port when this plugin was installed, and it does without.
            let taken = receipt.ports.iter().find(|taken| taken.name == port.name)?;
            let was_moved = port.variable.as_ref().is_some_and(|key| receipt.may_be_given_once(key));
            Some((if was_moved { taken.host } else { port.port }, wanted.1, false))
        });
        let moved = listed.chain(main).filter_map(|(port, variable, optional)| {
            match preflight::host_port(&candidate.name, variable.as_deref(), port, self.variables) {
                Ok(host) => Some((host, variable, optional)),
                Err(problem) => {
                    problems.push(problem);
                    None
                }
            }
        });
        moved.collect()
    }

    async fn port_state(&self, plugin: &PluginName, port: u16) -> PortState {
        let project = &self.variables.project.name;
        let is_own = self.engine.is_some_and(|(_, observed)| {
            let mut containers = observed.of_plugin(project, plugin.as_str());
            containers.any(|container| container.ports.iter().any(|published| published.host == port))
        });
        if is_own {
            return PortState::Own;
        }
        if preflight::is_port_free(port) {
            return PortState::Free;
        }
        PortState::Held(match self.engine {
            Some((docker, _)) => {
                preflight::port_holder(docker, port).await.unwrap_or_else(|_| preflight::process_holder(port))
            }
            None => preflight::process_holder(port),
        })
    }

    async fn services(&self, candidate: &Candidate) -> Vec<ServiceFacts> {
        let mut services = Vec::new();
        for need in candidate.services.iter().filter(|need| !need.optional) {
            let provider = self.provider(&candidate.name, need).await;
            if need.is_guess && matches!(provider, Provider::Nobody(_)) {
                continue;
            }
            services.push(ServiceFacts { name: need.name.clone(), variable: need.variable.clone(), provider });
        }
        services
    }

    /// What is there, else what an installation would bring.
    async fn provider(&self, plugin: &PluginName, need: &ServiceNeed) -> Provider {
        if self.variables.give(plugin.as_str(), need) {
            return Provider::Given;
        }
        let docker = self.engine.map(|(docker, _)| docker);
        // An engine that cannot be asked knows of no backend; that is told with what nobody gives.
        match services::present(&self.cx.state, docker, self.variables, &need.name).await.ok().flatten() {
            Some(Present::Plugin) => return Provider::Installed,
            Some(Present::Backend(container)) => {
                let address = services::backend_address(self.variables, &need.name, &container);
                return match address {
                    Ok(_) => Provider::Backend(container),
                    Err(reason) => Provider::Nobody(format!("the backend's container `{container}`: {reason}")),
                };
            }
            None => {}
        }
        let Ok(name) = need.name.parse::<PluginName>() else {
            return Provider::Nobody("no plugin can have that name".to_owned());
        };
        let ask = Ask { registry: None, name: &name, version: None, has_licence_key: false };
        match self.catalog.select(&ask).await {
            Ok(selection) => Provider::Offered(selection.release.registry),
            Err(error) if self.engine.is_none() => {
                Provider::Nobody(format!("{error}; and the engine could not be asked for the backend's"))
            }
            Err(error) => Provider::Nobody(error.to_string()),
        }
    }

    fn required(&self, manifest: &Manifest, candidate: &Candidate, services: &[ServiceFacts]) -> VariableFacts {
        let address = |service: &ServiceFacts| {
            let name = &service.name;
            let address = match &service.provider {
                Provider::Backend(container) => services::backend_address(self.variables, name, container).ok(),
                _ => services::plugin_address(&self.cx.state, self.variables, name),
            };
            Some((name.clone(), address?))
        };
        let addresses: BTreeMap<String, String> = services.iter().filter_map(address).collect();
        // Nothing is made here: the text only stands for a secret that an installation would make.
        let assembled = assemble(manifest, self.variables, &addresses, &|_, length| Some("x".repeat(length)));
        let (generated, mut missing) = (assembled.generated.len(), assembled.missing);
        // Told with the service that they are the address of.
        missing.retain(|variable| services.iter().all(|service| service.variable.as_ref() != Some(&variable.name)));
        let given: &[String] =
            candidate.receipt.as_ref().map(|receipt| receipt.variables.as_slice()).unwrap_or_default();
        let known_to_container =
            missing.iter().map(|one| one.name.clone()).filter(|name| given.contains(name)).collect();
        let required = manifest.variables.iter().filter(|variable| variable.required).count();
        VariableFacts { required, generated, missing, known_to_container }
    }

    fn memory(&self, manifest: &Manifest, problems: &mut Vec<Problem>) -> u64 {
        let stated = manifest.service.memory.unwrap_or(DEFAULT_MEMORY);
        match preflight::memory_limit(manifest, self.variables) {
            Ok(limit) => limit.unwrap_or(stated),
            Err(problem) => {
                problems.push(problem);
                stated
            }
        }
    }
}

/// Who needs the plugin, itself or as a service.
fn needing(found: &[Found], name: &PluginName) -> Vec<PluginName> {
    let needs = |target: &&Target| {
        let is_service = |need: &ServiceNeed| !need.optional && need.name == name.as_str();
        target.dependencies.contains(name) || target.services.iter().any(is_service)
    };
    let targets = found.iter().filter_map(|(_, target)| target.as_ref().ok());
    targets.filter(needs).map(|target| target.name.clone()).collect()
}

/// What an installation would bring for the plugin: what it depends on, and services that nobody else gives.
fn brought_by(facts: &PluginFacts, found: &[Found]) -> Vec<(String, PluginSpec)> {
    let targets = found.iter().filter_map(|(_, target)| target.as_ref().ok());
    let dependencies =
        targets.filter(|target| target.name == facts.name).flat_map(|target| target.dependencies.clone());
    let offered = facts.services.iter().filter(|service| matches!(service.provider, Provider::Offered(_)));
    let services = offered.filter_map(|service| service.name.parse::<PluginName>().ok());
    dependencies.chain(services).map(|name| PluginSpec::of(&name)).collect()
}

/// The manifest in an archive of this machine, which must be the one that the registry means.
fn manifest_of(path: &Path, release: &Release) -> Result<Manifest, Trouble> {
    let mut archive = Archive::open_local(path).map_err(|error| refused(&release.name, error))?;
    if release.digest.is_some_and(|digest| digest != archive.digest()) {
        return Err(Trouble {
            message: format!("the archive `{}` is not the one that its registry describes", path.display()),
            hint: Some("install the program and its registry again, in the sources: ./install.sh".into()),
        });
    }
    archive.manifest(Some(&release.name), Some(&release.version)).map_err(|error| refused(&release.name, error))
}

fn refused(plugin: &PluginName, source: PackageError) -> Trouble {
    Error::Package { plugin: plugin.as_str().to_owned(), source }.into()
}
