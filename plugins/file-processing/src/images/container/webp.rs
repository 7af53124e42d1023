//! The chunks of a WebP.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Contents, checked_profile};
use crate::problem::Problem;

/// `RIFF`, the length of what follows, `WEBP`.
const HEAD_BYTES: usize = 12;
/// What says how to show the image.
const SHOWN: [&[u8; 4]; 7] = [b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"];
/// The flags of `VP8X` that announce a profile, EXIF and XMP.
const PROFILE_FLAG: u8 = 0b0010_0000;
const METADATA_FLAGS: u8 = 0b0000_1100;

struct Chunk {
    kind: [u8; 4],
    data: Range<usize>,
}

pub(super) fn split(bytes: &Bytes) -> Result<Contents, Problem> {
    let chunks = chunks(bytes)?;
    let find = |kind: &[u8; 4]| chunks.iter().find(|chunk| chunk.kind == *kind);
    let profile = find(b"ICCP").map(|chunk| checked_profile(bytes.slice(chunk.data.clone()))).transpose()?;
    let exif = find(b"EXIF").map(|chunk| bytes.slice(chunk.data.clone()));
    let first_frame = chunks.iter().position(|chunk| chunk.kind == *b"ANMF");
    let pixels = chunks.iter().enumerate().filter(|(at, chunk)| match &chunk.kind {
        b"ICCP" => false,
        b"ANMF" => Some(*at) == first_frame,
        kind => SHOWN.contains(&kind),
    });
    let pixels = written(bytes, pixels.map(|(_, chunk)| chunk), METADATA_FLAGS | PROFILE_FLAG);
    Ok(Contents { pixels, profile, exif, working_bytes: 0 })
}

/// The WebP without metadata.
pub(super) fn strip(bytes: &Bytes) -> Result<Bytes, Problem> {
    let chunks = chunks(bytes)?;
    Ok(written(bytes, chunks.iter().filter(|chunk| SHOWN.contains(&&chunk.kind)), METADATA_FLAGS))
}

/// A file of these chunks, with these flags cleared.
fn written<'a>(bytes: &[u8], chunks: impl Iterator<Item = &'a Chunk>, cleared: u8) -> Bytes {
    let mut file = BytesMut::with_capacity(bytes.len() + 1);
    file.put_slice(b"RIFF\0\0\0\0WEBP");
    for Chunk { kind, data } in chunks {
        let begin = file.len() + 8;
        file.put_slice(kind);
        file.put_u32_le(u32::try_from(data.len()).unwrap_or(u32::MAX));
        file.put_slice(&bytes[data.clone()]);
        if kind == b"VP8X" && !data.is_empty() {
            file[begin] &= !cleared;
        }
        if data.len() % 2 == 1 {
            file.put_u8(0);
        }
    }
    let length = u32::try_from(file.len() - 8).unwrap_or(u32::MAX);
    file[4..8].copy_from_slice(&length.to_le_bytes());
    file.freeze()
}

/// The chunks up to the announced end.
fn chunks(bytes: &[u8]) -> Result<Vec<Chunk>, Problem> {
    let early = || Problem::Broken("the WebP ends too early".to_owned());
    let number = |at: usize| -> Option<usize> {
        let digits = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(digits) as usize)
    };
    if bytes.get(8..HEAD_BYTES) != Some(b"WEBP") {
        return Err(early());
    }
    let end = number(4).ok_or_else(early)?.saturating_add(8).min(bytes.len());
    let mut chunks = Vec::new();
    let mut at = HEAD_BYTES;
    while at + 8 <= end {
        let kind = bytes[at..at + 4].try_into().map_err(|_| early())?;
        let length = number(at + 4).ok_or_else(early)?;
        let data = at + 8..(at + 8).saturating_add(length);
        if data.end > bytes.len() {
            return Err(early());
        }
        at = data.end + data.len() % 2;
        chunks.push(Chunk { kind, data });
    }
    Ok(chunks)
}
