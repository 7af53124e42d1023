//! What a user may want to do next with installed plugins: one line each, with the command.

use crate::environment::Assembled;
use crate::package::manifest::{Manifest, Protocol};
use crate::state::Receipt;

/// How many variables a line names before it says that there are more.
const MOST_NAMES: usize = 4;

/// The steps that apply to these plugins, each with its optional variables that have no value.
pub(crate) fn steps<'a>(plugins: impl Iterator<Item = (&'a Receipt, &'a [String])> + Clone) -> Vec<String> {
    let mut steps: Vec<String> =
        plugins.clone().filter_map(|(receipt, unset)| off_until_set(receipt.plugin.as_str(), unset)).collect();
    let receipts: Vec<&Receipt> = plugins.map(|(receipt, _)| receipt).collect();
    for receipt in &receipts {
        let pages = receipt.ports.iter().skip(1).filter(|port| port.protocol == Protocol::Http);
        steps.extend(pages.map(|port| {
            format!("the {} of {}: nself plugin open {} {}", port.name, receipt.plugin, receipt.plugin, port.name)
        }));
    }
    if receipts.iter().any(|receipt| receipt.health_port().is_some()) {
        steps.push("the addresses for a frontend: nself plugin env --format nextjs >> .env.local".to_owned());
    }
    steps
}

/// Parts of the names of variables that say who may call a plugin, or what it may reach: they switch no feature on.
const ACCESS: &[&str] = &["_REQUIRE_KEY", "_LOCAL_CALLERS", "_ALLOWED_HOSTS", "_JWT_"];

/// Optional variables without a value: what they switch on is off.
pub(crate) fn unset(manifest: &Manifest, assembled: &Assembled) -> Vec<String> {
    let has_value = |name: &str| assembled.values.get(name).is_some_and(|(value, _)| !value.is_empty());
    let is_feature = |name: &str| !ACCESS.iter().any(|part| name.contains(part));
    let optional = manifest.variables.iter().filter(|variable| !variable.required && is_feature(&variable.name));
    optional.filter(|variable| !has_value(&variable.name)).map(|variable| variable.name.clone()).collect()
}

fn off_until_set(name: &str, unset: &[String]) -> Option<String> {
    let first = unset.first()?;
    let mut names = unset.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
    if unset.len() > MOST_NAMES {
        names.push_str(", …");
    }
    Some(format!(
        "optional settings of {name} not set: {names}; to set one: nself plugin config {name} set {first} VALUE"
    ))
}
