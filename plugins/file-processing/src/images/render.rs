//! From decoded pixels to a file: shape, orientation, colours, encoding, in that order.

use std::borrow::Cow;

use bytes::Bytes;
use fast_image_resize::{ResizeOptions, Resizer};
use image::metadata::Orientation;
use image::{DynamicImage, RgbaImage};

use crate::images::decode::{Decoded, turned};
use crate::images::encode::{Encoding, Format, encode};
use crate::images::geometry::{Plan, Shape};
use crate::images::{Header, Limits, color};
use crate::problem::Problem;
use crate::works::Control;

/// What is made of an image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rendering {
    /// Its size; as it is where there is none.
    pub(crate) shape: Option<Shape>,
    /// Its format; the image's own where there is none.
    pub(crate) format: Option<Format>,
    pub(crate) quality: u8,
    pub(crate) progressive: bool,
    /// Whether time is spent on fewer bytes.
    pub(crate) small: bool,
}

/// A file that was made.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) bytes: Bytes,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The format's name, which is also the ending of file names.
    pub(crate) format: &'static str,
}

/// Makes a file of an image. All metadata is left behind: the orientation is in the pixels, the colours are sRGB.
pub(crate) fn render(
    decoded: &Decoded,
    rendering: Rendering,
    limits: Limits,
    control: &Control,
) -> Result<Output, Problem> {
    let format = rendering.format.unwrap_or(Format::like(decoded.header.format));
    let image = match rendering.shape {
        Some(shape) => Cow::Owned(shaped(decoded, shape, limits)?),
        None => upright(Cow::Borrowed(&decoded.image), decoded.header.orientation),
    };
    control.check()?;
    let image = match decoded.profile.as_deref() {
        Some(profile) => Cow::Owned(color::to_srgb(image.into_owned(), Some(profile))),
        None => image,
    };
    control.check()?;
    let Rendering { quality, progressive, small, .. } = rendering;
    let bytes = encode(&image, Encoding { format, quality, progressive, small })?;
    Ok(Output { bytes: bytes.into(), width: image.width(), height: image.height(), format: format.name() })
}

/// A smaller image that smaller ones are made of: what is shaped, upright and in sRGB need not become so again.
pub(crate) fn shrink(decoded: &Decoded, shape: Shape, limits: Limits, control: &Control) -> Result<Decoded, Problem> {
    let image = color::to_srgb(shaped(decoded, shape, limits)?, decoded.profile.as_deref());
    control.check()?;
    let stored = (image.width(), image.height());
    let header = Header { stored, orientation: Orientation::NoTransforms, ..decoded.header };
    Ok(Decoded { image, header, profile: None })
}

/// The smaller of what was rendered and the image as it came without its metadata: optimising must not make it larger.
pub(crate) fn smallest(rendered: Output, stripped: Option<Output>) -> Output {
    let same = |other: &Output| {
        (other.width, other.height, other.format) == (rendered.width, rendered.height, rendered.format)
    };
    match stripped {
        Some(stripped) if same(&stripped) && stripped.bytes.len() < rendered.bytes.len() => stripped,
        _ => rendered,
    }
}

fn upright(mut image: Cow<'_, DynamicImage>, orientation: Orientation) -> Cow<'_, DynamicImage> {
    if orientation != Orientation::NoTransforms {
        image.to_mut().apply_orientation(orientation);
    }
    image
}

/// Scales first and turns the small result: a large image is never copied.
fn shaped(decoded: &Decoded, shape: Shape, limits: Limits) -> Result<DynamicImage, Problem> {
    let orientation = decoded.header.orientation;
    let plan = shape.plan(decoded.header.size(), limits.pixels)?;
    let target = turned(plan.scaled, orientation);
    let scaled = scale(&decoded.image, target, plan.crop)?;
    let upright = upright(Cow::Owned(scaled), orientation).into_owned();
    Ok(on_canvas(upright, plan))
}

fn scale(image: &DynamicImage, (width, height): (u32, u32), crop: bool) -> Result<DynamicImage, Problem> {
    if (image.width(), image.height()) == (width, height) {
        return Ok(image.clone());
    }
    let mut options = ResizeOptions::new();
    if crop {
        options = options.fit_into_destination(None);
    }
    let mut target = DynamicImage::new(width, height, image.color());
    Resizer::new()
        .resize(image, &mut target, &options)
        .map_err(|error| Problem::broken("the image cannot be resized", error))?;
    Ok(target)
}

/// Puts an image into the middle of a transparent canvas.
fn on_canvas(image: DynamicImage, plan: Plan) -> DynamicImage {
    let Some((width, height)) = plan.canvas else { return image };
    let mut canvas = RgbaImage::new(width, height);
    let left = (width - image.width()) / 2;
    let top = (height - image.height()) / 2;
    image::imageops::replace(&mut canvas, &image.into_rgba8(), i64::from(left), i64::from(top));
    canvas.into()
}
