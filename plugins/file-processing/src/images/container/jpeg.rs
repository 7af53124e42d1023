//! The segments of a JPEG: whether they are whole, and which of them stay.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Contents, checked_profile};
use crate::problem::Problem;

const START_OF_IMAGE: u8 = 0xd8;
const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;
const COMMENT: u8 = 0xfe;
const PROFILE: &[u8] = b"ICC_PROFILE\0";
const EXIF: &[u8] = b"Exif\0\0";
/// The part of a JFIF segment before its thumbnail.
const JFIF_BYTES: usize = 16;

/// One piece of a file, in its order.
struct Part {
    marker: u8,
    /// From the marker's code to the end of its data.
    range: Range<usize>,
}

impl Part {
    /// What follows marker and length.
    fn data(&self) -> Range<usize> {
        let begin = self.range.start + 4;
        begin.min(self.range.end)..self.range.end
    }

    fn is_profile(&self, bytes: &[u8]) -> bool {
        self.marker == 0xe2 && bytes[self.data()].starts_with(PROFILE)
    }
}

/// Refuses a JPEG that does not reach its end: the decoder would fill what is missing with grey.
pub(super) fn split(bytes: &Bytes) -> Result<Contents, Problem> {
    let parts = parts(bytes)?;
    let exif = parts.iter().find(|part| part.marker == 0xe1 && bytes[part.data()].starts_with(EXIF));
    let exif = exif.map(|part| bytes.slice(part.data().start + EXIF.len()..part.data().end));
    let pixels = written(bytes, parts.iter().filter(|part| !part.is_profile(bytes)));
    Ok(Contents { pixels, profile: profile(bytes, &parts)?, exif, working_bytes: 0 })
}

/// The JPEG without metadata.
pub(super) fn strip(bytes: &Bytes) -> Result<Bytes, Problem> {
    Ok(written(bytes, parts(bytes)?.iter()))
}

/// A file of these parts, without metadata other than a profile.
fn written<'a>(bytes: &[u8], parts: impl Iterator<Item = &'a Part>) -> Bytes {
    let mut kept = BytesMut::with_capacity(bytes.len() + JFIF_BYTES);
    kept.put_slice(&[0xff, START_OF_IMAGE]);
    for part in parts {
        let data = &bytes[part.data()];
        match part.marker {
            0xe0 if data.starts_with(b"JFIF\0") => put_jfif(&mut kept, data),
            // Says how the colours are stored.
            0xee if data.starts_with(b"Adobe") => kept.put_slice(&bytes[part.range.clone()]),
            0xe0..=0xef | COMMENT if !part.is_profile(bytes) => (),
            _ => kept.put_slice(&bytes[part.range.clone()]),
        }
    }
    kept.put_slice(&[0xff, END_OF_IMAGE]);
    kept.freeze()
}

/// The profile, which may be spread over segments that carry their number.
fn profile(bytes: &Bytes, parts: &[Part]) -> Result<Option<Bytes>, Problem> {
    let mut pieces: Vec<(u8, Range<usize>)> = Vec::new();
    for part in parts.iter().filter(|part| part.is_profile(bytes)) {
        let begin = part.data().start + PROFILE.len();
        if let Some(number) = bytes.get(begin).filter(|_| begin + 2 <= part.range.end) {
            pieces.push((*number, begin + 2..part.range.end));
        }
    }
    // At most 255 of 64 KiB, each number once.
    pieces.sort_by_key(|(number, _)| *number);
    pieces.dedup_by_key(|(number, _)| *number);
    let profile: Vec<u8> = pieces.into_iter().flat_map(|(_, range)| bytes[range].to_vec()).collect();
    if profile.is_empty() { Ok(None) } else { checked_profile(profile.into()).map(Some) }
}

/// The density stays; a thumbnail behind it does not.
fn put_jfif(kept: &mut BytesMut, data: &[u8]) {
    let mut head = [0; JFIF_BYTES - 2];
    let known = data.len().min(head.len() - 2);
    head[..known].copy_from_slice(&data[..known]);
    kept.put_slice(&[0xff, 0xe0, 0, 16]);
    kept.put_slice(&head);
}

fn parts(bytes: &[u8]) -> Result<Vec<Part>, Problem> {
    let broken = |what: &str| Problem::Broken(format!("the JPEG {what}"));
    if !bytes.starts_with(&[0xff, START_OF_IMAGE]) {
        return Err(broken("has no start"));
    }
    let mut parts = Vec::new();
    let mut at = 2;
    loop {
        let start = at;
        let early = || broken("ends too early");
        if *bytes.get(at).ok_or_else(early)? != 0xff {
            return Err(broken("has data where a marker belongs"));
        }
        while *bytes.get(at + 1).ok_or_else(early)? == 0xff {
            at += 1;
        }
        let marker = bytes[at + 1];
        at += 2;
        match marker {
            END_OF_IMAGE => return Ok(parts),
            0x01 | 0xd0..=0xd7 => continue,
            0x00 => return Err(broken("has a stray zero")),
            _ => (),
        }
        let length = bytes.get(at..at + 2).ok_or_else(early)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        if length < 2 || at + length > bytes.len() {
            return Err(early());
        }
        // Fill bytes before a marker are left out, so that what follows it has a fixed place.
        let begin = (at - 2).max(start);
        at += length;
        if marker == START_OF_SCAN {
            at = end_of_scan(bytes, at).ok_or_else(early)?;
        }
        parts.push(Part { marker, range: begin..at });
    }
}

/// Where the marker after a scan begins; within it only zeros and restarts follow 0xff.
fn end_of_scan(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        match *bytes.get(at + 1)? {
            0x00 | 0xd0..=0xd7 => at += 2,
            0xff => at += 1,
            _ => return Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"\xff\xd8\
        \xff\xe0\x00\x13JFIF\0\x01\x02\x01\x00\x48\x00\x48\x01\x01RGB\
        \xff\xe1\x00\x08Exif\0\0\
        \xff\xfe\x00\x06hid!\
        \xff\xda\x00\x02scan\xff\x00\xff\xd0one\
        \xff\xfe\x00\x06hid!\
        \xff\xda\x00\x02two\xff\xd9<script>";

    #[test]
    fn metadata_goes_wherever_it_stands_and_scans_stay() {
        let expected = b"\xff\xd8\
            \xff\xe0\x00\x10JFIF\0\x01\x02\x01\x00\x48\x00\x48\x00\x00\
            \xff\xda\x00\x02scan\xff\x00\xff\xd0one\
            \xff\xda\x00\x02two\xff\xd9";
        assert_eq!(strip(&Bytes::from_static(FILE)).expect("a whole file"), expected.as_slice());
    }

    #[test]
    fn a_profile_in_pieces_is_put_together_in_their_order() {
        let piece = |number: u8, text: &[u8]| {
            let length = u16::try_from(text.len() + 16).expect("short").to_be_bytes();
            [b"\xff\xe2".as_slice(), &length, PROFILE, &[number, 2], text].concat()
        };
        let file = [b"\xff\xd8".as_slice(), &piece(2, b"second"), &piece(1, b"first "), b"\xff\xd9"].concat();
        let contents = split(&file.clone().into()).expect("a whole file");
        assert_eq!(contents.profile.as_deref(), Some(b"first second".as_slice()));
        assert_eq!(contents.pixels, b"\xff\xd8\xff\xd9".as_slice());
        assert_eq!(strip(&file.clone().into()).expect("a whole file"), file);
    }

    #[test]
    fn every_shorter_file_is_refused() {
        let whole = FILE.len() - b"<script>".len();
        assert!(split(&Bytes::from_static(&FILE[..whole])).is_ok());
        for length in 0..whole {
            assert!(split(&Bytes::from_static(&FILE[..length])).is_err(), "{length}");
        }
    }
}
