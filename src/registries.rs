//! Which registries this user has: the public one with its mirrors or what replaces it, and the bundled one. Owns the
//! list; reads no document.

use std::time::SystemTime;

use crate::cli::RegistryFlags;
use crate::context::Context;
use crate::error::Error;
use crate::http::Http;
use crate::registry::{Access, Catalog, Location, Source};
use crate::settings::{MIRRORS, PLUGIN_REGISTRY, PUBLIC_REGISTRY, Settings};

/// The name of the first registry.
pub const FIRST: &str = "nself";
/// The name of the registry that comes with the program.
pub const BUNDLED: &str = "bundled";

/// The registries in their order.
pub fn sources(settings: &Settings) -> Result<Vec<Source>, Error> {
    let locations = match &settings.registry {
        Some(word) => {
            let location = Location::parse(word).map_err(|reason| Error::Usage {
                message: format!("{PLUGIN_REGISTRY}: {reason}"),
                hint: Some(format!(
                    "give a base address, a .json address or a folder: {PLUGIN_REGISTRY}={PUBLIC_REGISTRY}"
                )),
            })?;
            vec![absolute(settings, location)]
        }
        None => std::iter::once(&PUBLIC_REGISTRY)
            .chain(MIRRORS)
            .filter_map(|address| Location::parse(address).ok())
            .collect(),
    };
    let mut sources = vec![Source { name: FIRST.to_owned(), locations, pinned: false }];
    if let Some(data) = &settings.data_dir {
        let folder = data.join("registry");
        if folder.join("registry.json").is_file() {
            // Installed beside the program by the same hand: it is as trusted as the program itself.
            sources.push(Source { name: BUNDLED.to_owned(), locations: vec![Location::Folder(folder)], pinned: true });
        }
    }
    Ok(sources)
}

fn absolute(settings: &Settings, location: Location) -> Location {
    match location {
        Location::Folder(path) => Location::Folder(settings.working_dir.join(path)),
        url @ Location::Url(_) => url,
    }
}

/// How they are reached in this command.
pub fn access<'a>(cx: &'a Context, flags: &RegistryFlags, http: &'a Http, now: SystemTime) -> Access<'a> {
    Access {
        http,
        cache_dir: Some(&cx.settings.cache_dir),
        ttl: cx.settings.cache_ttl,
        offline: flags.offline,
        refresh: flags.refresh,
        now,
    }
}

/// All of them together.
pub fn catalog<'a>(cx: &'a Context, flags: &RegistryFlags, http: &'a Http) -> Result<Catalog<'a>, Error> {
    Ok(Catalog::new(sources(&cx.settings)?, access(cx, flags, http, crate::context::now())))
}
