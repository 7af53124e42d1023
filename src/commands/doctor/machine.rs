//! The machine: disk space, memory, and the folders that this program writes.

use std::path::{Path, PathBuf};

use super::finding::{Finding, Trouble, size};

/// Less than this is not enough for one more image.
const LEAST_FOR_IMAGES: u64 = 512 << 20;
/// Less than this is soon too little.
const LITTLE_FOR_IMAGES: u64 = 2 << 30;
/// Less than this is not enough for packages and receipts.
const LEAST_FOR_PLUGINS: u64 = 64 << 20;
const LITTLE_FOR_PLUGINS: u64 = 512 << 20;
/// Fewer free inodes than this are none: a package may have thousands of files.
const FEWEST_FILES: u64 = 1000;

/// A place that fills up.
#[derive(Debug)]
pub(super) struct Disk {
    /// `images` or `plugins`.
    pub(super) what: &'static str,
    pub(super) path: PathBuf,
    /// `None` where this user cannot see it from this machine.
    pub(super) space: Option<Space>,
}

/// What a file system has left for this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Space {
    pub(super) free: u64,
    pub(super) total: u64,
    /// Free inodes, where the file system counts them.
    pub(super) free_files: Option<u64>,
}

impl Space {
    /// Asks the file system that holds the path.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let facts = rustix::fs::statvfs(path).ok()?;
        Some(Self {
            free: facts.f_bavail.saturating_mul(facts.f_frsize),
            total: facts.f_blocks.saturating_mul(facts.f_frsize),
            free_files: (facts.f_files > 0).then_some(facts.f_favail),
        })
    }
}

pub(super) fn disk(disk: &Disk) -> Finding {
    let subject = format!("{} in {}", disk.what, disk.path.display());
    let is_images = disk.what == "images";
    let Some(space) = disk.space else {
        let message = "how much room is left cannot be seen from here";
        let hint = if is_images { "docker system df".to_owned() } else { format!("df -h {}", disk.path.display()) };
        return Finding::warning("disk", subject, message).mend(format!("look there: {hint}"));
    };
    let (least, little) =
        if is_images { (LEAST_FOR_IMAGES, LITTLE_FOR_IMAGES) } else { (LEAST_FOR_PLUGINS, LITTLE_FOR_PLUGINS) };
    let hint = if is_images {
        "remove images and containers that nothing uses: docker system prune".to_owned()
    } else {
        format!("see what takes the room: du -xhd1 {}", disk.path.display())
    };
    if space.free_files.is_some_and(|free| free < FEWEST_FILES) {
        return Finding::failed("disk", subject, "hardly a file more can be made: the inodes are used up").mend(hint);
    }
    let message = format!("{} of {} free", size(space.free), size(space.total));
    if space.free < least {
        return Finding::failed("disk", subject, format!("{message}; {} are needed", size(least))).mend(hint);
    }
    if space.free < little {
        return Finding::warning("disk", subject, message).mend(hint);
    }
    Finding::ok("disk", subject, message)
}

/// What the machine has, and what plugins may take of it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) total: Option<u64>,
    /// What could be taken now without swapping.
    pub(super) available: Option<u64>,
    pub(super) asked: Vec<Asked>,
}

/// What one plugin may take.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) plugin: String,
    pub(super) prefix: String,
    pub(super) bytes: u64,
    pub(super) is_running: bool,
}

pub(super) fn memory(memory: &Memory) -> Finding {
    let Some(total) = memory.total else {
        return Finding::warning("memory", "", "how much this machine has is not known").mend("look: free -h");
    };
    let has = match memory.available {
        Some(available) => format!("{}, {} available", size(total), size(available)),
        None => size(total),
    };
    let Some(largest) = memory.asked.iter().max_by_key(|asked| asked.bytes) else {
        return Finding::ok("memory", "", has);
    };
    let sum = |asked: &mut dyn Iterator<Item = &Asked>| asked.fold(0_u64, |sum, one| sum.saturating_add(one.bytes));
    let all = sum(&mut memory.asked.iter());
    let to_come = sum(&mut memory.asked.iter().filter(|asked| !asked.is_running));
    let each: Vec<String> =
        memory.asked.iter().map(|asked| format!("{} {}", asked.plugin, size(asked.bytes))).collect();
    let message = format!("{has}; the plugins may take {}: {}", size(all), each.join(", "));
    let hint = format!(
        "let one take less: nself plugin config {0} set {1}_MEMORY 128m && nself plugin install {0}",
        largest.plugin, largest.prefix
    );
    if all > total || memory.available.is_some_and(|available| to_come > available) {
        // A limit is not what a plugin takes from the start, so nothing has failed yet.
        let why = if all > total { "more than there is" } else { "more than is available" };
        return Finding::warning("memory", "", format!("{message}; that is {why}")).mend(hint);
    }
    Finding::ok("memory", "", message)
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

    fn disk_with(what: &'static str, free: u64, free_files: Option<u64>) -> Finding {
        let space = Space { free, total: 100 << 30, free_files };
        disk(&Disk { what, path: "/d".into(), space: Some(space) })
    }

    #[test]
    fn little_room_is_a_warning_and_none_a_failure() {
        assert_eq!(disk_with("images", 50 << 30, Some(1 << 20)).level, Level::Ok);
        assert_eq!(disk_with("images", 1 << 30, None).level, Level::Warning);
        assert_eq!(disk_with("images", 100 << 20, None).level, Level::Failed);
        assert_eq!(disk_with("plugins", 100 << 20, None).level, Level::Warning);
        assert_eq!(disk_with("plugins", 1 << 20, None).level, Level::Failed);
        assert_eq!(disk_with("plugins", 50 << 30, Some(3)).level, Level::Failed);
    }

    #[test]
    fn a_disk_that_cannot_be_seen_is_a_warning() {
        let finding = disk(&Disk { what: "images", path: "/elsewhere".into(), space: None });
        assert_eq!((finding.level, finding.hint.as_deref()), (Level::Warning, Some("look there: docker system df")));
    }

    fn asked(plugin: &str, mebibytes: u64, is_running: bool) -> Asked {
        Asked { plugin: plugin.into(), prefix: plugin.to_ascii_uppercase(), bytes: mebibytes << 20, is_running }
    }

    #[test]
    fn plugins_that_may_take_more_than_there_is_are_a_warning_naming_the_largest() {
        let mut facts = Memory { total: Some(1 << 30), available: Some(1 << 30), asked: vec![asked("a", 256, false)] };
        assert_eq!(memory(&facts).level, Level::Ok);
        facts.asked.push(asked("big", 900, true));
        let finding = memory(&facts);
        assert_eq!(finding.level, Level::Warning);
        assert!(finding.hint.unwrap().contains("big set BIG_MEMORY"));
    }

    #[test]
    fn what_runs_already_is_not_asked_of_the_available_memory_again() {
        let mut facts = Memory { total: Some(1 << 30), available: Some(300 << 20), asked: vec![asked("a", 600, true)] };
        assert_eq!(memory(&facts).level, Level::Ok);
        facts.asked[0].is_running = false;
        assert!(memory(&facts).message.ends_with("more than is available"));
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
