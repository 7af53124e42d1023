//! `env`: the addresses of installed plugins as variables for a frontend, under the names that nself's applications
//! read; with `--server`, also the keys and passwords that a server of the application needs.

mod server;

use serde_json::{Map, Value, json};

use crate::address;
use crate::cli::{EnvArguments, EnvFormat, Place};
use crate::context::Context;
use crate::error::Error;
use crate::package::manifest::Protocol;
use crate::project::Strictness;
use crate::state::{Receipt, ReceiptPort};
use crate::ui::{Report, Style, shell_word};

/// Next.js hands variables that begin so to the browser's code.
const PREFIX: &str = "NEXT_PUBLIC_";
/// Names that follow from nothing: plugin, port, and what its address is called after [`PREFIX`].
const OWN_NAMES: &[(&str, &str, &str)] = &[("jobs", "dashboard", "BULLMQ_DASHBOARD_URL")];
/// Plugins whose main address is printed as a WebSocket too.
const SOCKETS: &[&str] = &["realtime"];
/// Plugins whose main address applications also read as `<NAME>_API_URL`, in the browser and on the server.
const API_URLS: &[&str] = &["notifications"];

/// One variable.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    key: String,
    /// `None` for a secret that is not shown.
    value: Option<String>,
}

impl Line {
    fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: Some(value.into()) }
    }
}

/// The variables.
#[derive(Debug)]
pub struct EnvReport {
    project: String,
    format: EnvFormat,
    addresses: Vec<Line>,
    switches: Vec<Line>,
    /// For servers: addresses, keys and passwords.
    server: Vec<Line>,
    /// Where `--write` has put them.
    written: Option<String>,
}

/// How the addresses begin.
struct Hosts<'a> {
    named: Option<&'a str>,
    place: Place,
}

impl Hosts<'_> {
    /// A port's address for the browser, which is never in a container.
    fn browser(&self, port: &ReceiptPort) -> String {
        self.named.map_or_else(|| address::of(port), |host| address::at(port, host))
    }

    /// A port's address for a server, on this machine or in a container of the project.
    fn server(&self, receipt: &Receipt, port: &ReceiptPort) -> String {
        match (self.named, self.place) {
            (Some(host), _) => address::at(port, host),
            (None, Place::Host) => address::of(port),
            (None, Place::Container) => {
                address::written(port.protocol, &format!("plugin-{}", receipt.plugin), port.container)
            }
        }
    }
}

/// Reads the receipts of the plugins named, or of all.
pub fn run(cx: &Context, arguments: &EnvArguments) -> Result<EnvReport, Error> {
    let project = cx.project(Strictness::Lenient)?;
    let receipts = super::chosen_receipts(cx, &project.name, &arguments.plugins)?;
    let hosts = Hosts { named: arguments.host.as_deref().map(checked_host).transpose()?, place: arguments.place };
    let mut report = EnvReport {
        project: project.name.clone(),
        format: arguments.format,
        addresses: Vec::new(),
        switches: Vec::new(),
        server: Vec::new(),
        written: None,
    };
    if arguments.server {
        let is_shown = arguments.reveal || arguments.write.is_some();
        report.server = server::lines(cx, &project, &receipts, (&hosts, is_shown))?;
        if let Some(path) = &arguments.write {
            report.written = Some(server::write(&cx.settings.working_dir.join(path), &report)?);
        }
        return Ok(report);
    }
    // What speaks no HTTP is for servers, not for browsers.
    for receipt in receipts.iter().filter(|receipt| receipt.health_port().is_some()) {
        report.addresses.extend(addresses(receipt, &hosts));
        report.switches.push(Line::new(format!("{PREFIX}{}_ENABLED", receipt.plugin.variable_prefix()), "true"));
    }
    Ok(report)
}

/// A host that may stand in an address.
fn checked_host(host: &str) -> Result<&str, Error> {
    if url::Host::parse(host).is_ok() || host.parse::<std::net::IpAddr>().is_ok() {
        return Ok(host);
    }
    Err(Error::Usage {
        message: format!("`{}` is not a host name or an IP address", crate::name::shown(host)),
        hint: Some("name the machine that the plugins run on: nself plugin env --host 192.168.1.10".into()),
    })
}

/// The variables that hold a plugin's addresses.
fn addresses(receipt: &Receipt, hosts: &Hosts<'_>) -> Vec<Line> {
    let plugin = receipt.plugin.variable_prefix();
    let mut found = Vec::new();
    let pages = receipt.ports.iter().enumerate().filter(|(_, port)| port.protocol == Protocol::Http);
    for (place, port) in pages {
        let shown = hosts.browser(port);
        found.push(Line::new(format!("{PREFIX}{}", name(receipt, port, place == 0)), shown.clone()));
        if place > 0 {
            continue;
        }
        if SOCKETS.contains(&receipt.plugin.as_str()) {
            found.push(Line::new(format!("{PREFIX}{plugin}_WS_URL"), shown.replacen("http://", "ws://", 1)));
        }
        if API_URLS.contains(&receipt.plugin.as_str()) {
            found.push(Line::new(format!("{PREFIX}{plugin}_API_URL"), shown));
            found.push(Line::new(format!("{plugin}_API_URL"), hosts.server(receipt, port)));
        }
        if hosts.place == Place::Container {
            found.push(Line::new(format!("{plugin}_URL"), hosts.server(receipt, port)));
        }
    }
    found
}

fn name(receipt: &Receipt, port: &ReceiptPort, is_main: bool) -> String {
    let own = OWN_NAMES.iter().find(|(plugin, label, _)| receipt.plugin.as_str() == *plugin && port.name == *label);
    match own {
        Some((.., name)) => (*name).to_owned(),
        None if is_main => format!("{}_URL", receipt.plugin.variable_prefix()),
        None => {
            let label = port.name.to_ascii_uppercase().replace('-', "_");
            format!("{}_{label}_URL", receipt.plugin.variable_prefix())
        }
    }
}

/// A line of an env file; a value that is not shown is a comment.
fn dotenv(line: &Line) -> String {
    match &line.value {
        Some(value) => format!("{}={}", line.key, crate::dotenv::quoted(value)),
        None => format!("# {} is not shown; add --reveal, or --write FILE", line.key),
    }
}

impl EnvReport {
    fn all(&self) -> impl Iterator<Item = &Line> {
        self.addresses.iter().chain(&self.switches).chain(&self.server)
    }

    fn object(&self) -> Map<String, Value> {
        self.all().filter_map(|line| Some((line.key.clone(), line.value.as_deref()?.into()))).collect()
    }

    fn dotenv(&self) -> String {
        self.all().map(dotenv).collect::<Vec<_>>().join("\n")
    }

    fn shell(&self) -> String {
        let line = |line: &Line| match &line.value {
            Some(value) if value.contains('\'') => format!("export {}={}", line.key, shell_word(value)),
            Some(value) => format!("export {}='{value}'", line.key),
            None => dotenv(line),
        };
        self.all().map(line).collect::<Vec<_>>().join("\n")
    }

    fn nextjs(&self) -> String {
        let part = |lines: &[Line]| lines.iter().map(|line| dotenv(line) + "\n").collect::<String>();
        let sections = [
            ("addresses", &self.addresses),
            ("which of them are installed", &self.switches),
            ("for servers", &self.server),
        ];
        let text: Vec<String> = sections
            .iter()
            .filter(|(_, lines)| !lines.is_empty())
            .map(|(title, lines)| format!("# nself plugins of project {}: {title}\n{}", self.project, part(lines)))
            .collect();
        text.join("\n").trim_end().to_owned()
    }
}

impl Report for EnvReport {
    fn schema(&self) -> &'static str {
        "nself.plugin.env/1"
    }

    fn is_data(&self) -> bool {
        true
    }

    fn json(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("project".into(), self.project.as_str().into());
        if let Some(path) = &self.written {
            fields.insert("written".into(), path.as_str().into());
            return fields;
        }
        fields.insert("variables".into(), self.object().into());
        let withheld: Vec<&str> =
            self.all().filter(|line| line.value.is_none()).map(|line| line.key.as_str()).collect();
        if !withheld.is_empty() {
            fields.insert("not_shown".into(), json!(withheld));
        }
        fields
    }

    fn text(&self, _: Style) -> String {
        if let Some(path) = &self.written {
            return format!("{} variables are in {path}, which only you can read", self.server.len());
        }
        match self.format {
            EnvFormat::Dotenv => self.dotenv(),
            EnvFormat::Shell => self.shell(),
            EnvFormat::Json => serde_json::to_string_pretty(&self.object()).unwrap_or_default(),
            EnvFormat::Nextjs => self.nextjs(),
        }
    }
}
