//! The machine: disk space, memory, and the folders that this program writes.

use std::path::PathBuf;

use super::finding::{Finding, Trouble};
use crate::machine::{Memory, Room, Space, Store};

/// A place that fills up.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) store: Store,
    pub(super) path: PathBuf,
    /// `None` where this user cannot see it from this machine.
    pub(super) space: Option<Space>,
}

pub(super) fn disk(disk: &Disk) -> Finding {
    let Disk { store, path, .. } = disk;
    let subject = format!("{} in {}", store.word(), path.display());
    let Some(space) = disk.space else {
        let message = "how much room is left cannot be seen from here";
        let look = match store {
            Store::Images => "docker system df".to_owned(),
            Store::Plugins => format!("df -h {}", path.display()),
        };
        return Finding::warning("disk", subject, message).mend(format!("look there: {look}"));
    };
    match space.judge(*store) {
        Room::Enough(message) => Finding::ok("disk", subject, message),
        Room::Little(message) => Finding::warning("disk", subject, message).mend(store.hint(path)),
        Room::TooLittle(message) => Finding::failed("disk", subject, message).mend(store.hint(path)),
    }
}

pub(super) fn memory(memory: &Memory) -> Finding {
    let text = memory.text();
    if memory.total.is_none() {
        return Finding::warning("memory", "", text).mend("look: free -h");
    }
    match (memory.shortage(), memory.hint()) {
        (Some(why), Some(hint)) => Finding::warning("memory", "", format!("{text}; {why}")).mend(hint),
        _ => Finding::ok("memory", "", text),
    }
}

/// A folder that this program writes.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) what: &'static str,
    pub(super) path: PathBuf,
    pub(super) state: FolderState,
    /// Files in it that others can read although they hold secrets.
    pub(super) exposed: Vec<PathBuf>,
}

/// How a folder is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FolderState {
    /// This user can write there; with `open_to_others`, every user of the machine can look into it.
    Writable { open_to_others: bool },
    /// Not there yet; it can be made.
    ToBeMade,
    /// This is in the way: a file, a folder of somebody else, a read-only file system.
    Refused { at: PathBuf, reason: String, is_others: bool },
}

pub(super) fn folder(folder: &Folder) -> Finding {
    let subject = format!("{} in {}", folder.what, folder.path.display());
    let path = folder.path.display();
    match &folder.state {
        FolderState::Refused { at, reason, is_others } => {
            let hint = match (*is_others, *at == folder.path) {
                (true, true) => format!("take it back: sudo chown -R \"$(id -u):$(id -g)\" {path}"),
                // What is above it may be somebody else's by right.
                (true, false) => {
                    format!("let it be made for you: sudo install -d -m 700 -o \"$(id -u)\" -g \"$(id -g)\" {path}")
                }
                (false, _) => format!("look at it: ls -ld {}", at.display()),
            };
            let at = at.display();
            Finding::failed("folders", subject, format!("cannot be written: `{at}` {reason}")).mend(hint)
        }
        _ if !folder.exposed.is_empty() => {
            let files: Vec<String> = folder.exposed.iter().map(|file| format!("`{}`", file.display())).collect();
            let message = format!("every user of this machine can read the secrets in {}", files.join(", "));
            Finding::failed("folders", subject, message).mend(format!("close it: chmod -R go= {path}"))
        }
        FolderState::Writable { open_to_others: true } if folder.what == "secrets" => {
            Finding::warning("folders", subject, "holds secrets, and every user of this machine can look into it")
                .mend(format!("close it: chmod go= {path}"))
        }
        FolderState::Writable { .. } => Finding::ok("folders", subject, "can be written"),
        FolderState::ToBeMade => Finding::ok("folders", subject, "is not there yet and can be made"),
    }
}

/// The stored values of the project, when they cannot be read.
pub(super) fn values(trouble: &Trouble) -> Finding {
    Finding::of_trouble("folders", "stored values", trouble)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;
    use crate::machine::Asked;

    #[test]
    fn little_room_is_a_warning_and_none_a_failure() {
        let level = |free| {
            let space = Space { free, total: 100 << 30, free_files: None };
            disk(&Disk { store: Store::Images, path: "/d".into(), space: Some(space) }).level
        };
        assert_eq!([level(50 << 30), level(1 << 30), level(1 << 20)], [Level::Ok, Level::Warning, Level::Failed]);
    }

    #[test]
    fn a_disk_that_cannot_be_seen_is_a_warning() {
        let finding = disk(&Disk { store: Store::Images, path: "/elsewhere".into(), space: None });
        assert_eq!((finding.level, finding.hint.as_deref()), (Level::Warning, Some("look there: docker system df")));
    }

    #[test]
    fn more_memory_than_there_is_is_a_warning() {
        let asked = |bytes| Asked { plugin: "a".into(), prefix: "A".into(), bytes, is_running: false };
        let level = |bytes| memory(&Memory { total: Some(1 << 30), available: None, asked: vec![asked(bytes)] }).level;
        assert_eq!([level(1 << 29), level(1 << 31)], [Level::Ok, Level::Warning]);
        assert_eq!(memory(&Memory::default()).level, Level::Warning);
    }

    fn folder_with(state: FolderState, exposed: Vec<PathBuf>) -> Finding {
        folder(&Folder { what: "secrets", path: "/c".into(), state, exposed })
    }

    #[test]
    fn secrets_that_others_can_read_fail_and_an_open_folder_warns() {
        assert_eq!(folder_with(FolderState::ToBeMade, Vec::new()).level, Level::Ok);
        let open = FolderState::Writable { open_to_others: true };
        assert_eq!(folder_with(open.clone(), Vec::new()).level, Level::Warning);
        let finding = folder_with(open, vec!["/c/demo.json".into()]);
        assert_eq!((finding.level, finding.hint.as_deref()), (Level::Failed, Some("close it: chmod -R go= /c")));
    }

    #[test]
    fn a_folder_of_somebody_else_is_taken_back() {
        let state = FolderState::Refused { at: "/c".into(), reason: "belongs to user 0".into(), is_others: true };
        let finding = folder_with(state, Vec::new());
        assert_eq!(finding.level, Level::Failed);
        assert!(finding.hint.unwrap().contains("chown"));
    }

    #[test]
    fn what_is_above_a_missing_folder_is_never_taken_from_its_owner() {
        let state = FolderState::Refused { at: "/".into(), reason: "belongs to user 0".into(), is_others: true };
        let hint = folder_with(state, Vec::new()).hint.unwrap();
        assert!(!hint.contains("chown") && hint.ends_with(" /c"), "{hint}");
    }
}
