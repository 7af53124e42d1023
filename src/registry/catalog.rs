//! All registries together: which one delivers a plugin, and what there is to list. Owns the order of trust (a pinned
//! registry, then a release with a digest, then one without; among equals the order of the list) and the record of why
//! the others did not deliver. Registries are loaded when they are first needed, and once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use semver::Version;
use tokio::sync::OnceCell;

use super::availability::{Ask, Availability, after, availability, newest, reason, trust, unusable};
use super::error::{LoadFailure, RegistryError};
use super::source::{Access, Loaded, Source};
use super::{Origin, Release};
use crate::name::PluginName;

/// How many similar names a message offers.
const MOST_SUGGESTIONS: usize = 3;

/// The release that was chosen.
#[derive(Debug, Clone)]
pub struct Selection {
    /// What to install; its `registry` delivered it.
    pub release: Release,
    /// Where that registry's document came from.
    pub origin: Origin,
    /// Every other registry, and why it did not deliver.
    pub passed_over: Vec<PassedOver>,
    /// What happened on the way (addresses that failed before another answered, an old cache).
    pub notes: Vec<String>,
}

/// A registry that did not deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// Its name.
    pub registry: String,
    /// Why; to be put after the name.
    pub reason: String,
}

impl fmt::Display for PassedOver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "registry `{}`: {}", self.registry, self.reason)
    }
}

/// Every plugin of every registry, each name once.
#[derive(Debug)]
pub struct Merged<'c> {
    /// By name.
    pub releases: Vec<&'c Release>,
    /// The registries that were read, and where from.
    pub origins: Vec<(&'c str, &'c Origin)>,
    /// Registries that could not be read, entries that were left out.
    pub warnings: Vec<String>,
}

/// The registries of a command, in the order of the list.
#[derive(Debug)]
pub struct Catalog<'a> {
    access: Access<'a>,
    shelves: Vec<Shelf>,
}

#[derive(Debug)]
struct Shelf {
    source: Source,
    loaded: OnceCell<Result<Loaded, LoadFailure>>,
}

impl<'a> Catalog<'a> {
    /// A catalog of these registries; nothing is read yet.
    pub fn new(sources: Vec<Source>, access: Access<'a>) -> Self {
        let shelves = sources.into_iter().map(|source| Shelf { source, loaded: OnceCell::new() }).collect();
        Self { access, shelves }
    }

    /// A catalog of documents that were read already.
    pub fn of_loaded(loaded: Vec<(Source, Result<Loaded, LoadFailure>)>, access: Access<'a>) -> Self {
        let shelf = |(source, loaded)| Shelf { source, loaded: OnceCell::new_with(Some(loaded)) };
        Self { access, shelves: loaded.into_iter().map(shelf).collect() }
    }

    /// Finds the release to install. Pinned registries are asked first, and where one of them has it the network is
    /// not asked at all.
    pub async fn select(&self, ask: &Ask<'_>) -> Result<Selection, RegistryError> {
        let shelves = self.asked(ask.registry)?;
        for shelf in shelves.iter().filter(|shelf| shelf.source.pinned) {
            if let Ok(loaded) = shelf.load(&self.access).await
                && let Availability::Has(release) = availability(loaded, ask)
            {
                return Ok(pinned_selection(&shelves, shelf, loaded, release, ask));
            }
        }
        self.load_all(&shelves).await;
        let availabilities: Vec<Availability<'_>> = shelves.iter().map(|shelf| shelf.availability(ask)).collect();
        // `max_by_key` prefers the last of equals, and the first is wanted.
        let best = availabilities.iter().enumerate().rev().max_by_key(|(_, availability)| match availability {
            Availability::Has(release) => Some(trust(release)),
            _ => None,
        });
        if let Some((place, Availability::Has(release))) = best
            && let Some(Ok(chosen)) = shelves[place].loaded.get()
        {
            return Ok(selection(&shelves, &availabilities, chosen, release));
        }
        Err(self.nothing_found(&shelves, &availabilities, ask))
    }

    /// Every plugin, each name once, chosen as [`Catalog::select`] would; plugins that cannot be installed are listed
    /// too. Fails only when no registry at all can be read.
    pub async fn merged(&self, has_licence_key: bool) -> Result<Merged<'_>, RegistryError> {
        let shelves: Vec<&Shelf> = self.shelves.iter().collect();
        self.load_all(&shelves).await;
        let mut chosen: BTreeMap<&PluginName, ((bool, u8), &Release)> = BTreeMap::new();
        let (mut origins, mut warnings) = (Vec::new(), Vec::new());
        for shelf in shelves {
            let name = shelf.source.name.as_str();
            let loaded = match shelf.loaded.get() {
                Some(Ok(loaded)) => loaded,
                Some(Err(failure)) => {
                    warnings.push(failure.to_string());
                    continue;
                }
                None => continue,
            };
            origins.push((name, &loaded.origin));
            warnings.extend(loaded.notes.iter().cloned());
            warnings.extend(loaded.contents.warnings.iter().map(|warning| format!("registry `{name}`: {warning}")));
            for group in loaded.contents.releases.chunk_by(|left, right| left.name == right.name) {
                let usable = newest(group).find(|release| unusable(release, has_licence_key).is_none());
                let Some(release) = usable.or_else(|| newest(group).next()) else { continue };
                let rank = (usable.is_some(), trust(release));
                match chosen.entry(&release.name) {
                    Entry::Vacant(place) => {
                        place.insert((rank, release));
                    }
                    Entry::Occupied(mut place) if place.get().0 < rank => {
                        place.insert((rank, release));
                    }
                    Entry::Occupied(_) => {}
                }
            }
        }
        if origins.is_empty() {
            return Err(self.unreachable(warnings));
        }
        Ok(Merged { releases: chosen.into_values().map(|(_, release)| release).collect(), origins, warnings })
    }

    /// The plugins of a set that a registry names, the first of the list that does; `None` where none does that can be
    /// read.
    pub async fn set(&self, name: &str) -> Option<Vec<PluginName>> {
        let shelves: Vec<&Shelf> = self.shelves.iter().collect();
        self.load_all(&shelves).await;
        self.read().find_map(|loaded| loaded.contents.sets.get(name).cloned())
    }

    /// What is wrong with a set in the registries that were read, a line each.
    pub fn set_warnings(&self, set: &str) -> Vec<String> {
        let about = format!("plugin set `{}`", crate::name::shown(set));
        let warnings = self.read().flat_map(|loaded| &loaded.contents.warnings);
        warnings.filter(|warning| warning.contains(&about)).cloned().collect()
    }

    /// Why registries could not be read that were asked so far, a line each.
    pub fn failures(&self) -> Vec<String> {
        let failures = self.shelves.iter().filter_map(|shelf| shelf.loaded.get()?.as_ref().err());
        failures.map(ToString::to_string).collect()
    }

    /// The names of all sets that the registries name; those that cannot be read count for nothing.
    pub async fn set_names(&self) -> Vec<String> {
        let shelves: Vec<&Shelf> = self.shelves.iter().collect();
        self.load_all(&shelves).await;
        self.read().flat_map(|loaded| loaded.contents.sets.keys().cloned()).collect()
    }

    /// One registry, whole.
    pub async fn whole(&self, registry: &str) -> Result<&Loaded, RegistryError> {
        let shelves = self.asked(Some(registry))?;
        let Some(named) = shelves.first() else { return Err(self.unknown(registry)) };
        named.load(&self.access).await.map_err(|failure| self.unreachable(vec![failure.to_string()]))
    }

    /// Of a release's dependencies those that are plugins: names that a registry knows which this command has read.
    /// Everything else there is a package of another ecosystem or a service, and no concern of ours.
    pub fn plugin_dependencies(&self, release: &Release) -> Vec<PluginName> {
        let names = release.dependencies.iter().filter_map(|word| word.parse::<PluginName>().ok());
        names.filter(|name| *name != release.name && self.knows(name)).collect()
    }

    /// The same of the words of a manifest, which no registry was asked about yet: a pinned one is asked first.
    pub async fn plugins_among(&self, plugin: &PluginName, mut names: Vec<PluginName>) -> Vec<PluginName> {
        names.retain(|name| name != plugin);
        for are_pinned in [true, false] {
            if names.iter().any(|name| !self.knows(name)) {
                let shelves: Vec<&Shelf> =
                    self.shelves.iter().filter(|shelf| shelf.source.pinned == are_pinned).collect();
                self.load_all(&shelves).await;
            }
        }
        names.retain(|name| self.knows(name));
        names
    }

    fn knows(&self, name: &PluginName) -> bool {
        self.read().any(|loaded| !loaded.contents.of(name).is_empty())
    }

    fn read(&self) -> impl Iterator<Item = &Loaded> {
        self.shelves.iter().filter_map(|shelf| shelf.loaded.get()?.as_ref().ok())
    }

    fn asked(&self, registry: Option<&str>) -> Result<Vec<&Shelf>, RegistryError> {
        let wanted = |shelf: &&Shelf| registry.is_none_or(|name| shelf.source.name == name);
        let shelves: Vec<&Shelf> = self.shelves.iter().filter(wanted).collect();
        match registry {
            Some(name) if shelves.is_empty() => Err(self.unknown(name)),
            _ => Ok(shelves),
        }
    }

    /// Loads what is not loaded yet, all at the same time.
    async fn load_all(&self, shelves: &[&Shelf]) {
        let mut pending: Vec<Pin<Box<_>>> = shelves.iter().map(|shelf| Box::pin(shelf.load(&self.access))).collect();
        poll_fn(|context| {
            pending.retain_mut(|load| load.as_mut().poll(context).is_pending());
            if pending.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn nothing_found(&self, shelves: &[&Shelf], availabilities: &[Availability<'_>], ask: &Ask<'_>) -> RegistryError {
        let name = ask.name.clone();
        if availabilities.iter().all(|availability| matches!(availability, Availability::Failed(_))) {
            let failures = availabilities.iter().filter_map(|availability| match availability {
                Availability::Failed(failure) => Some(failure.to_string()),
                _ => None,
            });
            return self.unreachable(failures.collect());
        }
        let searched = shelves
            .iter()
            .zip(availabilities)
            .map(|(shelf, availability)| PassedOver {
                registry: shelf.source.name.clone(),
                reason: searched(shelf, availability),
            })
            .collect();
        if availabilities.iter().any(|availability| matches!(availability, Availability::NotUsable { .. })) {
            let needs_licence = availabilities
                .iter()
                .any(|availability| matches!(availability, Availability::NotUsable { needs_licence: true, .. }));
            return RegistryError::NotUsable { name, searched, needs_licence };
        }
        let mut known: Vec<Version> = availabilities
            .iter()
            .filter_map(|availability| match availability {
                Availability::NoVersion(versions) => Some(versions.clone()),
                _ => None,
            })
            .flatten()
            .collect();
        known.sort_by(|left, right| right.cmp(left));
        known.dedup();
        match ask.version {
            Some(version) if !known.is_empty() => {
                RegistryError::NoVersion { name, version: version.clone(), known, searched }
            }
            _ => {
                let is_certain =
                    !availabilities.iter().any(|availability| matches!(availability, Availability::Failed(_)));
                RegistryError::NoPlugin { nearest: self.nearest(&name), name, searched, is_certain }
            }
        }
    }

    /// Names that a slip of the finger may have meant, the nearest first.
    fn nearest(&self, name: &PluginName) -> Vec<PluginName> {
        let word = name.as_str();
        // One slip in a short word, more in a long one.
        let most = (word.len() / 3).clamp(1, 3);
        let mut near: Vec<(usize, &PluginName)> = self
            .read()
            .flat_map(|loaded| &loaded.contents.releases)
            .filter(|release| release.name.as_str().len().abs_diff(word.len()) <= most)
            .map(|release| (strsim::damerau_levenshtein(word, release.name.as_str()), &release.name))
            .filter(|(distance, _)| *distance <= most)
            .collect();
        near.sort();
        near.dedup();
        near.into_iter().take(MOST_SUGGESTIONS).map(|(_, name)| name.clone()).collect()
    }

    fn unknown(&self, registry: &str) -> RegistryError {
        RegistryError::UnknownRegistry {
            name: crate::name::shown(registry),
            known: self.shelves.iter().map(|shelf| shelf.source.name.clone()).collect(),
        }
    }

    fn unreachable(&self, failures: Vec<String>) -> RegistryError {
        RegistryError::Unreachable { failures, offline: self.access.offline }
    }
}

impl Shelf {
    async fn load(&self, access: &Access<'_>) -> Result<&Loaded, &LoadFailure> {
        self.loaded.get_or_init(|| self.source.load(access)).await.as_ref()
    }

    fn availability(&self, ask: &Ask<'_>) -> Availability<'_> {
        match self.loaded.get() {
            None => Availability::NotAsked,
            Some(Err(failure)) => Availability::Failed(failure),
            Some(Ok(loaded)) => availability(loaded, ask),
        }
    }
}

/// The first pinned registry has it: what was read before it does not, and what was not read was not needed.
fn pinned_selection(
    shelves: &[&Shelf],
    chosen: &Shelf,
    loaded: &Loaded,
    release: &Release,
    ask: &Ask<'_>,
) -> Selection {
    let others = shelves.iter().filter(|shelf| !std::ptr::eq(**shelf, chosen));
    let mut notes = loaded.notes.clone();
    let passed_over = others
        .map(|shelf| {
            let reason = match shelf.loaded.get().filter(|_| shelf.source.pinned) {
                None => format!("not asked: `{}` is pinned and has it", chosen.source.name),
                Some(Err(failure)) => {
                    notes.push(failure.to_string());
                    searched(shelf, &Availability::Failed(failure))
                }
                Some(Ok(other)) => after(&availability(other, ask), release),
            };
            PassedOver { registry: shelf.source.name.clone(), reason }
        })
        .collect();
    Selection { release: release.clone(), origin: loaded.origin.clone(), passed_over, notes }
}

fn selection(shelves: &[&Shelf], availabilities: &[Availability<'_>], chosen: &Loaded, release: &Release) -> Selection {
    let (mut notes, mut passed_over) = (Vec::new(), Vec::new());
    for (shelf, availability) in shelves.iter().zip(availabilities) {
        if let Some(Ok(loaded)) = shelf.loaded.get() {
            notes.extend(loaded.notes.iter().cloned());
        }
        if shelf.source.name != release.registry {
            passed_over.push(PassedOver { registry: shelf.source.name.clone(), reason: after(availability, release) });
        }
    }
    Selection { release: release.clone(), origin: chosen.origin.clone(), passed_over, notes }
}

/// What a search found in a registry, with where its document came from when that bears on the answer.
fn searched(shelf: &Shelf, availability: &Availability<'_>) -> String {
    let reason = reason(availability);
    match shelf.loaded.get() {
        Some(Ok(loaded)) => format!("{reason} ({})", loaded.origin),
        _ => reason,
    }
}
