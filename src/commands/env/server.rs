//! What a server of the application needs: the plugins' addresses, their keys, and the passwords of services. Owns the
//! file that `--write` makes; prints nothing.

use std::io::ErrorKind;
use std::path::Path;

use super::{API_URLS, EnvReport, Hosts, Line};
use crate::commands::services::has_password;
use crate::context::Context;
use crate::environment::Variables;
use crate::error::Error;
use crate::fs;
use crate::needs::{address_of, is_service};
use crate::package::Package;
use crate::project::Project;
use crate::state::Receipt;
use crate::ui::shell_path;
use crate::values::Values;

/// The first line of a file that `--write` made: such a file may be replaced, any other is the user's.
const HEADER: &str = "# Written by `nself plugin env --server --write`; it holds secrets";

/// The variables for a server; secrets without their values unless they are to be shown.
pub(super) fn lines(
    cx: &Context,
    project: &Project,
    receipts: &[Receipt],
    (hosts, is_shown): (&Hosts<'_>, bool),
) -> Result<Vec<Line>, Error> {
    let values = Values::read(&cx.settings.config_dir, &project.name)?;
    let variables = Variables { flags: &[], process: &cx.process_environment, project, values: &values };
    let mut lines = Vec::new();
    for receipt in receipts {
        lines.extend(addresses(receipt, hosts));
        for (key, value) in secrets(cx, receipt, &variables) {
            lines.push(Line { key, value: is_shown.then_some(value) });
        }
        lines.extend(
            service(cx, receipt, &variables, hosts)
                .map(|(key, value, is_secret)| Line { key, value: (is_shown || !is_secret).then_some(value) }),
        );
    }
    Ok(lines)
}

fn addresses(receipt: &Receipt, hosts: &Hosts<'_>) -> Vec<Line> {
    let Some(port) = receipt.ports.first().filter(|_| receipt.health_port().is_some()) else { return Vec::new() };
    let prefix = receipt.plugin.variable_prefix();
    let address = hosts.server(receipt, port);
    let mut lines = vec![Line::new(format!("{prefix}_URL"), address.clone())];
    if API_URLS.contains(&receipt.plugin.as_str()) {
        lines.push(Line::new(format!("{prefix}_API_URL"), address));
    }
    lines
}

/// The generated values of a plugin, or what the user has set in their place.
fn secrets(cx: &Context, receipt: &Receipt, variables: &Variables<'_>) -> Vec<(String, String)> {
    let Ok(manifest) = Package::peek(&cx.state.active_package(receipt.plugin.as_str())) else { return Vec::new() };
    let generated = manifest.variables.iter().filter(|variable| variable.generated.is_some() && variable.secret);
    generated
        .filter_map(|variable| {
            let mut names = std::iter::once(&variable.name).chain(&variable.aliases);
            let (value, _) = names.find_map(|name| variables.find(receipt.plugin.as_str(), name))?;
            Some((variable.name.clone(), value))
        })
        .collect()
}

/// The address of a service such as redis, with its password; whether it holds one.
fn service(
    cx: &Context,
    receipt: &Receipt,
    variables: &Variables<'_>,
    hosts: &Hosts<'_>,
) -> Option<(String, String, bool)> {
    let name = receipt.plugin.as_str();
    let port = receipt.ports.first().filter(|_| is_service(name))?;
    let has_password = has_password(&cx.state, receipt);
    let setting = |key: &str| if has_password { variables.find(name, key).map(|(value, _)| value) } else { None };
    let authority = hosts.server(receipt, port);
    let (host, number) = authority.rsplit_once(':')?;
    let address = address_of(name, host, &setting).ok()?;
    let mut address = url::Url::parse(&address).ok()?;
    let _ = address.set_port(number.parse().ok());
    let is_secret = address.password().is_some();
    Some((format!("{}_URL", receipt.plugin.variable_prefix()), address.to_string(), is_secret))
}

/// Writes the variables to a file that only its owner can read; gives its path.
pub(super) fn write(path: &Path, report: &EnvReport) -> Result<String, Error> {
    match fs::read_optional(path)? {
        Some(existing) if !existing.starts_with(HEADER.as_bytes()) => {
            return Err(Error::File(fs::failed("write", path)(std::io::Error::new(
                ErrorKind::AlreadyExists,
                "the file exists and is not one that this command wrote",
            ))));
        }
        _ => {}
    }
    fs::write_atomic(path, format!("{HEADER}\n{}\n", report.dotenv()).as_bytes())?;
    Ok(shell_path(path))
}
