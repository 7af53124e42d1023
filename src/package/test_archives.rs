//! Archives for tests, written byte by byte, so that they can say what no well-behaved tool would.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::PackageError;
use super::archive::Archive;

/// A manifest that is as short as it may be.
pub(super) const MANIFEST: &[u8] = br#"{"name":"realtime","version":"1.0.0"}"#;

/// How an entry's name is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Ustar,
    Gnu,
    /// ustar with the name in PAX records.
    Pax,
    /// GNU with the name in a long-name header.
    GnuLong,
}

pub(super) const FORMATS: [Format; 4] = [Format::Ustar, Format::Gnu, Format::Pax, Format::GnuLong];

/// A tar archive in the making.
#[derive(Default, Clone)]
pub(super) struct RawTar(pub(super) Vec<u8>);

impl RawTar {
    /// One that holds `realtime/plugin.json` already.
    pub(super) fn plugin() -> Self {
        Self::default().file("realtime/plugin.json", MANIFEST)
    }

    pub(super) fn file(self, name: &str, data: &[u8]) -> Self {
        self.entry(Format::Ustar, name.as_bytes(), b'0', data)
    }

    pub(super) fn folder(self, name: &str) -> Self {
        self.entry(Format::Ustar, name.as_bytes(), b'5', b"")
    }

    pub(super) fn entry(self, format: Format, name: &[u8], kind: u8, data: &[u8]) -> Self {
        let magic: &[u8] = if matches!(format, Format::Gnu | Format::GnuLong) { b"ustar  \0" } else { b"ustar\x0000" };
        let extended = match format {
            Format::Pax => self.pax(&[("path", name)]),
            Format::GnuLong => self.header(b"././@LongLink", b'L', &[name, b"\0"].concat(), |_| {}),
            Format::Ustar | Format::Gnu => self,
        };
        let short = if matches!(format, Format::Ustar | Format::Gnu) { name } else { b"short" };
        extended.header(short, kind, data, |header| header[257..265].copy_from_slice(magic))
    }

    pub(super) fn link(self, kind: u8, name: &str, target: &str) -> Self {
        self.header(name.as_bytes(), kind, b"", |header| {
            header[157..157 + target.len()].copy_from_slice(target.as_bytes());
        })
    }

    /// PAX records before the next entry.
    pub(super) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        self.header(b"PaxHeaders/x", b'x', &pax_bytes(records), |_| {})
    }

    /// Any header: `change` may spoil it, the checksum is made after that.
    pub(super) fn header(mut self, name: &[u8], kind: u8, data: &[u8], change: impl Fn(&mut [u8; 512])) -> Self {
        let mut header = [0_u8; 512];
        assert!(name.len() <= 100, "a test's name is too long for a header");
        header[..name.len()].copy_from_slice(name);
        header[100..108].copy_from_slice(b"0000644\0");
        header[108..124].copy_from_slice(b"0000000\x000000000\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", data.len()).as_bytes());
        header[136..148].copy_from_slice(b"00000000000\0");
        header[156] = kind;
        header[257..265].copy_from_slice(b"ustar\x0000");
        change(&mut header);
        header[148..156].copy_from_slice(b"        ");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&header);
        self.data(data)
    }

    /// Data filled up to whole blocks.
    pub(super) fn data(mut self, data: &[u8]) -> Self {
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// Ends the archive and packs it.
    pub(super) fn gz(self) -> Vec<u8> {
        gz(&self.tar())
    }

    pub(super) fn tar(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

pub(super) fn pax_bytes(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut data = Vec::new();
    for (key, value) in records {
        let bare = key.len() + value.len() + 3;
        let mut length = bare;
        while bare + length.to_string().len() != length {
            length = bare + length.to_string().len();
        }
        data.extend_from_slice(format!("{length} {key}=").as_bytes());
        data.extend_from_slice(value);
        data.push(b'\n');
    }
    data
}

pub(super) fn gz(bytes: &[u8]) -> Vec<u8> {
    // A bomb is made with care; everything else only has to be quick.
    let level = if bytes.len() > 16 << 20 { Compression::best() } else { Compression::fast() };
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A folder with a staging folder in it and something that must never change beside that.
pub(super) struct World {
    folder: tempfile::TempDir,
}

impl World {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("staging")).unwrap();
        fs::create_dir(folder.path().join("victim")).unwrap();
        fs::write(folder.path().join("victim/file"), "as it was").unwrap();
        Self { folder }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.path("staging")
    }

    pub(super) fn archive(&self, bytes: &[u8]) -> Archive {
        let path = self.path("archive.tar.gz");
        fs::write(&path, bytes).unwrap();
        Archive::open_local(&path).unwrap()
    }

    /// Every path below the world with its mode and content.
    pub(super) fn snapshot(&self) -> BTreeMap<String, (u32, Vec<u8>)> {
        snapshot(self.folder.path())
    }

    /// Unpacks for `realtime`; asserts that it is refused as unverifiable and that nothing changed anywhere.
    #[track_caller]
    pub(super) fn refuses(&self, bytes: &[u8]) -> PackageError {
        let archive = self.archive(bytes);
        let before = self.snapshot();
        let error = match archive.unpack(&self.staging(), Some(&"realtime".parse().unwrap()), None) {
            Ok(package) => panic!("accepted: {:?}", snapshot(package.root()).keys()),
            Err(error) => error,
        };
        assert_eq!(error.exit_class(), 5, "{error}");
        assert_eq!(self.snapshot(), before, "something was written although: {error}");
        error
    }
}

/// Every path below a folder with its mode and content; links with their target.
pub(super) fn snapshot(root: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = if metadata.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if metadata.is_file() {
                fs::read(&path).unwrap()
            } else {
                Vec::new()
            };
            if metadata.is_dir() {
                folders.push(path.clone());
            }
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            found.insert(name, (metadata.permissions().mode() & 0o7777, content));
        }
    }
    found
}
