//! One entry of a registry document: its fields as they came, under every spelling that registries use. Owns the list
//! of these spellings; what they mean is `release.rs`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::loose::{Loose, Skip, Word};

macro_rules! keys {
    ($($name:ident = $word:literal),+ $(,)?) => {
        /// A field that is used; all others are passed over.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Key { $($name),+ }

        impl Key {
            const ALL: &[Self] = &[$(Self::$name),+];

            fn of(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$name),)+ _ => None }
            }

            /// The field as the document spells it.
            pub(super) fn word(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }
        }
    };
}

keys! {
    Name = "name",
    Version = "version",
    LatestVersion = "latest_version",
    LatestVersionCamel = "latestVersion",
    Versions = "versions",
    Description = "description",
    Category = "category",
    Author = "author",
    License = "license",
    Homepage = "homepage",
    Tags = "tags",
    Status = "status",
    Deprecation = "deprecation",
    Deprecated = "deprecated",
    ReplacedBy = "replacedBy",
    Replacement = "replacement",
    Installable = "installable",
    RequiresLicense = "requires_license",
    RequiresLicenseCamel = "requiresLicense",
    Tier = "tier",
    IsCommercial = "isCommercial",
    Port = "port",
    Ports = "ports",
    Implementation = "implementation",
    Config = "config",
    Dependencies = "dependencies",
    Requires = "requires",
    Checksum = "checksum",
    Sha256 = "sha256",
    Checksums = "checksums",
    Size = "size",
    Tarball = "tarball",
    TarballUrl = "tarballUrl",
    TarballUrlUpper = "tarballURL",
    DownloadUrl = "download_url",
    DownloadUrlCamel = "downloadUrl",
    Path = "path",
    Repository = "repository",
    MinHost = "min_nself_version",
    MinHostCamel = "minNselfVersion",
    Signature = "signature",
    SignedBy = "author_public_key",
}

/// What describes one archive and so holds for one version only.
const OF_ONE_VERSION: &[Key] = &[
    Key::Version,
    Key::LatestVersion,
    Key::LatestVersionCamel,
    Key::Versions,
    Key::Checksum,
    Key::Sha256,
    Key::Checksums,
    Key::Size,
    Key::Tarball,
    Key::TarballUrl,
    Key::TarballUrlUpper,
    Key::DownloadUrl,
    Key::DownloadUrlCamel,
    Key::Path,
    Key::Signature,
];

/// One entry's fields.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    fields: Vec<Loose<'a>>,
    /// A used field that is there twice: which one is meant nobody can say.
    pub(super) repeated: Option<Key>,
}

impl<'a> Entry<'a> {
    fn empty() -> Self {
        Self { fields: vec![Loose::Absent; Key::ALL.len()], repeated: None }
    }

    pub(super) fn get(&self, key: Key) -> &Loose<'a> {
        &self.fields[key as usize]
    }

    fn set(&mut self, key: Key, value: Loose<'a>) {
        let field = &mut self.fields[key as usize];
        if matches!(field, Loose::Absent) {
            *field = value;
        } else {
            self.repeated = Some(key);
        }
    }

    /// The entry of an earlier version: what `fields` says, and of this entry what holds for all versions.
    pub(super) fn of_version(&self, fields: &[(std::borrow::Cow<'a, str>, Loose<'a>)]) -> Self {
        let mut entry = self.clone();
        for key in OF_ONE_VERSION {
            entry.fields[*key as usize] = Loose::Absent;
        }
        for (word, value) in fields {
            if let Some(key) = Key::of(word).filter(|key| *key != Key::Versions) {
                entry.fields[key as usize] = value.clone();
            }
        }
        entry
    }
}

/// What stands where an entry is expected.
pub(super) enum Slot<'a> {
    Entry(Box<Entry<'a>>),
    /// Something else than an object.
    Other,
}

impl<'de> Deserialize<'de> for Slot<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Slots)
    }
}

struct Slots;

impl<'de> Visitor<'de> for Slots {
    type Value = Slot<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a plugin")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Slot<'de>, A::Error> {
        let mut entry = Entry::empty();
        while let Some(Word(word)) = map.next_key()? {
            match Key::of(&word) {
                Some(key) => entry.set(key, map.next_value()?),
                None => {
                    map.next_value::<Skip>()?;
                }
            }
        }
        Ok(Slot::Entry(Box::new(entry)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Slot<'de>, A::Error> {
        Skip.visit_seq(list).map(|_| Slot::Other)
    }

    fn visit_unit<E>(self) -> Result<Slot<'de>, E> {
        Ok(Slot::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Slot<'de>, E> {
        Ok(Slot::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Slot<'de>, E> {
        Ok(Slot::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Slot<'de>, E> {
        Ok(Slot::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Slot<'de>, E> {
        Ok(Slot::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Slot<'de>, E> {
        Ok(Slot::Other)
    }
}

impl Slot<'_> {
    /// Whether this can be a plugin where a document lists its plugins among its own keys.
    pub(super) fn has_version(&self) -> bool {
        match self {
            Self::Entry(entry) => [Key::Version, Key::LatestVersion, Key::LatestVersionCamel, Key::Versions]
                .iter()
                .any(|key| !entry.get(*key).is_silent()),
            Self::Other => false,
        }
    }
}

/// Why an entry cannot be used.
pub(super) type Problem = String;

/// The problem of a field that is not what is `expected`, such as `a text`.
pub(super) fn wrong(key: Key, expected: &str) -> Problem {
    format!("`{}` is not {expected}", key.word())
}

/// Returns a field's text; null, absent and "" all mean that there is none.
pub(super) fn text<'e>(entry: &'e Entry<'_>, key: Key) -> Result<Option<&'e str>, Problem> {
    match entry.get(key) {
        Loose::Absent | Loose::Null => Ok(None),
        Loose::Text(text) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        _ => Err(wrong(key, "a text")),
    }
}

/// Returns a field's text, or that of its member `inner` (npm writes authors and repositories that way).
pub(super) fn named<'e>(entry: &'e Entry<'_>, key: Key, inner: &str) -> Result<Option<&'e str>, Problem> {
    match entry.get(key) {
        object @ Loose::Object(_) => match object.get(inner) {
            Loose::Text(text) => Ok(Some(text.as_ref())),
            Loose::Absent | Loose::Null => Ok(None),
            _ => Err(wrong(key, "a text")),
        },
        _ => text(entry, key),
    }
}
