//! Writes of whole files: the new content appears in one step or not at all, and no temporary file outlives its writer.
//!
//! The content is written to a file without a name (`O_TMPFILE`), which the kernel frees when the process ends, however
//! it ends. Only a replacement needs a name for the moment between `linkat` and `rename`. A named temporary file is
//! locked by its writer, so that [`sweep`] can tell one that was left behind from one in use, without clocks.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat};

use super::{FileError, failed, folder_of, random_id, sync_folder};

/// What the names of temporary files begin with.
pub(super) const TEMPORARY: &str = ".nself-tmp-";
/// Version 0.10 did not lock its temporary files; one of this age has no writer any more.
const LEFT_BY_0_10: Duration = Duration::from_mins(10);
/// How often a temporary file's name is created again when a sweep took it before it was locked.
const CREATIONS: usize = 10;

/// How a file is written.
#[derive(Clone, Copy)]
struct How {
    /// The mode, or that of the file before (0600 for a new one).
    mode: Option<u32>,
    /// Whether to return only when the disk has it.
    is_durable: bool,
}

/// Replaces a file in one step and makes it durable. The file is readable by its owner alone; the owner stays.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write(path, bytes, How { mode: Some(0o600), is_durable: true })
}

/// Replaces a file in one step; its mode and owner stay. A new one is readable by its owner alone.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write(path, bytes, How { mode: None, is_durable: true })
}

/// As [`write_atomic`], but readable by everyone: for what is published.
pub fn write_public(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write(path, bytes, How { mode: Some(0o644), is_durable: true })
}

/// As [`write_atomic`], without waiting for the disk: for what can be fetched again.
pub fn write_cache(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write(path, bytes, How { mode: Some(0o600), is_durable: false })
}

/// Writes a file unless there is one already, whole or not at all; false when there was one.
pub fn write_once(path: &Path, bytes: &[u8]) -> Result<bool, FileError> {
    let how = How { mode: Some(0o600), is_durable: true };
    let placed = attempts(path, bytes, how, None, |temporary| match temporary.link(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    })?;
    sync_folder(folder_of(path))?;
    Ok(placed)
}

fn write(path: &Path, bytes: &[u8], how: How) -> Result<(), FileError> {
    let folder = folder_of(path);
    sweep(folder);
    // A link is replaced, never followed: what it leads to keeps its content and its owner.
    let before = match fs::symlink_metadata(path) {
        Ok(before) => Some(before).filter(Metadata::is_file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed("look at", path)(error)),
    };
    attempts(path, bytes, how, before.as_ref(), |temporary| temporary.become_file(path))?;
    if how.is_durable { sync_folder(folder) } else { Ok(()) }
}

/// Writes the content to a file without a name, or, where the file system has none, to a named one, and puts it in place.
fn attempts<T>(
    path: &Path,
    bytes: &[u8],
    how: How,
    before: Option<&Metadata>,
    place: impl Fn(&mut Temporary) -> io::Result<T>,
) -> Result<T, FileError> {
    let folder = folder_of(path);
    if let Ok(mut temporary) = Temporary::nameless(folder) {
        temporary.fill(path, bytes, how, before)?;
        if let Ok(placed) = place(&mut temporary) {
            return Ok(placed);
        }
    }
    let mut temporary = Temporary::named(folder).map_err(failed("write", path))?;
    temporary.fill(path, bytes, how, before)?;
    place(&mut temporary).map_err(failed("write", path))
}

/// A file that is not in its place yet; locked from before it has a name until it is dropped.
struct Temporary {
    file: File,
    name: Option<PathBuf>,
    folder: PathBuf,
}

impl Temporary {
    fn nameless(folder: &Path) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR)?);
        file.try_lock().map_err(io::Error::from)?;
        Ok(Self { file, name: None, folder: folder.to_path_buf() })
    }

    fn named(folder: &Path) -> io::Result<Self> {
        for _ in 0..CREATIONS {
            let name = folder.join(format!("{TEMPORARY}{}", random_id()));
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&name)?;
            // A sweep may hold it for a moment, and then removes it.
            if file.try_lock().is_ok() && is_same(&name, &file) {
                return Ok(Self { file, name: Some(name), folder: folder.to_path_buf() });
            }
        }
        Err(io::Error::other("temporary files are removed as fast as they are created"))
    }

    fn fill(&mut self, path: &Path, bytes: &[u8], how: How, before: Option<&Metadata>) -> Result<(), FileError> {
        self.file.write_all(bytes).map_err(failed("write", path))?;
        set_owner(&self.file, path, how, before)?;
        // The mode goes last: it may open the file to a group, which must be the right one by then.
        let mode = how.mode.unwrap_or_else(|| before.map_or(0o600, |before| before.mode() & 0o7777));
        self.file.set_permissions(Permissions::from_mode(mode)).map_err(failed("set the mode of", path))?;
        if how.is_durable { self.file.sync_all().map_err(failed("write", path)) } else { Ok(()) }
    }

    /// Gives it this name, which must be free.
    fn link(&self, name: &Path) -> io::Result<()> {
        if let Some(own) = &self.name {
            return fs::hard_link(own, name);
        }
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        Ok(linkat(CWD, own.as_str(), CWD, name, AtFlags::SYMLINK_FOLLOW)?)
    }

    /// Takes the place of the file at `path`, or becomes it.
    fn become_file(&mut self, path: &Path) -> io::Result<()> {
        if self.name.is_none() {
            match self.link(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                linked => return linked,
            }
            let name = self.folder.join(format!("{TEMPORARY}{}", random_id()));
            self.link(&name)?;
            self.name = Some(name);
        }
        let Some(name) = &self.name else { return Ok(()) };
        fs::rename(name, path)?;
        self.name = None;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            let _ = fs::remove_file(name);
        }
    }
}

/// The owner of the file before; of a new one that root writes, the owner of its folder, so that `sudo` leaves nothing
/// behind that the user cannot read.
fn set_owner(file: &File, path: &Path, how: How, before: Option<&Metadata>) -> Result<(), FileError> {
    let own = file.metadata().map_err(failed("look at", path))?;
    let is_root = rustix::process::geteuid().is_root();
    let wanted = match before {
        Some(before) => (before.uid(), before.gid()),
        None if is_root => {
            let folder = fs::metadata(folder_of(path)).map_err(failed("look at", folder_of(path)))?;
            (folder.uid(), folder.gid())
        }
        None => return Ok(()),
    };
    if (own.uid(), own.gid()) == wanted {
        return Ok(());
    }
    match fchown(file, Some(wanted.0), Some(wanted.1)) {
        // This program's own files may become the user's again.
        Err(_) if !is_root && how.mode.is_some() => Ok(()),
        changed => changed.map_err(failed("keep the owner of", path)),
    }
}

/// Removes the temporary files of a folder whose writers have ended. Best effort: what cannot be removed stays.
pub fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let is_left =
            (name.starts_with(TEMPORARY) && is_unlocked(&entry.path())) || (is_of_0_10(&name) && is_old(&entry.path()));
        if is_left {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether a name is that of a temporary file: of this version, or of 0.10 (`.NAME.<16 hex>.tmp`).
pub fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY) || is_of_0_10(name)
}

fn is_of_0_10(name: &str) -> bool {
    let id = name.strip_suffix(".tmp").and_then(|name| name.rsplit_once('.')).map(|(_, id)| id);
    id.is_some_and(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_unlocked(path: &Path) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).is_ok_and(|file| File::from(file).try_lock().is_ok())
}

fn is_old(path: &Path) -> bool {
    let changed = fs::symlink_metadata(path).and_then(|facts| facts.modified()).ok();
    changed.and_then(|changed| changed.elapsed().ok()).is_some_and(|age| age > LEFT_BY_0_10)
}

fn is_same(name: &Path, file: &File) -> bool {
    let named = fs::symlink_metadata(name).ok().zip(file.metadata().ok());
    named.is_some_and(|(named, held)| (named.dev(), named.ino()) == (held.dev(), held.ino()))
}

#[cfg(test)]
mod tests {
    use super::super::{is_readable_by_others, list_folder};
    use super::*;

    #[test]
    fn an_atomic_write_leaves_a_private_file_and_no_temporary() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("receipt.json");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert!(!is_readable_by_others(&path));
        assert!(!write_once(&path, b"three").unwrap());
        assert_eq!(list_folder(folder.path()).unwrap(), ["receipt.json"]);
    }

    #[test]
    fn a_named_temporary_file_writes_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for content in [b"one", b"two"] {
            let mut temporary = Temporary::named(folder.path()).unwrap();
            temporary.fill(&path, content, How { mode: None, is_durable: true }, None).unwrap();
            temporary.become_file(&path).unwrap();
            assert_eq!(fs::read(&path).unwrap(), content);
        }
        assert_eq!(list_folder(folder.path()).unwrap(), ["file"]);
    }

    #[test]
    fn a_sweep_removes_what_a_killed_writer_left_and_nothing_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let in_use = Temporary::named(folder.path()).unwrap();
        fs::write(folder.path().join(format!("{TEMPORARY}0123456789abcdef")), "secret").unwrap();
        fs::write(folder.path().join("kept.tmp"), "").unwrap();
        let of_0_10 = folder.path().join(".demo.json.0123456789abcdef.tmp");
        fs::write(&of_0_10, "secret").unwrap();
        let an_hour_ago = crate::context::now() - Duration::from_hours(1);
        File::options().write(true).open(&of_0_10).unwrap().set_modified(an_hour_ago).unwrap();
        sweep(folder.path());
        let in_use = in_use.name.as_ref().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(list_folder(folder.path()).unwrap(), [in_use, "kept.tmp".to_owned()]);
    }

    #[test]
    fn a_replaced_file_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    }

    #[test]
    fn root_gives_what_it_writes_to_the_owner_of_the_folder() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(folder.path(), Some(4242), Some(4343)).unwrap();
        let path = folder.path().join("new/values.json");
        super::super::create_private_folder(folder_of(&path)).unwrap();
        for _ in 0..2 {
            write_atomic(&path, b"{}").unwrap();
            for made in [folder_of(&path), &path] {
                let facts = fs::metadata(made).unwrap();
                assert_eq!((facts.uid(), facts.gid()), (4242, 4343), "{}", made.display());
            }
        }
    }
}
