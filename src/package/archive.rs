//! The archive: a tar.gz on disk whose digest is proven, or whose lack of one was accepted by policy. Owns unpacking,
//! which consumes it: one pass that only looks, a second that writes exactly what the first one saw.
//! Fetches nothing and judges no recipe.

mod gzip;
mod layout;
mod tar_reader;

#[cfg(test)]
mod tests;

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use semver::Version;
use sha2::{Digest as _, Sha256};
use tempfile::SpooledTempFile;

use self::gzip::Inflated;
use self::layout::{Candidate, Layout, check_contention, check_inside, choose};
use self::tar_reader::{Kind, Member, TarReader};
use super::error::failed;
use super::files::{Rereadable, make_folder, make_folders, new_file, open_regular, shown_path, spool};
use super::manifest::{LARGEST_MANIFEST, Manifest};
use super::{MANIFEST_FILE, Package, PackageError, Proof};
use crate::name::{Digest, PluginName, shown};

/// The most bytes of all plugin.json files in one archive together, since they are kept in memory.
const ALL_MANIFESTS: usize = 16 * 1024 * 1024;
/// Scripts that packages bring for the host; none of them is ever run unasked.
const HOST_SCRIPTS: &[&str] = &["install.sh", "uninstall.sh"];

/// A tar.gz that may be unpacked.
#[derive(Debug)]
pub struct Archive {
    file: Box<dyn Rereadable>,
    digest: Digest,
    size: u64,
    proof: Proof,
    source: String,
}

/// What the first pass found.
struct Survey {
    members: Vec<Member>,
    layout: Layout,
    manifest: Manifest,
}

impl Archive {
    /// Wraps what `fetch` has written and judged.
    pub(super) fn downloaded(file: SpooledTempFile, digest: Digest, size: u64, judged: (Proof, String)) -> Self {
        let (proof, source) = judged;
        Self { file: Box::new(file), digest, size, proof, source }
    }

    /// An archive on this machine that the user names: nothing proves where it comes from.
    pub fn open_local(path: &Path) -> Result<Self, PackageError> {
        let file = open_regular(path)?;
        let mut hasher = Sha256::new();
        let mut size = 0;
        let mut buffer = vec![0_u8; 64 * 1024];
        loop {
            let count = (&file).read(&mut buffer).map_err(failed("read", path))?;
            if count == 0 {
                break;
            }
            size += count as u64;
            hasher.update(&buffer[..count]);
        }
        let digest = Digest::from_bytes(hasher.finalize().into());
        let source = shown_path(path);
        Ok(Self { file: Box::new(file), digest, size, proof: Proof::Local, source })
    }

    /// The sha256 of the file.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The number of bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What is known of where it comes from.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// Unpacks into a new folder `staging/NAME`, where NAME is the plugin's name. Nothing is written before every
    /// entry has passed, and nothing stays when writing fails.
    pub fn unpack(
        mut self,
        staging: &Path,
        expected: Option<&PluginName>,
        version: Option<&Version>,
    ) -> Result<Package, PackageError> {
        let mut copy = spool(staging);
        let Survey { members, layout, manifest } = self.survey(expected, version, Some(&mut copy))?;
        let root = staging.join(manifest.name.as_str());
        make_folder(&root)?;
        if let Err(error) = write(&mut copy, &self.source, (&members, &layout), &root) {
            // The first error is the one to tell; staging is swept by the next command in any case.
            let _ = fs::remove_dir_all(&root);
            return Err(error);
        }
        Ok(Package { root, manifest, digest: Some(self.digest), proof: self.proof, source: self.source })
    }

    /// The manifest inside, after every check of [`Archive::unpack`]; writes nothing. The name chooses where there are
    /// several plugins.
    pub fn manifest(
        &mut self,
        expected: Option<&PluginName>,
        version: Option<&Version>,
    ) -> Result<Manifest, PackageError> {
        self.survey(expected, version, None).map(|survey| survey.manifest)
    }

    /// Goes through every check of [`Archive::unpack`] and writes nothing.
    pub(super) fn check(&mut self, expected: &PluginName, version: &Version) -> Result<(), PackageError> {
        self.survey(Some(expected), Some(version), None).map(drop)
    }

    /// The first pass: every entry is checked, nothing is written.
    fn survey(
        &mut self,
        expected: Option<&PluginName>,
        version: Option<&Version>,
        copy: Option<&mut SpooledTempFile>,
    ) -> Result<Survey, PackageError> {
        let mut reader = TarReader::new(Inflated::new(&mut *self.file, &self.source, copy)?, &self.source);
        let (mut members, mut candidates, mut kept) = (Vec::new(), Vec::new(), 0);
        while let Some(member) = reader.next()? {
            if let Some(folder) = manifest_folder(&member) {
                let bytes = read_manifest(&mut reader, &member)?;
                kept += bytes.len();
                if kept > ALL_MANIFESTS {
                    return Err(refuse(
                        &self.source,
                        &member,
                        "is one plugin.json too many: together they pass 16 MiB",
                    ));
                }
                candidates.push(Candidate { folder, bytes });
            }
            members.push(member);
        }
        check_contention(&members, &self.source)?;
        let (layout, bytes) = choose(&members, candidates, expected, &self.source)?;
        check_inside(&members, &layout, &self.source)?;
        let mut manifest =
            Manifest::read(&bytes).map_err(|source| PackageError::Manifest { place: self.source.clone(), source })?;
        if let Some(expected) = expected.filter(|expected| **expected != manifest.name) {
            return Err(PackageError::AnotherPlugin {
                place: self.source.clone(),
                expected: expected.clone(),
                found: manifest.name.to_string(),
            });
        }
        if let Some(expected) = version.filter(|expected| **expected != manifest.version) {
            return Err(PackageError::AnotherVersion {
                place: self.source.clone(),
                name: manifest.name,
                expected: expected.to_string(),
                found: manifest.version.to_string(),
            });
        }
        let paths = members.iter().filter(|member| member.kind == Kind::File);
        let inside: Vec<_> = paths.filter_map(|member| layout.inside(&member.path)).collect();
        note_host_scripts(&mut manifest, inside.iter().map(AsRef::as_ref));
        drop(inside);
        Ok(Survey { members, layout, manifest })
    }
}

/// The second pass: the same entries again, this time written.
fn write(
    copy: &mut SpooledTempFile,
    source: &str,
    (members, layout): (&[Member], &Layout),
    root: &Path,
) -> Result<(), PackageError> {
    let mut reader = TarReader::new(Inflated::again(copy, source)?, source);
    let mut surveyed = members.iter();
    while let Some(member) = reader.next()? {
        if surveyed.next() != Some(&member) {
            return Err(refuse(source, &member, "was another one a moment ago: the archive is being changed"));
        }
        let Some(path) = layout.inside(&member.path).filter(|path| !path.is_empty()) else { continue };
        write_member(&mut reader, &member, &path, root)?;
    }
    Ok(())
}

fn refuse(source: &str, member: &Member, reason: &str) -> PackageError {
    PackageError::Entry { place: source.to_owned(), entry: shown(&member.path), reason: reason.to_owned() }
}

/// The folder of a plugin.json that is a file fit to be read; larger ones are refused where they are chosen from.
fn manifest_folder(member: &Member) -> Option<String> {
    if member.kind != Kind::File {
        return None;
    }
    match member.path.rsplit_once('/') {
        Some((folder, MANIFEST_FILE)) => Some(folder.to_owned()),
        None if member.path == MANIFEST_FILE => Some(String::new()),
        _ => None,
    }
}

fn read_manifest(reader: &mut TarReader<'_>, member: &Member) -> Result<Vec<u8>, PackageError> {
    // One byte more than allowed is enough for the manifest's own check to see that it is too large.
    let wanted = usize::try_from(member.size).unwrap_or(usize::MAX).min(LARGEST_MANIFEST + 1);
    let mut bytes = vec![0_u8; wanted];
    reader.read(&mut bytes)?;
    Ok(bytes)
}

fn write_member(reader: &mut TarReader<'_>, member: &Member, path: &str, root: &Path) -> Result<(), PackageError> {
    let target = root.join(path);
    if member.kind == Kind::Folder {
        return make_folders(root, path);
    }
    if let Some((folder, _)) = path.rsplit_once('/') {
        make_folders(root, folder)?;
    }
    let mut file = new_file(&target, member.executable)?;
    let mut buffer = vec![0_u8; 64 * 1024];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(()),
            count => file.write_all(&buffer[..count]).map_err(failed("write", &target))?,
        }
    }
}

/// Adds scripts that lie in the package's top folder to the manifest's hooks, where no hook names them already.
pub(super) fn note_host_scripts<'a>(manifest: &mut Manifest, paths: impl Iterator<Item = &'a str>) {
    for path in paths.filter(|path| HOST_SCRIPTS.contains(path)) {
        if !manifest.hooks.iter().any(|hook| hook.split(' ').any(|word| word.ends_with(path))) {
            manifest.hooks.push(path.to_owned());
        }
    }
}
