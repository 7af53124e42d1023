//! From an entry's fields to releases: which spelling wins, what makes an entry unusable, what a missing field means.
//! Every refusal names the field; nothing is guessed, and no check is dropped because a field is odd.

use std::str::FromStr;

use semver::Version;

use super::address::{self, Base};
use super::entry::{Entry, Key, Problem, named, text, wrong};
use super::loose::Loose;
use super::services::services;
use super::{LicenceNeed, Release};
use crate::name::{Digest, PluginName, parse_version, shown};
use crate::version_range::VersionRange;

/// The longest version that is believed; it becomes part of file names.
const LONGEST_VERSION: usize = 128;

/// The releases that one entry describes: its own and those of its `versions`. `key` is the entry's name where the
/// document lists plugins by name; `warnings` gets what was left out without losing a release.
pub(super) fn releases(
    entry: &Entry<'_>,
    key: Option<&str>,
    base: &Base,
    warnings: &mut Vec<String>,
) -> Result<Vec<Release>, Problem> {
    let name = name(entry, key)?;
    let versions = match entry.get(Key::Versions) {
        Loose::List(versions) => versions.as_slice(),
        Loose::Absent | Loose::Null | Loose::Object(_) => &[],
        _ => return Err(wrong(Key::Versions, "a list")),
    };
    let has_own =
        [Key::Version, Key::LatestVersion, Key::LatestVersionCamel].iter().any(|key| !entry.get(*key).is_silent());
    let mut releases = Vec::with_capacity(1);
    if has_own || versions.is_empty() {
        releases.push(release(entry, &name, base)?);
    }
    for version in versions {
        // A plain list of numbers says nothing that could be installed.
        let Loose::Object(fields) = version else { continue };
        match release(&entry.of_version(fields), &name, base) {
            Ok(release) => add(&mut releases, release)?,
            Err(problem) => warnings.push(format!("an earlier version of `{name}` is left out: {problem}")),
        }
    }
    if releases.is_empty() { Err("it has no version".to_owned()) } else { Ok(releases) }
}

/// Adds a release of `versions`, which may repeat the entry's own.
fn add(releases: &mut Vec<Release>, release: Release) -> Result<(), Problem> {
    let Some(known) = releases.iter_mut().find(|known| known.version == release.version) else {
        releases.push(release);
        return Ok(());
    };
    match (known.digest, release.digest) {
        (Some(left), Some(right)) if left != right => {
            Err(format!("it gives two checksums for version {}", known.version))
        }
        (None, Some(_)) => {
            *known = release;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn release(entry: &Entry<'_>, name: &PluginName, base: &Base) -> Result<Release, Problem> {
    if let Some(key) = entry.repeated {
        return Err(format!("`{}` is there twice", key.word()));
    }
    let status = status(entry)?;
    let port = port(entry)?;
    let text = |key| text(entry, key).map(|text| text.unwrap_or_default().to_owned());
    Ok(Release {
        name: name.clone(),
        version: version(entry)?,
        description: text(Key::Description)?,
        category: text(Key::Category)?,
        author: named(entry, Key::Author, "name")?.unwrap_or_default().to_owned(),
        license: text(Key::License)?,
        homepage: some(text(Key::Homepage)?),
        tags: tags(entry.get(Key::Tags))?,
        replaced_by: replaced_by(entry)?,
        not_installable: not_installable(entry, &status)?,
        status,
        licence_need: licence_need(entry)?,
        port,
        ports: ports(port, entry.get(Key::Ports)),
        dependencies: dependencies(entry)?,
        services: services(entry.get(Key::Requires).get("services")),
        digest: digest(entry)?,
        size: size(entry.get(Key::Size))?,
        archives: address::archives(entry, base)?,
        min_host: min_host(entry)?,
        signature: some(text(Key::Signature)?),
        author_public_key: some(text(Key::SignedBy)?),
        registry: base.registry.clone(),
        pinned: base.pinned,
    })
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn flag(entry: &Entry<'_>, key: Key) -> Result<Option<bool>, Problem> {
    match entry.get(key) {
        Loose::Absent | Loose::Null => Ok(None),
        Loose::Bool(flag) => Ok(Some(*flag)),
        _ => Err(wrong(key, "true or false")),
    }
}

fn name(entry: &Entry<'_>, key: Option<&str>) -> Result<PluginName, Problem> {
    let inner = text(entry, Key::Name)?;
    let word = match (key, inner) {
        (Some(key), Some(inner)) if key != inner => {
            return Err(format!("it is listed as `{}` but names itself `{}`", shown(key), shown(inner)));
        }
        (Some(word), _) | (None, Some(word)) => word,
        (None, None) => return Err("it has no name".to_owned()),
    };
    PluginName::from_str(word).map_err(|error| error.to_string())
}

fn version(entry: &Entry<'_>) -> Result<Version, Problem> {
    for key in [Key::Version, Key::LatestVersion, Key::LatestVersionCamel] {
        if let Some(word) = text(entry, key)? {
            if word.len() > LONGEST_VERSION {
                return Err(format!("`{}` is longer than {LONGEST_VERSION} characters", key.word()));
            }
            return parse_version(word).map_err(|error| error.to_string());
        }
    }
    Err("it has no version".to_owned())
}

fn tags(field: &Loose<'_>) -> Result<Vec<String>, Problem> {
    match field {
        Loose::Absent | Loose::Null => Ok(Vec::new()),
        Loose::List(values) => values
            .iter()
            .map(|value| match value {
                Loose::Text(text) => Ok(text.to_string()),
                _ => Err(wrong(Key::Tags, "a list of texts")),
            })
            .collect(),
        _ => Err(wrong(Key::Tags, "a list of texts")),
    }
}

fn status(entry: &Entry<'_>) -> Result<String, Problem> {
    if let Some(status) = text(entry, Key::Status)? {
        return Ok(status.to_ascii_lowercase());
    }
    let is_deprecated = match entry.get(Key::Deprecated) {
        Loose::Absent | Loose::Null | Loose::Bool(false) => false,
        Loose::Bool(true) => true,
        Loose::Text(reason) => !reason.is_empty(),
        _ => return Err(wrong(Key::Deprecated, "true, false or a text")),
    };
    let has_dates = match entry.get(Key::Deprecation) {
        Loose::Absent | Loose::Null => false,
        Loose::Object(fields) => fields.iter().any(|(_, value)| !value.is_silent()),
        _ => return Err(wrong(Key::Deprecation, "an object")),
    };
    Ok(if is_deprecated || has_dates { "deprecated" } else { "stable" }.to_owned())
}

fn replaced_by(entry: &Entry<'_>) -> Result<Option<String>, Problem> {
    if let Loose::Text(replacement) = entry.get(Key::Deprecation).get("replacedBy") {
        return Ok(some(replacement.to_string()));
    }
    let replacement = text(entry, Key::ReplacedBy)?.or(text(entry, Key::Replacement)?);
    Ok(replacement.map(ToOwned::to_owned))
}

fn not_installable(entry: &Entry<'_>, status: &str) -> Result<Option<String>, Problem> {
    if status == "planned" {
        return Ok(Some("planned".to_owned()));
    }
    Ok((flag(entry, Key::Installable)? == Some(false)).then(|| "`installable` is false".to_owned()))
}

/// `requires_license` decides where it is there; else the tier; else whether the entry calls itself commercial.
fn licence_need(entry: &Entry<'_>) -> Result<LicenceNeed, Problem> {
    let told = flag(entry, Key::RequiresLicense)?.or(flag(entry, Key::RequiresLicenseCamel)?);
    let tier = text(entry, Key::Tier)?.map(str::to_ascii_lowercase);
    let is_commercial = flag(entry, Key::IsCommercial)? == Some(true);
    Ok(match (told, tier.as_deref()) {
        (Some(true), _) => LicenceNeed::Required("`requires_license` is true".to_owned()),
        (None, Some(tier @ ("pro" | "max"))) => LicenceNeed::Required(format!("its tier is `{tier}`")),
        (None, None) if is_commercial => LicenceNeed::Required("`isCommercial` is true".to_owned()),
        _ => LicenceNeed::None,
    })
}

/// The main port and what else the entry lists; it is shown only, so what is no port is passed over.
fn ports(main: Option<u16>, listed: &Loose<'_>) -> Vec<u16> {
    let mut ports: Vec<u16> = main.into_iter().collect();
    let Loose::List(listed) = listed else { return ports };
    for port in listed {
        if let Loose::Whole(number) = port
            && let Ok(number) = u16::try_from(*number)
            && number > 0
            && !ports.contains(&number)
        {
            ports.push(number);
        }
    }
    ports
}

fn port(entry: &Entry<'_>) -> Result<Option<u16>, Problem> {
    let (implementation, config) = (entry.get(Key::Implementation), entry.get(Key::Config));
    if !matches!(implementation, Loose::Absent | Loose::Null | Loose::Object(_) | Loose::Text(_)) {
        return Err(wrong(Key::Implementation, "an object"));
    }
    let places = [
        entry.get(Key::Port),
        implementation.get("defaultPort"),
        config.get("port"),
        config.get("defaultPort"),
        config.get("dashboardPort"),
    ];
    for place in places {
        let number = match place {
            Loose::Absent | Loose::Null => continue,
            Loose::Text(text) if text.trim().is_empty() => continue,
            Loose::Text(text) => text.trim().parse::<u16>().ok(),
            Loose::Whole(number) => u16::try_from(*number).ok(),
            _ => None,
        };
        return match number {
            Some(0) => Ok(None),
            Some(number) => Ok(Some(number)),
            None => Err("its port is not a number from 0 to 65535".to_owned()),
        };
    }
    Ok(None)
}

/// Only sha256 is a check here. Anything else that is offered makes the entry unusable, rather than unchecked.
fn digest(entry: &Entry<'_>) -> Result<Option<Digest>, Problem> {
    let checksums = entry.get(Key::Checksums);
    let inner = match checksums {
        Loose::Object(fields) => {
            let sha256 = checksums.get("sha256");
            // Digests by platform are those of programs, not of the archive.
            let other = fields.iter().find(|(key, value)| key != "sha256" && key != "platforms" && !is_blank(value));
            if let (Some((key, _)), true) = (other, is_blank(sha256)) {
                return Err(format!("its checksum is `{}`, only sha256 is accepted", shown(key)));
            }
            sha256
        }
        other => other,
    };
    let mut found: Option<Digest> = None;
    for place in [entry.get(Key::Checksum), entry.get(Key::Sha256), inner] {
        let digest = match place {
            _ if is_blank(place) => continue,
            Loose::Text(text) => text.parse::<Digest>().map_err(|error| format!("its checksum: {error}"))?,
            _ => return Err("its checksum is not a text".to_owned()),
        };
        if found.is_some_and(|found| found != digest) {
            return Err("it gives two different checksums".to_owned());
        }
        found = Some(digest);
    }
    Ok(found)
}

fn is_blank(value: &Loose<'_>) -> bool {
    match value {
        Loose::Absent | Loose::Null => true,
        Loose::Text(text) => text.trim().is_empty(),
        _ => false,
    }
}

fn size(field: &Loose<'_>) -> Result<Option<u64>, Problem> {
    match field {
        Loose::Absent | Loose::Null => Ok(None),
        Loose::Whole(bytes) => u64::try_from(*bytes).map(Some).map_err(|_| wrong(Key::Size, "a number of bytes")),
        _ => Err(wrong(Key::Size, "a number of bytes")),
    }
}

/// Every spelling that is there counts; the highest wins.
fn min_host(entry: &Entry<'_>) -> Result<Option<Version>, Problem> {
    let mut lowest: Option<Version> = None;
    for key in [Key::MinHost, Key::MinHostCamel] {
        if let Some(word) = text(entry, key)? {
            let version = partial_version(word).ok_or_else(|| format!("`{}` is not a version", key.word()))?;
            lowest = lowest.max(Some(version));
        }
    }
    match entry.get(Key::Requires).get("nself") {
        Loose::Absent | Loose::Null => Ok(lowest),
        Loose::Text(range) => {
            let range: VersionRange = range
                .parse()
                .map_err(|_| format!("`requires.nself` is not a range of versions: `{}`", shown(range)))?;
            Ok(lowest.max(range.lowest()))
        }
        _ => Err("`requires.nself` is not a text".to_owned()),
    }
}

/// `1` and `1.0` mean 1.0.0 here: hosts are spelled so.
fn partial_version(word: &str) -> Option<Version> {
    let number = word.strip_prefix('v').unwrap_or(word);
    let dots = number.split(['-', '+']).next().unwrap_or_default().matches('.').count();
    match dots {
        0 => Version::parse(&format!("{number}.0.0")).ok(),
        1 => Version::parse(&format!("{number}.0")).ok(),
        _ => Version::parse(number).ok(),
    }
}

/// The words that may name plugins, in the document's order, each once.
fn dependencies(entry: &Entry<'_>) -> Result<Vec<String>, Problem> {
    let mut words = Vec::new();
    flatten(entry.get(Key::Dependencies), &mut words)?;
    flatten(entry.get(Key::Requires).get("plugins"), &mut words)?;
    let mut seen = std::collections::HashSet::new();
    words.retain(|word| seen.insert(word.clone()));
    Ok(words)
}

fn flatten(field: &Loose<'_>, words: &mut Vec<String>) -> Result<(), Problem> {
    match field {
        Loose::Absent | Loose::Null => {}
        Loose::Text(word) => push(word, words),
        Loose::List(values) => {
            for value in values {
                match value {
                    Loose::Text(word) => push(word, words),
                    Loose::Object(_) if is_optional(value) => {}
                    Loose::Object(_) => match value.get("name") {
                        Loose::Text(word) => push(word, words),
                        _ => return Err(wrong(Key::Dependencies, "a list of names")),
                    },
                    _ => return Err(wrong(Key::Dependencies, "a list of names")),
                }
            }
        }
        Loose::Object(fields) => {
            let groups = ["required", "optional", "plugins", "npm", "system"];
            if fields.iter().any(|(key, _)| groups.contains(&key.as_ref())) {
                flatten(field.get("required"), words)?;
                flatten(field.get("plugins"), words)?;
            } else {
                let required = fields.iter().filter(|(_, value)| !is_optional(value));
                required.for_each(|(key, _)| push(key, words));
            }
        }
        _ => return Err(wrong(Key::Dependencies, "a list of names")),
    }
    Ok(())
}

fn is_optional(value: &Loose<'_>) -> bool {
    matches!(value.get("optional"), Loose::Bool(true))
}

/// Scoped names are packages of npm.
fn push(word: &str, words: &mut Vec<String>) {
    let word = word.trim();
    if !word.is_empty() && !word.starts_with('@') {
        words.push(word.to_owned());
    }
}
