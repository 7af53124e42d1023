//! Reads images: structure and header first, limits next, pixels last.

use std::io::{BufRead, Cursor, Read, Seek, SeekFrom};

use bytes::Bytes;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageFormat, ImageReader};

use crate::images::confined;
use crate::images::container::{self, Contents};
use crate::problem::Problem;
use crate::works::Control;

/// What one image may ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Pixels of an image, read or made.
    pub(crate) pixels: u64,
    /// Whether decoders whose memory cannot be foreseen run in a process of their own.
    pub(crate) confined: bool,
}

/// What a decoder may occupy for its tables, whatever the image.
const DECODER_BYTES: u64 = 32 << 20;
/// What a byte of a colour profile takes while colours are converted.
const PROFILE_FACTOR: u64 = 32;
/// What a byte of a lossless WebP may take: codes of a few bytes become tables of four kilobytes.
const LOSSLESS_FACTOR: u64 = 360;
/// The bound of that: encoders write at most 2,600 groups of five codes.
const LOSSLESS_BYTES: u64 = 64 << 20;

/// What an image says of itself before its pixels are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) format: ImageFormat,
    /// Width and height as they are stored, before the orientation is applied.
    pub(crate) stored: (u32, u32),
    pub(crate) color: ExtendedColorType,
    pub(crate) has_alpha: bool,
    pub(crate) orientation: Orientation,
    /// Bytes of all pixels as they are decoded.
    pub(super) decoded_bytes: u64,
    /// Bytes that decoding occupies beside them.
    pub(super) working_bytes: u64,
    /// Bytes that the tables of lossless data may occupy.
    pub(super) tables_bytes: u64,
    /// Bytes of its colour profile.
    pub(super) profile_bytes: u64,
}

impl Header {
    /// Width and height as people see the image.
    pub(crate) fn size(&self) -> (u32, u32) {
        turned(self.stored, self.orientation)
    }

    /// An upper bound of the memory that reading and changing the image takes; `whole` says that a result of full
    /// size is encoded.
    pub(crate) fn memory(&self, file_bytes: u64, whole: bool) -> u64 {
        let pixels = u64::from(self.stored.0) * u64::from(self.stored.1);
        let eight_bit = pixels * 4;
        let decoding = self.decoded_bytes + self.working_bytes.max(eight_bit) + DECODER_BYTES;
        // A turned or flattened copy, and the encoder's own blocks.
        let encoding = if whole { eight_bit + pixels * 6 } else { eight_bit + (16 << 20) };
        // The file, and the file without metadata.
        file_bytes * 2 + decoding.max(encoding) + self.tables_bytes + self.profile_bytes * PROFILE_FACTOR
    }
}

/// An image in memory, with what was said beside its pixels.
pub(crate) struct Decoded {
    /// At most eight bits a channel, not yet turned.
    pub(crate) image: DynamicImage,
    pub(crate) header: Header,
    /// Its colour profile.
    pub(crate) profile: Option<Bytes>,
}

/// What splitting a file and reading its header takes at most.
pub(crate) fn header_memory(file_bytes: u64) -> u64 {
    file_bytes * 3 + DECODER_BYTES / 2
}

/// Reads the header, and refuses what is beyond the limits.
pub(crate) fn read_header(bytes: &Bytes, format: ImageFormat, limits: Limits) -> Result<Header, Problem> {
    let contents = container::split(bytes, format)?;
    let mut decoder = open(Cursor::new(contents.pixels.clone()), format, DECODER_BYTES)?;
    header_of(&mut decoder, &contents, format, limits)
}

/// Reads the pixels of the image in memory, in `memory` bytes.
pub(crate) fn decode(
    bytes: &Bytes,
    format: ImageFormat,
    (limits, memory): (Limits, u64),
    control: &Control,
) -> Result<Decoded, Problem> {
    let contents = container::split(bytes, format)?;
    control.check()?;
    let source = Watched { cursor: Cursor::new(contents.pixels.clone()), control: control.clone() };
    let mut decoder = open(source, format, memory)?;
    let header = header_of(&mut decoder, &contents, format, limits)?;
    if limits.confined && header.tables_bytes > 0 {
        drop(decoder);
        let image =
            confined::decode(&contents.pixels, &header, header.decoded_bytes * 2 + header.tables_bytes, control)?;
        return Ok(Decoded { image: eight_bits(image), header, profile: contents.profile });
    }
    let mut rest = image::Limits::no_limits();
    rest.max_alloc = Some(memory);
    decoder.set_limits(rest).map_err(refused)?;
    let image = DynamicImage::from_decoder(decoder).map_err(refused)?;
    control.check()?;
    Ok(Decoded { image: eight_bits(image), header, profile: contents.profile })
}

fn open<R: BufRead + Seek + 'static>(
    source: R,
    format: ImageFormat,
    memory: u64,
) -> Result<impl ImageDecoder, Problem> {
    let mut reader = ImageReader::with_format(source, format);
    let mut allowed = image::Limits::no_limits();
    allowed.max_alloc = Some(memory);
    reader.limits(allowed);
    reader.into_decoder().map_err(refused)
}

fn header_of(
    decoder: &mut impl ImageDecoder,
    contents: &Contents,
    format: ImageFormat,
    limits: Limits,
) -> Result<Header, Problem> {
    let stored = decoder.dimensions();
    let pixels = u64::from(stored.0) * u64::from(stored.1);
    if pixels == 0 {
        return Err(Problem::Broken("it has no pixels".to_owned()));
    }
    if pixels > limits.pixels {
        let (width, height) = stored;
        let most = limits.pixels;
        let reason = format!("it has {width} × {height} pixels, and at most {most} are processed");
        return Err(Problem::Broken(reason));
    }
    let working_bytes = match format {
        // Progressive images keep their coefficients, three numbers of two bytes a pixel.
        ImageFormat::Jpeg => pixels * 6,
        // A canvas beside the frame.
        ImageFormat::Gif => pixels * 4 + contents.working_bytes,
        ImageFormat::WebP => pixels * 4,
        _ => contents.working_bytes,
    };
    // Metadata was taken out before the decoder could see it; TIFF keeps its orientation among its pixels' tags.
    let orientation = match (format, &contents.exif) {
        (ImageFormat::Tiff, _) => decoder.orientation().ok(),
        (_, Some(exif)) => Orientation::from_exif_chunk(exif),
        _ => None,
    };
    Ok(Header {
        format,
        stored,
        color: decoder.original_color_type(),
        has_alpha: decoder.color_type().has_alpha(),
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        decoded_bytes: decoder.total_bytes(),
        working_bytes,
        tables_bytes: if format == ImageFormat::WebP { lossless_bytes(&contents.pixels) } else { 0 },
        profile_bytes: contents.profile.as_ref().map_or(0, |profile| profile.len() as u64),
    })
}

/// What the tables of a lossless WebP, or of its lossless transparency, may occupy.
fn lossless_bytes(file: &[u8]) -> u64 {
    let is_lossless = file.windows(4).take(256).any(|window| matches!(window, b"VP8L" | b"ALPH"));
    if is_lossless { (file.len() as u64 * LOSSLESS_FACTOR).min(LOSSLESS_BYTES) } else { 0 }
}

/// Width and height after a turn.
pub(crate) fn turned((width, height): (u32, u32), orientation: Orientation) -> (u32, u32) {
    match orientation {
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH => {
            (height, width)
        }
        _ => (width, height),
    }
}

fn eight_bits(image: DynamicImage) -> DynamicImage {
    match image {
        DynamicImage::ImageLuma16(_) => image.into_luma8().into(),
        DynamicImage::ImageLumaA8(_) | DynamicImage::ImageLumaA16(_) => image.into_rgba8().into(),
        DynamicImage::ImageLuma8(_) | DynamicImage::ImageRgb8(_) | DynamicImage::ImageRgba8(_) => image,
        _ if image.color().has_alpha() => image.into_rgba8().into(),
        _ => image.into_rgb8().into(),
    }
}

fn refused(error: image::ImageError) -> Problem {
    Problem::broken("the image cannot be decoded", error)
}

/// Bytes that stop coming once the work is given up, so that a decoder that reads ends.
struct Watched {
    cursor: Cursor<Bytes>,
    control: Control,
}

impl Watched {
    fn watch(&self) -> std::io::Result<()> {
        if self.control.is_given_up() {
            return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "given up"));
        }
        Ok(())
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.watch()?;
        self.cursor.read(buffer)
    }
}

impl BufRead for Watched {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.watch()?;
        self.cursor.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.cursor.consume(amount);
    }
}

impl Seek for Watched {
    fn seek(&mut self, position: SeekFrom) -> std::io::Result<u64> {
        self.cursor.seek(position)
    }
}
