//! Splits image files into pixels, colour profile and EXIF, and drops everything else before a decoder sees it.
//!
//! Works on the structure of files only; it decodes no pixels. What it unpacks is bounded by [`PROFILE_BYTES`], so that
//! a small file cannot ask for more memory than its pixels need.

mod gif;
mod jpeg;
mod png;
mod tiff;
mod webp;

use bytes::Bytes;
use image::ImageFormat;
use image::metadata::Orientation;

use crate::images::{Header, Output};
use crate::problem::Problem;

pub(crate) use tiff::value_bytes as exif_value_bytes;

/// The largest colour profile. Profiles of printers, the largest in use, have about 2 MiB.
const PROFILE_BYTES: usize = 4 << 20;

/// The parts of a file that an image is decoded from.
pub(crate) struct Contents {
    /// The file for the decoder: pixels and what they need, one frame, no metadata.
    pub(crate) pixels: Bytes,
    /// The colour profile, unpacked.
    pub(crate) profile: Option<Bytes>,
    /// EXIF, as the TIFF structure that it is.
    pub(crate) exif: Option<Bytes>,
    /// Bytes that a decoder may occupy beside pixels, as the file's structure tells.
    pub(crate) working_bytes: u64,
}

impl Contents {
    /// A file that is handed to its decoder as it is.
    fn whole(bytes: &Bytes) -> Self {
        Self { pixels: bytes.clone(), profile: None, exif: None, working_bytes: 0 }
    }
}

/// Splits a file.
pub(crate) fn split(bytes: &Bytes, format: ImageFormat) -> Result<Contents, Problem> {
    match format {
        ImageFormat::Jpeg => jpeg::split(bytes),
        ImageFormat::Png => png::split(bytes),
        ImageFormat::WebP => webp::split(bytes),
        ImageFormat::Gif => gif::split(bytes),
        ImageFormat::Tiff => tiff::split(bytes),
        _ => Ok(Contents::whole(bytes)),
    }
}

/// Removes metadata without touching pixels, where the format allows it: what stays is what decoding needs and the
/// colour profile. What goes is everything else, known or not: EXIF with GPS and thumbnail, XMP, IPTC, comments, texts,
/// application data, and whatever follows the image's end.
///
/// `None` where that takes new pixels: a format that keeps metadata among its pixels' tags, or an orientation that would
/// be lost.
pub(crate) fn strip(bytes: &Bytes, header: &Header) -> Result<Option<Output>, Problem> {
    if header.orientation != Orientation::NoTransforms {
        return Ok(None);
    }
    let (stripped, format) = match header.format {
        ImageFormat::Jpeg => (jpeg::strip(bytes)?, "jpeg"),
        ImageFormat::Png => (png::strip(bytes)?, "png"),
        ImageFormat::WebP => (webp::strip(bytes)?, "webp"),
        ImageFormat::Gif => (gif::strip(bytes)?, "gif"),
        _ => return Ok(None),
    };
    let (width, height) = header.stored;
    Ok(Some(Output { bytes: stripped, width, height, format }))
}

/// A colour profile, unless it is too large to be one.
fn checked_profile(profile: Bytes) -> Result<Bytes, Problem> {
    if profile.len() > PROFILE_BYTES {
        let most = PROFILE_BYTES >> 20;
        return Err(Problem::Broken(format!("its colour profile is larger than {most} MiB")));
    }
    Ok(profile)
}
