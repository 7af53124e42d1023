//! How large an image becomes: pure arithmetic.

use crate::problem::Problem;

/// The longest side of anything that is made.
pub(crate) const LONGEST_SIDE: u32 = 16_383;

/// How an image is brought into a box of width and height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// Fills the box and cuts off what overlaps, at the middle.
    Cover,
    /// Lies within the box, on a background that fills it.
    Contain,
    /// Is stretched to the box.
    Fill,
    /// Lies within the box; the result has the image's proportions.
    Inside,
    /// Covers the box; the result has the image's proportions.
    Outside,
}

impl Fit {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "cover" => Self::Cover,
            "contain" => Self::Contain,
            "fill" => Self::Fill,
            "inside" => Self::Inside,
            "outside" => Self::Outside,
            _ => return None,
        })
    }
}

/// What a resizing asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The box; a side that is not given follows from the image's proportions.
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
    pub(crate) fit: Fit,
    /// Whether a small image grows.
    pub(crate) enlarge: bool,
}

/// What is to be done with an image of a known size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The size that pixels are scaled to.
    pub(crate) scaled: (u32, u32),
    /// Whether the scaling cuts off what has other proportions.
    pub(crate) crop: bool,
    /// The canvas in whose middle the scaled image lies, where it is larger.
    pub(crate) canvas: Option<(u32, u32)>,
}

impl Shape {
    /// A shape within this box, never larger than the image.
    pub(crate) fn within(width: u32, height: u32) -> Self {
        Self { width: Some(width), height: Some(height), fit: Fit::Inside, enlarge: false }
    }

    /// What it means for an image of this size; an error where it asks for more than `pixels`.
    pub(crate) fn plan(self, (width, height): (u32, u32), pixels: u64) -> Result<Plan, Problem> {
        let plan = self.unlimited(width, height);
        let (result_width, result_height) = plan.canvas.unwrap_or(plan.scaled);
        let many = u64::from(result_width) * u64::from(result_height);
        if result_width.max(result_height) > LONGEST_SIDE || many > pixels {
            let message = format!("would make {result_width} × {result_height} pixels, which is too many");
            return Err(Problem::field("width", message));
        }
        Ok(plan)
    }

    fn unlimited(self, width: u32, height: u32) -> Plan {
        let by_width = self.width.map(|wanted| ratio(wanted, width));
        let by_height = self.height.map(|wanted| ratio(wanted, height));
        let (Some(by_width), Some(by_height)) = (by_width, by_height) else {
            let factor = self.limited(by_width.or(by_height).unwrap_or(1.0));
            return Plan::scaled(scale(width, factor), scale(height, factor));
        };
        let boxed = (self.width.unwrap_or(width), self.height.unwrap_or(height));
        match self.fit {
            Fit::Inside | Fit::Contain => {
                let factor = self.limited(by_width.min(by_height));
                let scaled = (scale(width, factor).min(boxed.0), scale(height, factor).min(boxed.1));
                let canvas = (self.fit == Fit::Contain && scaled != boxed).then_some(boxed);
                Plan { scaled, crop: false, canvas }
            }
            Fit::Outside => {
                let factor = self.limited(by_width.max(by_height));
                Plan::scaled(scale(width, factor), scale(height, factor))
            }
            Fit::Fill if self.enlarge => Plan::scaled(boxed.0, boxed.1),
            Fit::Fill => Plan::scaled(boxed.0.min(width), boxed.1.min(height)),
            Fit::Cover => {
                // A small image that must not grow gives the largest box of the same proportions.
                let shrink = self.limited(by_width.max(by_height)) / by_width.max(by_height);
                Plan { scaled: (scale(boxed.0, shrink), scale(boxed.1, shrink)), crop: true, canvas: None }
            }
        }
    }

    fn limited(self, factor: f64) -> f64 {
        if self.enlarge { factor } else { factor.min(1.0) }
    }
}

impl Plan {
    fn scaled(width: u32, height: u32) -> Self {
        Self { scaled: (width, height), crop: false, canvas: None }
    }
}

fn ratio(wanted: u32, is: u32) -> f64 {
    f64::from(wanted) / f64::from(is.max(1))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a side is positive, and casts saturate")]
fn scale(side: u32, factor: f64) -> u32 {
    ((f64::from(side) * factor).round() as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: impl Into<Option<u32>>, height: impl Into<Option<u32>>, fit: Fit, enlarge: bool) -> Plan {
        let shape = Shape { width: width.into(), height: height.into(), fit, enlarge };
        shape.plan((400, 200), 1_000_000).expect("within the limit")
    }

    #[test]
    fn each_fit_makes_what_its_name_says() {
        assert_eq!(size(100, 100, Fit::Cover, true), Plan { scaled: (100, 100), crop: true, canvas: None });
        assert_eq!(size(100, 100, Fit::Inside, true), Plan::scaled(100, 50));
        assert_eq!(size(100, 100, Fit::Outside, true), Plan::scaled(200, 100));
        assert_eq!(size(100, 100, Fit::Fill, true), Plan::scaled(100, 100));
        let contained = Plan { scaled: (100, 50), crop: false, canvas: Some((100, 100)) };
        assert_eq!(size(100, 100, Fit::Contain, true), contained);
    }

    #[test]
    fn one_side_keeps_the_proportions() {
        assert_eq!(size(100, None, Fit::Cover, true), Plan::scaled(100, 50));
        assert_eq!(size(None, 100, Fit::Cover, true), Plan::scaled(200, 100));
    }

    #[test]
    fn what_must_not_grow_keeps_its_size_or_is_cut_smaller() {
        assert_eq!(size(4000, 4000, Fit::Inside, false), Plan::scaled(400, 200));
        assert_eq!(size(400, 400, Fit::Cover, false), Plan { scaled: (200, 200), crop: true, canvas: None });
        assert_eq!(size(1000, None, Fit::Cover, false), Plan::scaled(400, 200));
    }

    #[test]
    fn a_size_beyond_the_limit_is_refused_and_no_side_is_nothing() {
        let shape = |width, height| Shape { width, height, fit: Fit::Cover, enlarge: true };
        assert!(shape(Some(1001), Some(1000)).plan((10, 10), 1_000_000).is_err());
        assert!(shape(Some(16_384), Some(1)).plan((10, 10), 1_000_000).is_err());
        let thin = shape(Some(1), None).plan((10_000, 1), 1_000_000).expect("a legal size");
        assert_eq!(thin.scaled, (1, 1));
    }
}
