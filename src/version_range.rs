//! Ranges of versions as npm and Masterminds (Go) write them: on the command line, in manifests and in registries. Owns
//! the grammar; `semver` compares.

use std::fmt;
use std::str::FromStr;

use semver::{Comparator, Op, Version, VersionReq};

use crate::name::{NameError, parse_version, shown};

/// The most alternatives of one range.
const MOST_ALTERNATIVES: usize = 16;

/// A range such as `^1.0`, `>=1.5.0 <2.0.0`, `1.x || 2.x`, or one exact version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange {
    text: String,
    alternatives: Vec<VersionReq>,
}

impl VersionRange {
    /// Whether a version is in the range; a pre-release only where the range names one of the same version.
    pub fn matches(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|range| range.matches(version))
    }

    /// The lowest version that the range allows; `None` where it has no lower bound.
    pub fn lowest(&self) -> Option<Version> {
        let lowest = |range: &VersionReq| range.comparators.iter().filter_map(lower_bound).max();
        let bounds: Option<Vec<Version>> = self.alternatives.iter().map(lowest).collect();
        bounds?.into_iter().min()
    }
}

impl FromStr for VersionRange {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = || NameError::Version(shown(text));
        // An exact version keeps its build and its pre-release.
        if let Ok(version) = parse_version(text.trim()) {
            let alternatives = vec![VersionReq::parse(&format!("={version}")).map_err(|_| wrong())?];
            return Ok(Self { text: version.to_string(), alternatives });
        }
        let alternatives =
            text.split("||").map(|part| alternative(part.trim())).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
        if text.trim().is_empty() || alternatives.len() > MOST_ALTERNATIVES {
            return Err(wrong());
        }
        Ok(Self { text: text.trim().to_owned(), alternatives })
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&shown(&self.text))
    }
}

/// Comparators that must all hold.
fn alternative(text: &str) -> Option<VersionReq> {
    if let Some((from, to)) = text.split_once(" - ") {
        return VersionReq::parse(&format!(">={}, <={}", number(from.trim())?, number(to.trim())?)).ok();
    }
    let mut comparators: Vec<String> = Vec::new();
    let mut operator = String::new();
    for word in text.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
        let length = word.find(|character| !"<>=~^".contains(character)).unwrap_or(word.len());
        operator.push_str(&word[..length]);
        if length == word.len() {
            continue;
        }
        comparators.push(comparator(&std::mem::take(&mut operator), &word[length..])?);
    }
    if !operator.is_empty() {
        return None;
    }
    // Nothing and `*` are every version.
    comparators.retain(|comparator| comparator != "*");
    VersionReq::parse(if comparators.is_empty() { "*".to_owned() } else { comparators.join(", ") }.as_str()).ok()
}

/// One comparator as `semver` reads it; a number alone is exact, as far as it goes.
fn comparator(operator: &str, word: &str) -> Option<String> {
    let number = number(word)?;
    if number == "*" {
        return Some(number);
    }
    let operator = match operator {
        "" | "=" | "==" => "=",
        "~" | "~>" => "~",
        "^" => "^",
        ">" | "<" | ">=" | "<=" => operator,
        "=>" => ">=",
        "=<" => "<=",
        _ => return None,
    };
    Some(format!("{operator}{number}"))
}

/// A version or the beginning of one: `v1.2`, `1.x`, `*`.
fn number(word: &str) -> Option<String> {
    let bare = word.strip_prefix(['v', 'V']).unwrap_or(word);
    let is_any = |part: &&str| matches!(*part, "x" | "X" | "*");
    let parts: Vec<&str> = bare.splitn(3, '.').collect();
    let known: Vec<&str> = parts.iter().copied().take_while(|part| !is_any(part)).collect();
    // `1.x.3` means nothing.
    if parts[known.len()..].iter().any(|part| !is_any(part)) {
        return None;
    }
    Some(if known.is_empty() { "*".to_owned() } else { known.join(".") })
}

fn lower_bound(comparator: &Comparator) -> Option<Version> {
    let (major, minor, patch) = (comparator.major, comparator.minor, comparator.patch);
    match comparator.op {
        // Above 1.2 means from 1.3.0 on, above 1 from 2.0.0 on.
        Op::Greater => Some(match (minor, patch) {
            (Some(minor), Some(patch)) => Version::new(major, minor, patch + 1),
            (Some(minor), None) => Version::new(major, minor + 1, 0),
            _ => Version::new(major + 1, 0, 0),
        }),
        Op::Exact | Op::GreaterEq | Op::Tilde | Op::Caret | Op::Wildcard => {
            Some(Version { pre: comparator.pre.clone(), ..Version::new(major, minor.unwrap_or(0), patch.unwrap_or(0)) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_match_as_in_npm_and_masterminds() {
        for (range, inside, outside) in [
            ("1.2.3", &["1.2.3"][..], &["1.2.4", "1.2.2"][..]),
            ("v1.2.3", &["1.2.3"], &["1.2.4"]),
            ("1.2", &["1.2.0", "1.2.9"], &["1.3.0"]),
            ("1", &["1.0.0", "1.9.0"], &["2.0.0"]),
            ("1.x", &["1.0.0", "1.9.0"], &["2.0.0", "0.9.0"]),
            ("1.2.x", &["1.2.7"], &["1.3.0"]),
            ("*", &["0.0.1", "9.9.9"], &[]),
            ("x", &["0.0.1"], &[]),
            ("^1.2.3", &["1.2.3", "1.9.0"], &["2.0.0", "1.2.2"]),
            ("^0.2.0", &["0.2.9"], &["0.3.0", "1.0.0"]),
            ("~1.2", &["1.2.9"], &["1.3.0"]),
            ("~> 1.2", &["1.2.9"], &["1.3.0"]),
            (">=1.5.0 <2.0.0", &["1.5.0", "1.9.9"], &["2.0.0", "1.4.9"]),
            (">=1.5.0, <2.0.0", &["1.5.0"], &["2.0.0"]),
            (">= 1.5.0  < 2.0.0", &["1.5.0"], &["2.0.0"]),
            ("^1.0 || ^2.0", &["1.4.0", "2.4.0"], &["3.0.0", "0.9.0"]),
            ("1.0 - 2.0", &["1.0.0", "2.0.9"], &["2.1.0"]),
            (">=1.x", &["1.0.0", "3.0.0"], &["0.9.0"]),
            (">=1.0.0", &["1.0.0"], &["1.0.0-rc1"]),
            (">=1.0.0-rc1", &["1.0.0-rc1", "1.0.0"], &["1.0.0-beta"]),
        ] {
            let parsed: VersionRange = range.parse().unwrap_or_else(|error| panic!("{range}: {error}"));
            for version in inside {
                assert!(parsed.matches(&version.parse().unwrap()), "{version} in {range}");
            }
            for version in outside {
                assert!(!parsed.matches(&version.parse().unwrap()), "{version} not in {range}");
            }
        }
        for bad in ["", "latest", "1.x.3", "!=1.0", "abc", ">=", "1.2.3.4", "^^1"] {
            assert!(bad.parse::<VersionRange>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_lowest_version_is_that_of_the_lowest_alternative() {
        let lowest = |range: &str| range.parse::<VersionRange>().unwrap().lowest().map(|version| version.to_string());
        assert_eq!(lowest(">=1.5.0 <2.0.0").as_deref(), Some("1.5.0"));
        assert_eq!(lowest("^2.0 || ^1.0").as_deref(), Some("1.0.0"));
        assert_eq!(lowest(">1.2").as_deref(), Some("1.3.0"));
        assert_eq!((lowest("*"), lowest("<2 || >=3")), (None, None));
    }
}
