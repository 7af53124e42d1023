//! Brings colours of a known profile to sRGB, so that the profile can be left out.

use image::DynamicImage;
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

/// The image in sRGB. A profile that cannot be read, or that is none for these channels, leaves the colours alone.
pub(crate) fn to_srgb(image: DynamicImage, profile: Option<&[u8]>) -> DynamicImage {
    let profile = profile.and_then(|bytes| ColorProfile::new_from_slice(bytes).ok());
    let Some(profile) = profile.filter(|profile| profile.color_space == DataColorSpace::Rgb) else {
        return image;
    };
    match image {
        DynamicImage::ImageRgb8(mut pixels) => {
            convert(&mut pixels, &profile, Layout::Rgb);
            pixels.into()
        }
        DynamicImage::ImageRgba8(mut pixels) => {
            convert(&mut pixels, &profile, Layout::Rgba);
            pixels.into()
        }
        other => other,
    }
}

fn convert(samples: &mut [u8], profile: &ColorProfile, layout: Layout) {
    let options = TransformOptions::default();
    let Ok(transform) = profile.create_transform_8bit(layout, &ColorProfile::new_srgb(), layout, options) else {
        return;
    };
    // In pieces, so that no second image is needed.
    let mut before = [0; 12 * 1024];
    for piece in samples.chunks_mut(before.len()) {
        let copy = &mut before[..piece.len()];
        copy.copy_from_slice(piece);
        if transform.transform(copy, piece).is_err() {
            piece.copy_from_slice(copy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray_dot(profile: Option<&[u8]>) -> [u8; 3] {
        let dot = image::RgbImage::from_pixel(1, 1, image::Rgb([200, 100, 50]));
        to_srgb(dot.into(), profile).to_rgb8().get_pixel(0, 0).0
    }

    #[test]
    fn colours_of_a_wide_profile_are_converted_and_others_left_alone() {
        let wide = ColorProfile::new_display_p3().encode().expect("a profile");
        let converted = gray_dot(Some(&wide));
        assert!(converted[0] > 200 && converted[2] < 50, "{converted:?}");
        assert_eq!(gray_dot(None), [200, 100, 50]);
        assert_eq!(gray_dot(Some(b"no profile")), [200, 100, 50]);
    }
}
