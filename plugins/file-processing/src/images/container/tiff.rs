//! The directories of a TIFF, which EXIF is too: which values they name and how large those are.

use bytes::Bytes;

use super::{Contents, checked_profile};
use crate::problem::Problem;

const PROFILE_TAG: u16 = 34_675;
/// Tags that lead from EXIF's first directory to further ones.
const DIRECTORY_TAGS: [u16; 3] = [0x8769, 0x8825, 0xa005];
/// The most directories and entries that are looked at.
const MOST_DIRECTORIES: usize = 8;
const MOST_ENTRIES: usize = 1 << 16;
/// What the decoder makes of one number of a list.
const NUMBER_BYTES: u64 = 48;

/// One entry of a directory.
struct Entry {
    tag: u16,
    /// Numbers that it has.
    count: u64,
    /// Bytes of all of them.
    bytes: u64,
    /// Where they are, or the value itself where it is short.
    offset: u64,
}

/// How numbers are written.
#[derive(Clone, Copy)]
struct Layout<'a> {
    bytes: &'a [u8],
    is_big_endian: bool,
    /// Whether offsets have eight bytes.
    is_big_tiff: bool,
}

impl Layout<'_> {
    fn number(self, at: u64, length: usize) -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let digits = self.bytes.get(at..at.checked_add(length)?)?;
        let join = |sum: u64, digit: &u8| sum << 8 | u64::from(*digit);
        Some(if self.is_big_endian { digits.iter().fold(0, join) } else { digits.iter().rev().fold(0, join) })
    }

    fn offset(self, at: u64) -> Option<u64> {
        self.number(at, if self.is_big_tiff { 8 } else { 4 })
    }

    /// The entries of the directory at an offset, and where the next directory is.
    fn directory(self, at: u64) -> Option<(Vec<Entry>, u64)> {
        let (head, size, inline) = if self.is_big_tiff { (8, 20, 8) } else { (2, 12, 4) };
        let count = self.number(at, head)?;
        let first = at.checked_add(head as u64)?;
        let entry = |index: u64| {
            let at = first.checked_add(index.checked_mul(size)?)?;
            let (tag, kind) = (self.number(at, 2)?, self.number(at + 2, 2)?);
            let count = self.offset(at + 4)?;
            let value = at + 4 + inline;
            let bytes = count.saturating_mul(number_size(kind));
            let offset = if bytes <= inline { value } else { self.offset(value)? };
            Some(Entry { tag: u16::try_from(tag).ok()?, count, bytes, offset })
        };
        let entries: Vec<Entry> = (0..count.min(MOST_ENTRIES as u64)).map_while(entry).collect();
        let next = self.offset(first.checked_add(count.checked_mul(size)?)?).unwrap_or(0);
        Some((entries, next))
    }
}

/// The layout that the first bytes tell, and where the first directory is.
fn layout(bytes: &[u8]) -> Option<(Layout<'_>, u64)> {
    let is_big_endian = match bytes.get(..2)? {
        b"II" => false,
        b"MM" => true,
        _ => return None,
    };
    let mut layout = Layout { bytes, is_big_endian, is_big_tiff: false };
    layout.is_big_tiff = layout.number(2, 2)? == 43;
    let first = layout.offset(if layout.is_big_tiff { 8 } else { 4 })?;
    Some((layout, first))
}

fn number_size(kind: u64) -> u64 {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => 1,
    }
}

/// The TIFF as it is, since its metadata lies among its pixels' tags, with the memory that its lists may take.
pub(super) fn split(bytes: &Bytes) -> Result<Contents, Problem> {
    let (entries, _) = layout(bytes).and_then(|(layout, first)| layout.directory(first)).unwrap_or_default();
    let length = bytes.len() as u64;
    let mut profile = None;
    let mut working_bytes = 0_u64;
    for entry in &entries {
        if entry.tag == PROFILE_TAG {
            let range = entry.offset..entry.offset.saturating_add(entry.bytes);
            let begin = usize::try_from(range.start).unwrap_or(usize::MAX);
            let end = usize::try_from(range.end).unwrap_or(usize::MAX);
            profile = (range.end <= length).then(|| bytes.slice(begin..end));
        } else if entry.bytes <= length {
            // A decoder reads some of the lists, each once at a time; a longer list than the file it does not read.
            working_bytes = working_bytes.max(entry.count.saturating_mul(NUMBER_BYTES));
        }
    }
    Ok(Contents {
        pixels: bytes.clone(),
        profile: profile.map(checked_profile).transpose()?,
        exif: Some(bytes.clone()),
        // Offsets and lengths of the pieces stay in memory together.
        working_bytes: working_bytes.saturating_mul(2),
    })
}

/// The bytes of all values that EXIF's directories name. Several may name the same bytes, so that a small file can name
/// many. `None` where the structure is broken.
pub(crate) fn value_bytes(bytes: &[u8]) -> Option<u64> {
    let (layout, first) = layout(bytes)?;
    let mut sum = 0_u64;
    let mut waiting = vec![first];
    let mut seen = 0;
    while let Some(at) = waiting.pop() {
        seen += 1;
        if seen > MOST_DIRECTORIES {
            return None;
        }
        let (entries, next) = layout.directory(at)?;
        for entry in &entries {
            sum = sum.saturating_add(entry.bytes.max(1));
            if DIRECTORY_TAGS.contains(&entry.tag) {
                waiting.push(layout.offset(entry.offset)?);
            }
        }
        if next != 0 {
            waiting.push(next);
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(tag: u16, kind: u16, count: u32, value: u32) -> Vec<u8> {
        [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()].concat()
    }

    fn file(entries: &[Vec<u8>]) -> Vec<u8> {
        let count = u16::try_from(entries.len()).expect("few").to_le_bytes();
        [b"II*\0\x08\0\0\0".as_slice(), &count, &entries.concat(), &[0; 4]].concat()
    }

    #[test]
    fn values_that_share_bytes_count_each() {
        let entries = vec![entry(0x010e, 2, 1000, 0); 50];
        assert_eq!(value_bytes(&file(&entries)), Some(50_000));
        assert_eq!(value_bytes(&file(&[entry(0x0112, 3, 1, 1)])), Some(2));
        assert_eq!(value_bytes(b"II*\0\xff\xff\xff\xff"), None);
        // A directory that leads to itself.
        assert_eq!(value_bytes(&file(&[entry(0x8769, 4, 1, 8)])), None);
    }

    #[test]
    fn a_profile_is_found_and_an_endless_one_is_none() {
        let profile = |count| {
            let whole = file(&[entry(PROFILE_TAG, 7, count, 26)]);
            split(&Bytes::from([whole, b"profile".to_vec()].concat())).expect("a structure").profile
        };
        assert_eq!(profile(7).as_deref(), Some(b"profile".as_slice()));
        assert_eq!(profile(u32::MAX), None);
    }
}
