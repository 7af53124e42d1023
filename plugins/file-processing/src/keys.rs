//! Names of stored files: what others may name, and where this server puts what it makes.

use object_store::path::Path;

use crate::problem::Problem;

/// The longest key and the longest id, in bytes.
const KEY_BYTES: usize = 1024;
const ID_BYTES: usize = 128;
/// The longest file name that is kept.
const NAME_CHARACTERS: usize = 80;

/// Where results of requests are; they end with the retention.
pub(crate) const RESULTS: &str = "results";
/// Where thumbnails are, by file.
pub(crate) const THUMBNAILS: &str = "thumbnails";
/// Where jobs put what they optimised.
pub(crate) const OPTIMIZED: &str = "optimized";
/// Where uploaded originals are, by file.
pub(crate) const ORIGINALS: &str = "originals";

/// All of them.
pub(crate) const FOLDERS: [&str; 4] = [RESULTS, THUMBNAILS, OPTIMIZED, ORIGINALS];

/// Whether a text can be an id of a file: letters, digits, `-`, `_` and inner dots.
pub(crate) fn is_id(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.len() <= ID_BYTES
        && text.bytes().all(legal)
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && !text.contains("..")
}

/// A file's id that somebody else chose.
pub(crate) fn checked_id(id: String) -> Result<String, Problem> {
    if is_id(&id) {
        return Ok(id);
    }
    Err(Problem::field("fileId", "must have 1 to 128 letters, digits, `-`, `_` or single dots"))
}

/// A new id for what the caller did not name.
pub(crate) fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// A key that somebody else named, such as a job's `filePath`: relative, without `.` and `..`.
pub(crate) fn named(text: &str) -> Result<Path, Problem> {
    let refuse = |message| Err(Problem::field("filePath", message));
    let trimmed = text.strip_prefix('/').unwrap_or(text);
    if trimmed.is_empty() || trimmed.len() > KEY_BYTES {
        return refuse("must name a stored file in at most 1024 bytes");
    }
    if trimmed.chars().any(|letter| letter.is_control() || letter == '\\') {
        return refuse("must not hold backslashes or control characters");
    }
    if trimmed.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return refuse("must be a key of the storage, without empty parts, `.` or `..`");
    }
    Path::parse(trimmed).or_else(|_| refuse("is no key of the storage"))
}

/// `thumbnails/<fileId>/<size>.<format>`, where applications look for it.
pub(crate) fn thumbnail(file_id: &str, size: u32, extension: &str) -> Path {
    Path::from_iter([THUMBNAILS, file_id, &format!("{size}.{extension}")])
}

/// A new place for a result.
pub(crate) fn result(extension: &str) -> Path {
    Path::from_iter([RESULTS, &format!("{}.{extension}", new_id())])
}

/// Where a job puts a file's optimised form.
pub(crate) fn optimized(file_id: &str, extension: &str) -> Path {
    Path::from_iter([OPTIMIZED, &format!("{file_id}.{extension}")])
}

/// Where an uploaded original goes: below its id, under its own name made harmless.
pub(crate) fn original(file_id: &str, name: Option<&str>, extension: &str) -> Path {
    let stem = name.and_then(|name| name.rsplit(['/', '\\']).next()).unwrap_or_default();
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    let harmless = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    let stem: String = stem.chars().take(NAME_CHARACTERS).map(harmless).collect();
    let stem = if stem.is_empty() { "file" } else { &stem };
    Path::from_iter([ORIGINALS, file_id, &format!("{stem}.{extension}")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_leave_the_storage_are_refused() {
        for bad in ["", "/", "..", "../a", "a/../b", "a//b", "./a", "a/.", "a\\b", "a\0b", "//etc/passwd"] {
            assert!(named(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "/uploads/a b.png", "originals/x/y.png"] {
            assert!(named(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn ids_are_plain_names() {
        for good in ["a", "0197e1a2-file_1.png"] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", ".", "..", ".a", "a..b", "a/b", "a b", "\u{e9}", &"x".repeat(129)] {
            assert!(!is_id(bad), "{bad}");
        }
    }

    #[test]
    fn an_originals_name_is_made_harmless() {
        let key = original("id", Some("../../evil <b>.php.png"), "png");
        assert_eq!(key.as_ref(), "originals/id/evil__b__php.png");
        assert_eq!(original("id", None, "bin").as_ref(), "originals/id/file.bin");
    }
}
