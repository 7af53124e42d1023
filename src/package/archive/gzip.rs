//! One strict gzip member: names what is not gzip, counts against the limits while it unpacks, and accepts nothing
//! after the member's end. Knows nothing of tar.

use std::io::{self, BufRead, BufReader, Read, Seek, Write};

use flate2::bufread::GzDecoder;
use tempfile::SpooledTempFile;

use super::super::files::Rereadable;
use super::super::{LARGEST_PACKAGE, PackageError};

/// From this many unpacked bytes on, the ratio is looked at.
const RATIO_MATTERS_FROM: u64 = 10 * 1024 * 1024;
/// The most unpacked bytes for each packed one.
const HIGHEST_RATIO: u64 = 200;
/// The header flags that are understood: text, header checksum, file name, comment. Extra fields are used by no tool
/// that makes one-member archives, and the rest is reserved.
const KNOWN_FLAGS: u8 = 0b0001_1011;
const BUFFER: usize = 64 * 1024;

/// The unpacked bytes of an archive.
pub(super) struct Inflated<'a> {
    archive: &'a str,
    bytes: Bytes<'a>,
    unpacked: u64,
    /// Where a copy is kept for the second pass, since unpacking is what takes the time.
    copy: Option<&'a mut SpooledTempFile>,
}

/// Where the bytes come from.
enum Bytes<'a> {
    Gzip(Box<GzDecoder<BufReader<Counted<'a>>>>),
    /// The copy that the first pass has made and judged.
    Copy(&'a mut SpooledTempFile),
}

impl<'a> Inflated<'a> {
    /// Starts at the beginning of the file; `archive` is what messages call it.
    pub(super) fn new(
        file: &'a mut dyn Rereadable,
        archive: &'a str,
        copy: Option<&'a mut SpooledTempFile>,
    ) -> Result<Self, PackageError> {
        let mut start = [0_u8; 512];
        let read =
            file.rewind().and_then(|()| read_start(file, &mut start)).map_err(|error| refuse(archive, &error))?;
        check_start(&start[..read], archive)?;
        file.rewind().map_err(|error| refuse(archive, &error))?;
        let decoder = GzDecoder::new(BufReader::with_capacity(BUFFER, Counted { file, count: 0 }));
        Ok(Self { archive, bytes: Bytes::Gzip(Box::new(decoder)), unpacked: 0, copy })
    }

    /// Reads the copy that an earlier pass has made.
    pub(super) fn again(copy: &'a mut SpooledTempFile, archive: &'a str) -> Result<Self, PackageError> {
        copy.rewind().map_err(|error| refuse(archive, &error))?;
        Ok(Self { archive, bytes: Bytes::Copy(copy), unpacked: 0, copy: None })
    }

    /// Fills the buffer as far as there are bytes; fewer than asked for means that the end is reached.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, PackageError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let read = match &mut self.bytes {
                Bytes::Gzip(decoder) => decoder.read(&mut buffer[filled..]),
                Bytes::Copy(copy) => copy.read(&mut buffer[filled..]),
            };
            match read {
                Ok(0) => break,
                Ok(count) => {
                    filled += count;
                    self.count(count)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(refuse(self.archive, &error)),
            }
        }
        if let Some(copy) = &mut self.copy {
            copy.write_all(&buffer[..filled]).map_err(|error| refuse(self.archive, &error))?;
        }
        Ok(filled)
    }

    fn count(&mut self, count: usize) -> Result<(), PackageError> {
        self.unpacked += count as u64;
        // The copy has passed these limits when it was made.
        let Bytes::Gzip(decoder) = &self.bytes else { return Ok(()) };
        let packed = decoder.get_ref().get_ref().count;
        let reason = if self.unpacked > LARGEST_PACKAGE {
            "it unpacks to more than 256 MiB"
        } else if self.unpacked > RATIO_MATTERS_FROM && self.unpacked / HIGHEST_RATIO > packed {
            "it unpacks to more than 200 times its size"
        } else {
            return Ok(());
        };
        Err(PackageError::Archive { archive: self.archive.to_owned(), reason: reason.to_owned() })
    }

    /// Reads to the end: what is left must be zeros, checksum and length must hold, and nothing may follow.
    pub(super) fn finish_with_zeros(&mut self) -> Result<(), PackageError> {
        let archive = self.archive;
        let refused = |reason: &str| PackageError::Archive { archive: archive.to_owned(), reason: reason.to_owned() };
        let mut buffer = vec![0_u8; BUFFER];
        loop {
            let count = self.fill(&mut buffer)?;
            if buffer[..count].iter().any(|byte| *byte != 0) {
                return Err(refused("there is something after the end of its tar archive"));
            }
            if count < buffer.len() {
                break;
            }
        }
        let Bytes::Gzip(decoder) = &mut self.bytes else { return Ok(()) };
        let rest = decoder.get_mut().fill_buf().map_err(|error| refuse(archive, &error))?;
        if rest.is_empty() { Ok(()) } else { Err(refused("there are bytes after its end")) }
    }
}

fn read_start(file: &mut dyn Rereadable, start: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < start.len() {
        match file.read(&mut start[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

fn check_start(start: &[u8], archive: &str) -> Result<(), PackageError> {
    let archive = archive.to_owned();
    match start {
        [0x1f, 0x8b, 8, flags, ..] if flags & !KNOWN_FLAGS == 0 => Ok(()),
        [0x1f, 0x8b, 8, ..] => {
            Err(PackageError::Archive { archive, reason: "its gzip header has unknown flags".to_owned() })
        }
        [0x1f, 0x8b, ..] => {
            Err(PackageError::Archive { archive, reason: "it is cut off in its gzip header".to_owned() })
        }
        _ => Err(PackageError::NotGzip { archive, seen: seen_type(start) }),
    }
}

/// What a file that is not gzip seems to be.
fn seen_type(start: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(start).trim_start().to_ascii_lowercase();
    match start {
        [] => "empty",
        [b'P', b'K', 3 | 5, ..] => "a zip archive",
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => "xz-compressed",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd-compressed",
        [b'B', b'Z', b'h', ..] => "bzip2-compressed",
        [0x7f, b'E', b'L', b'F', ..] => "an ELF program",
        _ if start.get(257..262) == Some(b"ustar") => "a tar archive that is not compressed",
        _ if text.starts_with("<!doctype") || text.starts_with("<html") => "an HTML page",
        _ if text.starts_with('{') || text.starts_with('[') => "a JSON document",
        _ => "of an unknown type",
    }
}

/// Errors of the decoder are flaws of the archive; errors of the system are this machine's.
fn refuse(archive: &str, error: &io::Error) -> PackageError {
    if let Some(code) = error.raw_os_error() {
        return PackageError::Io { action: "read", path: archive.into(), source: io::Error::from_raw_os_error(code) };
    }
    let reason = if error.kind() == io::ErrorKind::UnexpectedEof {
        "it is cut off".to_owned()
    } else {
        format!("its compression is damaged ({error})")
    };
    PackageError::Archive { archive: archive.to_owned(), reason }
}

/// Counts the packed bytes that were read.
struct Counted<'a> {
    file: &'a mut dyn Rereadable,
    count: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A gzip file of so many bytes that do not shrink, since they are only stored.
    fn stored(count: usize) -> std::fs::File {
        let file = tempfile::tempfile().unwrap();
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::none());
        io::Write::write_all(&mut encoder, &vec![7; count]).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn no_more_than_the_largest_package_is_unpacked() {
        let mut file = stored(100);
        for (already, fits) in [(LARGEST_PACKAGE - 100, true), (LARGEST_PACKAGE - 99, false)] {
            let mut inflated = Inflated::new(&mut file, "x", None).unwrap();
            inflated.unpacked = already;
            let Bytes::Gzip(decoder) = &mut inflated.bytes else { panic!("it is the archive that is read") };
            decoder.get_mut().get_mut().count = already;
            assert_eq!(inflated.fill(&mut [0; 100]).is_ok(), fits, "{already}");
        }
    }

    #[test]
    fn the_ratio_matters_only_for_large_archives() {
        let mut file = stored(100);
        for (already, fits) in [(RATIO_MATTERS_FROM - 100, true), (RATIO_MATTERS_FROM - 99, false)] {
            let mut inflated = Inflated::new(&mut file, "x", None).unwrap();
            inflated.unpacked = already;
            assert_eq!(inflated.fill(&mut [0; 100]).is_ok(), fits, "{already}");
        }
    }
}
