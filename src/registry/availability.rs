//! What one registry has of what was asked for, as a value and in words. Owns which releases count; compares no
//! registries.

use semver::Version;

use super::error::LoadFailure;
use super::source::Loaded;
use super::{LicenceNeed, Release};
use crate::name::PluginName;
use crate::version_range::VersionRange;

/// What a caller looks for.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'q> {
    /// The only registry to look in, if the user named one.
    pub registry: Option<&'q str>,
    /// The plugin.
    pub name: &'q PluginName,
    /// The newest in this range; `None` is the newest, a pre-release only if there is nothing else.
    pub version: Option<&'q VersionRange>,
    /// Whether a release that needs a licence counts.
    pub has_licence_key: bool,
}

/// What one registry has of what was asked for.
pub(super) enum Availability<'c> {
    NotAsked,
    Failed(&'c LoadFailure),
    Unknown,
    NoVersion(Vec<Version>),
    NotUsable { reason: String, needs_licence: bool },
    Has(&'c Release),
}

/// What a registry that was read has.
pub(super) fn availability<'c>(loaded: &'c Loaded, ask: &Ask<'_>) -> Availability<'c> {
    let releases = loaded.contents.of(ask.name);
    if releases.is_empty() {
        return Availability::Unknown;
    }
    let wanted = |release: &&Release| ask.version.is_none_or(|range| range.matches(&release.version));
    let mut first_reason = None;
    for release in newest(releases).filter(wanted) {
        match unusable(release, ask.has_licence_key) {
            None => return Availability::Has(release),
            Some(reason) => first_reason = first_reason.or(Some((reason, release))),
        }
    }
    match first_reason {
        Some((reason, release)) => {
            let needs_licence = release.licence_need != LicenceNeed::None && release.not_installable.is_none();
            Availability::NotUsable { reason, needs_licence }
        }
        None => Availability::NoVersion(releases.iter().map(|release| release.version.clone()).collect()),
    }
}

/// Releases of one plugin in the order in which they are wanted: the newest first, pre-releases last.
pub(super) fn newest(releases: &[Release]) -> impl Iterator<Item = &Release> {
    let finished = releases.iter().filter(|release| release.version.pre.is_empty());
    finished.chain(releases.iter().filter(|release| !release.version.pre.is_empty()))
}

/// Why a release does not count.
pub(super) fn unusable(release: &Release, has_licence_key: bool) -> Option<String> {
    if let Some(reason) = &release.not_installable {
        return Some(format!("not installable: {reason}"));
    }
    match &release.licence_need {
        LicenceNeed::Required(reason) if !has_licence_key => return Some(format!("needs a licence: {reason}")),
        _ => {}
    }
    release.archives.is_empty().then(|| "gives no address of an archive".to_owned())
}

/// How far a release is believed; more is better.
pub(super) fn trust(release: &Release) -> u8 {
    match (release.pinned, release.digest.is_some()) {
        (true, _) => 2,
        (false, true) => 1,
        (false, false) => 0,
    }
}

/// Why a registry comes after the chosen release.
pub(super) fn after(availability: &Availability<'_>, chosen: &Release) -> String {
    match availability {
        Availability::Has(release) if trust(release) < trust(chosen) && release.digest.is_none() => {
            format!("has {} without a checksum", release.version)
        }
        Availability::Has(release) if trust(release) < trust(chosen) => {
            format!("has {}, but its key is not pinned", release.version)
        }
        Availability::Has(release) => format!("has {}, but comes later in the list", release.version),
        other => reason(other),
    }
}

/// An availability in words, to be put after the registry's name.
pub(super) fn reason(availability: &Availability<'_>) -> String {
    match availability {
        Availability::NotAsked => "not asked".to_owned(),
        Availability::Failed(failure) => format!("could not be read: {}", failure.reasons()),
        Availability::Unknown => "does not have it".to_owned(),
        Availability::NoVersion(versions) => {
            let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
            format!("does not have that version, it has {}", versions.join(", "))
        }
        Availability::NotUsable { reason, .. } => reason.clone(),
        Availability::Has(release) => format!("has {}", release.version),
    }
}
