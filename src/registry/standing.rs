//! What one registry has of what was asked for, and that in words. Owns which releases count; compares no registries.

use semver::Version;

use super::catalog::Ask;
use super::error::LoadFailure;
use super::source::Loaded;
use super::{LicenceNeed, Release};

/// What one registry has of what was asked for.
pub(super) enum Standing<'c> {
    NotAsked,
    Failed(&'c LoadFailure),
    Unknown,
    NoVersion(Vec<Version>),
    NotUsable { reason: String, needs_licence: bool },
    Has(&'c Release),
}

/// What a registry that was read has.
pub(super) fn standing<'c>(loaded: &'c Loaded, ask: &Ask<'_>) -> Standing<'c> {
    let releases = loaded.contents.of(ask.name);
    if releases.is_empty() {
        return Standing::Unknown;
    }
    let wanted = |release: &&Release| ask.version.is_none_or(|version| release.version == *version);
    let mut first_reason = None;
    for release in newest(releases).filter(wanted) {
        match unusable(release, ask.has_licence_key) {
            None => return Standing::Has(release),
            Some(reason) => first_reason = first_reason.or(Some((reason, release))),
        }
    }
    match first_reason {
        Some((reason, release)) => {
            let needs_licence = release.licence_need != LicenceNeed::None && release.not_installable.is_none();
            Standing::NotUsable { reason, needs_licence }
        }
        None => Standing::NoVersion(releases.iter().map(|release| release.version.clone()).collect()),
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
pub(super) fn after(standing: &Standing<'_>, chosen: &Release) -> String {
    match standing {
        Standing::Has(release) if trust(release) < trust(chosen) && release.digest.is_none() => {
            format!("has {} without a checksum", release.version)
        }
        Standing::Has(release) if trust(release) < trust(chosen) => {
            format!("has {}, but its key is not pinned", release.version)
        }
        Standing::Has(release) => format!("has {}, but comes later in the list", release.version),
        other => reason(other),
    }
}

/// A standing in words, to be put after the registry's name.
pub(super) fn reason(standing: &Standing<'_>) -> String {
    match standing {
        Standing::NotAsked => "not asked".to_owned(),
        Standing::Failed(failure) => format!("not reachable: {}", failure.reasons()),
        Standing::Unknown => "does not have it".to_owned(),
        Standing::NoVersion(versions) => {
            let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
            format!("does not have that version, it has {}", versions.join(", "))
        }
        Standing::NotUsable { reason, .. } => reason.clone(),
        Standing::Has(release) => format!("has {}", release.version),
    }
}
