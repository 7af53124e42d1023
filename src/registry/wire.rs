//! A registry document, from bytes to releases. Owns the document's shapes (an object of plugins by name, a list, a
//! bare list, an object of plugins without an envelope), its limits, and what happens to entries that contradict one
//! another. One entry that cannot be used never hides the others; a document that is damaged is refused whole.
//!
//! The document is read in one pass: an entry is turned into a release, and let go, before the next one is read.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::address::names_of_set;
use super::entry::Slot;
use super::loose::{Loose, Skip, Word};
use super::{LicenceNeed, Release, release};
use crate::name::{PluginName, shown};

pub use super::address::{Base, Place};

/// The largest document that is read, in bytes.
pub const LARGEST_DOCUMENT: u64 = 32 << 20;

/// The only generation of the document's schema there is; 0 is what came before it was counted.
const NEWEST_SCHEMA: u64 = 1;

/// Keys of the envelope: what is under them is no plugin, also where plugins stand beside them.
const ENVELOPE: &[&str] = &[
    "$schema",
    "lastUpdated",
    "last_updated",
    "generated_at",
    "generatedAt",
    "fetchedAt",
    "fetched_at",
    "pluginCount",
    "plugins_count",
    "total",
    "free",
    "pro",
    "proAvailable",
    "tier",
    "checksum_algorithm",
    "note",
    "categories",
    "name",
    "description",
    "homepage",
    "repository",
    "error",
    "endpoints",
];

/// What a document says.
#[derive(Debug, Default)]
pub struct Contents {
    /// By name, then by version, the newest first.
    pub releases: Vec<Release>,
    /// What was left out, and why; one line each.
    pub warnings: Vec<String>,
    /// Plugins by set (`core`, …).
    pub sets: BTreeMap<String, Vec<PluginName>>,
}

impl Contents {
    /// The releases of one plugin, the newest first.
    pub fn of(&self, name: &PluginName) -> &[Release] {
        let start = self.releases.partition_point(|release| release.name < *name);
        let count = self.releases[start..].partition_point(|release| release.name == *name);
        &self.releases[start..start + count]
    }
}

/// Why a document cannot be used; to be put after its address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// More than [`LARGEST_DOCUMENT`].
    #[error("is larger than {} MiB", LARGEST_DOCUMENT >> 20)]
    TooLarge,
    /// Nothing, or nothing but white space.
    #[error("is empty")]
    Empty,
    /// A web page.
    #[error("is a web page, not a registry")]
    WebPage,
    /// Not UTF-8.
    #[error("is not text in UTF-8 (byte {0})")]
    NotText(usize),
    /// Not JSON, or not the JSON of a registry; the text says what was found where.
    #[error("is no registry: {0}")]
    NoRegistry(String),
    /// A schema that this program does not know.
    #[error("has schema version `{0}`, this program reads version 1: a newer nself is needed")]
    UnknownSchema(String),
    /// There are entries, and not one of them can be used.
    #[error("lists {count} plugins, none of which can be used; the first: {first}")]
    NothingUsable {
        /// How many there are.
        count: usize,
        /// What is wrong with the first.
        first: String,
    },
}

/// Reads a document of any shape.
pub fn read(bytes: &[u8], base: &Base) -> Result<Contents, ReadError> {
    if bytes.len() as u64 > LARGEST_DOCUMENT {
        return Err(ReadError::TooLarge);
    }
    // Some editors begin a file with a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => return Err(ReadError::Empty),
        Some(b'<') => return Err(ReadError::WebPage),
        Some(_) => {}
    }
    let text = std::str::from_utf8(bytes).map_err(|error| ReadError::NotText(error.valid_up_to()))?;
    let mut collector = Collector::new(base);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Root { into: &mut collector }
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(|error| ReadError::NoRegistry(shown(&error.to_string())))?;
    collector.finish()
}

/// What has been read so far.
struct Collector<'b> {
    base: &'b Base,
    found: Vec<Found>,
    entries: usize,
    contents: Contents,
    has_plugins: bool,
    schema: Option<String>,
}

/// A release, the entry that it is from, and whether that entry was listed under its name.
struct Found {
    release: Release,
    entry: usize,
    is_keyed: bool,
}

impl<'b> Collector<'b> {
    fn new(base: &'b Base) -> Self {
        Self { base, found: Vec::new(), entries: 0, contents: Contents::default(), has_plugins: false, schema: None }
    }

    fn add(&mut self, key: Option<&str>, slot: &Slot<'_>) {
        self.entries += 1;
        let entry = self.entries;
        let label = || match (key, slot) {
            (Some(key), _) => format!("`{}`", shown(key)),
            (None, Slot::Entry(fields)) => match fields.get(super::entry::Key::Name) {
                Loose::Text(name) => format!("`{}`", shown(name)),
                _ => format!("number {entry}"),
            },
            (None, Slot::Other) => format!("number {entry}"),
        };
        let releases = match slot {
            Slot::Entry(fields) => release::releases(fields, key, self.base, &mut self.contents.warnings),
            Slot::Other => Err("it is not an object".to_owned()),
        };
        match releases {
            Ok(releases) => {
                let found = releases.into_iter().map(|release| Found { release, entry, is_keyed: key.is_some() });
                self.found.extend(found);
            }
            Err(problem) => self.contents.warnings.push(format!("plugin {} is left out: {problem}", label())),
        }
    }

    fn add_sets(&mut self, sets: &Loose<'_>) {
        let Loose::Object(sets) = sets else {
            if !sets.is_silent() {
                self.contents.warnings.push("the plugin sets are left out: `sets` is not an object".to_owned());
            }
            return;
        };
        for (set, names) in sets {
            let Some(names) = names_of_set(names) else {
                self.contents.warnings.push(format!("plugin set `{}` is left out: it is no list of names", shown(set)));
                continue;
            };
            let mut members = Vec::with_capacity(names.len());
            for name in names {
                match name.parse::<PluginName>() {
                    Ok(name) => members.push(name),
                    Err(error) => self.contents.warnings.push(format!("in plugin set `{}`: {error}", shown(set))),
                }
            }
            if members.is_empty() {
                self.contents.warnings.push(format!("plugin set `{}` is left out: it names no plugin", shown(set)));
                continue;
            }
            self.contents.sets.insert(set.to_string(), members);
        }
    }

    fn finish(mut self) -> Result<Contents, ReadError> {
        if let Some(schema) = &self.schema {
            let major = schema.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u64>().ok());
            if major.is_none_or(|major| major > NEWEST_SCHEMA) {
                return Err(ReadError::UnknownSchema(shown(schema)));
            }
        }
        if !self.has_plugins && self.entries == 0 {
            return Err(ReadError::NoRegistry("it lists no plugins".to_owned()));
        }
        settle(&mut self.found, &mut self.contents);
        if self.contents.releases.is_empty() && self.entries > 0 {
            let first = self.contents.warnings.first().cloned().unwrap_or_default();
            return Err(ReadError::NothingUsable { count: self.entries, first });
        }
        Ok(self.contents)
    }
}

/// Sorts what was found, and decides between entries that describe the same thing.
fn settle(found: &mut Vec<Found>, contents: &mut Contents) {
    // The sort is stable: what is listed first stays first among equals.
    found.sort_by(|left, right| {
        let by_name = left.release.name.cmp(&right.release.name);
        by_name.then_with(|| right.release.version.cmp(&left.release.version))
    });
    contents.releases.reserve_exact(found.len());
    let mut rest = std::mem::take(found).into_iter().peekable();
    let mut group: Vec<Found> = Vec::new();
    while let Some(next) = rest.next() {
        group.push(next);
        let is_last = rest.peek().is_none_or(|peeked| peeked.release.name != group[0].release.name);
        if is_last {
            settle_name(&mut group, contents);
        }
    }
}

/// The releases of one name. Under one key, two entries contradict each other; in a list only two of one version do.
fn settle_name(group: &mut Vec<Found>, contents: &mut Contents) {
    let is_keyed = group.iter().any(|found| found.is_keyed);
    while !group.is_empty() {
        let version = &group[0].release.version;
        let same = if is_keyed { group.len() } else { same_version(group, version).end };
        let batch: Vec<Found> = group.drain(..same).collect();
        let one_entry = batch.iter().all(|found| found.entry == batch[0].entry);
        let kept: Vec<Release> = if one_entry {
            batch.into_iter().map(|found| found.release).collect()
        } else {
            one_that_is_free(batch, contents)
        };
        contents.releases.extend(kept);
    }
}

fn same_version(group: &[Found], version: &semver::Version) -> Range<usize> {
    0..group.iter().take_while(|found| found.release.version == *version).count()
}

/// Of a free and a paid entry of one name the free one is meant; between any others there is no telling.
fn one_that_is_free(batch: Vec<Found>, contents: &mut Contents) -> Vec<Release> {
    let name = batch[0].release.name.clone();
    let free: HashSet<usize> =
        batch.iter().filter(|found| found.release.licence_need == LicenceNeed::None).map(|found| found.entry).collect();
    if free.len() == 1 {
        return batch.into_iter().filter(|found| free.contains(&found.entry)).map(|found| found.release).collect();
    }
    contents.warnings.push(format!(
        "plugin `{name}` {} is left out: the registry lists it more than once",
        batch[0].release.version
    ));
    Vec::new()
}

/// The whole document.
struct Root<'c, 'b> {
    into: &'c mut Collector<'b>,
}

impl<'de> DeserializeSeed<'de> for Root<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Root<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object or a list of plugins")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(slot) = list.next_element::<Slot<'de>>()? {
            self.into.add(None, &slot);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen: HashSet<Cow<'de, str>> = HashSet::new();
        let mut beside: Vec<(Cow<'de, str>, Slot<'de>)> = Vec::new();
        let (mut schema, mut version) = (Loose::Absent, Loose::Absent);
        while let Some(Word(key)) = map.next_key()? {
            match key.as_ref() {
                "plugins" => {
                    map.next_value_seed(Plugins { into: &mut *self.into })?;
                    self.into.has_plugins = true;
                    beside.clear();
                }
                "schema_version" => schema = map.next_value()?,
                "version" => version = map.next_value()?,
                "sets" => self.into.add_sets(&map.next_value()?),
                word if self.into.has_plugins || ENVELOPE.contains(&word) => {
                    map.next_value::<Skip>()?;
                }
                _ => {
                    let slot: Slot<'de> = map.next_value()?;
                    if slot.has_version() {
                        beside.push((key.clone(), slot));
                    }
                }
            }
            if let Some(key) = seen.replace(key) {
                return Err(serde::de::Error::custom(format_args!("the key `{}` is there twice", shown(&key))));
            }
        }
        for (key, slot) in &beside {
            self.into.add(Some(key), slot);
        }
        self.into.schema = schema_of(&schema).or_else(|| schema_of(&version));
        Ok(())
    }
}

fn schema_of(value: &Loose<'_>) -> Option<String> {
    match value {
        Loose::Absent | Loose::Null => None,
        Loose::Text(text) => Some(text.to_string()),
        Loose::Whole(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

/// What is under `plugins`.
struct Plugins<'c, 'b> {
    into: &'c mut Collector<'b>,
}

impl<'de> DeserializeSeed<'de> for Plugins<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Plugins<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("plugins by name, or a list of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        Root { into: self.into }.visit_seq(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Word(key)) = map.next_key()? {
            let slot: Slot<'de> = map.next_value()?;
            self.into.add(Some(&key), &slot);
        }
        Ok(())
    }
}
