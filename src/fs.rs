//! Files: private folders, durable writes, exchanges. The only home of file writes outside `package` and `registry`
//! staging; every error carries what was being done to which path.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// As many links in a row as Linux follows.
const MOST_LINKS: usize = 40;

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} `{}`", path.display())]
pub struct FileError {
    /// What was tried: "write", "read", "make the folder".
    pub action: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

/// Turns an [`io::Error`] into a [`FileError`]; for `map_err`.
pub fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_path_buf();
    move |source| FileError { action, path, source }
}

/// Makes a folder and its parents, readable by the owner alone whatever the umask.
pub fn create_private_folder(path: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make the folder", path))
}

/// Makes a folder and its parents with the user's umask: for what other programs may read.
pub fn create_folder(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(failed("make the folder", path))
}

/// Replaces a file in one step and makes it durable: temporary file beside it, fsync, rename, fsync of the folder.
/// The file is readable by the owner alone.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}.tmp", random_id()));
    let written = write_new(&temporary, bytes).and_then(|()| {
        fs::rename(&temporary, path).map_err(failed("replace", path))?;
        sync_folder(folder)
    });
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Replaces a file in one step; its mode and owner stay. A new one is readable by its owner alone.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let before = match fs::metadata(path) {
        Ok(before) => before,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return write_atomic(path, bytes),
        Err(error) => return Err(failed("look at", path)(error)),
    };
    let folder = folder_of(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}.tmp", random_id()));
    let replaced = write_new(&temporary, bytes).and_then(|()| {
        keep_owner_and_mode(&temporary, &before)?;
        fs::rename(&temporary, path).map_err(failed("replace", path))?;
        sync_folder(folder)
    });
    if replaced.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    replaced
}

/// The mode goes last: it may open the file to a group, which must be the right one by then.
fn keep_owner_and_mode(path: &Path, before: &Metadata) -> Result<(), FileError> {
    let made = fs::metadata(path).map_err(failed("look at", path))?;
    if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
        chown(path, Some(before.uid()), Some(before.gid())).map_err(failed("keep the owner in", path))?;
    }
    fs::set_permissions(path, before.permissions()).map_err(failed("set the mode of", path))
}

/// The file that a path leads to through links, whether or not it is there.
pub fn behind_links(path: &Path) -> PathBuf {
    let mut target = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        let Ok(next) = fs::read_link(&target) else { break };
        target = folder_of(&target).join(next);
    }
    target
}

/// The folder that holds a file.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// Writes a file unless there is one already, whole or not at all; false when there was one.
pub fn write_once(path: &Path, bytes: &[u8]) -> Result<bool, FileError> {
    let temporary = path.with_extension(format!("{}.tmp", random_id()));
    let linked = write_new(&temporary, bytes).map(|()| fs::hard_link(&temporary, path));
    let _ = fs::remove_file(&temporary);
    match linked? {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        made => made.map(|()| true).map_err(failed("write", path)),
    }
}

/// As [`write_atomic`], but readable by all that the umask lets: for what is published.
pub fn write_public(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_atomic(path, bytes)?;
    let permissions = fs::Permissions::from_mode(0o644);
    fs::set_permissions(path, permissions).map_err(failed("set the mode of", path))
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed("write", path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed("write", path))
}

/// Makes a file's content, or renames inside a folder, durable.
pub fn sync_folder(folder: &Path) -> Result<(), FileError> {
    File::open(folder).and_then(|opened| opened.sync_all()).map_err(failed("sync", folder))
}

/// Writes every file and folder of a tree through to the disk, so that a rename of its root after it is safe.
pub fn sync_tree(root: &Path) -> Result<(), FileError> {
    let mut paths = vec![root.to_path_buf()];
    let mut next = 0;
    while let Some(path) = paths.get(next).cloned() {
        next += 1;
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
            let entries = fs::read_dir(&path).map_err(failed("list", &path))?;
            paths.extend(entries.filter_map(Result::ok).map(|entry| entry.path()));
        }
        if paths.len() > MOST_SINGLE_SYNCS {
            let opened = File::open(root).map_err(failed("open", root))?;
            return rustix::fs::syncfs(&opened).map_err(|error| failed("sync", root)(error.into()));
        }
    }
    paths.iter().try_for_each(|path| sync_folder(path))
}

/// Above this many files one call for the whole file system costs less, although it writes other programs' data too.
const MOST_SINGLE_SYNCS: usize = 128;

/// Reads a file that may be absent.
pub fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Removes a file that may be absent.
pub fn remove_file(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("remove", path)(error)),
    }
}

/// Removes a folder that may be absent, and all in it; a link is removed, never followed.
pub fn remove_tree(path: &Path) -> Result<(), FileError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at", path)(error)),
    };
    let removed = if metadata.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.map_err(failed("remove", path))
}

/// Renames a file or folder on one file system.
pub fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::rename(from, to).map_err(failed("move", from))
}

/// Swaps two folders in one step (`renameat2` with `RENAME_EXCHANGE`), so that at no moment one is missing.
pub fn exchange(one: &Path, other: &Path) -> Result<(), FileError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)
        .map_err(|error| failed("exchange", one)(io::Error::from(error)))
}

/// Whether group or others may read the file.
pub fn is_readable_by_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
}

/// The names of the entries of a folder that may be absent, sorted.
pub fn list_folder(path: &Path) -> Result<Vec<String>, FileError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("list", path)(error)),
    };
    let mut names: Vec<String> =
        entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// 16 hexadecimal digits that nobody has used before.
pub fn random_id() -> String {
    random_text(16, b"0123456789abcdef")
}

/// A secret of so many characters, fit for shells, URLs and env files: letters and digits (5.95 bits each).
pub fn random_secret(length: usize) -> String {
    random_text(length, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
}

fn random_text(length: usize, alphabet: &[u8]) -> String {
    // Bytes at or above the largest multiple of the alphabet are thrown away, so that no character is likelier.
    let ceiling = 256 - 256 % alphabet.len();
    let mut text = String::with_capacity(length);
    let mut bytes = [0_u8; 64];
    while text.len() < length {
        getrandom::fill(&mut bytes).expect("the kernel gives random bytes");
        let usable = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < ceiling);
        text.extend(usable.take(length - text.len()).map(|byte| char::from(alphabet[byte % alphabet.len()])));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_atomic_write_leaves_a_private_file_and_no_temporary() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("receipt.json");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert!(!is_readable_by_others(&path));
        assert_eq!(list_folder(folder.path()).unwrap(), ["receipt.json"]);
    }

    #[test]
    fn exchange_swaps_two_folders() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        for (path, file) in [(&one, "a"), (&other, "b")] {
            create_folder(path).unwrap();
            fs::write(path.join(file), "").unwrap();
        }
        exchange(&one, &other).unwrap();
        assert!(one.join("b").exists() && other.join("a").exists());
    }

    #[test]
    fn secrets_have_the_length_asked_for_and_differ() {
        let (one, other) = (random_secret(48), random_secret(48));
        assert_eq!(one.len(), 48);
        assert_ne!(one, other);
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}
