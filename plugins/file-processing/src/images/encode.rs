//! Writes images.

use std::io::Cursor;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, ImageEncoder, ImageFormat};
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};
use tiff::encoder::{Compression, DeflateLevel, TiffEncoder, colortype};

use crate::problem::Problem;

/// From this quality on colours keep their full resolution.
const FULL_COLOUR_QUALITY: u8 = 90;

/// What images can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Jpeg,
    Png,
    WebP,
    Tiff,
}

impl Format {
    /// A format by the name that callers use. AVIF is known and off.
    pub(crate) fn parse(name: &str) -> Result<Self, Problem> {
        match name.to_ascii_lowercase().as_str() {
            "jpeg" | "jpg" => Ok(Self::Jpeg),
            "png" => Ok(Self::Png),
            "webp" => Ok(Self::WebP),
            "tiff" | "tif" => Ok(Self::Tiff),
            "avif" => Err(Problem::Off("AVIF is not written by this server; ask for webp instead".to_owned())),
            _ => Err(Problem::field("format", "must be one of jpeg, png, webp, tiff")),
        }
    }

    /// The format in which an image of this one is written by default; PNG for those that are only read.
    pub(crate) fn like(format: ImageFormat) -> Self {
        match format {
            ImageFormat::Jpeg => Self::Jpeg,
            ImageFormat::WebP => Self::WebP,
            ImageFormat::Tiff => Self::Tiff,
            _ => Self::Png,
        }
    }

    /// Its name, which is also the ending of file names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Tiff => "tiff",
        }
    }
}

/// How pixels are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoding {
    pub(crate) format: Format,
    /// 1 to 100; for JPEG and WebP.
    pub(crate) quality: u8,
    /// Whether JPEG is written in passes that grow sharper.
    pub(crate) progressive: bool,
    /// Whether time is spent on fewer bytes.
    pub(crate) small: bool,
}

/// The image as a file.
pub(crate) fn encode(image: &DynamicImage, encoding: Encoding) -> Result<Vec<u8>, Problem> {
    match encoding.format {
        Format::Jpeg => jpeg(image, encoding),
        Format::Png => png(image),
        Format::WebP => webp(image, encoding.quality),
        Format::Tiff => tiff(image),
    }
}

fn failed(error: impl std::fmt::Display) -> Problem {
    Problem::broken("the result cannot be written", error)
}

fn jpeg(image: &DynamicImage, encoding: Encoding) -> Result<Vec<u8>, Problem> {
    let (Ok(width), Ok(height)) = (u16::try_from(image.width()), u16::try_from(image.height())) else {
        return Err(Problem::Broken("a JPEG has at most 65535 pixels a side".to_owned()));
    };
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, encoding.quality);
    let full = encoding.quality >= FULL_COLOUR_QUALITY;
    encoder.set_sampling_factor(if full { SamplingFactor::F_1_1 } else { SamplingFactor::F_2_2 });
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    encoder.set_progressive(encoding.progressive);
    encoder.set_optimized_huffman_tables(encoding.small);
    match image {
        DynamicImage::ImageLuma8(pixels) => encoder.encode(pixels, width, height, ColorType::Luma),
        DynamicImage::ImageRgb8(pixels) => encoder.encode(pixels, width, height, ColorType::Rgb),
        other => encoder.encode(&on_white(other), width, height, ColorType::Rgb),
    }
    .map_err(failed)?;
    Ok(bytes)
}

/// JPEG knows no transparency: what is transparent becomes white.
fn on_white(image: &DynamicImage) -> image::RgbImage {
    let pixels = image.to_rgba8();
    let mut flat = image::RgbImage::new(pixels.width(), pixels.height());
    for (target, source) in flat.pixels_mut().zip(pixels.pixels()) {
        let alpha = u16::from(source[3]);
        for channel in 0..3 {
            let mixed = (u16::from(source[channel]) * alpha + 255 * (255 - alpha) + 127) / 255;
            target[channel] = u8::try_from(mixed).unwrap_or(u8::MAX);
        }
    }
    flat
}

fn png(image: &DynamicImage) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive);
    encoder.write_image(image.as_bytes(), image.width(), image.height(), image.color().into()).map_err(failed)?;
    Ok(bytes)
}

fn webp(image: &DynamicImage, quality: u8) -> Result<Vec<u8>, Problem> {
    let (width, height) = (image.width(), image.height());
    let copy;
    let encoder = match image {
        DynamicImage::ImageRgb8(pixels) => webp::Encoder::from_rgb(pixels, width, height),
        DynamicImage::ImageRgba8(pixels) => webp::Encoder::from_rgba(pixels, width, height),
        other => {
            copy = other.to_rgb8();
            webp::Encoder::from_rgb(&copy, width, height)
        }
    };
    let written = encoder.encode_simple(false, f32::from(quality));
    written.map(|bytes| bytes.to_vec()).map_err(|error| failed(format!("{error:?}")))
}

fn tiff(image: &DynamicImage) -> Result<Vec<u8>, Problem> {
    let mut target = Cursor::new(Vec::new());
    let (width, height) = (image.width(), image.height());
    let compression = Compression::Deflate(DeflateLevel::Balanced);
    let mut encoder = TiffEncoder::new(&mut target).map_err(failed)?.with_compression(compression);
    match image {
        DynamicImage::ImageLuma8(pixels) => encoder.write_image::<colortype::Gray8>(width, height, pixels),
        DynamicImage::ImageRgba8(pixels) => encoder.write_image::<colortype::RGBA8>(width, height, pixels),
        DynamicImage::ImageRgb8(pixels) => encoder.write_image::<colortype::RGB8>(width, height, pixels),
        other => encoder.write_image::<colortype::RGB8>(width, height, &other.to_rgb8()),
    }
    .map_err(failed)?;
    Ok(target.into_inner())
}
