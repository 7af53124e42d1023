//! What a caller wants done with a file: read for `/process` and for jobs alike.

use kit::Fields;
use serde_json::Value;

use crate::images::{LONGEST_SIDE, Rendering, Shape};
use crate::jobs::Options;
use crate::state::App;

/// What a caller wants done.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestOptions {
    /// The box that a resized image fits into.
    pub(super) within: Option<(u32, u32)>,
    pub(super) optimize: bool,
    pub(super) thumbnail: bool,
    pub(super) quality: Option<u8>,
}

/// The options of an object; what it does not mention is done, but for resizing.
pub(super) fn read_options(app: &App, fields: &mut Fields) -> RequestOptions {
    let mut side = |field: &str| {
        let side = fields.optional_count(field)?;
        let legal = u32::try_from(side).ok().filter(|side| (1..=LONGEST_SIDE).contains(side));
        if legal.is_none() {
            fields.reject(field, &format!("must be a whole number from 1 to {LONGEST_SIDE}"));
        }
        legal
    };
    let (max_width, max_height) = (side("maxWidth"), side("maxHeight"));
    let (width, height) = (side("width"), side("height"));
    let resize = fields.take("resize");
    let inner = |name: &str| {
        let side = resize.as_ref()?.get(name)?.as_u64()?;
        u32::try_from(side).ok().filter(|side| (1..=LONGEST_SIDE).contains(side))
    };
    let width = max_width.or(width).or(inner("width")).or(inner("maxWidth"));
    let height = max_height.or(height).or(inner("height")).or(inner("maxHeight"));
    let wanted = resize.as_ref().is_some_and(|wish| wish.as_bool() != Some(false));
    let images = &app.config.images;
    let within = (wanted || width.is_some() || height.is_some())
        .then(|| (width.unwrap_or(images.max_width), height.unwrap_or(images.max_height)));
    let quality = fields.optional_count("quality");
    let legal = quality.and_then(|quality| u8::try_from(quality).ok()).filter(|quality| (1..=100).contains(quality));
    if quality.is_some() && legal.is_none() {
        fields.reject("quality", "must be a whole number from 1 to 100");
    }
    let wish = |value: Option<Value>| value.is_none_or(|value| value.as_bool() != Some(false));
    let (optimize, thumbnail) = (wish(fields.take("optimize")), wish(fields.take("thumbnail")));
    RequestOptions { within, optimize, thumbnail, quality: legal }
}

impl RequestOptions {
    pub(super) fn options(self) -> Options {
        Options { within: self.within, quality: self.quality }
    }

    pub(super) fn rendering(self, default_quality: u8) -> Rendering {
        Rendering {
            shape: self.within.map(|(width, height)| Shape::within(width, height)),
            format: None,
            quality: self.quality.unwrap_or(default_quality),
            progressive: self.optimize,
            small: self.optimize,
        }
    }
}
