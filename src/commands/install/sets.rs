//! The plugins of a set: the built-in ones, else what the first registry of the list says.

use crate::error::Error;
use crate::name::PluginName;
use crate::registry::Catalog;
use crate::sets::{BUILT_IN, built_in};

pub(super) async fn plugins(catalog: &Catalog<'_>, set: &str) -> Result<Vec<PluginName>, Error> {
    if let Some(plugins) = built_in(set) {
        return Ok(plugins);
    }
    if let Some(plugins) = catalog.set(set).await {
        return Ok(plugins);
    }
    let mut known: Vec<String> = BUILT_IN.iter().map(|(name, ..)| (*name).to_owned()).collect();
    known.extend(catalog.set_names().await);
    Err(Error::NoSuchSet { name: crate::name::shown(set), known, unread: catalog.failures() })
}
