//! The name that an instance's leases carry: the same after a restart, even of a container that was recreated.
//!
//! It lies in a file of the data directory that the running process locks: two instances on one directory, as during an
//! update, have two names, and a killed one leaves its name to the next.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Instances of one data directory at most; further ones are named by their host.
const MOST: usize = 32;

/// A name that no other running instance has.
#[derive(Debug)]
pub(crate) struct Instance {
    name: String,
    /// Locked as long as it is open.
    _file: Option<File>,
}

impl Instance {
    /// The first name of the directory that no running process holds; by host and port where none can be stored.
    pub(crate) fn claim(folder: &Path, port: u16) -> Self {
        let claimed = (1..=MOST).find_map(|number| match claim(&folder.join(format!("instance-{number}"))) {
            Ok(claimed) => claimed.map(Ok),
            Err(error) => Some(Err(error)),
        });
        if let Some(Ok((name, file))) = claimed {
            return Self { name, _file: Some(file) };
        }
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self { name: format!("{}:{port}", host.trim()), _file: None }
    }

    #[cfg(test)]
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), _file: None }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// Locks a file and reads its name, or writes one; `None` where another process holds it.
fn claim(path: &Path) -> std::io::Result<Option<(String, File)>> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
        Err(std::fs::TryLockError::Error(error)) => return Err(error),
    }
    let mut name = String::new();
    file.read_to_string(&mut name)?;
    if uuid::Uuid::parse_str(name.trim()).is_err() {
        name = uuid::Uuid::new_v4().to_string();
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(name.as_bytes())?;
        file.sync_all()?;
    }
    Ok(Some((name.trim().to_owned(), file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_and_no_two_running_instances_share_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Instance::claim(folder.path(), 1);
        let second = Instance::claim(folder.path(), 1);
        assert_ne!(first.name(), second.name());
        let name = first.name().to_owned();
        drop(first);
        assert_eq!(Instance::claim(folder.path(), 2).name(), name);
        assert!(Instance::claim(Path::new("/proc/nowhere"), 7).name().ends_with(":7"));
    }
}
