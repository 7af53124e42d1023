//! The plugins of a set: the built-in ones, else what the first registry of the list says.

use crate::error::Error;
use crate::name::PluginName;
use crate::registry::Catalog;
use crate::sets::{BUILT_IN, built_in};

/// The plugins of a set, in its order.
pub(crate) async fn plugins(catalog: &Catalog<'_>, set: &str) -> Result<Vec<PluginName>, Error> {
    if let Some(plugins) = built_in(set) {
        return Ok(plugins);
    }
    if let Some(plugins) = catalog.set(set).await {
        return Ok(plugins);
    }
    let mut known: Vec<String> = BUILT_IN.iter().map(|(name, ..)| (*name).to_owned()).collect();
    for name in catalog.set_names().await {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    let unread = catalog.failures().into_iter().map(|failure| format!("could not be read: {failure}"));
    let reasons = catalog.set_warnings(set).into_iter().chain(unread).collect();
    Err(Error::NoSuchSet { name: crate::name::shown(set), known, reasons })
}

/// Every set there is, with its plugins: the built-in ones, then those that only registries name.
pub(crate) async fn all(catalog: &Catalog<'_>) -> Vec<(String, Vec<PluginName>)> {
    let built_in_sets = BUILT_IN.iter().map(|(name, ..)| ((*name).to_owned(), built_in(name).unwrap_or_default()));
    let mut sets: Vec<(String, Vec<PluginName>)> = built_in_sets.collect();
    for name in catalog.set_names().await {
        if sets.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let plugins = catalog.set(&name).await.unwrap_or_default();
        sets.push((name, plugins));
    }
    sets
}
