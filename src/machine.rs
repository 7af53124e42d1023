//! The machine: the room on its disks and its memory. Owns what is enough and what is too little; changes nothing.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use crate::preflight::Problem;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Fewer free inodes than this are none: a package may have thousands of files.
const FEWEST_FILES: u64 = 1000;

/// What fills a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// The engine's images, containers and volumes.
    Images,
    /// This program's packages and receipts.
    Plugins,
}

impl Store {
    /// As messages call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Plugins => "plugins",
        }
    }

    /// Less than this is not enough for one more, in bytes.
    fn least(self) -> u64 {
        match self {
            Self::Images => 512 * MIB,
            Self::Plugins => 64 * MIB,
        }
    }

    /// Less than this is soon too little, in bytes.
    fn little(self) -> u64 {
        match self {
            Self::Images => 2 * GIB,
            Self::Plugins => 512 * MIB,
        }
    }

    /// What makes room.
    pub fn hint(self, path: &Path) -> String {
        match self {
            Self::Images => "remove images and containers that nothing uses: docker system prune".to_owned(),
            Self::Plugins => format!("see what takes the room: du -xhd1 {}", path.display()),
        }
    }
}

/// What a file system has left for this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes.
    pub free: u64,
    /// Bytes.
    pub total: u64,
    /// Free inodes, where the file system counts them.
    pub free_files: Option<u64>,
}

/// Whether what is left is enough, and what is left in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Room {
    Enough(String),
    Little(String),
    TooLittle(String),
}

impl Space {
    /// Asks the file system that holds a store. What this program writes may be still to be made; what the engine
    /// writes and is not here is on another machine.
    pub fn of(store: Store, path: &Path) -> Option<Self> {
        let place = match store {
            Store::Images => path.to_path_buf(),
            Store::Plugins => nearest(path)?.0,
        };
        let facts = rustix::fs::statvfs(&place).ok()?;
        Some(Self {
            free: facts.f_bavail.saturating_mul(facts.f_frsize),
            total: facts.f_blocks.saturating_mul(facts.f_frsize),
            free_files: (facts.f_files > 0).then_some(facts.f_favail),
        })
    }

    /// Whether it is enough for a store.
    pub fn judge(self, store: Store) -> Room {
        if self.free_files.is_some_and(|free| free < FEWEST_FILES) {
            return Room::TooLittle("hardly a file more can be made: the inodes are used up".to_owned());
        }
        let message = format!("{} of {} free", size(self.free), size(self.total));
        if self.free < store.least() {
            return Room::TooLittle(format!("{message}; {} are needed", size(store.least())));
        }
        if self.free < store.little() { Room::Little(message) } else { Room::Enough(message) }
    }
}

/// The problem that a store has no room on its disk. One that cannot be looked at from here has none.
pub fn no_room(store: Store, path: &Path) -> Option<Problem> {
    let Room::TooLittle(message) = Space::of(store, path)?.judge(store) else { return None };
    let message = format!("no room for {} in `{}`: {message}", store.word(), path.display());
    Some(Problem { code: "disk.full", message, hint: Some(store.hint(path)) })
}

/// The path itself, or what is there of the way to it.
pub fn nearest(path: &Path) -> Option<(PathBuf, Metadata)> {
    path.ancestors().find_map(|place| Some((place.to_path_buf(), place.metadata().ok()?)))
}

/// What the machine has, in bytes, and what plugins may take of it.
#[derive(Debug, Default)]
pub struct Memory {
    pub total: Option<u64>,
    /// What could be taken now without swapping.
    pub available: Option<u64>,
    pub asked: Vec<Asked>,
}

/// What one plugin may take.
#[derive(Debug, Clone)]
pub struct Asked {
    pub plugin: String,
    /// What its variables begin with.
    pub prefix: String,
    pub bytes: u64,
    pub is_running: bool,
}

impl Memory {
    /// What the kernel says (proc_meminfo(5)); no plugin asks for any of it yet.
    pub fn of_this_machine() -> Self {
        let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let of = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
        };
        Self { total: of("MemTotal"), available: of("MemAvailable"), asked: Vec::new() }
    }

    /// What there is, and what of it the plugins may take, in words.
    pub fn text(&self) -> String {
        let has = match (self.total, self.available) {
            (Some(total), Some(available)) => format!("{}, {} available", size(total), size(available)),
            (Some(total), None) => size(total),
            (None, _) => return "how much this machine has is not known".to_owned(),
        };
        if self.asked.is_empty() {
            return has;
        }
        let each: Vec<String> =
            self.asked.iter().map(|asked| format!("{} {}", asked.plugin, size(asked.bytes))).collect();
        format!("{has}; the plugins may take {}: {}", size(self.sum(|_| true)), each.join(", "))
    }

    /// Why that is too much. A limit is not what a plugin takes from the start, so nothing has failed yet.
    pub fn shortage(&self) -> Option<&'static str> {
        if self.total.is_some_and(|total| self.sum(|_| true) > total) {
            return Some("that is more than there is");
        }
        let to_come = self.sum(|asked| !asked.is_running);
        self.available.is_some_and(|available| to_come > available).then_some("that is more than is available")
    }

    /// How the largest of them takes less.
    pub fn hint(&self) -> Option<String> {
        let largest = self.asked.iter().max_by_key(|asked| asked.bytes)?;
        let Asked { plugin, prefix, .. } = largest;
        Some(format!(
            "let one take less: nself plugin config {plugin} set {prefix}_MEMORY 128m && nself plugin install {plugin}"
        ))
    }

    fn sum(&self, counts: impl Fn(&Asked) -> bool) -> u64 {
        self.asked.iter().filter(|asked| counts(asked)).fold(0, |sum, asked| sum.saturating_add(asked.bytes))
    }
}

/// Bytes as people say them.
pub fn size(bytes: u64) -> String {
    if bytes >= 10 * GIB {
        format!("{} GiB", bytes / GIB)
    } else if bytes >= GIB {
        format!("{}.{} GiB", bytes / GIB, bytes % GIB * 10 / GIB)
    } else {
        format!("{} MiB", bytes / MIB)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_said_in_the_unit_that_fits() {
        assert_eq!(size(300 << 20), "300 MiB");
        assert_eq!(size(3 << 29), "1.5 GiB");
        assert_eq!(size(25 << 30), "25 GiB");
    }

    #[test]
    fn what_is_left_is_judged_by_what_it_is_for() {
        let room = |store, free, free_files| Space { free, total: 100 << 30, free_files }.judge(store);
        assert!(matches!(room(Store::Images, 50 << 30, Some(1 << 20)), Room::Enough(_)));
        assert!(matches!(room(Store::Images, 1 << 30, None), Room::Little(_)));
        assert!(matches!(room(Store::Images, 100 << 20, None), Room::TooLittle(_)));
        assert!(matches!(room(Store::Plugins, 100 << 20, None), Room::Little(_)));
        assert!(matches!(room(Store::Plugins, 1 << 20, None), Room::TooLittle(_)));
        assert!(matches!(room(Store::Plugins, 50 << 30, Some(3)), Room::TooLittle(_)));
    }

    fn asked(plugin: &str, mebibytes: u64, is_running: bool) -> Asked {
        Asked { plugin: plugin.into(), prefix: plugin.to_ascii_uppercase(), bytes: mebibytes << 20, is_running }
    }

    #[test]
    fn plugins_that_may_take_more_than_there_is_are_told_naming_the_largest() {
        let mut memory = Memory { total: Some(1 << 30), available: Some(1 << 30), asked: vec![asked("a", 256, false)] };
        assert_eq!(memory.shortage(), None);
        memory.asked.push(asked("big", 900, true));
        assert_eq!(memory.shortage(), Some("that is more than there is"));
        assert!(memory.hint().unwrap().contains("big set BIG_MEMORY"));
    }

    #[test]
    fn what_runs_already_is_not_asked_of_the_available_memory_again() {
        let mut memory =
            Memory { total: Some(1 << 30), available: Some(300 << 20), asked: vec![asked("a", 600, true)] };
        assert_eq!(memory.shortage(), None);
        memory.asked[0].is_running = false;
        assert_eq!(memory.shortage(), Some("that is more than is available"));
    }
}
