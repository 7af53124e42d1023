//! Files of packages and archives: opening only regular ones, creating folders and files with fixed modes, and buffers
//! for what is read more than once. Knows nothing of archives or manifests.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read, Seek};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use tempfile::SpooledTempFile;

use super::PackageError;
use super::error::failed;

/// Downloads and unpacked archives of up to this many bytes are kept in memory; larger ones go to an anonymous file.
const KEPT_IN_MEMORY: usize = 16 * 1024 * 1024;

/// Bytes that are read more than once.
pub(super) trait Rereadable: Read + Seek + Send + std::fmt::Debug {}

impl<T: Read + Seek + Send + std::fmt::Debug> Rereadable for T {}

/// A buffer that disappears with its value, however this process ends: memory, and from [`KEPT_IN_MEMORY`] on an
/// anonymous file in `folder`.
pub(super) fn spool(folder: &Path) -> SpooledTempFile {
    tempfile::spooled_tempfile_in(KEPT_IN_MEMORY, folder)
}

/// Creates a folder below `root` and its parents. Whatever exists there was created here, so it cannot be a link.
pub(super) fn make_folders(root: &Path, path: &str) -> Result<(), PackageError> {
    for folder in super::path::ancestors(path).chain([path]) {
        let folder = root.join(folder);
        if !folder.is_dir() {
            make_folder(&folder)?;
        }
    }
    Ok(())
}

/// Creates one folder with mode 0755, whatever the umask.
pub(super) fn make_folder(path: &Path) -> Result<(), PackageError> {
    DirBuilder::new()
        .mode(0o755)
        .create(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)))
        .map_err(failed("create the folder", path))
}

/// Creates a file with mode 0755 when it is executable, else 0644, whatever the umask.
pub(super) fn new_file(path: &Path, executable: bool) -> Result<File, PackageError> {
    let mode = if executable { 0o755 } else { 0o644 };
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|file| file.set_permissions(Permissions::from_mode(mode)).map(|()| file))
        .map_err(failed("write", path))
}

/// Opens a regular file for reading; a FIFO neither blocks nor is accepted.
pub(super) fn open_regular(path: &Path) -> Result<File, PackageError> {
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed("open", path))?;
    if file.metadata().map_err(failed("look at", path))?.is_file() {
        return Ok(file);
    }
    Err(failed("read", path)(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file")))
}

/// A path as messages and receipts show it.
pub(super) fn shown_path(path: &Path) -> String {
    path.to_string_lossy().chars().map(|one| if crate::name::is_safe_to_show(one) { one } else { '?' }).collect()
}
