//! Folders on this machine as sorted lists of files, and as plain tar archives that are the same bytes every time.
//! Owns the rules for what may be in a folder that becomes a package; writes only into sinks.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::error::failed;
use super::files::{open_regular, shown_path};
use super::path::{Spellings, check_inside_package, normalise};
use super::{LARGEST_FILE, LARGEST_PACKAGE, MOST_ENTRIES, PackageError};
use crate::name::shown;

/// Folders of version control and of build tools, which never belong to a package.
const SKIPPED_EVERYWHERE: &[&str] = &[".git", "node_modules"];
/// A folder of build results, skipped only at the top: further down, `target` is an ordinary word.
const SKIPPED_AT_TOP: &str = "target";

/// A file or folder below a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Relative to the root, with `/` between components.
    pub(super) path: String,
    pub(super) content: Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Folder,
    File { size: u64, executable: bool },
}

/// Whether a listing leaves out what never belongs to a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// An author's folder: version control and build results are left out.
    Sources,
    /// A package: all of it.
    Everything,
}

/// Everything below `root`, sorted; folders come before what is in them. Links, special files, doubtful names and
/// whatever passes the limits of an archive are refused.
pub(super) fn list(root: &Path, scope: Scope) -> Result<Vec<Item>, PackageError> {
    let mut items = Vec::new();
    let mut folders = vec![String::new()];
    let mut spellings = Spellings::default();
    let mut total = 0;
    while let Some(folder) = folders.pop() {
        let path = root.join(&folder);
        for entry in fs::read_dir(&path).map_err(failed("list", &path))? {
            let entry = entry.map_err(failed("list", &path))?;
            let name = entry.file_name();
            let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
            let raw = [prefix.as_bytes(), name.as_bytes()].concat();
            if scope == Scope::Sources && is_skipped(&folder, &name.to_string_lossy()) {
                continue;
            }
            let item = examine(root, &raw)?;
            spellings.add(&item.path).map_err(|objection| refuse(root, &raw, objection))?;
            match item.content {
                Content::Folder => folders.push(item.path.clone()),
                Content::File { size, .. } => total += size,
            }
            items.push(item);
            if items.len() > MOST_ENTRIES || total > LARGEST_PACKAGE {
                let reason = "is one too many: a package has at most 20,000 entries and 256 MiB";
                return Err(refuse(root, &raw, reason));
            }
        }
    }
    items.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(items)
}

fn is_skipped(folder: &str, name: &str) -> bool {
    SKIPPED_EVERYWHERE.contains(&name) || (folder.is_empty() && name == SKIPPED_AT_TOP)
}

fn examine(root: &Path, raw: &[u8]) -> Result<Item, PackageError> {
    let path = normalise(raw).map_err(|objection| refuse(root, raw, objection))?;
    check_inside_package(&path).map_err(|objection| refuse(root, raw, objection))?;
    let full = root.join(&path);
    let metadata = fs::symlink_metadata(&full).map_err(failed("look at", &full))?;
    let content = if metadata.is_dir() {
        Content::Folder
    } else if metadata.is_symlink() {
        return Err(refuse(root, raw, "is a link"));
    } else if !metadata.is_file() {
        return Err(refuse(root, raw, "is no regular file"));
    } else if metadata.len() > LARGEST_FILE {
        return Err(refuse(root, raw, "is larger than 64 MiB"));
    } else {
        Content::File { size: metadata.len(), executable: metadata.permissions().mode() & 0o111 != 0 }
    };
    Ok(Item { path, content })
}

fn refuse(root: &Path, raw: &[u8], reason: &str) -> PackageError {
    PackageError::Entry {
        place: shown_path(root),
        entry: shown(&String::from_utf8_lossy(raw)),
        reason: reason.to_owned(),
    }
}

/// Writes items as a plain tar archive: their order, owner 0, time 0 and modes 0644 or 0755, so that the same tree
/// is the same bytes on every machine. `top` becomes the folder around them.
pub(super) fn write_tar(root: &Path, items: &[Item], top: Option<&str>, sink: impl Write) -> Result<(), PackageError> {
    let around =
        top.map(|top| Placed { name: top.to_owned(), source: "", content: Content::Folder, owner: (0, 0), text: None });
    let placed = items.iter().map(|item| Placed {
        name: top.map_or_else(|| item.path.clone(), |top| format!("{top}/{}", item.path)),
        source: &item.path,
        content: item.content,
        owner: (0, 0),
        text: None,
    });
    write_placed(root, around.into_iter().chain(placed), sink)
}

/// One entry of a tar archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed<'a> {
    /// Its name in the archive, without a trailing `/`.
    pub(super) name: String,
    /// The file below the root that it holds.
    pub(super) source: &'a str,
    pub(super) content: Content,
    /// User and group id.
    pub(super) owner: (u64, u64),
    /// What it holds in place of the file's own content.
    pub(super) text: Option<&'a str>,
}

/// Writes entries as a plain tar archive: time 0, modes 0644 or 0755.
pub(super) fn write_placed<'a>(
    root: &Path,
    entries: impl IntoIterator<Item = Placed<'a>>,
    sink: impl Write,
) -> Result<(), PackageError> {
    let mut builder = tar::Builder::new(sink);
    for entry in entries {
        let Placed { name, source, content, owner, text } = entry;
        let full = root.join(source);
        match (content, text) {
            (Content::Folder, _) => append(&mut builder, header(content, owner), &format!("{name}/"), std::io::empty()),
            (Content::File { executable, .. }, Some(text)) => {
                let content = Content::File { size: text.len() as u64, executable };
                append(&mut builder, header(content, owner), &name, text.as_bytes())
            }
            (Content::File { size, .. }, None) => {
                let file = Exactly { file: open_regular(&full)?, left: size };
                append(&mut builder, header(content, owner), &name, file)
            }
        }
        .map_err(failed("archive", &full))?;
    }
    builder.into_inner().and_then(|mut sink| sink.flush()).map_err(failed("archive", root))
}

fn append(
    builder: &mut tar::Builder<impl Write>,
    mut header: tar::Header,
    name: &str,
    data: impl Read,
) -> std::io::Result<()> {
    builder.append_data(&mut header, name, data)
}

fn header(content: Content, (user, group): (u64, u64)) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    let (kind, size, mode) = match content {
        Content::Folder => (tar::EntryType::Directory, 0, 0o755),
        Content::File { size, executable } => (tar::EntryType::Regular, size, if executable { 0o755 } else { 0o644 }),
    };
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(user);
    header.set_gid(group);
    header.set_mtime(0);
    header
}

/// A file that must have as many bytes as its header says already: fails when it shrank, and stops when it grew.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read(&mut buffer[..wanted])?;
        if count == 0 && wanted > 0 {
            return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the file shrank while it was read"));
        }
        self.left -= count as u64;
        Ok(count)
    }
}
