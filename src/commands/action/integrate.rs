//! `integrate`: the lines of a backend's env file that make a plugin one of its custom services. Prints them, writes none.

use crate::context::Context;
use crate::environment::Variables;
use crate::error::Error;
use crate::project::Project;
use crate::state::Receipt;
use crate::values::Values;

/// How many custom services a backend has.
const MOST_SERVICES: u8 = 10;

/// The next free `CS_N` line and the plugin's own switches.
pub(super) fn text(cx: &Context, project: &Project, receipt: &Receipt) -> Result<String, Error> {
    let values = Values::read(&cx.settings.config_dir, &project.name)?;
    let variables = Variables { flags: &[], process: &cx.process_environment, project, values: &values };
    let plugin = &receipt.plugin;
    let prefix = plugin.variable_prefix();
    let port = receipt.ports.first().map(|port| port.host);
    let free = (1..=MOST_SERVICES).find(|number| variables.find(plugin.as_str(), &format!("CS_{number}")).is_none());
    let mut lines =
        vec![format!("# {plugin} runs by itself; a backend that is to route to it needs these lines in its .env")];
    match (free, port) {
        (Some(number), Some(port)) => lines.push(format!("CS_{number}={plugin}:custom:{port}")),
        (None, _) => lines.push(format!("# CS_1 to CS_{MOST_SERVICES} are all in use")),
        (_, None) => lines.push("# it has no port on this machine".to_owned()),
    }
    lines.push(format!("{prefix}_PLUGIN_ENABLED=true"));
    lines.extend(port.map(|port| format!("{prefix}_PLUGIN_PORT={port}")));
    lines.push(format!("# other containers of the project reach it as plugin-{plugin}"));
    Ok(lines.join("\n"))
}
