//! What a user may want to do after a set was installed: one line each, with the command.

use super::report::Outcome;
use crate::package::manifest::Protocol;
use crate::state::Receipt;

/// How many variables a line names before it says that there are more.
const MOST_NAMES: usize = 4;

/// The steps that apply to these results.
pub(super) fn steps(results: &[(String, Outcome)]) -> Vec<String> {
    let mut steps: Vec<String> = results.iter().filter_map(|(name, outcome)| off_until_set(name, outcome)).collect();
    let receipts: Vec<&Receipt> = results.iter().filter_map(|(_, outcome)| outcome.receipt()).collect();
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

fn off_until_set(name: &str, outcome: &Outcome) -> Option<String> {
    let Outcome::Installed { unset, .. } = outcome else { return None };
    let first = unset.first()?;
    let mut names = unset.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
    if unset.len() > MOST_NAMES {
        names.push_str(", …");
    }
    Some(format!("{name} works without {names}; to set one: nself plugin config {name} set {first} VALUE"))
}
