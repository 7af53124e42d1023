//! What is known of an image: size, colours, EXIF, digests.

use std::io::Read;
use std::path::Path;

use image::DynamicImage;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use crate::images::container::exif_value_bytes;
use crate::images::render::{Rendering, render};
use crate::images::{Decoded, Format, Header, Limits, Shape};
use crate::problem::Problem;
use crate::works::Control;

/// The most EXIF fields that are told, and the longest text of one.
const MOST_FIELDS: usize = 200;
const FIELD_CHARACTERS: usize = 500;
/// The bytes of all EXIF values together; makers' notes and thumbnails are within.
const EXIF_BYTES: u64 = 512 * 1024;
/// The side of the image that colours are taken from.
const SAMPLE_SIDE: u32 = 32;

/// What the operation `metadata` finds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Description {
    pub(crate) mime_type: String,
    pub(crate) size: u64,
    pub(crate) md5: String,
    pub(crate) sha256: String,
    /// Where it is an image.
    #[serde(flatten)]
    pub(crate) image: Map<String, Value>,
}

/// MD5 and SHA-256 of a file, as hexadecimal text.
pub(crate) fn file_digests(path: &Path) -> std::io::Result<(String, String)> {
    let (mut first, mut second) = (Md5::new(), Sha256::new());
    let mut file = std::fs::File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((hex(&first.finalize()), hex(&second.finalize())));
        }
        first.update(&buffer[..read]);
        second.update(&buffer[..read]);
    }
}

/// Bytes as lowercase hexadecimal text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An image's own part of a description.
pub(crate) fn describe(decoded: &Decoded, limits: Limits, control: &Control) -> Result<Map<String, Value>, Problem> {
    let sample = Rendering {
        shape: Some(Shape::within(SAMPLE_SIDE, SAMPLE_SIDE)),
        format: Some(Format::Png),
        quality: 100,
        progressive: false,
        small: false,
    };
    let sample = render(decoded, sample, limits, control)?;
    let sample = image::load_from_memory_with_format(&sample.bytes, image::ImageFormat::Png)
        .map_err(|error| Problem::broken("the sample cannot be read", error))?;
    let mut fields = header_fields(&decoded.header);
    fields.insert("dominantColor".to_owned(), json!(average_color(&sample)));
    let pixels = sample.to_rgba8();
    if let Ok(hash) = blurhash::encode(4, 3, pixels.width(), pixels.height(), &pixels) {
        fields.insert("blurHash".to_owned(), json!(hash));
    }
    Ok(fields)
}

fn header_fields(header: &Header) -> Map<String, Value> {
    let (width, height) = header.size();
    let channels = u16::from(header.color.channel_count()).max(1);
    let fields = json!({
        "width": width,
        "height": height,
        "aspectRatio": f64::from(width) / f64::from(height),
        "format": header.format.extensions_str().first(),
        "bitDepth": header.color.bits_per_pixel() / channels,
        "colorSpace": if channels < 3 { "gray" } else { "srgb" },
        "hasAlpha": header.has_alpha,
        "exifStripped": true,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn average_color(image: &DynamicImage) -> String {
    let pixels = image.to_rgb8();
    let count = u64::from(pixels.width()) * u64::from(pixels.height());
    let mut sums = [0_u64; 3];
    for pixel in pixels.pixels() {
        for (sum, channel) in sums.iter_mut().zip(pixel.0) {
            *sum += u64::from(channel);
        }
    }
    let [red, green, blue] = sums.map(|sum| sum / count.max(1));
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// The EXIF fields by name; none where they cannot be read or name more than a camera writes.
pub(crate) fn fields_of_exif(bytes: &[u8]) -> Map<String, Value> {
    let mut fields = Map::new();
    // Each value becomes an object of its own: many that name the same bytes would fill the memory.
    if exif_value_bytes(bytes).is_none_or(|sum| sum > EXIF_BYTES) {
        return fields;
    }
    let Ok(exif) = exif::Reader::new().read_raw(bytes.to_vec()) else { return fields };
    for field in exif.fields().filter(|field| is_short(&field.value)).take(MOST_FIELDS) {
        let text = field.display_value().with_unit(&exif).to_string();
        let text: String = text.trim_matches('"').chars().take(FIELD_CHARACTERS).collect();
        fields.insert(field.tag.to_string(), Value::String(text));
    }
    fields
}

/// Whether a value is worth writing out; makers hide whole files in theirs.
fn is_short(value: &exif::Value) -> bool {
    let length = match value {
        exif::Value::Byte(bytes) | exif::Value::Undefined(bytes, _) => bytes.len(),
        exif::Value::Ascii(texts) => texts.iter().map(Vec::len).sum(),
        exif::Value::Short(numbers) => numbers.len(),
        exif::Value::Long(numbers) => numbers.len(),
        exif::Value::Rational(numbers) => numbers.len(),
        exif::Value::SRational(numbers) => numbers.len(),
        _ => 1,
    };
    length <= FIELD_CHARACTERS
}
