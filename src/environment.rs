//! A container's environment: which variables it gets and from where (design §7). Owns the precedence and the rule of
//! what may pass; reads nothing itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;

use crate::env_file::{FileValue, Note};
use crate::name::shown;
use crate::needs::ServiceNeed;
use crate::package::manifest::{Manifest, Variable};
use crate::project::{COMPOSE_FILE, Project};
use crate::values::Values;

/// What plugins of one project know each other by.
pub const INTERNAL_SECRET: &str = "PLUGIN_INTERNAL_SECRET";
/// How the variable ends that lists who may call a plugin without its key, after the plugin's own prefix.
const LOCAL_CALLERS: &str = "_LOCAL_CALLERS";
/// The value of that variable until the container is created: the gateways of its networks are not known before.
pub const GATEWAYS: &str = "{gateways}";

/// The keys that every plugin gets where they are set: the backend's own.
pub const CORE_KEYS: &[&str] = &[
    "ENV",
    "NSELF_ENV",
    "PROJECT_NAME",
    "COMPOSE_PROJECT_NAME",
    "DOCKER_NETWORK",
    "BASE_DOMAIN",
    "DATABASE_URL",
    "POSTGRES_HOST",
    "POSTGRES_PORT",
    "POSTGRES_DB",
    "POSTGRES_USER",
    "POSTGRES_PASSWORD",
    "HASURA_GRAPHQL_ENDPOINT",
    "HASURA_GRAPHQL_ADMIN_SECRET",
    INTERNAL_SECRET,
    "NOTIFY_INTERNAL_SECRET",
];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueOrigin {
    /// `--env` on the command line.
    Flag,
    /// The process environment.
    Process,
    /// An env file of the project, by name.
    File(String),
    /// Stored by `config set`, or generated earlier.
    Stored,
    /// Generated now.
    Generated,
    /// The address of a service that this program knows of, by the service's name.
    Service(String),
    /// The manifest's default.
    Default,
}

/// Every place where the user may have set a variable.
#[derive(Debug)]
pub struct Variables<'a> {
    pub flags: &'a [(String, String)],
    pub process: &'a HashMap<String, String>,
    pub project: &'a Project,
    pub values: &'a Values,
}

impl Variables<'_> {
    /// A variable's value by precedence: flag, process, env files, stored. An empty value counts as unset.
    pub fn find(&self, plugin: &str, key: &str) -> Option<(String, ValueOrigin)> {
        self.seek(&mut Search::new(plugin), key).filter(|(value, _)| !value.is_empty())
    }

    /// What the value of a variable met: references to variables that are set nowhere.
    pub fn notes(&self, plugin: &str, key: &str) -> Vec<TemplateNote> {
        let mut search = Search::new(plugin);
        let _ = self.seek(&mut search, key);
        search.notes
    }

    /// Whether the user gives the address of a service that a plugin needs, under any of its names.
    pub fn give(&self, plugin: &str, need: &ServiceNeed) -> bool {
        need.variables().any(|name| self.find(plugin, name).is_some())
    }

    /// The name of the backend's network, whether or not it exists.
    pub fn backend_network(&self, plugin: &str) -> String {
        self.find(plugin, "DOCKER_NETWORK").map_or_else(|| format!("{}_network", self.project.name), |(name, _)| name)
    }

    /// Whether the project is a backend's: by the compose file that the backend CLI writes, or by the network that its env
    /// files name.
    pub fn expect_backend(&self) -> bool {
        self.project.folder.join(COMPOSE_FILE).is_file() || self.find("", "DOCKER_NETWORK").is_some()
    }

    /// The first value that is not empty; else an empty one, where there is any.
    fn seek(&self, search: &mut Search<'_>, key: &str) -> Option<(String, ValueOrigin)> {
        let mut empty = None;
        let flagged = self.flags.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value);
        let given = flagged.map(|value| (value, ValueOrigin::Flag));
        let given = given.into_iter().chain(self.process.get(key).map(|value| (value, ValueOrigin::Process)));
        for (value, origin) in given {
            if !value.is_empty() {
                return Some((value.clone(), origin));
            }
            empty = Some((String::new(), origin));
        }
        for (place, file) in self.project.files.iter().enumerate() {
            let Some(value) = file.values.get(key) else { continue };
            let Some(text) = self.expand(search, (key, place), value) else { continue };
            let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !text.is_empty() {
                return Some((text, ValueOrigin::File(name)));
            }
            empty.get_or_insert((text, ValueOrigin::File(name)));
        }
        match self.values.get(search.plugin, key) {
            Some(value) if !value.is_empty() => Some((value.to_owned(), ValueOrigin::Stored)),
            _ => empty,
        }
    }

    /// Puts other variables into a value of an env file. One that names itself means its earlier value, in the same file
    /// or in those asked after it; a chain of more than eight gives nothing rather than a literal `${…}` as a secret.
    fn expand(&self, search: &mut Search<'_>, (own, place): (&str, usize), value: &FileValue) -> Option<String> {
        let mut met = Vec::new();
        let mut lookup = |name: &str| {
            if search.chain.len() == LONGEST_CHAIN || (name != own && search.chain.iter().any(|known| known == name)) {
                return None;
            }
            search.chain.push(own.to_owned());
            let found = if name == own {
                self.earlier(search, (own, place), value)
            } else {
                self.seek(search, name).map(|(value, _)| value)
            };
            search.chain.pop();
            found
        };
        let expanded = value.template.expand(&mut lookup, &mut met);
        let file = &self.project.files[place].path;
        search.notes.extend(met.into_iter().map(|note| TemplateNote {
            file: file.clone(),
            line: value.line,
            key: own.to_owned(),
            note,
        }));
        expanded
    }

    fn earlier(&self, search: &mut Search<'_>, (own, place): (&str, usize), value: &FileValue) -> Option<String> {
        if let Some(earlier) = &value.earlier {
            return self.expand(search, (own, place), earlier);
        }
        let later = self.project.files.iter().enumerate().skip(place + 1);
        let mut values = later.filter_map(|(place, file)| Some((place, file.values.get(own)?)));
        values.next().and_then(|(place, value)| self.expand(search, (own, place), value))
    }

    /// Every key that is set anywhere and starts with a prefix.
    fn keys_with_prefix<'b>(&'b self, plugin: &str, prefix: &'b str) -> impl Iterator<Item = &'b str> {
        let flags = self.flags.iter().map(|(key, _)| key.as_str());
        let process = self.process.keys().map(String::as_str);
        let files = self.project.files.iter().flat_map(|file| file.values.keys().map(String::as_str));
        let stored = self.values.keys(plugin);
        flags.chain(process).chain(files).chain(stored).filter(move |key| key.starts_with(prefix))
    }
}

/// How many variables may refer to one another in a row.
const LONGEST_CHAIN: usize = 8;

/// One search for a variable's value.
struct Search<'a> {
    plugin: &'a str,
    /// The variables that led to the one that is looked for.
    chain: Vec<String>,
    notes: Vec<TemplateNote>,
}

impl<'a> Search<'a> {
    fn new(plugin: &'a str) -> Self {
        Self { plugin, chain: Vec::new(), notes: Vec::new() }
    }
}

/// A line of an env file that refers to a variable without a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateNote {
    pub file: PathBuf,
    pub line: usize,
    /// The variable that the line sets.
    pub key: String,
    pub note: Note,
}

impl TemplateNote {
    /// Whether the line has no value at all for it.
    pub fn is_required(&self) -> bool {
        matches!(self.note, Note::Required { .. })
    }

    /// The variable that has no value.
    pub fn missing(&self) -> &str {
        match &self.note {
            Note::Unset(name) | Note::Required { name, .. } => name,
        }
    }
}

impl fmt::Display for TemplateNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, key, note } = self;
        write!(formatter, "`{}` line {line}, {key}: ", file.display())?;
        match note {
            Note::Unset(name) => write!(formatter, "{name} is not set; it stands for nothing"),
            Note::Required { name, message } if message.is_empty() => write!(formatter, "{name} is not set"),
            Note::Required { name, message } => write!(formatter, "{name} is not set: {}", shown(message)),
        }
    }
}

/// The environment that a container is given, and what is still wanting.
#[derive(Debug, Default)]
pub struct Assembled {
    /// By key, each with its origin.
    pub values: BTreeMap<String, (String, ValueOrigin)>,
    /// What was made at random now and must be stored.
    pub generated: Vec<(String, String)>,
    /// Required variables that nobody has set.
    pub missing: Vec<Variable>,
    /// References of env files to variables that nobody has set.
    pub notes: Vec<TemplateNote>,
}

impl Assembled {
    /// As the engine takes it.
    pub fn pairs(&self) -> Vec<String> {
        self.values.iter().map(|(key, (value, _))| format!("{key}={value}")).collect()
    }
}

/// Generates the value of a variable that nobody has set; `None` leaves it unset.
pub type Generate<'a> = &'a dyn Fn(&Variable, usize) -> Option<String>;

/// Assembles the environment. `services` are the addresses of services by name, used where the user gives none.
pub fn assemble(
    manifest: &Manifest,
    variables: &Variables<'_>,
    services: &BTreeMap<String, String>,
    generate: Generate<'_>,
) -> Assembled {
    let plugin = manifest.name.as_str();
    let mut assembled = Assembled::default();
    for key in CORE_KEYS {
        if let Some(found) = variables.find(plugin, key) {
            assembled.values.insert((*key).to_owned(), found);
        }
    }
    let prefix = format!("{}_", manifest.name.variable_prefix());
    for key in variables.keys_with_prefix(plugin, &prefix) {
        if let Some(found) = variables.find(plugin, key) {
            assembled.values.insert(key.to_owned(), found);
        }
    }
    note_templates(manifest, variables, &mut assembled);
    for variable in &manifest.variables {
        declared(variable, plugin, variables, generate, &mut assembled);
    }
    place_services(manifest, variables, services, &mut assembled);
    place_ports(manifest, &mut assembled);
    place_local_callers(manifest, &mut assembled);
    assembled.values.insert("SERVICE_NAME".into(), (plugin.to_owned(), ValueOrigin::Default));
    assembled
}

/// Notes what the values of the plugin's variables refer to in vain, once.
fn note_templates(manifest: &Manifest, variables: &Variables<'_>, assembled: &mut Assembled) {
    let plugin = manifest.name.as_str();
    let prefix = format!("{}_", manifest.name.variable_prefix());
    let names = manifest.variables.iter().flat_map(|variable| std::iter::once(&variable.name).chain(&variable.aliases));
    let keys: BTreeSet<&str> = CORE_KEYS
        .iter()
        .copied()
        .chain(names.map(String::as_str))
        .chain(variables.keys_with_prefix(plugin, &prefix))
        .collect();
    for note in keys.into_iter().flat_map(|key| variables.notes(plugin, key)) {
        if !assembled.notes.contains(&note) {
            assembled.notes.push(note);
        }
    }
}

fn declared(
    variable: &Variable,
    plugin: &str,
    variables: &Variables<'_>,
    generate: Generate<'_>,
    assembled: &mut Assembled,
) {
    let names = std::iter::once(&variable.name).chain(&variable.aliases);
    let found = names.into_iter().find_map(|name| variables.find(plugin, name));
    let value = found.or_else(|| {
        let secret = generate(variable, variable.generated?)?;
        assembled.generated.push((variable.name.clone(), secret.clone()));
        Some((secret, ValueOrigin::Generated))
    });
    let value = value.or_else(|| variable.default.clone().map(|default| (default, ValueOrigin::Default)));
    match value {
        Some(value) => {
            assembled.values.insert(variable.name.clone(), value);
        }
        None if variable.required => assembled.missing.push(variable.clone()),
        None => {}
    }
}

fn place_services(
    manifest: &Manifest,
    variables: &Variables<'_>,
    services: &BTreeMap<String, String>,
    assembled: &mut Assembled,
) {
    for need in manifest.requires.services.iter().filter(|need| !need.optional) {
        let Some(key) = &need.variable else { continue };
        let mut names = need.variables();
        if let Some(given) = names.find_map(|name| variables.find(manifest.name.as_str(), name)) {
            assembled.values.entry(key.clone()).or_insert(given);
            continue;
        }
        let Some(address) = services.get(&need.name) else { continue };
        assembled.values.insert(key.clone(), (address.clone(), ValueOrigin::Service(need.name.clone())));
        assembled.missing.retain(|variable| variable.name != *key);
    }
}

/// The variable of a port moves the published port only: inside, the container always listens where its manifest says.
fn place_ports(manifest: &Manifest, assembled: &mut Assembled) {
    for port in &manifest.ports {
        if let Some(key) = &port.variable {
            assembled.values.insert(key.clone(), (port.port.to_string(), ValueOrigin::Default));
            assembled.missing.retain(|variable| variable.name != *key);
        }
    }
    if let Some(main) = manifest.ports.first() {
        assembled.values.insert("SERVICE_PORT".into(), (main.port.to_string(), ValueOrigin::Default));
        let takes_port = manifest.variables.iter().any(|variable| variable.name == "PORT");
        if takes_port {
            assembled.values.insert("PORT".into(), (main.port.to_string(), ValueOrigin::Default));
        }
    }
}

/// Callers on this machine need no key for ordinary routes, because every port is published on loopback alone
/// (`docker/containers.rs`). The manager decides that; a value of the user's is overridden.
fn place_local_callers(manifest: &Manifest, assembled: &mut Assembled) {
    let key = format!("{}{LOCAL_CALLERS}", manifest.name.variable_prefix());
    if manifest.variables.iter().any(|variable| variable.name == key) {
        assembled.values.insert(key, (GATEWAYS.to_owned(), ValueOrigin::Default));
    }
}

/// Whether the manager alone decides a variable's value.
pub fn is_managed(variable: &str) -> bool {
    variable.ends_with(LOCAL_CALLERS)
}

/// Puts the gateways of a container's networks into the variable that waits for them.
pub fn with_gateways(environment: &[String], gateways: &[String]) -> Vec<String> {
    let waits = format!("{LOCAL_CALLERS}={GATEWAYS}");
    let fill = |line: &String| match line.strip_suffix(GATEWAYS) {
        Some(key) if line.ends_with(&waits) => format!("{key}{}", gateways.join(",")),
        _ => line.clone(),
    };
    environment.iter().map(fill).collect()
}

/// Whether a container's environment waits for [`with_gateways`].
pub fn waits_for_gateways(environment: &[String]) -> bool {
    let waits = format!("{LOCAL_CALLERS}={GATEWAYS}");
    environment.iter().any(|line| line.ends_with(&waits))
}

/// The value of a variable in a project's folder, for tests of env files.
#[cfg(test)]
pub(crate) fn value_in(folder: &std::path::Path, process: &HashMap<String, String>, key: &str) -> Option<String> {
    use crate::project::Strictness;
    let project = Project::read(folder, None, Some("demo"), Strictness::Strict).ok()?;
    let values = Values::default();
    let variables = Variables { flags: &[], process, project: &project, values: &values };
    variables.find("demo", key).map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env_file::parse_env;
    use crate::project::Strictness;
    use std::path::Path;

    struct Place {
        folder: tempfile::TempDir,
        flags: Vec<(String, String)>,
        process: HashMap<String, String>,
    }

    impl Place {
        fn new(files: &[(&str, &str)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            for (name, text) in files {
                std::fs::write(folder.path().join(name), text).unwrap();
            }
            Self { folder, flags: Vec::new(), process: HashMap::new() }
        }

        fn find(&self, key: &str) -> Option<(String, ValueOrigin)> {
            let project = Project::read(self.folder.path(), None, None, Strictness::Strict).unwrap();
            let values = Values::read(Path::new("/nonexistent"), "nself").unwrap();
            let variables =
                Variables { flags: &self.flags, process: &self.process, project: &project, values: &values };
            variables.find("realtime", key)
        }
    }

    #[test]
    fn precedence_is_flag_process_files_in_order() {
        let mut place = Place::new(&[(".env", "A=env"), (".env.plugins", "A=plugins")]);
        assert_eq!(place.find("A"), Some(("plugins".into(), ValueOrigin::File(".env.plugins".into()))));
        place.process.insert("A".into(), "process".into());
        assert_eq!(place.find("A").unwrap().1, ValueOrigin::Process);
        place.flags.push(("A".into(), "flag".into()));
        assert_eq!(place.find("A"), Some(("flag".into(), ValueOrigin::Flag)));
    }

    #[test]
    fn references_are_put_in_and_a_circle_gives_nothing() {
        let place = Place::new(&[(
            ".env",
            "SECRET=s$1\nA=${SECRET}\nB=${NONE:-x}y\nC='${SECRET}'\nD=${E}\nE=${D}\nF=\"\\$9\"",
        )]);
        let value = |key| place.find(key).map(|found| found.0);
        assert_eq!(value("A").as_deref(), Some("s$1"));
        assert_eq!(value("B").as_deref(), Some("xy"));
        assert_eq!(value("C").as_deref(), Some("${SECRET}"));
        assert_eq!(value("D"), None);
        assert_eq!(value("F").as_deref(), Some("$9"));
    }

    #[test]
    fn an_empty_value_counts_as_unset() {
        assert_eq!(Place::new(&[(".env", "A=")]).find("A"), None);
        assert!(parse_env("A=").unwrap().contains_key("A"));
    }
}
