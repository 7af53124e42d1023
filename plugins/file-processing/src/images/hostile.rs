//! Files that were made to do harm: each is refused in words, in bounded memory, and nothing panics.

use std::io::Write;

use image::{DynamicImage, ImageFormat, RgbImage};

use crate::content::{self, Kind};
use crate::images::geometry::{Fit, Shape};
use crate::images::{Limits, Output, Recipe, Rendering, Source};
use crate::problem::Problem;
use crate::works::Control;

const LIMITS: Limits = Limits { pixels: 1_000_000, confined: false };
const RENDERING: Rendering = Rendering { shape: None, format: None, quality: 80, progressive: false, small: false };
const SHAPE: Shape = Shape { width: Some(16), height: Some(16), fit: Fit::Cover, enlarge: false };
const RECIPES: [Recipe; 4] = [
    Recipe::Render(RENDERING),
    Recipe::Render(Rendering { shape: Some(SHAPE), ..RENDERING }),
    Recipe::Optimize(RENDERING),
    Recipe::Strip(RENDERING),
];

fn photo() -> DynamicImage {
    let shade = |value: u32| u8::try_from(value % 256).unwrap_or_default();
    RgbImage::from_fn(64, 48, |x, y| image::Rgb([shade(x * 4), shade(y * 5), shade(x * y)])).into()
}

fn written(format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    photo().write_to(&mut bytes, format).expect("an image");
    bytes.into_inner()
}

/// Does every operation on a file as a server would, and gives back the results.
fn process(bytes: &[u8]) -> Vec<Result<Output, Problem>> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("written");
    let Kind::Image(format) = content::of_head(&bytes[..bytes.len().min(8192)]) else {
        return vec![Err(Problem::Unsupported(String::new()))];
    };
    let source = Source { path: file.path().to_owned(), size: bytes.len() as u64, format, limits: LIMITS };
    let test = Control::for_test(1 << 30);
    RECIPES.into_iter().map(|recipe| source.perform(recipe, &test.control)).collect()
}

fn assert_refused(name: &str, bytes: &[u8]) {
    for result in process(bytes) {
        let refused = matches!(result, Err(Problem::Broken(_) | Problem::Unsupported(_)));
        assert!(refused, "{name}: {:?}", result.map(|output| output.format));
    }
}

fn crc(bytes: &[u8]) -> u32 {
    let mut value = u32::MAX;
    for byte in bytes {
        value ^= u32::from(*byte);
        for _ in 0..8 {
            value = (value >> 1) ^ (0xedb8_8320 & (value & 1).wrapping_neg());
        }
    }
    !value
}

fn png_chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind.as_slice(), data].concat();
    let length = u32::try_from(data.len()).expect("short").to_be_bytes();
    [length.as_slice(), &body, &crc(&body).to_be_bytes()].concat()
}

fn png(width: u32, height: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, 2, 0, 0, 0]);
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend(png_chunk(*b"IHDR", &header));
    for chunk in chunks {
        bytes.extend(chunk);
    }
    bytes.extend(png_chunk(*b"IEND", b""));
    bytes
}

/// So many zeros, compressed a thousandfold.
fn deflated_zeros(count: usize) -> Vec<u8> {
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 16];
    for _ in 0..count / zeros.len() {
        packer.write_all(&zeros).expect("packed");
    }
    packer.finish().expect("packed")
}

fn tiff_entry(tag: u16, kind: u16, value: u32) -> Vec<u8> {
    [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &1_u32.to_le_bytes(), &value.to_le_bytes()].concat()
}

#[test]
fn dimensions_beyond_the_limit_are_refused_before_any_pixel_is_read() {
    let data = vec![png_chunk(*b"IDAT", &deflated_zeros(1 << 20))];
    assert_refused("a PNG of 60000 × 60000", &png(60_000, 60_000, &data));
    assert_refused("a PNG of the largest size", &png(0x7fff_ffff, 0x7fff_ffff, &data));
    assert_refused(
        "a GIF of 65535 × 65535",
        b"GIF89a\xff\xff\xff\xff\x00\x00\x00\x2c\0\0\0\0\xff\xff\xff\xff\x00\x08\x01\x00\x00\x3b",
    );
    let mut webp = b"RIFF\x1e\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00".to_vec();
    webp.extend([0xff; 6]);
    webp.extend(b"VP8L\x00\x00\x00\x00");
    assert_refused("a WebP of 16777216 pixels a side", &webp);
    let entries = [
        tiff_entry(256, 4, 0xffff_fff0),
        tiff_entry(257, 4, 0xffff_fff0),
        tiff_entry(258, 3, 8),
        tiff_entry(259, 3, 1),
        tiff_entry(262, 3, 1),
        tiff_entry(273, 4, 8),
        tiff_entry(279, 4, 0xffff_fff0),
    ];
    let tiff = [b"II*\0\x08\0\0\0\x07\0".as_slice(), &entries.concat(), b"\0\0\0\0"].concat();
    assert_refused("a TIFF of 4294967280 pixels a side", &tiff);
    let mut bmp = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bmp.extend([0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f, 1, 0, 24, 0]);
    bmp.extend([0; 24]);
    assert_refused("a BMP of 2147483647 pixels a side", &bmp);
    let mut jpeg = written(ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame header");
    jpeg[frame + 5..frame + 9].fill(0xff);
    assert_refused("a JPEG of 65535 × 65535", &jpeg);
}

#[test]
fn data_that_unpacks_to_a_gigabyte_is_read_no_further_than_the_pixels_need() {
    let bomb = deflated_zeros(1 << 30);
    assert!(bomb.len() < 2 << 20);
    // The pixels are there, and what follows them is never unpacked.
    for result in process(&png(64, 48, &[png_chunk(*b"IDAT", &bomb)])) {
        assert!(!matches!(result, Err(Problem::Conflict(_))), "{:?}", result.map(|output| output.format));
    }
    // Texts are never unpacked.
    let text = [b"Comment\0\0".as_slice(), &bomb].concat();
    let international = [b"Comment\0\x01\0\0\0".as_slice(), &bomb].concat();
    for chunk in [png_chunk(*b"zTXt", &text), png_chunk(*b"iTXt", &international)] {
        for result in process(&png(64, 48, &[chunk, pixels()])) {
            let output = result.unwrap_or_else(|problem| panic!("{problem}"));
            assert!(output.bytes.len() < 1 << 20);
        }
    }
}

fn pixels() -> Vec<u8> {
    png_chunk(*b"IDAT", &deflated_zeros(1 << 16))
}

#[test]
fn a_profile_that_unpacks_beyond_the_limit_is_refused() {
    let packed = [b"icc\0\0".as_slice(), &deflated_zeros(256 << 20)].concat();
    let bomb = png(64, 48, &[png_chunk(*b"iCCP", &packed), pixels()]);
    assert!(bomb.len() < 300_000);
    assert_refused("a PNG with a profile of 256 MiB", &bomb);
    let mut segments = written(ImageFormat::Jpeg)[..2].to_vec();
    for number in 1..=70 {
        let head = [b"\xff\xe2\xff\xff".as_slice(), b"ICC_PROFILE\0", &[number, 70]].concat();
        segments.extend([head, vec![0; 65535 - 16]].concat());
    }
    segments.extend(&written(ImageFormat::Jpeg)[2..]);
    assert_refused("a JPEG with a profile of 4.4 MiB", &segments);
}

#[test]
fn a_profile_counts_in_the_memory_of_its_work() {
    let packed = [b"icc\0\0".as_slice(), &deflated_zeros(4 << 20)].concat();
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&png(64, 48, &[png_chunk(*b"iCCP", &packed), pixels()])).expect("written");
    let source = Source { path: file.path().to_owned(), size: 9000, format: ImageFormat::Png, limits: LIMITS };
    for (memory, taken) in [(512 << 20, true), (100 << 20, false)] {
        let result = source.perform(Recipe::Render(RENDERING), &Control::for_test(memory).control);
        assert_eq!(result.is_ok(), taken, "{memory}: {:?}", result.map(|output| output.format));
    }
}

#[test]
fn a_frame_larger_than_its_canvas_counts_in_the_memory_of_its_work() {
    let head = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\0\0\0\xff\xff\xff";
    let frame = b"\x2c\0\0\0\0\x10\x27\x10\x27\x00\x02\x02\x4c\x01\x00\x3b";
    let test = Control::for_test(256 << 20);
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&[head.as_slice(), frame].concat()).expect("written");
    let source = Source { path: file.path().to_owned(), size: 40, format: ImageFormat::Gif, limits: LIMITS };
    let result = source.perform(Recipe::Render(RENDERING), &test.control).map(|output| output.format);
    assert!(matches!(&result, Err(Problem::Broken(reason)) if reason.contains("MiB")), "{result:?}");
}

#[test]
fn exif_whose_values_share_their_bytes_is_not_expanded() {
    let entry = |tag: u16| [&tag.to_le_bytes()[..], &2_u16.to_le_bytes(), &[0, 0, 3, 0], &8_u32.to_le_bytes()].concat();
    let entries: Vec<u8> = (0..40_000).flat_map(|tag| entry(0x9000 + tag % 64)).collect();
    let exif = [b"II*\0\x08\0\0\0".as_slice(), &40_000_u16.to_le_bytes(), &entries, &[0; 4]].concat();
    let bytes = png(64, 48, &[png_chunk(*b"eXIf", &exif), pixels()]);
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&bytes).expect("written");
    let size = bytes.len() as u64;
    let source = Source { path: file.path().to_owned(), size, format: ImageFormat::Png, limits: LIMITS };
    let info = source.info(&Control::for_test(1 << 30).control).expect("an image");
    assert_eq!(info["exif"], serde_json::json!({}));
}

#[test]
fn a_chunk_that_claims_more_than_the_file_has_is_refused() {
    for kind in [b"ICCP", b"EXIF", b"VP8 "] {
        let chunk = [kind.as_slice(), &0xffff_fff0_u32.to_le_bytes(), b"short"].concat();
        assert_refused("a WebP", &[b"RIFF\xff\xff\xff\xffWEBP".as_slice(), &chunk].concat());
    }
}

#[test]
fn a_text_with_a_wrong_checksum_is_stripped_and_a_broken_header_refused() {
    let mut text = png_chunk(*b"tEXt", b"Comment\0made by me");
    *text.last_mut().expect("a checksum") ^= 1;
    for result in process(&png(64, 48, &[text, pixels()])) {
        let output = result.unwrap_or_else(|problem| panic!("{problem}"));
        assert!(!output.bytes.windows(10).any(|window| window == b"made by me"));
        assert!(image::load_from_memory(&output.bytes).is_ok());
    }
    let mut broken = png(64, 48, &[pixels()]);
    broken[29] ^= 1;
    assert_refused("a PNG whose header has a wrong checksum", &broken);
}

#[test]
fn the_orientation_of_every_container_is_applied() {
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let mut jpeg = written(ImageFormat::Jpeg);
    let segment = [b"\xff\xe1\0\x22Exif\0\0".as_slice(), exif].concat();
    jpeg.splice(2..2, segment);
    let mut webp = written(ImageFormat::WebP);
    let extended = [b"VP8X\x0a\0\0\0\x08\0\0\0".as_slice(), &[63, 0, 0, 47, 0, 0]].concat();
    webp.splice(12..12, extended);
    webp.extend([b"EXIF\x1a\0\0\0".as_slice(), exif].concat());
    let length = u32::try_from(webp.len() - 8).expect("short").to_le_bytes();
    webp[4..8].copy_from_slice(&length);
    for file in [jpeg, webp, png(64, 48, &[png_chunk(*b"eXIf", exif), pixels()])] {
        for result in process(&file) {
            let output = result.unwrap_or_else(|problem| panic!("{problem}"));
            assert!((output.width, output.height) == (48, 64) || output.width == 16, "{}", output.format);
        }
    }
}

#[test]
fn files_cut_anywhere_are_refused_or_read_but_never_a_panic() {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    for format in [Jpeg, Png, Gif, Bmp, Tiff, WebP] {
        let whole = written(format);
        for result in process(&whole) {
            let output = result.unwrap_or_else(|problem| panic!("{format:?}: {problem}"));
            assert!(image::load_from_memory(&output.bytes).is_ok(), "{format:?}");
        }
        for cut in (0..whole.len()).step_by(whole.len() / 40 + 1) {
            for result in process(&whole[..cut]) {
                if format == Jpeg {
                    assert!(result.is_err(), "a JPEG cut at {cut} was taken");
                }
            }
        }
    }
}

#[test]
fn files_with_turned_bits_are_refused_or_read_but_never_a_panic() {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for format in [Jpeg, Png, Gif, Bmp, Tiff, WebP] {
        let whole = written(format);
        for _ in 0..60 {
            let mut bytes = whole.clone();
            for _ in 0..4 {
                // Headers are where the harm is.
                let most = if next() % 2 == 0 { 64 } else { bytes.len() as u64 };
                let at = usize::try_from(next() % most.min(bytes.len() as u64)).expect("an index");
                bytes[at] = next().to_le_bytes()[0];
            }
            process(&bytes);
        }
    }
}

#[test]
fn a_file_that_is_two_things_at_once_loses_what_hides_in_it() {
    let script = b"<script>alert(1)</script>PK\x03\x04";
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP] {
        let bytes = [written(format), script.to_vec()].concat();
        for result in process(&bytes) {
            let output = result.unwrap_or_else(|problem| panic!("{format:?}: {problem}"));
            let hidden = output.bytes.windows(8).any(|window| window == b"<script>");
            assert!(!hidden, "{format:?} kept what follows its end");
        }
    }
    assert_refused("a script with an image's name", b"GIF89a=1;alert(document.cookie)");
    assert_refused("a drawing with a script", b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>1</script></svg>");
    assert_refused("a page", b"<!doctype html><script>1</script>");
    assert_refused("nothing but a signature", b"\x89PNG\r\n\x1a\n");
}

#[test]
fn what_would_occupy_more_than_all_works_may_is_refused() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&written(ImageFormat::Png)).expect("written");
    let source = Source { path: file.path().to_owned(), size: 4000, format: ImageFormat::Png, limits: LIMITS };
    for (memory, taken) in [(64 << 20, true), (32 << 20, false)] {
        let test = Control::for_test(memory);
        let result = source.perform(Recipe::Render(RENDERING), &test.control);
        assert_eq!(result.is_ok(), taken, "{memory}: {:?}", result.map(|output| output.format));
    }
}
