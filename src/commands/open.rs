//! `open`: a plugin's page in the browser, or its address on standard output where there is nobody to look.

use std::process::{Command, Stdio};

use serde_json::{Map, Value};

use crate::address;
use crate::cli::OpenArguments;
use crate::context::Context;
use crate::error::Error;
use crate::name::PluginName;
use crate::project::Strictness;
use crate::ui::{Report, Style};

/// What opens an address, in the order in which they are tried: freedesktop.org, macOS.
const OPENERS: &[&str] = &["xdg-open", "open"];

/// The address, and whether a browser was told.
#[derive(Debug)]
pub struct OpenReport {
    plugin: PluginName,
    address: String,
    is_opened: bool,
}

/// Finds the address by plugin and port name.
pub fn run(cx: &Context, arguments: &OpenArguments) -> Result<OpenReport, Error> {
    let plugin: PluginName = arguments.plugin.parse()?;
    let project = cx.project(Strictness::Lenient)?;
    let receipt = super::installed(cx, &project.name, &plugin)?;
    let known = receipt.ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join(", ");
    let wanted = |name: &String| receipt.ports.iter().find(|port| port.name == *name);
    let port = arguments.port.as_ref().map_or(receipt.ports.first(), wanted);
    let Some(port) = port else {
        let message = match &arguments.port {
            Some(name) => format!("`{plugin}` has no address `{}`; it has: {known}", crate::name::shown(name)),
            None => format!("`{plugin}` is published nowhere on this machine"),
        };
        return Err(Error::Usage { message, hint: Some(format!("see: nself plugin info {plugin}")) });
    };
    let address = address::of(port);
    let may_open = !arguments.print && !cx.output.is_json() && cx.output.has_person() && address.starts_with("http://");
    let is_opened = may_open && open(&address);
    Ok(OpenReport { plugin, address, is_opened })
}

fn open(address: &str) -> bool {
    let tell = |opener: &&&str| {
        let quiet =
            Command::new(opener).arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        quiet.is_ok_and(|status| status.success())
    };
    OPENERS.iter().any(|opener| tell(&opener))
}

impl Report for OpenReport {
    fn schema(&self) -> &'static str {
        "nself.plugin.open/1"
    }

    fn json(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("plugin".into(), self.plugin.as_str().into());
        fields.insert("address".into(), self.address.as_str().into());
        fields.insert("opened".into(), self.is_opened.into());
        fields
    }

    fn text(&self, _: Style) -> String {
        self.address.clone()
    }
}
