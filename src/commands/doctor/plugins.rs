//! Plugins, installed or named: whether they could run here. Owns the judgement; `candidates` gathers what it judges.

use std::collections::BTreeMap;

use super::finding::{Finding, Trouble};
use crate::docker::PortHolder;
use crate::machine::size;
use crate::name::PluginName;
use crate::package::manifest::Variable;
use crate::preflight::{self, PortMover, Problem};

/// What is known of one plugin.
#[derive(Debug)]
pub(super) struct PluginFacts {
    pub(super) name: PluginName,
    pub(super) standing: Standing,
    pub(super) ports: Vec<PortFacts>,
    /// Required variables; `None` where the manifest is not known.
    pub(super) variables: Option<VariableFacts>,
    pub(super) services: Vec<ServiceFacts>,
    /// What the manifest asks for, or was granted, beyond the hardened defaults; `None` where it is not known.
    pub(super) privileges: Option<PrivilegeFacts>,
    /// Values that cannot be used, a port or an amount of memory, and the like.
    pub(super) problems: Vec<Problem>,
    /// Bytes; `None` where the manifest is not known.
    pub(super) memory: Option<u64>,
    /// The key or password that it was installed without, before such were generated.
    pub(super) missing_key: Option<String>,
}

/// Whether and how it is there.
#[derive(Debug)]
pub(super) enum Standing {
    Installed {
        version: String,
        registry: String,
        container: ContainerFacts,
    },
    /// It could be installed.
    Offered {
        version: String,
        from: String,
        /// Who needs it, where nobody named it: it would come along.
        needed_by: Vec<PluginName>,
    },
}

impl Standing {
    /// Notes that nobody named it but these need it.
    pub(super) fn comes_along_with(&mut self, needing: Vec<PluginName>) {
        if let Self::Offered { needed_by, .. } = self {
            *needed_by = needing;
        }
    }
}

/// The container of an installed plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ContainerFacts {
    /// The engine could not be asked.
    Unknown,
    Missing,
    /// As the engine calls it.
    State(String),
}

impl PluginFacts {
    pub(super) fn is_running(&self) -> bool {
        matches!(&self.standing, Standing::Installed { container: ContainerFacts::State(state), .. } if state == "running")
    }

    fn is_installed(&self) -> bool {
        matches!(self.standing, Standing::Installed { .. })
    }
}

/// A port on the host that the plugin has or would take.
#[derive(Debug)]
pub(super) struct PortFacts {
    pub(super) port: u16,
    pub(super) mover: Option<PortMover>,
    pub(super) is_optional: bool,
    pub(super) state: PortState,
}

/// Who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PortState {
    /// The plugin's own running container.
    Own,
    Free,
    Held(PortHolder),
}

/// The variables that a plugin cannot do without.
#[derive(Debug)]
pub(super) struct VariableFacts {
    pub(super) required: usize,
    /// How many an installation would make at random.
    pub(super) generated: usize,
    pub(super) missing: Vec<Variable>,
    /// Of those that are missing, the ones that the installed container was given nevertheless.
    pub(super) known_to_container: Vec<String>,
}

/// A service that a plugin cannot do without.
#[derive(Debug)]
pub(super) struct ServiceFacts {
    pub(super) name: String,
    pub(super) variable: Option<String>,
    pub(super) provider: Provider,
}

/// Who gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Provider {
    /// The user: the variable is set.
    Given,
    /// A plugin that is installed.
    Installed,
    /// A container of the backend, by name.
    Backend(String),
    /// A plugin that a registry has, by the registry's name.
    Offered(String),
    Nobody(String),
}

/// What it may do beyond the hardened defaults.
#[derive(Debug)]
pub(super) struct PrivilegeFacts {
    pub(super) granted: Vec<String>,
    /// The problem that an installation has with it, unless it is allowed.
    pub(super) problem: Option<Problem>,
}

/// Judges what is known of plugins, and tells of those of which nothing can be used, by the word that named them.
pub(super) fn judge(plugins: &[PluginFacts], unusable: &[(String, Trouble)]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = plugins.iter().flat_map(one).collect();
    findings.extend(wanted_twice(plugins));
    findings.extend(unusable.iter().map(|(word, trouble)| Finding::of_trouble("plugin", word.as_str(), trouble)));
    if findings.is_empty() {
        findings.push(Finding::ok("plugin", "", "none is installed, and none was named"));
    }
    findings
}

fn one(facts: &PluginFacts) -> Vec<Finding> {
    let name = facts.name.as_str();
    let mut findings = vec![standing(facts)];
    findings.extend(facts.problems.iter().map(|problem| Finding::of_problem("plugin", name, problem.clone())));
    findings.extend(facts.ports.iter().map(|port| port_line(facts, port)));
    findings.extend(variables(facts));
    findings.extend(facts.services.iter().map(|service| service_line(facts, service)));
    findings.extend(facts.missing_key.as_ref().map(|key| missing_key(name, key)));
    findings.extend(facts.privileges.as_ref().map(|privileges| privilege_line(facts, privileges)));
    findings
}

fn standing(facts: &PluginFacts) -> Finding {
    let name = facts.name.as_str();
    let memory = facts.memory.map_or_else(String::new, |bytes| format!(", at most {} of memory", size(bytes)));
    match &facts.standing {
        Standing::Offered { version, from, needed_by } if needed_by.is_empty() => {
            Finding::ok("plugin", name, format!("{version} is offered by {from}{memory}"))
        }
        Standing::Offered { version, from, needed_by } => {
            let needing = needed_by.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
            Finding::ok("plugin", name, format!("{version} comes from {from} along with {needing}{memory}"))
        }
        Standing::Installed { version, registry, container } => {
            let message = format!("{version} from {registry} is installed{memory}");
            match container {
                ContainerFacts::Unknown => Finding::ok("plugin", name, message),
                ContainerFacts::Missing => {
                    Finding::warning("plugin", name, format!("{message}; its container is gone"))
                        .mend(format!("bring it back: nself plugin install {name}"))
                }
                ContainerFacts::State(state) => {
                    Finding::ok("plugin", name, format!("{message}; its container is {state}"))
                }
            }
        }
    }
}

fn port_line(facts: &PluginFacts, port: &PortFacts) -> Finding {
    let name = facts.name.as_str();
    let number = port.port;
    match &port.state {
        PortState::Own => Finding::ok("ports", name, format!("{number} is published by its own container")),
        PortState::Free => Finding::ok("ports", name, format!("{number} is free")),
        PortState::Held(holder) => {
            let problem = preflight::port_taken(&facts.name, number, port.mover.as_ref(), holder);
            let mut finding = Finding::of_problem("ports", name, problem);
            if port.is_optional && !facts.is_installed() {
                finding = Finding { level: super::finding::Level::Warning, ..finding };
                finding.message.push_str("; the plugin works without publishing it");
            }
            if finding.hint.is_none() {
                finding.hint = Some(format!("see who it is: sudo ss -ltnp 'sport = :{number}'"));
            }
            finding
        }
    }
}

/// Two plugins that would take the same port, where neither has it yet.
fn wanted_twice(plugins: &[PluginFacts]) -> Vec<Finding> {
    let mut first: BTreeMap<u16, &PluginFacts> = BTreeMap::new();
    let mut findings = Vec::new();
    for facts in plugins {
        for port in facts.ports.iter().filter(|port| port.state == PortState::Free) {
            let Some(other) = first.insert(port.port, facts) else { continue };
            let problem = preflight::port_wanted_twice(port.port, &other.name, &facts.name, port.mover.as_ref());
            findings.push(Finding::of_problem("ports", facts.name.as_str(), problem));
        }
    }
    findings
}

fn variables(facts: &PluginFacts) -> Vec<Finding> {
    let name = facts.name.as_str();
    let Some(variables) = &facts.variables else {
        let message = "which variables it needs is told in its package, which is not on this machine";
        return vec![
            Finding::warning("variables", name, message)
                .mend(format!("fetch it without changing anything: nself plugin install {name} --check")),
        ];
    };
    if variables.missing.is_empty() {
        let message = match (variables.required, variables.generated) {
            (0, 0) => "it needs none to be set".to_owned(),
            (required, 0) => format!("{required} needed, none missing"),
            (required, generated) => {
                format!("{required} needed, none missing; {generated} made at random by the installation")
            }
        };
        return vec![Finding::ok("variables", name, message)];
    }
    let problems = preflight::missing_variables(&facts.name, &variables.missing);
    let line = |(variable, problem): (&Variable, Problem)| {
        let finding = Finding::of_problem("variables", name, problem);
        if !variables.known_to_container.contains(&variable.name) {
            return finding;
        }
        // It was given for that one installation.
        let message = format!("{}; its container has a value, and the next installation will miss it", finding.message);
        Finding { level: super::finding::Level::Warning, message, ..finding }
    };
    variables.missing.iter().zip(problems).map(line).collect()
}

fn service_line(facts: &PluginFacts, service: &ServiceFacts) -> Finding {
    let name = facts.name.as_str();
    let what = &service.name;
    match &service.provider {
        Provider::Given => Finding::ok("services", name, format!("the address of {what} is given")),
        Provider::Installed => Finding::ok("services", name, format!("{what} is the installed plugin `{what}`")),
        Provider::Backend(container) => {
            Finding::ok("services", name, format!("{what} is the backend's container `{container}`"))
        }
        Provider::Offered(registry) if facts.is_installed() => {
            Finding::warning("services", name, format!("{what} is gone; the registry {registry} has it as a plugin"))
                .mend(format!("bring it back: nself plugin install {what}"))
        }
        Provider::Offered(registry) => {
            Finding::ok("services", name, format!("{what} is installed with it, from {registry}"))
        }
        Provider::Nobody(reason) => {
            let problem = preflight::service_missing(&facts.name, what, service.variable.as_deref(), reason);
            Finding::of_problem("services", name, problem)
        }
    }
}

/// An older installation stays open until it is replaced; the application must know the key by then.
fn missing_key(name: &str, key: &str) -> Finding {
    let message = format!(
        "it was installed without {key}: anything that reaches its port may use it. The next version generates one, \
         which your application's env file then needs"
    );
    Finding::warning("keys", name, message).mend(format!(
        "replace it now and print the lines for that file: nself plugin install {name} --force && \
         nself plugin env {name} --server --reveal"
    ))
}

fn privilege_line(facts: &PluginFacts, privileges: &PrivilegeFacts) -> Finding {
    let name = facts.name.as_str();
    let what = privileges.granted.join(", ");
    let verb = if facts.is_installed() { "was granted" } else { "asks for" };
    if privileges.granted.is_empty() {
        return Finding::ok("privileges", name, "nothing beyond the hardened defaults");
    }
    match &privileges.problem {
        None => Finding::ok("privileges", name, format!("{verb} {what}, which gives no power over the host")),
        Some(_) if facts.is_installed() => {
            Finding::warning("privileges", name, format!("{verb} {what}: power over this machine"))
                .mend(format!("see where it comes from: nself plugin info {name}"))
        }
        Some(problem) => {
            Finding { hint: problem.hint.clone(), ..Finding::warning("privileges", name, format!("{verb} {what}")) }
        }
    }
}

#[cfg(test)]
#[path = "plugins_tests.rs"]
mod tests;
