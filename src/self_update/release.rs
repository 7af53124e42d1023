//! Releases on a server: finds the newest, verifies its sums and its archive, unpacks it. Knows nothing of what is
//! installed. release/README.md describes the files, the key and the signature.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use minisign_verify::{PublicKey, Signature};
use semver::Version;
use sha2::{Digest, Sha256};
use url::Url;

use super::SelfUpdateError;
use crate::http::{self, Document, Http, HttpError, Validators};

/// The address of the releases.
pub const ADDRESS: &str = "NSELF_RELEASES";
/// The minisign public key to trust: its line of base64, or a file that holds it.
pub const KEY: &str = "NSELF_RELEASE_KEY";

const DEFAULT_ADDRESS: &str = "https://github.com/acamarata/nself/releases";
/// `release/build.sh` compiles the program with the key of its release.
const BUILT_IN_KEY: Option<&str> = option_env!("NSELF_RELEASE_KEY");
const LARGEST_SUMS: u64 = 64 << 10;
const LARGEST_ARCHIVE: u64 = 1 << 30;

/// Where releases are, and whose signature they must have.
pub struct Releases {
    address: Url,
    key: PublicKey,
}

/// A release as its signed sums describe it.
#[derive(Debug)]
pub struct Offer {
    pub version: Version,
    /// The file's name.
    pub archive: String,
    /// SHA-256 in hexadecimal.
    digest: String,
}

impl Releases {
    /// Takes address and key from these variables' values, else those that the program was built with.
    pub fn new(address: Option<&str>, key: Option<&str>) -> Result<Self, SelfUpdateError> {
        let set = |value: Option<&str>| value.map(str::trim).filter(|value| !value.is_empty()).map(ToOwned::to_owned);
        let address = set(address).unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
        let wrong = |what: &str, cause: String| SelfUpdateError::Verification { what: what.to_owned(), cause };
        let address = Url::parse(&format!("{}/", address.trim_end_matches('/')))
            .map_err(|error| wrong("releases", format!("{ADDRESS} is not an address: {error}")))?;
        let key = set(key).or_else(|| set(BUILT_IN_KEY)).ok_or_else(|| {
            wrong("releases", "this program was built from source and knows no public key".to_owned())
        })?;
        let text = std::fs::read_to_string(&key).unwrap_or(key);
        let line = text.lines().find(|line| !line.starts_with("untrusted comment:")).unwrap_or_default();
        let key = PublicKey::from_base64(line.trim())
            .map_err(|error| wrong("releases", format!("{KEY} is not a minisign public key: {error}")))?;
        Ok(Self { address, key })
    }

    /// The newest release for this machine, from sums whose signature was verified.
    pub async fn latest(&self, http: &Http) -> Result<Offer, SelfUpdateError> {
        let url = self.url("latest/download/SHA256SUMS")?;
        let sums = get(http, &url).await?;
        let beside = self.url("latest/download/SHA256SUMS.minisig")?;
        let signature = get(http, &beside).await.map_err(|error| match error {
            SelfUpdateError::Network { source: source @ HttpError::Status { code: 404, .. }, .. } => {
                verification(&beside, format!("it {source}"))
            }
            other => other,
        })?;
        self.verify(&sums, &signature).map_err(|cause| verification(&url, cause))?;
        offer(&sums, &platform()).map_err(|cause| verification(&url, cause))
    }

    fn verify(&self, sums: &[u8], signature: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(signature).map_err(|_| "its signature is not text".to_owned())?;
        let signature = Signature::decode(text).map_err(|error| format!("its signature cannot be read: {error}"))?;
        self.key
            .verify(sums, &signature, false)
            .map_err(|error| format!("it is not signed by the trusted key: {error}"))
    }

    /// Downloads the archive of a release, and refuses any other bytes than those that were signed.
    pub async fn download(&self, http: &Http, offer: &Offer, path: &Path) -> Result<(), SelfUpdateError> {
        let url = self.url(&format!("download/v{}/{}", offer.version, offer.archive))?;
        let failed = |error: std::io::Error| SelfUpdateError::Install {
            version: offer.version.clone(),
            cause: format!("{}: {error}", path.display()),
        };
        let mut file = File::create_new(path).map_err(failed)?;
        let mut hash = Sha256::new();
        let mut sink = |chunk: &[u8], _: Option<u64>| {
            hash.update(chunk);
            file.write_all(chunk)
        };
        http.stream(&url, LARGEST_ARCHIVE, &mut sink).await.map_err(|error| of_http(&url, error))?;
        let got = hash.finalize().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        if got == offer.digest {
            return Ok(());
        }
        Err(verification(&url, format!("its SHA-256 is {got}, but SHA256SUMS lists {}", offer.digest)))
    }

    fn url(&self, path: &str) -> Result<Url, SelfUpdateError> {
        self.address.join(path).map_err(|error| verification(&self.address, error.to_string()))
    }
}

/// What archives call this machine.
fn platform() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// The archive that sums list for a platform.
fn offer(sums: &[u8], platform: &str) -> Result<Offer, String> {
    let text = String::from_utf8_lossy(sums);
    let found = text.lines().find_map(|line| {
        let (digest, name) = line.split_once("  ")?;
        let version = name.strip_prefix("nself-")?.strip_suffix(&format!("-{platform}.tar.gz"))?;
        let version = Version::parse(version).ok()?;
        Some(Offer { version, archive: name.to_owned(), digest: digest.to_owned() })
    });
    found.ok_or_else(|| format!("it lists no archive for this machine, which is {platform}"))
}

async fn get(http: &Http, url: &Url) -> Result<Vec<u8>, SelfUpdateError> {
    match http.document(url, LARGEST_SUMS, &Validators::default()).await {
        Ok(Document::Fresh(bytes, _)) => Ok(bytes),
        Ok(Document::Unchanged) => Err(verification(url, "it answered without a body".to_owned())),
        Err(error) => Err(of_http(url, error)),
    }
}

/// A server that answers something else than a release is no trouble of the network.
fn of_http(url: &Url, error: HttpError) -> SelfUpdateError {
    match error {
        HttpError::Html { .. } | HttpError::Empty { .. } | HttpError::TooLarge { .. } => {
            verification(url, format!("it {error}"))
        }
        source => SelfUpdateError::Network { url: http::shown(url), source },
    }
}

fn verification(url: &Url, cause: String) -> SelfUpdateError {
    SelfUpdateError::Verification { what: http::shown(url), cause }
}

/// Unpacks a verified archive into a directory; gives the directory in it that has the archive's name.
pub fn unpack(archive: &Path, into: &Path) -> std::io::Result<PathBuf> {
    let mut entries = tar::Archive::new(flate2::read::GzDecoder::new(File::open(archive)?));
    entries.unpack(into)?;
    let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(into.join(name.trim_end_matches(".tar.gz")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// minisign's own: `echo -n test | minisign -S`, prehashed, and its key.
    const SUMS: &[u8] = b"test";
    const PUBLIC_KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1556193335\tfile:test
y/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg==";

    #[test]
    fn a_signature_of_minisign_is_accepted_and_any_change_refused() {
        let releases = Releases::new(None, Some(PUBLIC_KEY)).unwrap();
        assert_eq!(releases.verify(SUMS, SIGNATURE.as_bytes()), Ok(()));
        assert!(releases.verify(b"Test", SIGNATURE.as_bytes()).is_err(), "other bytes");
        for (from, to) in [("y/rUw", "y/rUx"), ("file:test", "file:other"), ("9i559r", "9i559s"), ("RUQf6", "RUQf7")] {
            let changed = SIGNATURE.replace(from, to);
            assert!(releases.verify(SUMS, changed.as_bytes()).is_err(), "{from} became {to}");
        }
        assert!(releases.verify(SUMS, b"").is_err(), "no signature");
    }

    #[test]
    fn sums_offer_the_archive_of_this_platform_only() {
        let sums = b"aa  nself-0.11.0-riscv64-linux.tar.gz\nbb  nself-0.11.0-x86_64-linux.tar.gz\ncc  install.sh\n";
        let found = offer(sums, "x86_64-linux").unwrap();
        assert_eq!((found.version.to_string(), found.digest), ("0.11.0".to_owned(), "bb".to_owned()));
        assert!(offer(sums, "aarch64-linux").unwrap_err().contains("aarch64-linux"));
    }

    #[test]
    fn without_a_key_nothing_is_trusted() {
        for key in [None, Some(" "), Some("not a key")] {
            let error = Releases::new(None, key).err().expect("no key that could be trusted");
            assert_eq!(error.exit_code(), 5, "{error}");
        }
    }
}
