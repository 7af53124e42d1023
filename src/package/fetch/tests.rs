//! Downloads from this machine: order of addresses, digests, sizes, policies, and that nothing half-done stays.

use std::fs;

use proptest::prelude::*;
use semver::Version;

use super::super::test_archives::{RawTar, World, gz, snapshot};
use super::*;
use crate::registry::LicenceNeed;

struct Case {
    world: World,
    release: Release,
}

fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

impl Case {
    /// A release whose addresses are files with these contents; its digest is that of the good archive.
    fn new(files: &[&[u8]]) -> Self {
        let world = World::new();
        let archives = files.iter().enumerate().map(|(number, bytes)| {
            let path = world.path(&format!("{number}.tar.gz"));
            fs::write(&path, bytes).unwrap();
            ArchiveAddress::Path(path)
        });
        let release = Release {
            name: "realtime".parse().unwrap(),
            version: Version::new(1, 0, 0),
            description: String::new(),
            category: String::new(),
            author: String::new(),
            license: String::new(),
            homepage: None,
            tags: Vec::new(),
            status: "stable".into(),
            replaced_by: None,
            not_installable: None,
            licence_need: LicenceNeed::None,
            port: None,
            ports: Vec::new(),
            dependencies: Vec::new(),
            services: Vec::new(),
            digest: Some(digest_of(&good())),
            size: None,
            archives: archives.collect(),
            min_host: None,
            registry: "test".into(),
            pinned: false,
            signature: None,
            author_public_key: None,
        };
        Self { world, release }
    }

    fn fetch(&self, policy: VerifyPolicy) -> Result<Archive, PackageError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut progress = |_: u64, _: Option<u64>| {};
        runtime.block_on(fetch(&self.release, &self.world.staging(), None, policy, &mut progress))
    }

    #[track_caller]
    fn refuses(&self, policy: VerifyPolicy) -> PackageError {
        let error = self.fetch(policy).unwrap_err();
        assert!(snapshot(&self.world.staging()).is_empty(), "a partial file stayed after: {error}");
        error
    }
}

fn good() -> Vec<u8> {
    RawTar::plugin().gz()
}

#[test]
fn a_proven_archive_unpacks_and_leaves_the_package_alone() {
    let case = Case::new(&[&good()]);
    let archive = case.fetch(VerifyPolicy::Require).unwrap();
    assert_eq!((archive.proof(), archive.size()), (&Proof::Digest, good().len() as u64));
    assert!(snapshot(&case.world.staging()).is_empty(), "what is fetched has no name that could stay");
    let package = archive.unpack(&case.world.staging(), Some(&case.release.name), Some(&case.release.version)).unwrap();
    assert_eq!((package.digest(), package.proof()), (Some(digest_of(&good())), &Proof::Digest));
    assert!(package.source().ends_with("0.tar.gz"));
    assert_eq!(fs::read_dir(case.world.staging()).unwrap().count(), 1);
    assert_eq!(snapshot(package.root()).len(), 1);
}

#[test]
fn t01_any_flipped_bit_is_a_wrong_digest() {
    let good = good();
    for place in 0..64 {
        let mut bytes = good.clone();
        let byte = place * good.len() / 64;
        bytes[byte] ^= 1 << (place % 8);
        let case = Case::new(&[&bytes]);
        let error = case.refuses(VerifyPolicy::Off);
        assert!(matches!(error, PackageError::DigestMismatch { .. }) && error.exit_class() == 5, "{place}: {error}");
    }
}

#[test]
fn t01_truncated_and_lengthened_archives_are_refused() {
    let good = good();
    for bytes in [
        &good[..good.len() - 1],
        &good[..good.len() / 2],
        b"",
        &[good.as_slice(), b"\0"].concat(),
        &[good.as_slice(), &gz(b"second")].concat(),
    ] {
        let mut case = Case::new(&[bytes]);
        assert!(matches!(case.refuses(VerifyPolicy::Off), PackageError::DigestMismatch { .. }));
        case.release.size = Some(good.len() as u64);
        let error = case.refuses(VerifyPolicy::Off);
        let about_size = matches!(error, PackageError::SizeMismatch { .. } | PackageError::TooLarge { .. });
        assert!(about_size && error.exit_class() == 5, "{error}");
    }
}

#[test]
fn a_wrong_archive_at_the_first_address_falls_back_to_the_second() {
    let case = Case::new(&[b"wrong", &good()]);
    let archive = case.fetch(VerifyPolicy::Require).unwrap();
    assert_eq!(archive.digest(), digest_of(&good()));
    let package = archive.unpack(&case.world.staging(), None, None).unwrap();
    assert!(package.source().ends_with("1.tar.gz"));
}

#[test]
fn a_missing_file_falls_back_and_a_wrong_digest_is_the_error_told() {
    let mut case = Case::new(&[b"wrong"]);
    let absent = || ArchiveAddress::Path("/nonexistent/x.tar.gz".into());
    case.release.archives.insert(0, absent());
    case.release.archives.push(absent());
    assert!(matches!(case.refuses(VerifyPolicy::Warn), PackageError::DigestMismatch { .. }));
    case.release.archives = vec![absent()];
    assert_eq!(case.refuses(VerifyPolicy::Warn).exit_class(), 1);
    case.release.archives.clear();
    assert!(matches!(case.refuses(VerifyPolicy::Warn), PackageError::NoAddress { .. }));
}

#[test]
fn without_a_digest_the_policy_decides_and_pinned_registries_always_require_one() {
    let mut case = Case::new(&[&good()]);
    case.release.digest = None;
    assert!(matches!(case.refuses(VerifyPolicy::Require), PackageError::DigestMissing { .. }));
    for policy in [VerifyPolicy::Warn, VerifyPolicy::Off] {
        let archive = case.fetch(policy).unwrap();
        assert!(matches!(archive.proof(), Proof::Unverified(_)), "{:?}", archive.proof());
        assert_eq!(archive.digest(), digest_of(&good()), "what was seen is known all the same");
    }
    case.release.pinned = true;
    for policy in [VerifyPolicy::Require, VerifyPolicy::Warn, VerifyPolicy::Off] {
        assert!(matches!(case.refuses(policy), PackageError::DigestMissing { .. }));
    }
}

#[test]
fn no_more_bytes_are_taken_than_the_registry_states() {
    let mut case = Case::new(&[&vec![0; 300_000]]);
    case.release.size = Some(100_000);
    let error = case.refuses(VerifyPolicy::Off);
    assert!(matches!(error, PackageError::TooLarge { limit: 100_000, .. }), "{error}");
}

#[test]
fn a_fifo_as_archive_neither_blocks_nor_passes() {
    let mut case = Case::new(&[]);
    let path = case.world.path("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    case.release.archives = vec![ArchiveAddress::Path(path)];
    assert_eq!(case.refuses(VerifyPolicy::Off).exit_class(), 1);
}

#[test]
fn an_archive_that_is_never_unpacked_goes_away_too() {
    let case = Case::new(&[&good()]);
    drop(case.fetch(VerifyPolicy::Require).unwrap());
    assert!(snapshot(&case.world.staging()).is_empty());
}

#[test]
fn an_archive_too_large_for_memory_is_fetched_and_unpacked_as_well() {
    // Bytes that hardly shrink, so that the archive passes what is kept in memory.
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let large: Vec<u8> = (0..20 * 1024 * 1024).map(|_| noise()).collect();
    let bytes = RawTar::plugin().file("realtime/large", &large).gz();
    let mut case = Case::new(&[&bytes]);
    case.release.digest = Some(digest_of(&bytes));
    let archive = case.fetch(VerifyPolicy::Require).unwrap();
    assert!(snapshot(&case.world.staging()).is_empty(), "the file that holds it has no name");
    let package = archive.unpack(&case.world.staging(), Some(&case.release.name), None).unwrap();
    assert!(fs::read(package.root().join("large")).unwrap() == large);
    assert_eq!(fs::read_dir(case.world.staging()).unwrap().count(), 1);
}

#[test]
fn progress_is_told_to_the_end() {
    let bytes = vec![7; 200_000];
    let mut case = Case::new(&[&bytes]);
    case.release.digest = Some(digest_of(&bytes));
    let mut seen = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut progress = |done: u64, total: Option<u64>| seen.push((done, total));
    let staging = case.world.staging();
    let fetched = runtime.block_on(fetch(&case.release, &staging, None, VerifyPolicy::Require, &mut progress));
    drop(fetched.unwrap());
    assert_eq!(seen.last(), Some(&(200_000, Some(200_000))));
    assert!(seen.len() > 1 && seen.is_sorted());
}

#[test]
fn addresses_are_shown_without_credentials() {
    let url = Url::parse("https://user:pass@example.org/a.tar.gz?token=x#y").unwrap();
    assert_eq!(shown_address(&ArchiveAddress::Url(url)), "https://example.org/a.tar.gz");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_but_the_right_bytes_is_accepted(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let case = Case::new(&[&bytes]);
        prop_assert!(bytes == good() || case.fetch(VerifyPolicy::Off).is_err());
    }
}
