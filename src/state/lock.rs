//! Locks: flock on a file of its own for each plugin and each shared thing. No pid files: the kernel frees a lock
//! when its holder ends.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::{State, StateError};
use crate::fs::{self, FileError};

/// A held lock; the kernel frees it when this process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    // Freed in this order: the next in the queue finds the file free.
    _file: File,
    _place: Option<OwnedMutexGuard<()>>,
}

/// Where the tasks of this process wait for one another: a file's lock can only be tried again and again.
#[derive(Debug, Clone, Default)]
pub(super) struct Queues(Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>);

impl Queues {
    async fn wait(&self, what: &str) -> OwnedMutexGuard<()> {
        let queue =
            Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(what.to_owned()).or_default());
        queue.lock_owned().await
    }
}

impl State {
    /// Takes the lock of a plugin or of a shared thing, waiting at most `timeout`.
    pub async fn lock(&self, what: &str, timeout: Duration) -> Result<Lock, StateError> {
        let started = tokio::time::Instant::now();
        let Ok(place) = tokio::time::timeout(timeout, self.queues.wait(what)).await else {
            // The task before may itself wait for another process, which the file names.
            return self.try_lock(what)?.map_err(|holder| StateError::Busy { what: what.to_owned(), holder });
        };
        let mut pause = Duration::from_millis(5);
        loop {
            match self.try_lock(what)? {
                Ok(lock) => return Ok(Lock { _place: Some(place), ..lock }),
                Err(holder) if started.elapsed() >= timeout => {
                    return Err(StateError::Busy { what: what.to_owned(), holder });
                }
                Err(_) => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    /// Whether somebody holds a lock. Makes no file: a lock that was never taken has none.
    pub fn is_locked(&self, what: &str) -> bool {
        let Ok(file) = File::open(self.root.join("locks").join(format!("{what}.lock"))) else { return false };
        matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock))
    }

    /// Takes a lock if it is free; else says who holds it.
    pub fn try_lock(&self, what: &str) -> Result<Result<Lock, String>, StateError> {
        let folder = self.root.join("locks");
        fs::create_private_folder(&folder)?;
        let path = folder.join(format!("{what}.lock"));
        loop {
            let mut file = open_lock(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => return Ok(Err(holder(&mut file))),
                Err(std::fs::TryLockError::Error(error)) => return Err(fs::failed("lock", &path)(error).into()),
            }
            // Somebody may have removed the file meanwhile: a lock on a file without a name guards nothing.
            let same = std::fs::metadata(&path).ok().zip(file.metadata().ok());
            if same.is_some_and(|(named, held)| (named.dev(), named.ino()) == (held.dev(), held.ino())) {
                let _ = file.set_len(0);
                let _ = file.rewind();
                let _ = write!(file, "process {} ({})", std::process::id(), command_line());
                return Ok(Ok(Lock { _file: file, _place: None }));
            }
        }
    }
}

fn open_lock(path: &Path) -> Result<File, FileError> {
    use std::os::unix::fs::OpenOptionsExt;
    #[expect(clippy::cast_possible_wrap, reason = "the flag is a small constant of the platform")]
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(no_follow)
        .open(path)
        .map_err(fs::failed("open the lock", path))
        .inspect(|_| drop(fs::give_to_owner_of_folder(path)))
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let _ = file.take(400).read_to_string(&mut text);
    if text.is_empty() { "a process that has not said who it is".into() } else { crate::name::shown(&text) }
}

/// The program and its words, without values: what the holder of a lock is recognised by.
fn command_line() -> String {
    let words = std::env::args().skip(1).take_while(|word| !word.starts_with('-')).take(4);
    std::iter::once("nself".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(folder: &Path) -> State {
        State::new(&folder.join("home"), &folder.join("home/plugins"))
    }

    #[tokio::test]
    async fn a_held_lock_is_refused_and_names_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(folder.path());
        let held = state.lock("realtime", Duration::ZERO).await.unwrap();
        // A clone shares the queue of this process; another state knows of the file alone, as another process does.
        for other in [state.clone(), State::new(&folder.path().join("home"), &folder.path().join("home/plugins"))] {
            let refused = other.lock("realtime", Duration::from_millis(20)).await.unwrap_err();
            assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
        }
        assert!(state.is_locked("realtime"));
        drop(held);
        // A child that another test has just forked holds the file for a moment too.
        for _ in 0..500 {
            if !state.is_locked("realtime") {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(!state.is_locked("realtime") && !state.is_locked("never-taken"));
        assert!(!folder.path().join("home/locks/never-taken.lock").exists());
        state.lock("realtime", Duration::from_secs(10)).await.unwrap();
    }

    #[test]
    fn a_lock_file_that_is_a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(folder.path());
        let victim = folder.path().join("victim");
        std::fs::write(&victim, "untouched").unwrap();
        let locks = folder.path().join("home/locks");
        std::fs::create_dir_all(&locks).unwrap();
        std::os::unix::fs::symlink(&victim, locks.join("realtime.lock")).unwrap();
        assert!(state.try_lock("realtime").is_err());
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
    }
}
