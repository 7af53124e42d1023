//! A strict tar reader: walks headers one by one and refuses whatever two readers could understand differently.
//! Own code, since crates are generous where this must not be: they skip, relocate or guess. Writes nothing.

use std::collections::BTreeMap;

use tar::Header;

use super::super::path::normalise;
use super::super::{LARGEST_FILE, MOST_ENTRIES, PackageError};
use super::gzip::Inflated;
use crate::name::shown;

const BLOCK: usize = 512;
/// The most bytes of an extension header (long names, PAX records).
const LARGEST_EXTENSION: u64 = 64 * 1024;

/// What an entry is, as far as it can be accepted anywhere in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    /// A symbolic or hard link: never unpacked, tolerated outside the plugin's own folder.
    Link,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Checked and normalised; empty for the archive's top folder.
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) size: u64,
    pub(super) executable: bool,
}

/// Walks the entries of an archive.
pub(super) struct TarReader<'a> {
    archive: &'a str,
    stream: Inflated<'a>,
    /// Bytes of the present entry that are still to come.
    left: u64,
    /// Bytes that fill its last block.
    padding: usize,
    entries: usize,
}

/// What extension headers say of the entry after them.
#[derive(Default)]
struct Extensions {
    records: Option<BTreeMap<String, String>>,
    long_name: Option<Vec<u8>>,
    long_link: bool,
}

impl<'a> TarReader<'a> {
    pub(super) fn new(stream: Inflated<'a>, archive: &'a str) -> Self {
        Self { archive, stream, left: 0, padding: 0, entries: 0 }
    }

    /// The next entry; what was not read of the one before is skipped. `None` once the archive has ended well.
    pub(super) fn next(&mut self) -> Result<Option<Member>, PackageError> {
        let mut extensions = Extensions::default();
        loop {
            self.skip_data()?;
            let Some(header) = self.header()? else {
                let dangling = extensions.records.is_some() || extensions.long_name.is_some() || extensions.long_link;
                return if dangling { Err(self.flaw("an extension header has no entry")) } else { Ok(None) };
            };
            match header.as_bytes()[156] {
                b'x' if extensions.records.is_none() => extensions.records = Some(self.records(&header)?),
                b'g' => {
                    let records = self.records(&header)?;
                    if ["path", "linkpath", "size"].iter().any(|key| records.contains_key(*key)) {
                        return Err(self.flaw("a global header gives a path or size to many entries"));
                    }
                    self.count_entry()?;
                }
                b'L' if extensions.long_name.is_none() => extensions.long_name = Some(self.long_name(&header)?),
                b'K' if !extensions.long_link => {
                    self.extension_data(&header)?;
                    extensions.long_link = true;
                }
                b'x' | b'L' | b'K' => return Err(self.flaw("two extension headers contend for one entry")),
                _ => return self.member(&header, &extensions).map(Some),
            }
        }
    }

    /// Reads data of the present entry; 0 at its end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, PackageError> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.stream.fill(&mut buffer[..wanted])?;
        if count < wanted {
            return Err(self.flaw("it is cut off in the middle of an entry"));
        }
        self.left -= count as u64;
        Ok(count)
    }

    fn skip_data(&mut self) -> Result<(), PackageError> {
        let mut buffer = [0_u8; 16 * 1024];
        while self.left > 0 {
            self.read(&mut buffer)?;
        }
        let padding = std::mem::take(&mut self.padding);
        if self.stream.fill(&mut buffer[..padding])? < padding {
            return Err(self.flaw("it is cut off in the middle of an entry"));
        }
        Ok(())
    }

    /// The next header block, its checksum and format proven; `None` at a zero block after which only zeros follow.
    fn header(&mut self) -> Result<Option<Header>, PackageError> {
        let mut header = Header::new_old();
        let count = self.stream.fill(header.as_mut_bytes())?;
        if count == 0 {
            return Err(self.flaw("it ends without the mark of a tar archive's end"));
        }
        if count < BLOCK {
            return Err(self.flaw("it is cut off in a header"));
        }
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            self.stream.finish_with_zeros()?;
            return Ok(None);
        }
        let bytes = header.as_bytes();
        let sum: u64 = bytes
            .iter()
            .enumerate()
            .map(|(place, byte)| if (148..156).contains(&place) { u64::from(b' ') } else { u64::from(*byte) })
            .sum();
        if octal(&bytes[148..156]) != Some(sum) {
            return Err(self.flaw("a header has a wrong checksum"));
        }
        if !matches!(&bytes[257..265], b"ustar\x0000" | b"ustar  \0") {
            return Err(self.flaw("a header is neither ustar, PAX nor GNU tar"));
        }
        // Owner, times, devices and an extension's mode are never used, but a reader that stumbles over them sees a
        // shorter archive.
        let unused = [100..108, 108..116, 116..124, 136..148, 329..337, 337..345];
        if unused.into_iter().any(|field| !is_some_number(&bytes[field])) {
            return Err(self.flaw("a header has a mode, owner, time or device that is no number"));
        }
        // GNU tar keeps other things where ustar has the name's first half, and some readers do not look which it is.
        if &bytes[257..263] != b"ustar\0" && bytes[345..500].iter().any(|byte| *byte != 0) {
            return Err(self.flaw("a GNU header has something where ustar has the first half of a name"));
        }
        let size = self.declared_size(&header)?;
        self.left = size;
        self.padding = usize::try_from(size.next_multiple_of(BLOCK as u64) - size).unwrap_or(0);
        Ok(Some(header))
    }

    fn declared_size(&self, header: &Header) -> Result<u64, PackageError> {
        let entry = || raw_name(header).map_or_else(|| "?".to_owned(), |name| shown(&String::from_utf8_lossy(&name)));
        let size = number(&header.as_bytes()[124..136])
            .ok_or_else(|| self.refuse(&entry(), "has a size that is no number"))?;
        if size > LARGEST_FILE {
            return Err(self.refuse(&entry(), "is larger than 64 MiB"));
        }
        Ok(size)
    }

    fn extension_data(&mut self, header: &Header) -> Result<Vec<u8>, PackageError> {
        let size = self.declared_size(header)?;
        if size > LARGEST_EXTENSION {
            return Err(self.flaw("an extension header is larger than 64 KiB"));
        }
        let mut data = vec![0_u8; usize::try_from(size).unwrap_or(0)];
        self.read(&mut data)?;
        Ok(data)
    }

    fn long_name(&mut self, header: &Header) -> Result<Vec<u8>, PackageError> {
        let mut name = self.extension_data(header)?;
        if name.pop() != Some(0) || name.contains(&0) {
            return Err(self.flaw("a long name does not end in exactly one zero byte"));
        }
        Ok(name)
    }

    fn records(&mut self, header: &Header) -> Result<BTreeMap<String, String>, PackageError> {
        let data = self.extension_data(header)?;
        let records = pax_records(&data).ok_or_else(|| self.flaw("a PAX header is malformed"))?;
        if records.keys().any(|key| key.starts_with("GNU.sparse")) {
            return Err(self.flaw("it has a sparse file"));
        }
        Ok(records)
    }

    fn member(&mut self, header: &Header, extensions: &Extensions) -> Result<Member, PackageError> {
        self.count_entry()?;
        let pax_path = extensions.records.as_ref().and_then(|records| records.get("path"));
        let raw = match (pax_path, &extensions.long_name) {
            (Some(_), Some(_)) => return Err(self.flaw("an entry has both a PAX path and a GNU long name")),
            (Some(path), None) => path.clone().into_bytes(),
            (None, Some(name)) => name.clone(),
            (None, None) => raw_name(header).ok_or_else(|| self.flaw("an entry has a zero byte inside its name"))?,
        };
        let entry = shown(&String::from_utf8_lossy(&raw));
        let size = self.left;
        let pax_size = extensions.records.as_ref().and_then(|records| records.get("size"));
        if pax_size.is_some_and(|text| *text != size.to_string()) {
            return Err(self.refuse(&entry, "has two sizes, one in its header and one in its PAX records"));
        }
        let kind = match header.as_bytes()[156] {
            b'0' | 0 => Kind::File,
            b'5' => Kind::Folder,
            b'1' | b'2' => Kind::Link,
            other => return Err(self.refuse(&entry, unusable_type(other))),
        };
        if kind != Kind::File && size != 0 {
            return Err(self.refuse(&entry, "is no file but has data"));
        }
        if kind != Kind::Folder && raw.ends_with(b"/") {
            return Err(self.refuse(&entry, "is no folder but its name ends in a slash"));
        }
        let mode =
            octal(&header.as_bytes()[100..108]).ok_or_else(|| self.refuse(&entry, "has a mode that is no number"))?;
        let path = normalise(&raw).map_err(|objection| self.refuse(&entry, objection))?;
        if path.is_empty() && kind != Kind::Folder {
            return Err(self.refuse(&entry, "has no name"));
        }
        Ok(Member { path, kind, size, executable: mode & 0o111 != 0 })
    }

    fn count_entry(&mut self) -> Result<(), PackageError> {
        self.entries += 1;
        if self.entries > MOST_ENTRIES { Err(self.flaw("it has more than 20,000 entries")) } else { Ok(()) }
    }

    fn flaw(&self, reason: &str) -> PackageError {
        PackageError::Archive { archive: self.archive.to_owned(), reason: reason.to_owned() }
    }

    fn refuse(&self, entry: &str, reason: &str) -> PackageError {
        PackageError::Entry { place: self.archive.to_owned(), entry: entry.to_owned(), reason: reason.to_owned() }
    }
}

/// The name in a header itself: `prefix/name` in ustar, `name` in GNU. `None` when something follows a zero byte.
fn raw_name(header: &Header) -> Option<Vec<u8>> {
    let bytes = header.as_bytes();
    let name = until_zero(&bytes[0..100])?;
    if &bytes[257..263] != b"ustar\0" {
        return Some(name.to_vec());
    }
    let prefix = until_zero(&bytes[345..500])?;
    Some(if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() })
}

fn until_zero(field: &[u8]) -> Option<&[u8]> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    field[end..].iter().all(|byte| *byte == 0).then_some(&field[..end])
}

/// A number in octal, as the field's only content.
fn octal(field: &[u8]) -> Option<u64> {
    let start = field.iter().position(|byte| *byte != b' ')?;
    let digits = &field[start..];
    let end = digits.iter().position(|byte| matches!(byte, b' ' | 0)).unwrap_or(digits.len());
    let ends_well = digits[end..].iter().all(|byte| matches!(byte, b' ' | 0));
    let legal = end > 0 && digits[..end].iter().all(|digit| (b'0'..=b'7').contains(digit));
    if !legal || !ends_well {
        return None;
    }
    Some(digits[..end].iter().fold(0, |value, digit| value * 8 + u64::from(digit - b'0')))
}

/// A number in octal, or in GNU's binary form where it is positive and fits.
fn number(field: &[u8]) -> Option<u64> {
    match field {
        [0x80, high @ .., _, _, _, _, _, _, _, _] if high.iter().all(|byte| *byte == 0) => {
            Some(field[field.len() - 8..].iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
        }
        [first, ..] if first & 0x80 != 0 => None,
        _ => octal(field),
    }
}

/// Whether every reader takes a field for a number: octal, binary of either sign, or nothing at all.
fn is_some_number(field: &[u8]) -> bool {
    matches!(field, [0x80 | 0xff, ..]) || field.iter().all(|byte| *byte == 0) || octal(field).is_some()
}

/// PAX records, `LENGTH KEY=VALUE\n` each. `None` when one is malformed, or stands there twice.
fn pax_records(mut data: &[u8]) -> Option<BTreeMap<String, String>> {
    let mut records = BTreeMap::new();
    while !data.is_empty() {
        let space = data.iter().take(6).position(|byte| *byte == b' ')?;
        let digits = std::str::from_utf8(&data[..space]).ok()?;
        if digits.starts_with('0') || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let length: usize = digits.parse().ok()?;
        let record = data.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        let key = String::from_utf8(record[..equals].to_vec()).ok()?;
        // Extended attributes are binary; they are never used, so their value is of no interest.
        let value = match std::str::from_utf8(&record[equals + 1..]) {
            Ok(value) => value.to_owned(),
            Err(_) if matches!(key.as_str(), "path" | "linkpath" | "size") => return None,
            Err(_) => String::new(),
        };
        if key.is_empty() || records.insert(key, value).is_some() {
            return None;
        }
        data = &data[length..];
    }
    Some(records)
}

fn unusable_type(flag: u8) -> &'static str {
    match flag {
        b'3' => "is a character device",
        b'4' => "is a block device",
        b'6' => "is a fifo",
        b'7' => "is a contiguous file",
        b'S' => "is a sparse file",
        b'M' => "continues a file of another volume",
        b'V' => "is a volume label",
        b'D' => "is a dump of a folder",
        _ => "is of an unknown type",
    }
}
