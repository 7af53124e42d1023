//! Names inside a package: what a path in an archive or folder may look like. Pure; used for unpacking, copying and
//! packing alike, so that what one accepts the others accept.

use std::collections::{HashMap, HashSet};

use icu_normalizer::DecomposingNormalizerBorrowed;

use crate::name::is_safe_to_show;

/// The most bytes of one component of a path.
const LONGEST_COMPONENT: usize = 255;
/// The most bytes of a path.
const LONGEST_PATH: usize = 1024;
/// The most components of a path.
const DEEPEST_PATH: usize = 32;

/// Why a path is refused, as the end of the sentence "entry `x` …".
pub(super) type Objection = &'static str;

/// The path of an archive's entry without a leading `./` and a closing `/`; the empty text is the archive's top.
/// Refuses whatever is hostile wherever it stands in an archive: ways out, doubtful spellings, unprintable names.
pub(super) fn normalise(raw: &[u8]) -> Result<String, Objection> {
    let text = std::str::from_utf8(raw).map_err(|_| "has a name that is not UTF-8")?;
    if text.is_empty() {
        return Err("has no name");
    }
    if text.len() > LONGEST_PATH {
        return Err("has a path of more than 1,024 bytes");
    }
    if text.starts_with('/') {
        return Err("is an absolute path");
    }
    if text.contains('\\') {
        return Err("has a backslash in its name");
    }
    if !text.chars().all(is_safe_to_show) {
        return Err("has a control or direction character in its name");
    }
    if text == "." || text == "./" {
        return Ok(String::new());
    }
    let inner = text.strip_prefix("./").unwrap_or(text);
    let path = inner.strip_suffix('/').unwrap_or(inner);
    for component in path.split('/') {
        check_component(component)?;
    }
    if path.split('/').count() > DEEPEST_PATH {
        return Err("lies more than 32 folders deep");
    }
    Ok(path.to_owned())
}

fn check_component(component: &str) -> Result<(), Objection> {
    match component.as_bytes() {
        b"" => Err("has an empty component in its path"),
        b"." => Err("has a `.` in the middle of its path"),
        b".." => Err("leads out of the archive"),
        [letter, b':', ..] if letter.is_ascii_alphabetic() => Err("starts with a drive letter"),
        long if long.len() > LONGEST_COMPONENT => Err("has a component of more than 255 bytes"),
        _ => Ok(()),
    }
}

/// Refuses names that are harmless outside a package but mean trouble inside: read as options by commands, or
/// changed silently by file systems.
pub(super) fn check_inside_package(path: &str) -> Result<(), Objection> {
    for component in path.split('/') {
        if component.starts_with('-') {
            return Err("has a component that starts with `-`");
        }
        if component.ends_with([' ', '.']) {
            return Err("has a component that ends in a space or a dot");
        }
    }
    Ok(())
}

/// Finds names that some file systems take for one, among the paths of one package and the folders above them.
#[derive(Default)]
pub(super) struct Spellings {
    known: HashSet<String>,
    by_folded: HashMap<String, String>,
}

impl Spellings {
    /// Adds a path; refused when it, or a folder above it, differs from an earlier one only in spelling.
    pub(super) fn add(&mut self, path: &str) -> Result<(), Objection> {
        for spelling in ancestors(path).chain([path]) {
            if !self.known.insert(spelling.to_owned()) {
                continue;
            }
            let earlier = self.by_folded.insert(folded(spelling), spelling.to_owned());
            if earlier.is_some_and(|earlier| earlier != spelling) {
                return Err("differs from another only in case or composition");
            }
        }
        Ok(())
    }
}

/// The text under which a file system that knows neither case nor composition would file this path.
fn folded(path: &str) -> String {
    let normalizer = DecomposingNormalizerBorrowed::new_nfd();
    let one_case = normalizer.normalize(path).to_uppercase().to_lowercase();
    normalizer.normalize(&one_case).into_owned()
}

/// The folders above a path, outermost first: `a/b/c` gives `a` and `a/b`.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(place, _)| &path[..place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_dot_and_closing_slash_do_not_matter() {
        for same in ["a/b", "./a/b", "a/b/", "./a/b/"] {
            assert_eq!(normalise(same.as_bytes()), Ok("a/b".to_owned()), "{same}");
        }
        assert_eq!(normalise(b"./"), Ok(String::new()));
    }

    #[test]
    fn case_and_composition_fold_to_one_text() {
        assert_eq!(folded("Ä/x"), folded("a\u{308}/X"));
        assert_ne!(folded("a"), folded("b"));
    }

    #[test]
    fn ancestors_come_outermost_first() {
        assert_eq!(ancestors("a/b/c").collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!(ancestors("a").count(), 0);
    }
}
