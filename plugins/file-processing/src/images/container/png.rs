//! The chunks of a PNG.

use std::io::Read;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::read::ZlibDecoder;

use super::{Contents, PROFILE_BYTES, checked_profile};
use crate::problem::Problem;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// What a decoder needs for the first image.
const PIXELS: [&[u8; 4]; 5] = [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"];
/// What says how to show the image, animations included; only the first four must be intact.
const SHOWN: [&[u8; 4]; 16] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"bKGD",
    b"pHYs", b"acTL", b"fcTL", b"fdAT",
];

/// One chunk: its type, its data, and all of it with length and checksum.
struct Chunk {
    kind: [u8; 4],
    data: Range<usize>,
    whole: Range<usize>,
}

impl Chunk {
    fn is(&self, kinds: &[&[u8; 4]]) -> bool {
        kinds.contains(&&self.kind)
    }

    /// Whether decoders cannot do without it.
    fn is_critical(&self) -> bool {
        self.kind[0].is_ascii_uppercase()
    }

    fn is_intact(&self, bytes: &[u8]) -> bool {
        let sum = crc32fast::hash(&bytes[self.whole.start + 4..self.data.end]);
        bytes[self.data.end..self.whole.end] == sum.to_be_bytes()
    }
}

pub(super) fn split(bytes: &Bytes) -> Result<Contents, Problem> {
    let chunks = chunks(bytes)?;
    let find = |kind: &[u8; 4]| chunks.iter().find(|chunk| chunk.kind == *kind);
    let profile = find(b"iCCP").and_then(|chunk| unpacked(&bytes[chunk.data.clone()]));
    Ok(Contents {
        pixels: copied(bytes, chunks.iter().filter(|chunk| chunk.is(&PIXELS))),
        profile: profile.map(checked_profile).transpose()?,
        exif: find(b"eXIf").map(|chunk| bytes.slice(chunk.data.clone())),
        working_bytes: 0,
    })
}

/// The PNG without metadata. Chunks that go need not be intact.
pub(super) fn strip(bytes: &Bytes) -> Result<Bytes, Problem> {
    let chunks = chunks(bytes)?;
    let mut kept = Vec::new();
    for chunk in chunks.iter().filter(|chunk| chunk.is(&SHOWN)) {
        if chunk.is_intact(bytes) {
            kept.push(chunk);
        } else if chunk.is_critical() {
            let kind = String::from_utf8_lossy(&chunk.kind).into_owned();
            return Err(Problem::Broken(format!("the PNG's `{kind}` has a wrong checksum")));
        }
    }
    Ok(copied(bytes, kept.into_iter()))
}

fn copied<'a>(bytes: &[u8], chunks: impl Iterator<Item = &'a Chunk>) -> Bytes {
    let mut copy = BytesMut::with_capacity(bytes.len());
    copy.put_slice(SIGNATURE);
    chunks.for_each(|chunk| copy.put_slice(&bytes[chunk.whole.clone()]));
    copy.freeze()
}

/// The chunks up to the image's end, which must be there.
fn chunks(bytes: &[u8]) -> Result<Vec<Chunk>, Problem> {
    let early = || Problem::Broken("the PNG ends too early".to_owned());
    if !bytes.starts_with(SIGNATURE) {
        return Err(early());
    }
    let mut chunks = Vec::new();
    let mut at = SIGNATURE.len();
    loop {
        let head: [u8; 8] = bytes.get(at..at + 8).and_then(|head| head.try_into().ok()).ok_or_else(early)?;
        let [a, b, c, d, kind @ ..] = head;
        let data = at + 8..(at + 8).saturating_add(u32::from_be_bytes([a, b, c, d]) as usize);
        let whole = at..data.end.saturating_add(4);
        if whole.end > bytes.len() {
            return Err(early());
        }
        at = whole.end;
        chunks.push(Chunk { kind, data, whole });
        if kind == *b"IEND" {
            return Ok(chunks);
        }
    }
}

/// The profile of an `iCCP` chunk: a name, a method, packed data. No more than one byte beyond the limit is unpacked; a
/// profile that cannot be unpacked counts as none.
fn unpacked(data: &[u8]) -> Option<Bytes> {
    let name = data.iter().position(|byte| *byte == 0)?;
    let packed = data.get(name + 2..)?;
    let mut profile = Vec::new();
    ZlibDecoder::new(packed).take(PROFILE_BYTES as u64 + 1).read_to_end(&mut profile).ok()?;
    Some(profile.into())
}
