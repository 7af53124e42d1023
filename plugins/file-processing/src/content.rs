//! Tells what a file is, from its first bytes and never from its name or label.

use std::io::Read;
use std::path::Path;

use image::ImageFormat;

/// What images can be read from.
pub(crate) const SUPPORTED: [&str; 6] =
    ["image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff"];
/// How much of a file is looked at.
const HEAD_BYTES: u64 = 8192;

/// What a file's content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No byte at all.
    Empty,
    /// An image that can be decoded.
    Image(ImageFormat),
    /// Text without markup that a browser would run.
    Text,
    /// A PDF.
    Pdf,
    /// Anything else, by its MIME type.
    Other(&'static str),
}

impl Kind {
    /// The content type, as files of this kind are served.
    pub(crate) fn mime(self) -> &'static str {
        match self {
            Self::Empty => "application/x-empty",
            Self::Image(format) => format.to_mime_type(),
            Self::Text => "text/plain",
            Self::Pdf => "application/pdf",
            Self::Other(mime) => mime,
        }
    }

    /// The ending of a name for a file of this kind.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Image(ImageFormat::Jpeg) => "jpeg",
            Self::Image(format) => format.extensions_str().first().copied().unwrap_or("bin"),
            Self::Text => "txt",
            Self::Pdf => "pdf",
            Self::Empty | Self::Other(_) => "bin",
        }
    }

    pub(crate) fn is_video(self) -> bool {
        self.mime().starts_with("video/")
    }
}

/// What the file at this path is.
pub(crate) fn of_file(path: &Path) -> std::io::Result<Kind> {
    let mut head = Vec::new();
    std::fs::File::open(path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(of_head(&head))
}

/// What a file that begins with these bytes is.
pub(crate) fn of_head(head: &[u8]) -> Kind {
    if head.is_empty() {
        return Kind::Empty;
    }
    let known = infer::get(head).map(|found| found.mime_type());
    match known {
        Some("image/jpeg") => Kind::Image(ImageFormat::Jpeg),
        Some("image/png" | "image/apng") => Kind::Image(ImageFormat::Png),
        Some("image/webp") => Kind::Image(ImageFormat::WebP),
        Some("image/gif") => Kind::Image(ImageFormat::Gif),
        Some("image/bmp") => Kind::Image(ImageFormat::Bmp),
        Some("image/tiff") => Kind::Image(ImageFormat::Tiff),
        Some("application/pdf") => Kind::Pdf,
        _ if is_vector_drawing(head) => Kind::Other("image/svg+xml"),
        Some(mime) => Kind::Other(mime),
        None if is_text(head) => Kind::Text,
        None => Kind::Other("application/octet-stream"),
    }
}

fn is_vector_drawing(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let text = text.trim_start_matches('\u{feff}').trim_start();
    text.starts_with("<svg") || (text.starts_with('<') && text.contains("<svg"))
}

fn is_text(head: &[u8]) -> bool {
    let whole = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The cut may lie within a character.
        Err(error) if error.error_len().is_none() && error.valid_up_to() + 4 > head.len() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or("\0")
        }
        Err(_) => return false,
    };
    whole.chars().all(|letter| !letter.is_control() || letter.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides_and_markup_is_no_text_for_browsers() {
        let drawing = b"<?xml version=\"1.0\"?><svg onload=\"alert(1)\"></svg>";
        let cases: [(&[u8], &str); 8] = [
            (b"", "application/x-empty"),
            (b"\x89PNG\r\n\x1a\n", "image/png"),
            (b"\xff\xd8\xff\xe0", "image/jpeg"),
            (b"GIF89a/*<svg onload=1>*/", "image/gif"),
            (drawing, "image/svg+xml"),
            (b"%PDF-1.4", "application/pdf"),
            ("h\u{e9}llo\n".as_bytes(), "text/plain"),
            (&[0, 1, 2, 3], "application/octet-stream"),
        ];
        for (head, mime) in cases {
            assert_eq!(of_head(head).mime(), mime, "{}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn a_text_may_be_cut_within_a_character() {
        let text = "\u{20ac}".repeat(4000);
        assert_eq!(of_head(&text.as_bytes()[..8191]), Kind::Text);
    }
}
