//! The container's part of a manifest: how it runs, its ports, and what it asks for beyond the defaults.

use serde_json::Value;

use super::fields::{Fields, wrong};
use super::{ManifestError, Port, Privileges, Protocol, Service, Variable, Volume, values};
use crate::name::{PluginName, shown};

const KINDS: &[&str] = &["container", "compose", "cli", "library", "service"];
/// Processes and threads, where a manifest says nothing.
const DEFAULT_PIDS: u64 = 256;
/// Seconds between SIGTERM and SIGKILL, where a manifest says nothing.
const DEFAULT_GRACE: u64 = 10;
/// The most ports, volumes, tmpfs folders or host mounts of one plugin.
const MOST_OF_A_KIND: usize = 32;
/// Where the first generation keeps its port, in the order of trust.
const OLD_PORT_KEYS: &[&str] = &["port", "defaultPort", "httpPort", "internalPort", "dashboardPort"];

pub(super) fn service(top: &Fields<'_>, generation: u64) -> Result<Service, ManifestError> {
    let fields = top.object("service", "service")?;
    let compose = fields.text("compose")?.or(top.text("composeFragment")?);
    let kind = match fields.text("kind")? {
        Some(kind) if KINDS.contains(&kind) => kind,
        Some(kind) => {
            let problem = format!("is `{}`; known are {}", shown(kind), KINDS.join(", "));
            return Err(fields.wrong("kind", problem));
        }
        None if compose.is_some() => "compose",
        None => "service",
    };
    let hardened = generation == 2 && kind == "container";
    let read_only = fields.flag("read_only")?.unwrap_or(hardened);
    let checked = |key: &str, check: fn(&str) -> Result<String, String>| {
        let text = fields.text(key)?;
        text.map(check).transpose().map_err(|problem| fields.wrong(key, problem))
    };
    let image = match checked("image", values::image)? {
        Some(image) => Some(image),
        None => top
            .text("docker_image")?
            .map(values::image)
            .transpose()
            .map_err(|problem| wrong("docker_image", problem))?,
    };
    Ok(Service {
        kind: kind.to_owned(),
        image,
        compose: compose.map(values::package_file).transpose().map_err(|problem| fields.wrong("compose", problem))?,
        dockerfile: dockerfile(&fields)?,
        health_path: health_path(top, &fields)?,
        memory: memory(&fields)?,
        cpus: cpus(&fields)?,
        pids: i64::try_from(fields.whole("pids", 1, 1_000_000)?.unwrap_or(DEFAULT_PIDS)).ok(),
        read_only,
        tmpfs: tmpfs(&fields, read_only)?,
        volumes: volumes(&fields)?,
        user: checked("user", values::user)?,
        command: command(&fields)?,
        stop_grace_seconds: small(fields.whole("stop_grace_seconds", 0, 3600)?.unwrap_or(DEFAULT_GRACE)),
    })
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// `dockerfile`, or `build` as a text, or `build.dockerfile`; a `.` is the package's folder, whose file is the default.
fn dockerfile(fields: &Fields<'_>) -> Result<Option<String>, ManifestError> {
    let build = match fields.get("build") {
        Some(Value::Object(_)) => fields.object("build", "service.build")?.text("dockerfile")?,
        _ => fields.text("build")?.filter(|build| !matches!(*build, "." | "./")),
    };
    let stated = fields.text("dockerfile")?.or(build);
    stated.map(values::package_file).transpose().map_err(|problem| fields.wrong("dockerfile", problem))
}

fn health_path(top: &Fields<'_>, fields: &Fields<'_>) -> Result<Option<String>, ManifestError> {
    let stated = match fields.get("healthcheck") {
        Some(Value::Object(_)) => fields.object("healthcheck", "service.healthcheck")?.text("path")?,
        _ => fields.text("healthcheck")?,
    };
    let path = match stated {
        Some(path) => Some(path),
        None => top.first_text(&["health_endpoint", "healthEndpoint", "healthPath"])?,
    };
    path.map(values::health_path).transpose().map_err(|problem| fields.wrong("healthcheck", problem))
}

fn memory(fields: &Fields<'_>) -> Result<Option<u64>, ManifestError> {
    let bytes = match fields.get("memory") {
        None => return Ok(None),
        Some(Value::String(text)) => values::memory(text),
        Some(value) => value
            .as_u64()
            .and_then(values::bytes_in_range)
            .ok_or_else(|| "must be a number of bytes or a size such as 256m".to_owned()),
    };
    bytes.map(Some).map_err(|problem| fields.wrong("memory", problem))
}

/// A number, or a text as compose writes it (`"0.50"`).
fn cpus(fields: &Fields<'_>) -> Result<Option<f64>, ManifestError> {
    let value = fields.get("cpus").or_else(|| fields.get("cpu"));
    let Some(value) = value else { return Ok(None) };
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    match number.filter(|number| *number > 0.0 && *number <= 1024.0) {
        Some(number) => Ok(Some(number)),
        None => Err(fields.wrong("cpus", "must be a number above 0, at most 1,024")),
    }
}

fn tmpfs(fields: &Fields<'_>, read_only: bool) -> Result<Vec<String>, ManifestError> {
    if fields.get("tmpfs").is_none() {
        return Ok(if read_only { vec!["/tmp".to_owned()] } else { Vec::new() });
    }
    let folders = fields.texts("tmpfs")?;
    check_count(fields, "tmpfs", folders.len())?;
    folders
        .iter()
        .map(|path| values::container_path(path))
        .collect::<Result<_, _>>()
        .map_err(|problem| fields.wrong("tmpfs", problem))
}

fn volumes(fields: &Fields<'_>) -> Result<Vec<Volume>, ManifestError> {
    let list = fields.list("volumes")?;
    check_count(fields, "volumes", list.len())?;
    let mut volumes: Vec<Volume> = Vec::new();
    for (place, value) in list.iter().enumerate() {
        let place = format!("service.volumes[{place}]");
        let entry = Fields::of(value, &place)?;
        let name = entry.text("name")?.ok_or_else(|| entry.wrong("name", "is missing"))?;
        let path = entry.text("path")?.ok_or_else(|| entry.wrong("path", "is missing"))?;
        let name = values::volume_name(name).map_err(|problem| entry.wrong("name", problem))?;
        let path = values::container_path(path).map_err(|problem| entry.wrong("path", problem))?;
        if volumes.iter().any(|earlier| earlier.name == name || earlier.path == path) {
            return Err(entry.wrong("name", format!("`{name}` at `{path}` contends with an earlier volume")));
        }
        volumes.push(Volume { name, path });
    }
    Ok(volumes)
}

fn command(fields: &Fields<'_>) -> Result<Option<Vec<String>>, ManifestError> {
    if fields.get("command").is_none() {
        return Ok(None);
    }
    let words = fields.texts("command")?;
    if words.iter().any(|word| word.contains('\0')) {
        return Err(fields.wrong("command", "has a zero byte"));
    }
    Ok(Some(words))
}

fn check_count(fields: &Fields<'_>, key: &str, count: usize) -> Result<(), ManifestError> {
    if count > MOST_OF_A_KIND { Err(fields.wrong(key, "has more than 32 entries")) } else { Ok(()) }
}

/// All ports, the one where health is asked first: `service.port`, else the first of `ports`, else where the first
/// generation keeps it, else the default of the variable `NAME_PORT`.
pub(super) fn ports(top: &Fields<'_>, name: &PluginName, variables: &[Variable]) -> Result<Vec<Port>, ManifestError> {
    let list = top.list("ports")?;
    check_count(top, "ports", list.len())?;
    let main_variable = name.port_variable();
    let main = main_port(top, list.is_empty(), variables, &main_variable)?;
    let mut ports: Vec<Port> = Vec::new();
    for (place, value) in list.iter().enumerate() {
        let place = format!("ports[{place}]");
        let port = listed_port(&Fields::of(value, &place)?, name, main)?;
        if ports.iter().any(|earlier| contend(earlier, &port)) {
            return Err(wrong(place, "has the number, name or variable of an earlier port"));
        }
        ports.push(port);
    }
    match main.map(|main| (main, ports.iter().position(|port| port.port == main))) {
        Some((_, Some(place))) => ports[..=place].rotate_right(1),
        Some((main, None)) => {
            let port = Port {
                name: "http".to_owned(),
                port: main,
                variable: Some(main_variable),
                hostname: None,
                description: String::new(),
                protocol: Protocol::Http,
                optional: false,
            };
            if ports.iter().any(|other| contend(other, &port)) {
                return Err(wrong("service.port", "is not among `ports`, but one of them has its name or variable"));
            }
            ports.insert(0, port);
        }
        None => {}
    }
    Ok(ports)
}

fn contend(one: &Port, other: &Port) -> bool {
    one.port == other.port || one.name == other.name || (one.variable.is_some() && one.variable == other.variable)
}

/// A port of the list; where it names no variable, the main one gets `NAME_PORT` and others `NAME_LABEL_PORT`.
fn listed_port(entry: &Fields<'_>, name: &PluginName, main: Option<u16>) -> Result<Port, ManifestError> {
    let port = port_number(entry, "port")?.ok_or_else(|| entry.wrong("port", "must be a number from 1 to 65535"))?;
    let label = entry.text("name")?.unwrap_or("http");
    let label = values::volume_name(label).map_err(|problem| entry.wrong("name", problem))?;
    let variable = match entry.text("variable")? {
        Some(variable) => values::variable_name(variable).map_err(|problem| entry.wrong("variable", problem))?,
        None if main == Some(port) => name.port_variable(),
        None => format!("{}_{}_PORT", name.variable_prefix(), label.to_ascii_uppercase().replace('-', "_")),
    };
    let hostname = entry.text("hostname")?.map(values::hostname).transpose();
    let protocol = match entry.text("protocol")? {
        None | Some("http") => Protocol::Http,
        Some("tcp") => Protocol::Tcp,
        Some(other) => return Err(entry.wrong("protocol", format!("is `{}`; known are http, tcp", shown(other)))),
    };
    Ok(Port {
        name: label,
        port,
        variable: Some(variable),
        hostname: hostname.map_err(|problem| entry.wrong("hostname", problem))?,
        description: entry.text("description")?.unwrap_or_default().to_owned(),
        protocol,
        optional: entry.flag("optional")?.unwrap_or(false),
    })
}

/// A port; 0 means none, as the registries write it.
fn port_number(fields: &Fields<'_>, key: &str) -> Result<Option<u16>, ManifestError> {
    let number = fields.whole(key, 0, u64::from(u16::MAX))?.unwrap_or(0);
    Ok(u16::try_from(number).ok().filter(|port| *port != 0))
}

fn main_port(
    top: &Fields<'_>,
    is_alone: bool,
    variables: &[Variable],
    variable: &str,
) -> Result<Option<u16>, ManifestError> {
    let stated = port_number(&top.object("service", "service")?, "port")?;
    if stated.is_some() {
        return Ok(stated);
    }
    if !is_alone {
        let first = top.list("ports")?.first();
        return first.map_or(Ok(None), |first| port_number(&Fields::of(first, "ports[0]")?, "port"));
    }
    if top.get("port").is_some() {
        return port_number(top, "port");
    }
    if let Some(Value::Object(_)) = top.get("config") {
        let config = top.object("config", "config")?;
        if let Some(key) = OLD_PORT_KEYS.iter().find(|key| config.get(key).is_some()) {
            return port_number(&config, key);
        }
    }
    let default = variables.iter().find(|one| one.name == variable).and_then(|one| one.default.as_deref());
    Ok(default.and_then(|text| text.parse().ok()).filter(|port| *port != 0))
}

pub(super) fn privileges(top: &Fields<'_>) -> Result<Privileges, ManifestError> {
    let fields = top.object("privileges", "privileges")?;
    let checked = |key: &str, check: fn(&str) -> Result<String, String>| {
        let texts = fields.texts(key)?;
        check_count(&fields, key, texts.len())?;
        texts
            .iter()
            .map(|text| check(text))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|problem| fields.wrong(key, problem))
    };
    Ok(Privileges {
        capabilities: checked("capabilities", values::capability)?,
        privileged: fields.flag("privileged")?.unwrap_or(false),
        docker_socket: fields.flag("docker_socket")?.unwrap_or(false),
        host_mounts: checked("host_mounts", values::host_mount)?,
    })
}
