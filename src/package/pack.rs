//! The author's side: a folder becomes an archive that is the same bytes every time, and archives become a registry
//! document. Owns the file name and the document's shape; what may be in an archive is decided in `tree` and `path`.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use flate2::{Compression, GzBuilder};
use serde_json::{Map, Value, json};

use super::PackageError;
use super::archive::Archive;
use super::error::failed;
use super::folder::read_manifest;
use super::manifest::Manifest;
use super::tree::{Scope, list, write_tar};
use crate::name::Digest;
use crate::needs::ServiceNeed;

/// "unknown" in a gzip header, so that the packing machine leaves no trace in the bytes.
const NO_OPERATING_SYSTEM: u8 = 255;

/// An archive that was made.
#[derive(Debug)]
pub struct Packed {
    /// `NAME-VERSION.tar.gz`.
    pub file_name: String,
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    pub manifest: Manifest,
}

/// Packs a folder with a plugin.json into `out/NAME-VERSION.tar.gz`, replacing an earlier one in one step. The result
/// was unpacked once for trial when this returns: what an author packs, a user can install.
pub fn pack(folder: &Path, out: &Path) -> Result<Packed, PackageError> {
    let items = list(folder, Scope::Sources)?;
    let manifest = read_manifest(folder)?;
    let file_name = format!("{}-{}.tar.gz", manifest.name, manifest.version);
    let partial = tempfile::Builder::new()
        .prefix(&format!(".{file_name}."))
        .suffix(".part")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(out)
        .map_err(failed("write a file in", out))?;
    let encoder = GzBuilder::new().mtime(0).operating_system(NO_OPERATING_SYSTEM);
    let mut encoder = encoder.write(partial.as_file(), Compression::best());
    write_tar(folder, &items, Some(manifest.name.as_str()), &mut encoder)?;
    encoder.finish().map_err(failed("write", partial.path()))?;
    let mut archive = Archive::open_local(partial.path())?;
    archive.check(&manifest.name, &manifest.version)?;
    let target = out.join(&file_name);
    partial.persist(&target).map_err(|error| failed("write", &target)(error.error))?;
    Ok(Packed { file_name, digest: archive.digest(), size: archive.size(), manifest })
}

/// A registry document over archives that lie beside it, in the public registry's format. `generated_at` is a time
/// in RFC 3339; of several versions of one plugin the newest is listed.
pub fn document(entries: &[Packed], generated_at: &str) -> Value {
    let mut newest: Vec<&Packed> = Vec::new();
    for entry in entries {
        match newest.iter_mut().find(|other| other.manifest.name == entry.manifest.name) {
            Some(other) if other.manifest.version < entry.manifest.version => *other = entry,
            Some(_) => {}
            None => newest.push(entry),
        }
    }
    newest.sort_by(|one, other| one.manifest.name.cmp(&other.manifest.name));
    let plugins: Map<String, Value> =
        newest.iter().map(|entry| (entry.manifest.name.to_string(), describe(entry))).collect();
    json!({
        "schema_version": "1.0.0",
        "generated_at": generated_at,
        "total": plugins.len(),
        "checksum_algorithm": "sha256",
        "plugins": plugins,
    })
}

fn describe(entry: &Packed) -> Value {
    let manifest = &entry.manifest;
    // One that may stay unpublished is no address to count on.
    let port = manifest.ports.first().filter(|port| !port.optional).map_or(0, |port| port.port);
    let variables: Vec<Value> = manifest
        .variables
        .iter()
        .map(|variable| {
            let mut described = json!({
                "name": variable.name,
                "required": variable.required,
                "description": variable.description,
            });
            if let Some(default) = &variable.default {
                described["default"] = json!(default);
            }
            described
        })
        .collect();
    let mut described = json!({
        "name": manifest.name,
        "version": manifest.version.to_string(),
        "description": manifest.description,
        "category": manifest.category,
        "author": manifest.author,
        "license": manifest.license,
        "tier": "free",
        "requires_license": false,
        "tarball": entry.file_name,
        "checksums": { "sha256": entry.digest.to_hex() },
        "size": entry.size,
        "port": port,
        "ports": manifest.ports.iter().map(|port| port.port).collect::<Vec<_>>(),
        "dependencies": manifest.requires.dependencies,
        "envVars": variables,
        "implementation": { "defaultPort": port },
        "tags": manifest.tags,
    });
    let services: Vec<Value> = manifest.requires.services.iter().map(service_need).collect();
    if !services.is_empty() {
        described["requires"] = json!({ "services": services });
    }
    if let Some(lowest) = lowest_version(manifest.requires.host.as_deref()) {
        described["min_nself_version"] = json!(lowest);
    }
    if let Some(homepage) = &manifest.homepage {
        described["homepage"] = json!(homepage);
    }
    described
}

fn service_need(need: &ServiceNeed) -> Value {
    json!({ "name": need.name, "optional": need.optional, "variable": need.variable, "aliases": need.aliases })
}

/// The lower bound of a range such as `>=0.9.8, <2`, written with three numbers.
fn lowest_version(range: Option<&str>) -> Option<String> {
    let range: crate::version_range::VersionRange = range?.parse().ok()?;
    range.lowest().map(|version| version.to_string())
}

#[cfg(test)]
mod tests;
