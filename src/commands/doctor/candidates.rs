//! Gathers what is known of the plugins that are installed or named. Fetches nothing: a package is looked into only
//! where it lies on this machine. Judges nothing.

use std::collections::BTreeMap;
use std::path::Path;

use semver::Version;

use super::finding::Trouble;
use super::plugins::{
    ContainerFacts, PluginFacts, PortFacts, PortState, PrivilegeFacts, Provider, ServiceFacts, Standing, VariableFacts,
};
use crate::commands::services::{self, Present};
use crate::context::Context;
use crate::docker::{Docker, Observed};
use crate::environment::{Variables, assemble};
use crate::error::Error;
use crate::name::{PluginName, PluginSpec};
use crate::needs::ServiceNeed;
use crate::package::archive::Archive;
use crate::package::manifest::Manifest;
use crate::package::{Package, PackageError};
use crate::plan::DEFAULT_MEMORY;
use crate::preflight::{self, Problem};
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
    standing: Standing,
    receipt: Option<Receipt>,
    manifest: Option<Manifest>,
    release: Option<Release>,
}

/// What was found for a word: a plugin, or the word itself and why nothing of it can be used.
type Found = Result<Candidate, (String, Trouble)>;

impl Ground<'_> {
    /// The installed plugins of the project and the named ones, and of which words nothing can be used.
    pub(super) async fn gather(&self, specs: &[PluginSpec]) -> (Vec<PluginFacts>, Vec<(String, Trouble)>) {
        let receipts = self.cx.state.receipts(&self.variables.project.name).unwrap_or_default();
        let installed: Vec<PluginName> = receipts.iter().flatten().map(|receipt| receipt.plugin.clone()).collect();
        let mut found: Vec<Found> = receipts.into_iter().flatten().map(|receipt| self.installed(receipt)).collect();
        for spec in specs {
            found.push(match spec {
                PluginSpec::Named { registry: None, name, version: None } if installed.contains(name) => continue,
                PluginSpec::Named { registry, name, version } => {
                    self.offered(registry.as_deref(), name, version.as_ref()).await
                }
                PluginSpec::Local(path) => self.local(path),
            });
        }
        let (mut plugins, mut unusable) = (Vec::new(), Vec::new());
        for one in found {
            match one {
                Ok(candidate) => {
                    let facts = self.facts(candidate).await;
                    // What is named in another version than the installed one takes its place.
                    plugins.retain(|other: &PluginFacts| other.name != facts.name);
                    plugins.push(facts);
                }
                Err(trouble) => unusable.push(trouble),
            }
        }
        (plugins, unusable)
    }

    fn installed(&self, receipt: Receipt) -> Found {
        let name = receipt.plugin.clone();
        let manifest = Package::peek(&self.cx.state.active_package(name.as_str())).map_err(|error| {
            let hint = Some(format!("install it again: nself plugin install {name} --force"));
            (name.as_str().to_owned(), Trouble { hint, ..refused(&name, error) })
        })?;
        let container = self.container(&name);
        let (version, registry) = (receipt.version.to_string(), receipt.registry.clone());
        let standing = Standing::Installed { version, registry, container };
        Ok(Candidate { name, standing, receipt: Some(receipt), manifest: Some(manifest), release: None })
    }

    fn container(&self, plugin: &PluginName) -> ContainerFacts {
        let project = self.variables.project;
        let Some((_, observed)) = self.engine else { return ContainerFacts::Unknown };
        let container = observed.container(&project.object_name(plugin.as_str()));
        container.map_or(ContainerFacts::Missing, |container| ContainerFacts::State(container.state.clone()))
    }

    async fn offered(&self, registry: Option<&str>, name: &PluginName, version: Option<&Version>) -> Found {
        let unusable = |trouble| (name.as_str().to_owned(), trouble);
        let ask = Ask { registry, name, version, has_licence_key: self.cx.settings.license_key.is_some() };
        let release = match self.catalog.select(&ask).await {
            Ok(selection) => selection.release,
            // What each registry answered has lines of its own.
            Err(error @ RegistryError::NoPlugin { .. }) => {
                return Err(unusable(Trouble { message: error.to_string(), hint: error.hint() }));
            }
            Err(error) => return Err(unusable(Error::from(error).into())),
        };
        let manifest = match release.archives.first() {
            Some(ArchiveAddress::Path(path)) => Some(manifest_of(path, &release).map_err(unusable)?),
            _ => None,
        };
        let standing = Standing::Offered { version: release.version.to_string(), from: release.registry.clone() };
        Ok(Candidate { name: name.clone(), standing, receipt: None, manifest, release: Some(release) })
    }

    fn local(&self, path: &Path) -> Found {
        let path = self.cx.settings.working_dir.join(path);
        let shown = path.display().to_string();
        let manifest = Package::peek(&path)
            .map_err(|source| (shown.clone(), Error::Package { plugin: shown.clone(), source }.into()))?;
        let standing = Standing::Offered { version: manifest.version.to_string(), from: shown };
        Ok(Candidate { name: manifest.name.clone(), standing, receipt: None, manifest: Some(manifest), release: None })
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
        let Candidate { name, standing, .. } = candidate;
        PluginFacts { name, standing, ports, variables, services, privileges, problems, memory }
    }

    async fn ports(&self, candidate: &Candidate, problems: &mut Vec<Problem>) -> Vec<PortFacts> {
        let mut ports = Vec::new();
        for (port, variable, is_optional) in self.wanted_ports(candidate, problems) {
            let state = self.port_state(&candidate.name, port).await;
            ports.push(PortFacts { port, variable, is_optional, state });
        }
        ports
    }

    /// What the manifest wants, else what the registry tells, where its variables put it now: an installed plugin goes
    /// there with its next container. Each with the variable that moves it, and whether the plugin does without.
    fn wanted_ports(&self, candidate: &Candidate, problems: &mut Vec<Problem>) -> Vec<(u16, Option<String>, bool)> {
        let main = candidate.release.as_ref().and_then(|release| release.port);
        let variable = Some(format!("{}_PORT", candidate.name.variable_prefix()));
        let main = main.filter(|_| candidate.manifest.is_none()).map(|port| (port, variable, false));
        let listed = candidate.manifest.iter().flat_map(|manifest| &manifest.ports).filter_map(|port| {
            let wanted = (port.port, port.variable.clone(), port.optional);
            let Some(receipt) = &candidate.receipt else { return Some(wanted) };
            // Without one, another had the port when this plugin was installed, and it does without.
            let taken = receipt.ports.iter().find(|taken| taken.name == port.name)?;
            let was_moved = |key: &String| {
                receipt.may_be_given_once(key) && self.variables.find(candidate.name.as_str(), key).is_none()
            };
            let host = if port.variable.as_ref().is_some_and(was_moved) { taken.host } else { port.port };
            Some((host, wanted.1, false))
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
        let manifest = candidate.manifest.as_ref().map(|manifest| &manifest.requires.services);
        let needs = manifest.or_else(|| candidate.release.as_ref().map(|release| &release.services));
        let mut services = Vec::new();
        for need in needs.into_iter().flatten().filter(|need| !need.optional) {
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
                _ => services::plugin_address(self.variables, name),
            };
            Some((name.clone(), address?))
        };
        let addresses: BTreeMap<String, String> = services.iter().filter_map(address).collect();
        // Nothing is made here: the text only stands for a secret that an installation would make.
        let assembled = assemble(manifest, self.variables, &addresses, &|length| "x".repeat(length));
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
