//! Registry documents as they were received, one file per registry with a small file of facts beside it. Owns these two
//! files and when they count; parses no document. A cache that cannot be read, or that does not agree with its facts,
//! is a miss; one that cannot be written is a warning: nothing ever fails because of the cache.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::wire::LARGEST_DOCUMENT;
use crate::http::Validators;

/// The largest file of facts, in bytes.
const LARGEST_FACTS: u64 = 64 << 10;
/// A temporary file of 0.10 of this age has no writer any more.
const LEFT_OVER: Duration = Duration::from_hours(1);

/// Where one registry's document is cached.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    stem: String,
}

/// A document from the cache.
#[derive(Debug)]
pub struct Cached {
    /// As received.
    pub bytes: Vec<u8>,
    /// The address that it came from.
    pub address: String,
    /// What that address said of it.
    pub validators: Validators,
    /// How long ago it was received or confirmed.
    pub age: Duration,
}

/// What stands beside the document.
#[derive(Debug, Serialize, Deserialize)]
struct Facts {
    address: String,
    /// Seconds since 1970.
    fetched_at: u64,
    etag: Option<String>,
    last_modified: Option<String>,
    length: u64,
    /// CRC-32 of the document. It is there for torn and damaged files; it is no proof of where the bytes come from,
    /// for which a stronger sum in the same folder would be none either.
    crc32: u32,
}

impl Cache {
    /// The cache of a registry. The addresses are part of its name: a registry that moved does not see its old cache.
    pub fn new<'a>(folder: &Path, registry: &str, addresses: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new();
        for address in addresses {
            hash.update(address.as_bytes());
            hash.update([0]);
        }
        let key = crate::name::Digest::from_bytes(hash.finalize().into()).to_hex();
        Self { folder: folder.to_owned(), stem: format!("nself-registry-{registry}-{}", &key[..16]) }
    }

    /// The document's file; its facts are in the same place with `.meta` added.
    pub fn document_path(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.stem))
    }

    fn facts_path(&self) -> PathBuf {
        self.folder.join(format!("{}.json.meta", self.stem))
    }

    /// The document, if there is a whole one that is not from the future.
    pub fn read(&self, now: SystemTime) -> Option<Cached> {
        let facts: Facts = serde_json::from_slice(&read_file(&self.facts_path(), LARGEST_FACTS)?).ok()?;
        let age = now.duration_since(UNIX_EPOCH + Duration::from_secs(facts.fetched_at)).ok()?;
        let bytes = read_file(&self.document_path(), LARGEST_DOCUMENT)?;
        if bytes.len() as u64 != facts.length || checksum(&bytes) != facts.crc32 {
            return None;
        }
        let validators = Validators { etag: facts.etag, last_modified: facts.last_modified };
        Some(Cached { bytes, address: facts.address, validators, age })
    }

    /// Keeps a document that has proven readable. The facts are written last, so that a document without its own
    /// facts is a miss and never a mixture.
    pub fn write(&self, bytes: &[u8], address: &str, validators: &Validators, now: SystemTime) -> std::io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        self.sweep(now);
        Self::replace(&self.document_path(), bytes)?;
        self.write_facts(bytes, address, validators, now)
    }

    /// Keeps that a cached document was confirmed just now.
    pub fn renew(&self, cached: &Cached, now: SystemTime) -> std::io::Result<()> {
        self.write_facts(&cached.bytes, &cached.address, &cached.validators, now)
    }

    fn write_facts(
        &self,
        bytes: &[u8],
        address: &str,
        validators: &Validators,
        now: SystemTime,
    ) -> std::io::Result<()> {
        let facts = Facts {
            address: address.to_owned(),
            fetched_at: now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            etag: validators.etag.clone(),
            last_modified: validators.last_modified.clone(),
            length: bytes.len() as u64,
            crc32: checksum(bytes),
        };
        Self::replace(&self.facts_path(), &serde_json::to_vec(&facts)?)
    }

    /// Readers see the old file or the new one, and a link in the target's place is replaced, not followed.
    fn replace(target: &Path, bytes: &[u8]) -> std::io::Result<()> {
        crate::fs::write_cache(target, bytes).map_err(|error| error.source)
    }

    /// Removes what writers of 0.10 that were killed left behind.
    fn sweep(&self, now: SystemTime) {
        let Ok(files) = fs::read_dir(&self.folder) else { return };
        for file in files.flatten() {
            let is_old = || {
                let changed = file.metadata().and_then(|facts| facts.modified()).ok();
                changed.and_then(|changed| now.duration_since(changed).ok()).is_some_and(|age| age > LEFT_OVER)
            };
            if is_temporary(&file.file_name(), &self.stem) && is_old() {
                // Another process may have been faster.
                let _ = fs::remove_file(file.path());
            }
        }
    }
}

fn is_temporary(name: &OsString, stem: &str) -> bool {
    name.to_str().is_some_and(|name| {
        name.strip_prefix(stem).is_some_and(|rest| rest.starts_with('.'))
            && Path::new(name).extension() == Some("tmp".as_ref())
    })
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    sum.sum()
}

/// Reads a regular file of at most `limit` bytes; links are not followed, and a fifo does not hang.
fn read_file(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    read_regular(file, limit).ok()
}

/// Reads an open file, which must be a regular one of at most `limit` bytes.
pub(super) fn read_regular(file: File, limit: u64) -> std::io::Result<Vec<u8>> {
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(std::io::Error::other("is no regular file"));
    }
    if facts.len() > limit {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(facts.len()).unwrap_or(0) + 1);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}
