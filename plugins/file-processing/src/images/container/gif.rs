//! The blocks of a GIF: frames and their timing stay, comments and application data go.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Contents, PROFILE_BYTES, checked_profile};
use crate::problem::Problem;

const EXTENSION: u8 = 0x21;
const FRAME: u8 = 0x2c;
const END: u8 = 0x3b;
const GRAPHIC_CONTROL: u8 = 0xf9;
const APPLICATION: u8 = 0xff;

/// The first frame and the colour profile.
pub(super) fn split(bytes: &Bytes) -> Result<Contents, Problem> {
    let (profile, frame) = first_frame(bytes).ok_or_else(broken)?;
    let profile = profile.map(|profile| checked_profile(profile.into())).transpose()?;
    // A frame may be larger than the canvas, and is decoded as a whole.
    Ok(Contents { pixels: frame.file, profile, exif: None, working_bytes: frame.pixels * 4 })
}

/// The GIF without comments, texts and application data other than the number of repetitions.
pub(super) fn strip(bytes: &Bytes) -> Result<Bytes, Problem> {
    blocks(bytes).ok_or_else(broken)
}

fn broken() -> Problem {
    Problem::Broken("the GIF is broken or ends too early".to_owned())
}

/// A file of one frame.
struct Frame {
    file: Bytes,
    pixels: u64,
}

/// The colour profile, where it comes before the frame, and the first frame with its graphic control.
fn first_frame(bytes: &[u8]) -> Option<(Option<Vec<u8>>, Frame)> {
    let mut at = 13 + color_table(*bytes.get(10)?);
    let head = bytes.get(..at)?;
    let (mut control, mut profile) = (None, None);
    loop {
        let start = at;
        match *bytes.get(at)? {
            EXTENSION => {
                let label = *bytes.get(at + 1)?;
                at = end_of_data(bytes, at + 2)?;
                let block = bytes.get(start..at)?;
                match label {
                    GRAPHIC_CONTROL => control = Some(block),
                    APPLICATION if block.get(3..14) == Some(b"ICCRGBG1012") => profile = Some(joined(&block[14..])),
                    _ => (),
                }
            }
            FRAME => {
                let side = |at: usize| Some(u64::from(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])));
                let pixels = side(at + 5)? * side(at + 7)?;
                let table = color_table(*bytes.get(at + 9)?);
                at = end_of_data(bytes, at + 10 + table + 1)?;
                let file = [head, control.unwrap_or_default(), bytes.get(start..at)?, &[END]].concat();
                return Some((profile, Frame { file: file.into(), pixels }));
            }
            _ => return None,
        }
    }
}

/// The data of a chain of blocks, up to one byte more than a profile may have.
fn joined(mut blocks: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    while let Some((length, rest)) = blocks.split_first() {
        let length = usize::from(*length).min(rest.len());
        if length == 0 || data.len() > PROFILE_BYTES {
            break;
        }
        data.extend_from_slice(&rest[..length]);
        blocks = &rest[length..];
    }
    data
}

fn blocks(bytes: &Bytes) -> Option<Bytes> {
    let mut kept = BytesMut::with_capacity(bytes.len());
    let mut at = 13 + color_table(*bytes.get(10)?);
    kept.put_slice(bytes.get(..at)?);
    loop {
        let start = at;
        match *bytes.get(at)? {
            END => {
                kept.put_u8(END);
                return Some(kept.freeze());
            }
            EXTENSION => {
                let label = *bytes.get(at + 1)?;
                at = end_of_data(bytes, at + 2)?;
                let block = bytes.get(start..at)?;
                let repeats = label == APPLICATION && matches!(block.get(3..14), Some(b"NETSCAPE2.0" | b"ANIMEXTS1.0"));
                if label == GRAPHIC_CONTROL || repeats {
                    kept.put_slice(block);
                }
            }
            FRAME => {
                let table = color_table(*bytes.get(at + 9)?);
                at = end_of_data(bytes, at + 10 + table + 1)?;
                kept.put_slice(bytes.get(start..at)?);
            }
            _ => return None,
        }
    }
}

/// The bytes of the colour table that these flags announce.
fn color_table(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Where a chain of data blocks ends, which each begin with their length.
fn end_of_data(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_what_follows_the_end_go() {
        let head = b"GIF89a\x01\x00\x01\x00\x00\x00\x00";
        let loops = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00";
        let frame = b"\x21\xf9\x04\x00\x00\x00\x00\x00\x2c\0\0\0\0\x01\0\x01\0\x00\x02\x02\x4c\x01\x00";
        let file = [head, loops.as_slice(), b"\x21\xfe\x03GPS\x00", frame, b"\x3bPK\x03\x04"].concat();
        let expected = [head, loops.as_slice(), frame, b"\x3b"].concat();
        assert_eq!(strip(&Bytes::from(file.clone())).expect("a whole file"), expected);
        for length in 0..file.len() - 4 {
            assert!(strip(&Bytes::copy_from_slice(&file[..length])).is_err(), "{length}");
        }
    }
}
