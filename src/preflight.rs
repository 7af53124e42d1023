//! What is checked before anything changes: ports, names, privileges. Owns the finding of who holds a port; changes
//! nothing.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::docker::{Docker, EngineError, PortHolder};
use crate::environment::TemplateNote;
use crate::environment::{ValueOrigin, Variables};
use crate::name::{PluginName, shown};
use crate::package::manifest::{Manifest, Variable, parse_memory};
use crate::version_range::VersionRange;

/// The oldest backend CLI that plugins are installed beside.
const OLDEST_BACKEND: semver::Version = semver::Version::new(0, 9, 8);

/// Something that stands in the way, and what helps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
}

/// Whether a port of loopback can be published. A privileged port that this user may not bind is the engine's to try.
pub fn is_port_free(port: u16) -> bool {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
    }
}

/// Finds who holds a port: a container of the engine, else a process of this machine.
pub async fn port_holder(docker: &Docker, port: u16) -> Result<PortHolder, EngineError> {
    if let Some(container) = docker.container_on_port(port).await? {
        return Ok(PortHolder::Container(container));
    }
    Ok(process_holder(port))
}

/// The same without an engine: a process of this machine, if this user can see it.
pub fn process_holder(port: u16) -> PortHolder {
    process_on_port(port).map_or(PortHolder::Unknown, |(name, id)| PortHolder::Process(name, id))
}

/// How the user moves a plugin's port so that it stays moved: where its variable is set now, or where `config` keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortMover {
    variable: String,
    set_by: Option<ValueOrigin>,
    folder: PathBuf,
    /// What the command line calls the plugin: its name, or the path of its folder or archive.
    word: String,
    plugin: PluginName,
}

impl PortMover {
    /// For a port's variable, where it has one.
    pub fn of(variables: &Variables<'_>, plugin: &PluginName, word: &str, variable: Option<&str>) -> Option<Self> {
        let variable = variable?;
        Some(Self {
            variable: variable.to_owned(),
            set_by: variables.find(plugin.as_str(), variable).map(|(_, origin)| origin),
            folder: variables.project.folder.clone(),
            word: word.to_owned(),
            plugin: plugin.clone(),
        })
    }

    /// The command, with a port that is free now.
    pub fn command(&self, taken: u16) -> String {
        let Self { variable, folder, word, plugin, .. } = self;
        let free = next_free_port(taken).map_or_else(|| "PORT".to_owned(), |port| port.to_string());
        match &self.set_by {
            Some(ValueOrigin::File(name)) => {
                format!("set {variable}={free} in {}, then: nself plugin install {word}", folder.join(name).display())
            }
            Some(ValueOrigin::Process) => format!("{variable}={free} nself plugin install {word}"),
            Some(ValueOrigin::Flag) => format!("nself plugin install {word} --env {variable}={free}"),
            _ => format!("nself plugin config {plugin} set {variable} {free} && nself plugin install {word}"),
        }
    }
}

/// The problem that two plugins want the same port; how one of them is moved.
pub fn port_wanted_twice(port: u16, owner: &PluginName, plugin: &PluginName, mover: Option<&PortMover>) -> Problem {
    Problem {
        code: "port.twice",
        message: format!("port {port} is wanted by both `{owner}` and `{plugin}`"),
        hint: mover.map(|mover| format!("move one of them: {}", mover.command(port))),
    }
}

/// The problem of a taken port, naming the holder and what moves it.
pub fn port_taken(plugin: &PluginName, port: u16, mover: Option<&PortMover>, holder: &PortHolder) -> Problem {
    let who = match holder {
        PortHolder::Container(name) => format!("the container `{name}`"),
        PortHolder::Process(name, id) => format!("the process `{name}` ({id})"),
        PortHolder::Unknown => "a process that this user cannot see".to_owned(),
    };
    let hint = mover.map(|mover| format!("choose another port: {}", mover.command(port)));
    Problem { code: "port.taken", message: format!("port {port} of `{plugin}` is held by {who}"), hint }
}

/// Every line of an env file that needs a variable which nobody has set.
pub fn missing_references(plugin: &PluginName, notes: &[TemplateNote]) -> Vec<Problem> {
    let problem = |note: &TemplateNote| Problem {
        code: "variable.missing",
        message: format!("could not read a variable of `{plugin}`: {note}"),
        hint: Some(format!("set it: nself plugin config {plugin} set {} VALUE", note.missing())),
    };
    notes.iter().filter(|note| note.is_required()).map(problem).collect()
}

/// Every required variable that nobody has set, with where it can be set.
pub fn missing_variables(plugin: &PluginName, missing: &[Variable]) -> Vec<Problem> {
    let problem = |variable: &Variable| {
        let about = if variable.description.is_empty() { String::new() } else { format!(": {}", variable.description) };
        Problem {
            code: "variable.missing",
            message: format!("`{plugin}` needs {}{}", variable.name, shown(&about)),
            hint: Some(format!("set it in .env.plugins, or: nself plugin config {plugin} set {} VALUE", variable.name)),
        }
    };
    missing.iter().map(problem).collect()
}

/// The port that the user wants on the host for a port's variable; the problem where its value is no port.
pub fn host_port(
    plugin: &PluginName,
    variable: Option<&str>,
    default: u16,
    variables: &Variables<'_>,
) -> Result<u16, Problem> {
    let found = variable.and_then(|key| Some((key, variables.find(plugin.as_str(), key)?.0)));
    let Some((key, value)) = found else { return Ok(default) };
    value.trim().parse().ok().filter(|port| *port > 0).ok_or_else(|| Problem {
        code: "port.malformed",
        message: format!("{key} is `{}`, which is no port (1 to 65535)", shown(&value)),
        hint: Some(format!("give a number, or unset it: {key}={default}")),
    })
}

/// The memory limit that the user sets with `<NAME>_MEMORY`, in bytes; the problem where it is no amount of memory.
pub fn memory_limit(manifest: &Manifest, variables: &Variables<'_>) -> Result<Option<u64>, Problem> {
    let key = format!("{}_MEMORY", manifest.name.variable_prefix());
    let Some((value, _)) = variables.find(manifest.name.as_str(), &key) else { return Ok(None) };
    parse_memory(&value).map(Some).ok_or_else(|| Problem {
        code: "memory.malformed",
        message: format!("{key} is `{}`, which is no amount of memory", shown(&value)),
        hint: Some(format!("give bytes or a unit: {key}=256m")),
    })
}

/// The problem that a service which a plugin needs is nowhere to be had; why not.
pub fn service_missing(plugin: &PluginName, service: &str, variable: Option<&str>, reason: &str) -> Problem {
    Problem {
        code: "service.missing",
        message: format!("`{plugin}` needs {}, which nobody gives: {reason}", shown(service)),
        hint: variable
            .map(|variable| format!("give the address of one: nself plugin config {plugin} set {variable} URL")),
    }
}

/// Capabilities of Docker's own default set that give no power over the host.
const HARMLESS_CAPABILITIES: &[&str] =
    &["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"];

/// What a manifest asks for beyond the hardened defaults, in words.
pub fn granted(manifest: &Manifest) -> Vec<String> {
    let asked = &manifest.privileges;
    let mut words: Vec<String> = asked.capabilities.iter().map(|name| format!("capability {name}")).collect();
    words.extend(asked.privileged.then(|| "privileged mode".to_owned()));
    words.extend(asked.docker_socket.then(|| "the Docker socket".to_owned()));
    words.extend(asked.host_mounts.iter().map(|mount| format!("the host folder {mount}")));
    words
}

/// The problem that a plugin asks for power over the host and the user has not granted it.
pub fn privileges(manifest: &Manifest, is_allowed: bool) -> Option<Problem> {
    let asked = &manifest.privileges;
    let is_harmless = |name: &String| HARMLESS_CAPABILITIES.contains(&name.trim_start_matches("CAP_"));
    let is_within = asked.capabilities.iter().all(is_harmless)
        && !asked.privileged
        && !asked.docker_socket
        && asked.host_mounts.is_empty();
    (!is_within && !is_allowed).then(|| Problem {
        code: "privileges",
        message: format!("`{}` asks for {}", manifest.name, granted(manifest).join(", ")),
        hint: Some(format!("if you trust it: nself plugin install {} --allow-privileged", manifest.name)),
    })
}

/// The problem that the backend CLI is older than what plugins are installed beside.
pub fn backend_too_old(program: &Path, version: &semver::Version) -> Option<Problem> {
    (*version < OLDEST_BACKEND).then(|| Problem {
        code: "backend.too_old",
        message: format!("the backend CLI `{}` is {version}; {OLDEST_BACKEND} or later is needed", program.display()),
        hint: Some("update it: nself update".into()),
    })
}

/// The problem that a plugin needs a later nself than this machine has. Ranges are as in the manifest (`>=0.9.8`).
pub fn host_too_old(manifest: &Manifest, lowest: Option<&semver::Version>, host: &semver::Version) -> Option<Problem> {
    let range = manifest.requires.host.as_deref().and_then(|range| range.parse::<VersionRange>().ok());
    let wanted = match (range, lowest) {
        (Some(range), _) if !range.matches(host) => range.to_string(),
        (_, Some(lowest)) if host < lowest => format!(">={lowest}"),
        _ => return None,
    };
    Some(needs_host(&manifest.name, &wanted, host))
}

/// The same where only the registry's lowest version is known.
pub fn host_below(plugin: &PluginName, lowest: &semver::Version, host: &semver::Version) -> Option<Problem> {
    (host < lowest).then(|| needs_host(plugin, &format!(">={lowest}"), host))
}

fn needs_host(plugin: &PluginName, wanted: &str, host: &semver::Version) -> Problem {
    Problem {
        code: "host.too_old",
        message: format!("`{plugin}` needs nself {wanted}, and this machine has {host}"),
        hint: Some("update the nself backend CLI: nself update".into()),
    }
}

/// The problem that somebody else's container has the plugin's name.
pub fn name_taken(plugin: &PluginName, container: &str) -> Problem {
    Problem {
        code: "name.taken",
        message: format!(
            "there is a container `{container}` that this installation did not make, and `{plugin}` needs the name"
        ),
        hint: Some(format!(
            "rename it: docker rename {container} {container}-other; or use another project: --project NAME"
        )),
    }
}

/// The problem that another project has activated another version of a plugin than this one has installed.
pub fn other_version(plugin: &PluginName, active: &semver::Version, installed: &semver::Version) -> Problem {
    Problem {
        code: "package.other_version",
        message: format!(
            "the package of `{plugin}` is {active} now, by another project; this project has {installed} installed"
        ),
        hint: Some(format!("take that version here too: nself plugin install {plugin}@{active}")),
    }
}

/// The problem that the active package is a link, which is never written through.
pub fn package_is_link(plugin: &PluginName, path: &Path) -> Problem {
    Problem {
        code: "package.link",
        message: format!("the package folder `{}` of `{plugin}` is a link", path.display()),
        hint: Some(format!("remove the link: rm {}", path.display())),
    }
}

/// This machine as images are labelled with it (`linux/amd64`); the bare architecture where images have no such word.
pub fn own_platform() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "linux/amd64",
        "aarch64" => "linux/arm64",
        other => other,
    }
}

/// Refuses an image that was made for another kind of machine.
pub fn check_platform(plugin: &PluginName, reference: &str, platform: &str) -> Result<(), crate::error::Error> {
    let own = own_platform();
    if platform == own || !own.starts_with("linux/") {
        return Ok(());
    }
    Err(crate::error::Error::Preflight(vec![Problem {
        code: "image.platform",
        message: format!("the image `{reference}` of `{plugin}` is for {platform}, and this machine is {own}"),
        hint: None,
    }]))
}

fn next_free_port(from: u16) -> Option<u16> {
    (from..from.saturating_add(1000)).skip(1).step_by(10).find(|port| is_port_free(*port))
}

/// Reads `/proc/net/tcp` for the listening socket, then the processes for who has it open.
fn process_on_port(port: u16) -> Option<(String, u32)> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let text = std::fs::read_to_string(table).ok()?;
        text.lines().skip(1).find_map(|line| listening_inode(line, port))
    })?;
    let wanted = format!("socket:[{inode}]");
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(open) = std::fs::read_dir(entry.path().join("fd")) else { continue };
        let holds = open
            .flatten()
            .any(|file| std::fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str()));
        if holds {
            let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            return Some((shown(name.trim()), id));
        }
    }
    None
}

/// One line of `/proc/net/tcp` (proc(5)): address and state in hexadecimal; state 0A is listening; field 9 the inode.
fn listening_inode(line: &str, port: u16) -> Option<u64> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, local) = fields.get(1)?.rsplit_once(':')?;
    let is_wanted = u16::from_str_radix(local, 16).ok()? == port && *fields.get(3)? == "0A";
    if is_wanted { fields.get(9)?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_held_by_this_process_is_taken_and_its_holder_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!is_port_free(port));
        let (_, id) = process_on_port(port).unwrap();
        assert_eq!(id, std::process::id());
    }
}
