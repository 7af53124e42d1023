//! The segments of a JPEG: whether they are whole, and which of them stay.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use crate::problem::Problem;

const START_OF_IMAGE: u8 = 0xd8;
const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;
const COMMENT: u8 = 0xfe;
/// The part of a JFIF segment before its thumbnail.
const JFIF_BYTES: usize = 16;

/// One piece of a file, in its order.
struct Part {
    marker: u8,
    /// From the marker's code to the end of its data.
    range: Range<usize>,
}

/// Refuses a JPEG that does not reach its end.
pub(crate) fn check_whole(bytes: &[u8]) -> Result<(), Problem> {
    parts(bytes).map(drop)
}

/// The JPEG without metadata.
pub(super) fn strip(bytes: &Bytes) -> Result<Bytes, Problem> {
    let mut kept = BytesMut::with_capacity(bytes.len());
    kept.put_slice(&[0xff, START_OF_IMAGE]);
    for Part { marker, range } in parts(bytes)? {
        let data = bytes.get(range.start + 4..range.end).unwrap_or_default();
        match marker {
            0xe0 if data.starts_with(b"JFIF\0") => put_jfif(&mut kept, data),
            0xe2 if data.starts_with(b"ICC_PROFILE\0") => kept.put_slice(&bytes[range]),
            // Says how the colours are stored.
            0xee if data.starts_with(b"Adobe") => kept.put_slice(&bytes[range]),
            0xe0..=0xef | COMMENT => (),
            _ => kept.put_slice(&bytes[range]),
        }
    }
    kept.put_slice(&[0xff, END_OF_IMAGE]);
    Ok(kept.freeze())
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
    fn every_shorter_file_is_refused() {
        let whole = FILE.len() - b"<script>".len();
        assert!(check_whole(&FILE[..whole]).is_ok());
        for length in 0..whole {
            assert!(check_whole(&FILE[..length]).is_err(), "{length}");
        }
    }
}
