//! Which registries this user has: the public one with its mirrors or what replaces it, and the bundled one. Owns the
//! list; reads no document.

use std::time::SystemTime;

use crate::cli::RegistryFlags;
use crate::context::Context;
use crate::error::Error;
use crate::http::Http;
use crate::preflight::Problem;
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

/// The variables that name proxies.
const PROXIES: [&str; 6] = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// A proxy that is not an address would be passed over in silence.
fn check_proxies(environment: &[(String, String)]) -> Result<(), Error> {
    let wrong = environment.iter().find(|(key, value)| PROXIES.contains(&key.as_str()) && !is_proxy(value));
    let Some((key, _)) = wrong else { return Ok(()) };
    Err(Error::Preflight(vec![Problem {
        code: "proxy",
        message: format!(
            "could not use the proxy that {key} names: it is not an address such as http://user:password@proxy:3128 \
             (special characters of a password are written %23 and the like)"
        ),
        hint: Some(format!("correct it, or go without it: unset {key}")),
    }]))
}

fn is_proxy(value: &str) -> bool {
    let value = value.trim();
    if value.is_empty() {
        return true;
    }
    let whole = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let authority = whole.split("://").nth(1).unwrap_or_default().trim_end_matches('/');
    let is_plain = !authority.contains(['/', '\\', '#', '?', ' ']) && authority.matches('@').count() <= 1;
    is_plain && url::Url::parse(&whole).is_ok_and(|url| url.has_host())
}

/// All of them together.
pub fn catalog<'a>(cx: &'a Context, flags: &RegistryFlags, http: &'a Http) -> Result<Catalog<'a>, Error> {
    if !flags.offline {
        check_proxies(&cx.settings.environment)?;
    }
    Ok(Catalog::new(sources(&cx.settings)?, access(cx, flags, http, crate::context::now())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_must_be_an_address() {
        for good in [
            "",
            "http://proxy:3128",
            "proxy:3128",
            "http://u:p%23w@proxy:3128/",
            "socks5://10.0.0.1:1080",
            "http://[::1]:3128",
        ] {
            assert!(is_proxy(good), "{good}");
        }
        for bad in ["http://user:my#p@ss@host:3128", "http://DOM\\user:pw@host", "http://", "http://host:port", "a b"] {
            assert!(!is_proxy(bad), "{bad}");
        }
        let environment = [("http_proxy".to_owned(), "http://u:secret#x@host".to_owned())];
        let error = check_proxies(&environment).unwrap_err();
        assert_eq!(error.exit_code(), 6);
        assert!(error.to_string().contains("http_proxy") && !error.to_string().contains("secret"));
    }
}
