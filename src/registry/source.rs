//! One registry, and how its document is had: the cache while it is fresh, then every address in order, then the cache
//! however old. Owns that order; what the document says is `wire`, which registry wins is `catalog`.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags};
use url::Url;

use super::Origin;
use super::cache::{self, Cache, Cached};
use super::error::{Attempt, LoadFailure};
use super::wire::{self, Base, Contents, LARGEST_DOCUMENT, Place};
use crate::http::{Document, Http, Validators};

/// The document's name under a base address or in a folder.
pub const DOCUMENT: &str = "registry.json";

/// A registry: a name, and where it is to be had.
#[derive(Debug, Clone)]
pub struct Source {
    /// As in `NAME/PLUGIN`.
    pub name: String,
    /// In the order in which they are tried; all of them are the same registry.
    pub locations: Vec<Location>,
    /// Whether its key is pinned: what it says is believed before all others.
    pub pinned: bool,
}

/// Where a registry is to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A base address, or that of a `.json` file.
    Url(Url),
    /// A folder with a registry.json in it, or a `.json` file.
    Folder(PathBuf),
}

impl Location {
    /// Reads what a user wrote: an `https:`, `http:` or `file:` address, or a path.
    pub fn parse(word: &str) -> Result<Self, String> {
        let word = word.trim();
        if word.is_empty() {
            return Err("an address or a folder is needed".to_owned());
        }
        match Url::parse(word) {
            Ok(url) if url.scheme() == "file" => url
                .to_file_path()
                .map(Self::Folder)
                .map_err(|()| format!("`{}` names no file of this machine", crate::name::shown(word))),
            Ok(url) if matches!(url.scheme(), "https" | "http") => Ok(Self::Url(url)),
            Ok(url) => Err(format!("a `{}:` address is no registry", crate::name::shown(url.scheme()))),
            Err(_) if word.contains("://") => Err(format!("`{}` is no address", crate::name::shown(word))),
            Err(_) => Ok(Self::Folder(PathBuf::from(word))),
        }
    }

    /// The address or file of the document itself.
    pub(super) fn document(&self) -> Self {
        match self {
            Self::Url(base) => {
                let mut url = base.clone();
                if !ends_in_json(Path::new(base.path())) {
                    url.set_path(&format!("{}/{DOCUMENT}", base.path().trim_end_matches('/')));
                }
                Self::Url(url)
            }
            Self::Folder(path) if ends_in_json(path) => self.clone(),
            Self::Folder(path) => Self::Folder(path.join(DOCUMENT)),
        }
    }
}

fn ends_in_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// What it takes to reach registries; the same for all of a command.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// Not used, and so not made ready, before an address has to be asked.
    pub http: &'a Http,
    /// Where documents are cached; nowhere, if `None`.
    pub cache_dir: Option<&'a Path>,
    /// How long a cached document counts without asking.
    pub ttl: Duration,
    /// Whether the network is not to be touched.
    pub offline: bool,
    /// Whether to ask although the cache is fresh.
    pub refresh: bool,
    /// The command's time.
    pub now: SystemTime,
}

/// A registry's document, read.
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub contents: Contents,
    /// Where it came from.
    pub origin: Origin,
    /// What the user should know of how it was had: addresses that failed before one answered, a cache that cannot
    /// be written.
    pub notes: Vec<String>,
}

impl Source {
    /// Gets and reads the document.
    pub async fn load(&self, access: &Access<'_>) -> Result<Loaded, LoadFailure> {
        let cache = self.cache(access);
        let mut cached = cache.as_ref().and_then(|cache| cache.read(access.now));
        if !access.refresh
            && let Some(fresh) = cached.take_if(|cached| cached.age < access.ttl)
            && let Some(loaded) = self.read_cached(&fresh, Origin::Cache { age: fresh.age })
        {
            return Ok(loaded);
        }
        let mut attempts = Vec::new();
        for location in &self.locations {
            let asked = match location.document() {
                Location::Folder(path) => self.read_file(&path),
                Location::Url(url) if access.offline => Err(Attempt::Offline(shown(&url))),
                Location::Url(url) => self.fetch(&url, access, cache.as_ref(), cached.as_ref()).await,
            };
            match asked {
                Ok(mut loaded) => {
                    loaded.notes.extend(attempts.iter().map(|attempt| format!("registry `{}`: {attempt}", self.name)));
                    return Ok(loaded);
                }
                Err(attempt) => attempts.push(attempt),
            }
        }
        let failure = LoadFailure { registry: self.name.clone(), attempts };
        let stale = cached.and_then(|cached| self.read_cached(&cached, Origin::StaleCache { age: cached.age }));
        let Some(mut loaded) = stale else { return Err(failure) };
        loaded.notes.insert(0, format!("{failure}"));
        Ok(loaded)
    }

    /// Registries that are files of this machine are not cached.
    fn cache(&self, access: &Access<'_>) -> Option<Cache> {
        let addresses: Vec<&str> = self.locations.iter().filter_map(address).collect();
        let folder = access.cache_dir.filter(|_| !addresses.is_empty())?;
        Some(Cache::new(folder, &self.name, addresses))
    }

    pub(super) fn base(&self, place: Place) -> Base {
        Base { registry: self.name.clone(), pinned: self.pinned, place }
    }

    fn read_cached(&self, cached: &Cached, origin: Origin) -> Option<Loaded> {
        let place = Place::Url(Url::parse(&cached.address).ok()?);
        let contents = wire::read(&cached.bytes, &self.base(place)).ok()?;
        Some(Loaded { contents, origin, notes: Vec::new() })
    }

    pub(super) fn read_file(&self, path: &Path) -> Result<Loaded, Attempt> {
        let shown = path.display().to_string();
        // The user's own folder may be a link; a fifo must still not hang.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let bytes = rustix::fs::open(path, flags, Mode::empty())
            .map_err(std::io::Error::from)
            .and_then(|file| cache::read_regular(file.into(), LARGEST_DOCUMENT))
            .map_err(|error| Attempt::File(shown.clone(), error))?;
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let contents =
            wire::read(&bytes, &self.base(Place::Folder(folder))).map_err(|error| Attempt::Document(shown, error))?;
        Ok(Loaded { contents, origin: Origin::Folder(path.to_owned()), notes: Vec::new() })
    }

    async fn fetch(
        &self,
        url: &Url,
        access: &Access<'_>,
        cache: Option<&Cache>,
        cached: Option<&Cached>,
    ) -> Result<Loaded, Attempt> {
        // What one address said of its document means nothing to another.
        let known = cached.filter(|cached| !access.refresh && cached.address == bare(url).as_str());
        let validators = known.map(|cached| cached.validators.clone()).unwrap_or_default();
        let mut answer = self.ask(url, access, &validators).await?;
        if let (Document::Unchanged, Some(known)) = (&answer, known) {
            if let Some(mut loaded) = self.read_cached(known, Origin::Cache { age: Duration::ZERO }) {
                loaded.notes.extend(self.warned(cache, |cache| cache.renew(known, access.now)));
                return Ok(loaded);
            }
            // Unchanged, but of no use to this version of the program: ask for all of it.
            answer = self.ask(url, access, &Validators::default()).await?;
        }
        let Document::Fresh(bytes, validators) = answer else {
            let error = crate::http::HttpError::Status { url: shown(url), code: 304 };
            return Err(Attempt::Http(shown(url), error));
        };
        let contents = wire::read(&bytes, &self.base(Place::Url(bare(url))))
            .map_err(|error| Attempt::Document(shown(url), error))?;
        let notes = self.warned(cache, |cache| cache.write(&bytes, bare(url).as_str(), &validators, access.now));
        Ok(Loaded { contents, origin: Origin::Network(bare(url)), notes: notes.into_iter().collect() })
    }

    async fn ask(&self, url: &Url, access: &Access<'_>, validators: &Validators) -> Result<Document, Attempt> {
        let answer = access.http.document(url, LARGEST_DOCUMENT, validators).await;
        answer.map_err(|error| Attempt::Http(shown(url), error))
    }

    fn warned(&self, cache: Option<&Cache>, write: impl FnOnce(&Cache) -> std::io::Result<()>) -> Option<String> {
        let cache = cache?;
        let error = write(cache).err()?;
        let path = cache.document_path();
        Some(format!("registry `{}` is not cached: writing `{}`: {error}", self.name, path.display()))
    }
}

fn address(location: &Location) -> Option<&str> {
    match location {
        Location::Url(url) => Some(url.as_str()),
        Location::Folder(_) => None,
    }
}

/// An address as it may be shown.
pub(super) fn shown(url: &Url) -> String {
    crate::http::shown(url)
}

/// An address without its user name and password: these are for the registry alone, not for the archives it names,
/// and not for the cache.
pub(super) fn bare(url: &Url) -> Url {
    let mut bare = url.clone();
    // These fail only where there can be no user name, and then there is none.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    bare
}
