//! Reads images: header first, limits next, pixels last.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageFormat, ImageReader};

use crate::images::strip;
use crate::problem::Problem;
use crate::works::Control;

/// What one image may ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Pixels of an image, read or made.
    pub(crate) pixels: u64,
    /// Bytes that one work may occupy.
    pub(crate) memory: u64,
}

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
        let decoding = self.decoded_bytes + self.working_bytes.max(eight_bit);
        // A turned or flattened copy, and the encoder's own blocks.
        let encoding = if whole { eight_bit + pixels * 6 } else { eight_bit + (16 << 20) };
        file_bytes * 2 + decoding.max(encoding)
    }
}

/// An image in memory, with what was said beside its pixels.
pub(crate) struct Decoded {
    /// At most eight bits a channel, not yet turned.
    pub(crate) image: DynamicImage,
    pub(crate) header: Header,
    /// Its colour profile.
    pub(crate) profile: Option<Vec<u8>>,
}

/// Reads the header, and refuses what is beyond the limits.
pub(crate) fn read_header(path: &Path, format: ImageFormat, limits: Limits) -> Result<Header, Problem> {
    let file = File::open(path).map_err(|error| Problem::broken("reading it failed", error))?;
    let mut decoder = open(BufReader::new(file), format, limits)?;
    header_of(&mut decoder, format, limits)
}

/// Reads the pixels of the image in memory.
pub(crate) fn decode(
    bytes: &Bytes,
    format: ImageFormat,
    limits: Limits,
    control: &Control,
) -> Result<Decoded, Problem> {
    if format == ImageFormat::Jpeg {
        // The decoder fills what is missing with grey.
        strip::jpeg_is_whole(bytes)?;
    }
    let source = Watched { cursor: Cursor::new(bytes.clone()), control: control.clone() };
    let mut decoder = open(source, format, limits)?;
    let header = header_of(&mut decoder, format, limits)?;
    let profile = decoder.icc_profile().unwrap_or_default();
    let mut rest = image::Limits::no_limits();
    rest.max_alloc = Some(limits.memory);
    decoder.set_limits(rest).map_err(refused)?;
    let image = DynamicImage::from_decoder(decoder).map_err(refused)?;
    control.check()?;
    Ok(Decoded { image: eight_bits(image), header, profile })
}

fn open<R: BufRead + Seek + 'static>(
    source: R,
    format: ImageFormat,
    limits: Limits,
) -> Result<impl ImageDecoder, Problem> {
    let mut reader = ImageReader::with_format(source, format);
    let mut allowed = image::Limits::no_limits();
    allowed.max_alloc = Some(limits.memory);
    reader.limits(allowed);
    reader.into_decoder().map_err(refused)
}

fn header_of(decoder: &mut impl ImageDecoder, format: ImageFormat, limits: Limits) -> Result<Header, Problem> {
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
        ImageFormat::Gif | ImageFormat::WebP => pixels * 4,
        _ => 0,
    };
    Ok(Header {
        format,
        stored,
        color: decoder.original_color_type(),
        has_alpha: decoder.color_type().has_alpha(),
        orientation: decoder.orientation().unwrap_or(Orientation::NoTransforms),
        decoded_bytes: decoder.total_bytes(),
        working_bytes,
    })
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
