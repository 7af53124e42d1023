//! One operation on one file, from its path to its result, within the memory that it announces.

use std::path::PathBuf;

use bytes::Bytes;
use image::ImageFormat;
use serde_json::{Map, Value, json};

use crate::images::Limits;
use crate::images::container::{self, strip};
use crate::images::decode::{Decoded, Header, decode, header_memory, read_header};
use crate::images::describe::fields_of_exif;
use crate::images::render::{Output, Rendering, render, smallest};
use crate::problem::Problem;
use crate::works::Control;

/// A file on disk whose content is an image.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) format: ImageFormat,
    pub(crate) limits: Limits,
}

/// What is done with it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Recipe {
    /// A new file.
    Render(Rendering),
    /// A new file, unless the old one without metadata is smaller.
    Optimize(Rendering),
    /// The old file without metadata; a new one as this says where that cannot be.
    Strip(Rendering),
}

impl Source {
    /// Does one operation.
    pub(crate) fn perform(&self, recipe: Recipe, control: &Control) -> Result<Output, Problem> {
        let header = self.header(control)?;
        match recipe {
            Recipe::Render(rendering) => {
                let whole = rendering.shape.is_none();
                self.with_pixels(&header, whole, control, |_, decoded| render(decoded, rendering, self.limits, control))
            }
            Recipe::Optimize(rendering) => self.with_pixels(&header, true, control, |bytes, decoded| {
                optimize(bytes, decoded, rendering, control, self.limits)
            }),
            Recipe::Strip(otherwise) => {
                let stripped = control.with_memory(header_memory(self.size), || strip(&self.read()?, &header))?;
                stripped.map_or_else(|| self.perform(Recipe::Render(otherwise), control), Ok)
            }
        }
    }

    /// What the file says of itself, for callers: size, format, channels, EXIF.
    pub(crate) fn info(&self, control: &Control) -> Result<Map<String, Value>, Problem> {
        let header = self.header(control)?;
        let (width, height) = header.size();
        let exif = control.with_memory(header_memory(self.size), || {
            let contents = container::split(&self.read()?, self.format)?;
            Ok(contents.exif.map(|exif| fields_of_exif(&exif)).unwrap_or_default())
        })?;
        let info = json!({
            "width": width,
            "height": height,
            "format": self.format.extensions_str().first().map(|name| if *name == "jpg" { "jpeg" } else { name }),
            "size": self.size,
            "mimeType": self.format.to_mime_type(),
            "hasAlpha": header.has_alpha,
            "orientation": header.orientation.to_exif(),
            "exif": exif,
        });
        let Value::Object(info) = info else { return Ok(Map::new()) };
        Ok(info)
    }

    /// Reads the header.
    pub(crate) fn header(&self, control: &Control) -> Result<Header, Problem> {
        control.with_memory(header_memory(self.size), || read_header(&self.read()?, self.format, self.limits))
    }

    /// Decodes the image and hands it over, in reserved memory; `whole` says that a result of full size is made.
    pub(crate) fn with_pixels<T>(
        &self,
        header: &Header,
        whole: bool,
        control: &Control,
        work: impl FnOnce(&Bytes, &Decoded) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let memory = header.memory(self.size, whole);
        control.with_memory(memory, || {
            let bytes = self.read()?;
            let decoded = decode(&bytes, self.format, (self.limits, memory), control)?;
            work(&bytes, &decoded)
        })
    }

    fn read(&self) -> Result<Bytes, Problem> {
        let bytes = std::fs::read(&self.path).map_err(|error| Problem::broken("reading it failed", error))?;
        Ok(bytes.into())
    }
}

/// A rendering that is never larger than the file was.
pub(crate) fn optimize(
    bytes: &Bytes,
    decoded: &Decoded,
    rendering: Rendering,
    control: &Control,
    limits: Limits,
) -> Result<Output, Problem> {
    let rendered = render(decoded, rendering, limits, control)?;
    // What cannot be taken apart was decoded nevertheless: the rendering stands.
    Ok(smallest(rendered, strip(bytes, &decoded.header).unwrap_or_default()))
}
