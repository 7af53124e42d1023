//! `env`: the addresses of installed plugins as variables for a frontend, under the names that nself's applications read.
//! Reads receipts only.

use serde_json::{Map, Value};

use crate::cli::{EnvArguments, EnvFormat};
use crate::context::Context;
use crate::error::Error;
use crate::package::manifest::Protocol;
use crate::project::Strictness;
use crate::state::{Receipt, ReceiptPort};
use crate::ui::{Report, Style};

/// What a browser's code may read begins so (Next.js).
const PREFIX: &str = "NEXT_PUBLIC_";
/// Names that follow from nothing: plugin, port, and what its address is called after [`PREFIX`].
const OWN_NAMES: &[(&str, &str, &str)] = &[("jobs", "dashboard", "BULLMQ_DASHBOARD_URL")];
/// Plugins whose main address is told as a WebSocket too.
const SOCKETS: &[&str] = &["realtime"];

/// The variables.
#[derive(Debug)]
pub struct EnvReport {
    project: String,
    format: EnvFormat,
    addresses: Vec<(String, String)>,
    switches: Vec<(String, String)>,
}

/// Reads the receipts of the plugins named, or of all.
pub fn run(cx: &Context, arguments: &EnvArguments) -> Result<EnvReport, Error> {
    let project = cx.project(Strictness::Lenient)?;
    let receipts = super::chosen_receipts(cx, &project.name, &arguments.plugins)?;
    // What speaks no HTTP is for servers, not for browsers.
    let pages = receipts.iter().filter(|receipt| receipt.health_port().is_some());
    let mut report =
        EnvReport { project: project.name, format: arguments.format, addresses: Vec::new(), switches: Vec::new() };
    for receipt in pages {
        report.addresses.extend(addresses(receipt));
        report.switches.push((format!("{PREFIX}{}_ENABLED", receipt.plugin.variable_prefix()), "true".to_owned()));
    }
    Ok(report)
}

/// The variables that hold a plugin's addresses.
fn addresses(receipt: &Receipt) -> Vec<(String, String)> {
    let plugin = receipt.plugin.variable_prefix();
    let mut found = Vec::new();
    let pages = receipt.ports.iter().enumerate().filter(|(_, port)| port.protocol == Protocol::Http);
    for (place, port) in pages {
        found.push((format!("{PREFIX}{}", name(receipt, port, place == 0)), port.address()));
        if place == 0 && SOCKETS.contains(&receipt.plugin.as_str()) {
            let socket = port.address().replacen("http://", "ws://", 1);
            found.push((format!("{PREFIX}{plugin}_WS_URL"), socket));
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

impl EnvReport {
    fn all(&self) -> impl Iterator<Item = &(String, String)> {
        self.addresses.iter().chain(&self.switches)
    }

    fn lines(&self, line: impl Fn(&str, &str) -> String) -> String {
        self.all().map(|(key, value)| line(key, value)).collect::<Vec<_>>().join("\n")
    }

    fn object(&self) -> Map<String, Value> {
        self.all().map(|(key, value)| (key.clone(), value.as_str().into())).collect()
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
        fields.insert("variables".into(), self.object().into());
        fields
    }

    fn text(&self, _: Style) -> String {
        match self.format {
            EnvFormat::Dotenv => self.lines(|key, value| format!("{key}={value}")),
            EnvFormat::Shell => self.lines(|key, value| format!("export {key}='{value}'")),
            EnvFormat::Json => serde_json::to_string_pretty(&self.object()).unwrap_or_default(),
            EnvFormat::Nextjs if self.addresses.is_empty() => String::new(),
            EnvFormat::Nextjs => {
                let part = |lines: &[(String, String)]| {
                    lines.iter().map(|(key, value)| format!("{key}={value}\n")).collect::<Vec<_>>().concat()
                };
                let project = &self.project;
                let (addresses, switches) = (part(&self.addresses), part(&self.switches));
                format!("# nself plugins of project {project}: addresses\n{addresses}\n# which of them there are\n{switches}")
                    .trim_end()
                    .to_owned()
            }
        }
    }
}
