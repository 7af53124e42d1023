//! Pixels: decodes within limits, changes shape and colours, encodes, strips metadata, describes.
//!
//! Everything here is plain computation on one thread. It knows no request, no storage and no job, and it trusts no
//! byte that it reads.

mod color;
mod confined;
mod container;
mod decode;
mod describe;
mod encode;
mod geometry;
mod recipe;
mod render;

pub(crate) use confined::run as run_confined;
pub(crate) use decode::{Decoded, Header, Limits};
pub(crate) use describe::{Description, describe, file_digests, hex};
pub(crate) use encode::Format;
pub(crate) use geometry::{Fit, LONGEST_SIDE, Shape};
pub(crate) use recipe::{Recipe, Source, optimize};
pub(crate) use render::{Output, Rendering, render, shrink};

#[cfg(test)]
mod hostile;
