//! Files: private folders, durable writes, exchanges. The only home of file writes outside `package` and `registry`
//! staging; every error carries what was being done to which path.

mod atomic;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

pub use atomic::{is_temporary, replace, sweep, write_atomic, write_cache, write_once, write_public};

/// The largest file that is read into memory whole, in bytes.
const LARGEST_FILE: u64 = 16 << 20;

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
    create_owned(path, || fs::DirBuilder::new().recursive(true).mode(0o700).create(path))
}

/// Makes a folder and its parents with the user's umask: for what other programs may read.
pub fn create_folder(path: &Path) -> Result<(), FileError> {
    create_owned(path, || fs::create_dir_all(path))
}

/// Folders that root makes belong to the owner of the folder that was there before them.
fn create_owned(path: &Path, create: impl FnOnce() -> io::Result<()>) -> Result<(), FileError> {
    let missing: Vec<&Path> = path.ancestors().take_while(|place| fs::symlink_metadata(place).is_err()).collect();
    create().map_err(failed("make the folder", path))?;
    for made in missing.into_iter().rev() {
        give_to_owner_of_folder(made)?;
    }
    Ok(())
}

/// Gives what root has made to the owner of the folder that holds it, so that `sudo` leaves nothing behind that the
/// user cannot change.
pub fn give_to_owner_of_folder(path: &Path) -> Result<(), FileError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let Ok(owner) = fs::metadata(folder_of(path)) else { return Ok(()) };
    let own = fs::symlink_metadata(path).map_err(failed("look at", path))?;
    if (own.uid(), own.gid()) == (owner.uid(), owner.gid()) {
        return Ok(());
    }
    lchown(path, Some(owner.uid()), Some(owner.gid())).map_err(failed("set the owner of", path))
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

/// Reads a regular file of at most 16 MiB that may be absent. A FIFO or a device in its place is an error at once: a
/// read of it would never end.
pub fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(failed("read", path)(error.into())),
    };
    read_regular(file).map(Some).map_err(failed("read", path))
}

fn read_regular(file: File) -> io::Result<Vec<u8>> {
    let facts = file.metadata()?;
    if facts.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !facts.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE { Err(io::Error::other("it is larger than 16 MiB")) } else { Ok(bytes) }
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
    fn a_fifo_or_a_device_in_the_place_of_a_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for path in [fifo, link] {
            let error = read_optional(&path).unwrap_err();
            assert!(error.source.to_string().contains("not a regular file"), "{error:?}");
        }
        assert!(read_optional(&folder.path().join("absent")).unwrap().is_none());
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
