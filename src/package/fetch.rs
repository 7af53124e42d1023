//! Downloads: from a release to an archive in staging. Owns the order of addresses, tries again, hashes while bytes
//! arrive, and applies the verify policy. Unpacks nothing; knows no HTTP beyond [`Http::stream`].

use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tempfile::SpooledTempFile;
use url::Url;

use super::archive::Archive;
use super::error::failed;
use super::files::{open_regular, shown_path, spool};
use super::{LARGEST_PACKAGE, PackageError, Proof, VerifyPolicy};
use crate::http::{Http, HttpError};
use crate::name::Digest;
use crate::registry::{ArchiveAddress, Release};

/// How often one address is asked when its answer does not arrive whole.
const TRIES: u32 = 3;
/// The pause before the second try; it doubles for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Told the bytes that have arrived and the total, where it is known; called for every chunk.
pub type Progress<'a> = dyn FnMut(u64, Option<u64>) + Send + 'a;

/// Brings a release's archive into the folder `into`, from the first address that gives the right bytes. A digest
/// that differs is final for its address; when all addresses fail and one of them gave wrong bytes, that is the error,
/// since it is the one to worry about. A release of a registry with a pinned key is never accepted without a digest.
/// Without a client (`--offline`) only what is on this machine counts as an address.
pub async fn fetch(
    release: &Release,
    into: &Path,
    http: Option<&Http>,
    policy: VerifyPolicy,
    progress: &mut Progress<'_>,
) -> Result<Archive, PackageError> {
    let proof = acceptable_proof(release, policy)?;
    let mut target = Target::new(into, release.size);
    let mut worst: Option<PackageError> = None;
    for address in &release.archives {
        let shown = shown_address(address);
        let outcome = match (address, http) {
            (ArchiveAddress::Path(path), _) => copy(path, &mut target, progress).await,
            (ArchiveAddress::Url(url), Some(http)) => download(http, url, &shown, &mut target, progress).await,
            (ArchiveAddress::Url(_), None) => {
                worst.get_or_insert(PackageError::Offline { address: shown });
                continue;
            }
        };
        match outcome.and_then(|()| target.judge(release, &shown)) {
            Ok(digest) => {
                return Ok(Archive::downloaded(target.file, digest, target.count, (proof, shown)));
            }
            // A full disk is full for every address.
            Err(error) if target.failure.is_some() => return Err(error),
            Err(error) if worst.as_ref().is_none_or(|earlier| earlier.exit_class() < 5) => worst = Some(error),
            Err(_) => {}
        }
    }
    Err(worst.unwrap_or_else(|| PackageError::NoAddress {
        name: release.name.clone(),
        version: release.version.clone(),
        registry: release.registry.clone(),
    }))
}

/// What an archive with the right digest will prove, or the refusal of one that cannot prove enough.
fn acceptable_proof(release: &Release, policy: VerifyPolicy) -> Result<Proof, PackageError> {
    if release.digest.is_some() {
        return Ok(Proof::Digest);
    }
    if release.pinned || policy == VerifyPolicy::Require {
        return Err(PackageError::DigestMissing {
            name: release.name.clone(),
            version: release.version.clone(),
            registry: release.registry.clone(),
        });
    }
    Ok(Proof::Unverified(format!("registry `{}` states no digest", release.registry)))
}

/// The bytes that have arrived and what is known of them.
struct Target {
    file: SpooledTempFile,
    /// The folder that holds the file, once the bytes are too many for memory.
    folder: PathBuf,
    hasher: Sha256,
    count: u64,
    /// The most bytes that are accepted.
    limit: u64,
    /// Why a byte could not be kept; set at most once, since nothing is tried after it.
    failure: Option<std::io::ErrorKind>,
}

impl Target {
    fn new(folder: &Path, size: Option<u64>) -> Self {
        let limit = size.unwrap_or(LARGEST_PACKAGE).min(LARGEST_PACKAGE);
        let (file, folder) = (spool(folder), folder.to_path_buf());
        Self { file, folder, hasher: Sha256::new(), count: 0, limit, failure: None }
    }

    /// Forgets what an earlier try left.
    fn restart(&mut self) -> Result<(), PackageError> {
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(failed("write", &self.folder))?;
        self.hasher = Sha256::new();
        self.count = 0;
        Ok(())
    }

    /// Keeps a chunk; bytes past the limit are refused, the first of them is counted so that it can be told.
    fn keep(&mut self, chunk: &[u8]) -> std::io::Result<()> {
        self.count += chunk.len() as u64;
        if self.count > self.limit {
            return Err(std::io::Error::other("more bytes than announced"));
        }
        self.hasher.update(chunk);
        self.file.write_all(chunk).inspect_err(|error| self.failure = Some(error.kind()))
    }

    fn is_over_limit(&self) -> bool {
        self.count > self.limit
    }

    /// Compares what has arrived with what the registry states.
    fn judge(&mut self, release: &Release, address: &str) -> Result<Digest, PackageError> {
        let actual = Digest::from_bytes(self.hasher.finalize_reset().into());
        let address = address.to_owned();
        match (release.size, release.digest) {
            (Some(expected), _) if expected != self.count => {
                Err(PackageError::SizeMismatch { expected, actual: self.count, address })
            }
            (_, Some(expected)) if expected != actual => {
                Err(PackageError::DigestMismatch { expected, actual, address })
            }
            _ => Ok(actual),
        }
    }
}

async fn download(
    http: &Http,
    url: &Url,
    address: &str,
    target: &mut Target,
    progress: &mut Progress<'_>,
) -> Result<(), PackageError> {
    let mut tried = 0;
    loop {
        target.restart()?;
        let limit = target.limit;
        let mut sink = |chunk: &[u8], total: Option<u64>| {
            target.keep(chunk)?;
            progress(target.count, total);
            Ok(())
        };
        let Err(source) = http.stream(url, limit, &mut sink).await else { return Ok(()) };
        if let Some(kind) = target.failure {
            return Err(failed("write", &target.folder)(kind.into()));
        }
        if target.is_over_limit() {
            return Err(PackageError::TooLarge { limit, address: address.to_owned() });
        }
        tried += 1;
        if tried == TRIES || !may_pass(&source) {
            return Err(PackageError::Network { address: address.to_owned(), source: Box::new(source) });
        }
        tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(tried - 1)).await;
    }
}

/// Whether the same request may succeed a moment later: a broken connection may, an answer that says no does not.
fn may_pass(error: &HttpError) -> bool {
    error.is_passing()
}

async fn copy(path: &Path, target: &mut Target, progress: &mut Progress<'_>) -> Result<(), PackageError> {
    target.restart()?;
    let mut file = open_regular(path)?;
    let total = file.metadata().map_err(failed("look at", path))?.len();
    let mut buffer = vec![0_u8; 64 * 1024];
    loop {
        let count = file.read(&mut buffer).map_err(failed("read", path))?;
        if count == 0 {
            return Ok(());
        }
        if let Err(source) = target.keep(&buffer[..count]) {
            return Err(if target.is_over_limit() {
                PackageError::TooLarge { limit: target.limit, address: shown_path(path) }
            } else {
                failed("write", &target.folder)(source)
            });
        }
        progress(target.count, Some(total));
        // Between chunks, so that an interrupt is noticed and other downloads go on.
        tokio::task::yield_now().await;
    }
}

/// An address as messages and receipts show it: a URL without credentials and without its query, which may hold a token.
pub fn shown_address(address: &ArchiveAddress) -> String {
    let mut url = match address {
        ArchiveAddress::Path(path) => return shown_path(path),
        ArchiveAddress::Url(url) => url.clone(),
    };
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

#[cfg(test)]
mod tests;
