//! Where in an archive the plugin is, and which entries belong to it. Pure: decides from the list of entries.

use std::collections::HashMap;

use super::super::path::{Spellings, ancestors, check_inside_package};
use super::super::{MANIFEST_FILE, PackageError};
use super::tar_reader::{Kind, Member};
use crate::name::{PluginName, shown};

/// A plugin.json in the archive.
pub(super) struct Candidate {
    /// The folder that holds it; empty for the archive's top.
    pub(super) folder: String,
    pub(super) bytes: Vec<u8>,
}

impl Candidate {
    fn depth(&self) -> usize {
        if self.folder.is_empty() { 0 } else { self.folder.split('/').count() }
    }

    /// The plugin's name as written, when so much of the manifest can be read.
    fn name(&self) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Named {
            name: String,
        }
        serde_json::from_slice::<Named>(&self.bytes).ok().map(|named| named.name)
    }
}

/// Which folders of the archive make the package.
pub(super) struct Layout {
    root: String,
    shared: Option<String>,
}

impl Layout {
    /// The path inside the package of an entry of the archive; `None` for what does not belong to it. Empty for the
    /// package's own folder.
    pub(super) fn inside<'a>(&self, path: &'a str) -> Option<std::borrow::Cow<'a, str>> {
        if let Some(rest) = below(path, &self.root) {
            return Some(rest.into());
        }
        let rest = below(path, self.shared.as_deref()?)?;
        Some(if rest.is_empty() { "_shared".into() } else { format!("_shared/{rest}").into() })
    }
}

fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    if folder.is_empty() || path == folder {
        return Some(if folder.is_empty() { path } else { "" });
    }
    path.strip_prefix(folder)?.strip_prefix('/')
}

/// Chooses the shallowest plugin.json of the expected plugin, or the only shallowest one when none is expected.
pub(super) fn choose(
    members: &[Member],
    candidates: Vec<Candidate>,
    expected: Option<&PluginName>,
    place: &str,
) -> Result<(Layout, Vec<u8>), PackageError> {
    let Some(shallowest) = candidates.iter().map(Candidate::depth).min() else {
        return Err(without_manifest(members, place));
    };
    let named = |candidate: &Candidate| expected.is_none_or(|name| candidate.name().as_deref() == Some(name.as_str()));
    let depth = candidates.iter().filter(|candidate| named(candidate)).map(Candidate::depth).min();
    let at = depth.unwrap_or(shallowest);
    let (fitting, others): (Vec<_>, Vec<_>) = candidates
        .into_iter()
        .filter(|candidate| candidate.depth() == at)
        .partition(|candidate| depth.is_none() || named(candidate));
    drop(others);
    let all_names = || fitting.iter().map(|one| shown(&one.name().unwrap_or_else(|| one.folder.clone()))).collect();
    if fitting.len() > 1 {
        return Err(PackageError::SeveralPlugins { place: place.to_owned(), names: all_names() });
    }
    let Some(chosen) = fitting.into_iter().next() else {
        return Err(without_manifest(members, place));
    };
    if let (None, Some(expected), Some(found)) = (depth, expected, chosen.name()) {
        return Err(PackageError::AnotherPlugin {
            place: place.to_owned(),
            expected: expected.clone(),
            found: shown(&found),
        });
    }
    let shared = shared_folder(members, &chosen.folder);
    Ok((Layout { root: chosen.folder, shared }, chosen.bytes))
}

fn without_manifest(members: &[Member], place: &str) -> PackageError {
    let is_manifest = |member: &&Member| member.path.rsplit('/').next() == Some(MANIFEST_FILE);
    match members.iter().find(is_manifest) {
        Some(member) => refuse(place, member, "is no regular file"),
        None => PackageError::NoManifest { place: place.to_owned() },
    }
}

/// The `shared` folder beside the plugin's, or beside the folder of plugins, unless the plugin brings a `_shared`.
fn shared_folder(members: &[Member], root: &str) -> Option<String> {
    let has = |folder: &str| members.iter().any(|member| below(&member.path, folder).is_some());
    if root.is_empty() || has(&format!("{root}/_shared")) {
        return None;
    }
    let parents = root.rsplit_once('/').map(|(parent, _)| parent).into_iter();
    let grandparents = parents.clone().map(|parent| parent.rsplit_once('/').map_or("", |(above, _)| above));
    let beside = |parent: &str| if parent.is_empty() { "shared".to_owned() } else { format!("{parent}/shared") };
    let places =
        if parents.clone().count() == 0 { vec![beside("")] } else { parents.chain(grandparents).map(beside).collect() };
    places.into_iter().find(|folder| *folder != root && has(folder))
}

/// Refuses an archive whose entries contend for one path, wherever they are.
pub(super) fn check_contention(members: &[Member], place: &str) -> Result<(), PackageError> {
    let mut kinds: HashMap<&str, Kind> = HashMap::with_capacity(members.len());
    for member in members {
        let repeated_folder = |earlier: Kind| earlier == Kind::Folder && member.kind == Kind::Folder;
        if kinds.insert(&member.path, member.kind).is_some_and(|earlier| !repeated_folder(earlier)) {
            return Err(refuse(place, member, "is there twice"));
        }
    }
    for member in members {
        if ancestors(&member.path).any(|folder| kinds.get(folder).is_some_and(|kind| *kind != Kind::Folder)) {
            return Err(refuse(place, member, "lies under an entry that is no folder"));
        }
    }
    Ok(())
}

/// Refuses a package with links, names that mean trouble, or names that some file systems take for one.
pub(super) fn check_inside(members: &[Member], layout: &Layout, place: &str) -> Result<(), PackageError> {
    let mut spellings = Spellings::default();
    for member in members {
        let Some(path) = layout.inside(&member.path) else { continue };
        if member.kind == Kind::Link {
            return Err(refuse(place, member, "is a link"));
        }
        if path.is_empty() {
            continue;
        }
        check_inside_package(&path)
            .and_then(|()| spellings.add(&path))
            .map_err(|objection| refuse(place, member, objection))?;
    }
    Ok(())
}

fn refuse(place: &str, member: &Member, reason: &str) -> PackageError {
    PackageError::Entry { place: place.to_owned(), entry: shown(&member.path), reason: reason.to_owned() }
}
