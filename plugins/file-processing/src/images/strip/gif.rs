//! The blocks of a GIF: frames and their timing stay, comments and application data go.

use bytes::{BufMut, Bytes, BytesMut};

use crate::problem::Problem;

const EXTENSION: u8 = 0x21;
const FRAME: u8 = 0x2c;
const END: u8 = 0x3b;
const GRAPHIC_CONTROL: u8 = 0xf9;
const APPLICATION: u8 = 0xff;

/// The GIF without comments, texts and application data other than the number of repetitions.
pub(super) fn strip(bytes: &Bytes) -> Result<Bytes, Problem> {
    blocks(bytes).ok_or_else(|| Problem::Broken("the GIF is broken or ends too early".to_owned()))
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
