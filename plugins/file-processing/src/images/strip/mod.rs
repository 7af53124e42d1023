//! Removes metadata without touching pixels, where the format allows it.
//!
//! What stays is what decoding needs, and the colour profile. What goes is everything else, known or not: EXIF with
//! GPS and thumbnail, XMP, IPTC, comments, texts, application data, and whatever follows the image's end.

mod gif;
mod jpeg;

use bytes::{BufMut, Bytes, BytesMut};
use image::ImageFormat;
use image::metadata::Orientation;
use img_parts::png::Png;
use img_parts::riff::RiffContent;
use img_parts::webp::WebP;

use crate::images::{Header, Output};
use crate::problem::Problem;

pub(crate) use jpeg::check_whole as jpeg_is_whole;

/// The chunks of a PNG that say how to show it.
const PNG_CHUNKS: [&[u8; 4]; 16] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"bKGD",
    b"pHYs", b"acTL", b"fcTL", b"fdAT",
];
/// The chunks of a WebP that say how to show it.
const WEBP_CHUNKS: [&[u8; 4]; 7] = [b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"];
/// The flags of a WebP that announce EXIF and XMP.
const WEBP_METADATA_FLAGS: u8 = 0b0000_1100;

/// The image without metadata, or `None` where that takes new pixels: a format that keeps metadata among its pixels'
/// tags, or an orientation that would be lost.
pub(crate) fn strip(bytes: &Bytes, header: &Header) -> Result<Option<Output>, Problem> {
    if header.orientation != Orientation::NoTransforms {
        return Ok(None);
    }
    let (stripped, format) = match header.format {
        ImageFormat::Jpeg => (jpeg::strip(bytes)?, "jpeg"),
        ImageFormat::Png => (png(bytes)?, "png"),
        ImageFormat::WebP => (webp(bytes)?, "webp"),
        ImageFormat::Gif => (gif::strip(bytes)?, "gif"),
        _ => return Ok(None),
    };
    let (width, height) = header.stored;
    Ok(Some(Output { bytes: stripped, width, height, format }))
}

fn png(bytes: &Bytes) -> Result<Bytes, Problem> {
    let mut parts = Png::from_bytes(bytes.clone()).map_err(|error| Problem::broken("the PNG is broken", error))?;
    parts.chunks_mut().retain(|chunk| PNG_CHUNKS.contains(&&chunk.kind()));
    if parts.chunk_by_type(*b"IEND").is_none() {
        return Err(Problem::Broken("the PNG ends too early".to_owned()));
    }
    Ok(parts.encoder().bytes())
}

fn webp(bytes: &Bytes) -> Result<Bytes, Problem> {
    let mut parts = WebP::from_bytes(bytes.clone()).map_err(|error| Problem::broken("the WebP is broken", error))?;
    parts.chunks_mut().retain(|chunk| WEBP_CHUNKS.contains(&&chunk.id()));
    for chunk in parts.chunks_mut().iter_mut().filter(|chunk| chunk.id() == *b"VP8X") {
        if let RiffContent::Data(data) = chunk.content_mut() {
            let mut flags = BytesMut::with_capacity(data.len());
            flags.put_slice(data);
            if let Some(first) = flags.first_mut() {
                *first &= !WEBP_METADATA_FLAGS;
            }
            *data = flags.freeze();
        }
    }
    Ok(parts.encoder().bytes())
}
