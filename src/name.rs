//! Names, versions and digests, parsed once: a value of these types is safe in paths, labels and URLs.
//! Owns their syntax; knows nothing of registries or files.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use semver::Version;

use crate::version_range::VersionRange;

/// The longest plugin name, in characters (all are ASCII).
pub const LONGEST_NAME: usize = 64;

/// Names that mean something else in a plugin folder or on the command line.
const RESERVED: &[&str] =
    &["all", "bundled", "con", "current", "nself", "plugin", "plugins", "shared", "staging", "versions"];

/// What a name must look like, as told to the user.
pub const NAME_RULE: &str =
    "a plugin name is a lower-case letter followed by lower-case letters, digits and hyphens, at most 64 characters";

/// Why a word is no plugin name, version, digest or specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The word breaks [`NAME_RULE`].
    #[error("`{0}` is not a plugin name: {NAME_RULE}")]
    Name(String),
    /// The word is a name that folders or commands already use.
    #[error("`{0}` cannot be a plugin name: it is reserved")]
    Reserved(String),
    /// The word is no semantic version.
    #[error("`{0}` is not a version: three numbers such as 1.0.0 are needed (https://semver.org)")]
    Version(String),
    /// The word is no sha256 digest.
    #[error("`{0}` is not a sha256 digest: 64 hexadecimal digits are needed")]
    Digest(String),
}

/// A plugin's name: `^[a-z][a-z0-9-]*$`, at most 64 characters, not reserved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginName(String);

impl PluginName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names under which other containers reach the plugin.
    pub fn aliases(&self) -> [String; 2] {
        [self.0.clone(), format!("plugin-{}", self.0)]
    }

    /// The prefix of the plugin's variables: `file-processing` gives `FILE_PROCESSING`.
    pub fn variable_prefix(&self) -> String {
        self.0.to_ascii_uppercase().replace('-', "_")
    }

    /// The variable that holds the key of the plugin's callers: `FILE_PROCESSING_API_KEY`.
    pub fn api_key_variable(&self) -> String {
        format!("{}_API_KEY", self.variable_prefix())
    }

    /// The variable that moves the plugin's main port: `FILE_PROCESSING_PORT`.
    pub fn port_variable(&self) -> String {
        format!("{}_PORT", self.variable_prefix())
    }
}

impl FromStr for PluginName {
    type Err = NameError;

    fn from_str(word: &str) -> Result<Self, NameError> {
        let starts_well = word.bytes().next().is_some_and(|first| first.is_ascii_lowercase());
        let legal = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !starts_well || !legal || word.len() > LONGEST_NAME {
            return Err(NameError::Name(shown(word)));
        }
        if RESERVED.contains(&word) {
            return Err(NameError::Reserved(word.to_owned()));
        }
        Ok(Self(word.to_owned()))
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl serde::Serialize for PluginName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for PluginName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        word.parse().map_err(serde::de::Error::custom)
    }
}

/// Reads a version; one leading `v` is allowed, since release tags carry it.
pub fn parse_version(word: &str) -> Result<Version, NameError> {
    let number = word.strip_prefix('v').unwrap_or(word);
    Version::parse(number).map_err(|_| NameError::Version(shown(word)))
}

/// What the user asks to install: `[REGISTRY/]NAME[@VERSION]` or a folder or archive on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginSpec {
    /// A plugin by name.
    Named {
        /// The registry the user named, if any.
        registry: Option<String>,
        /// The plugin.
        name: PluginName,
        /// The version or range asked for; `None` is the newest.
        version: Option<VersionRange>,
    },
    /// A package folder or `.tar.gz` archive.
    Local(PathBuf),
}

impl PluginSpec {
    /// The plugin, where it is asked for by name.
    pub fn name(&self) -> Option<&PluginName> {
        match self {
            Self::Named { name, .. } => Some(name),
            Self::Local(_) => None,
        }
    }

    /// The newest of a plugin from any registry, with the word that asks for it.
    pub fn of(name: &PluginName) -> (String, Self) {
        (name.as_str().to_owned(), Self::Named { registry: None, name: name.clone(), version: None })
    }
}

impl FromStr for PluginSpec {
    type Err = NameError;

    /// A word that starts with `.`, `/` or `~`, or ends in `.tar.gz` or `.tgz`, is a path; but `../x` without
    /// such a file stays an error of the command, so that a mistyped name is never silently a path.
    fn from_str(word: &str) -> Result<Self, NameError> {
        if is_path(word) {
            return Ok(Self::Local(PathBuf::from(word)));
        }
        let (place, version) = match word.split_once('@') {
            Some((place, "latest")) => (place, None),
            Some((place, version)) => (place, Some(version.parse()?)),
            None => (word, None),
        };
        let (registry, name) = match place.split_once('/') {
            Some((registry, name)) => (Some(registry), name),
            None => (None, place),
        };
        if let Some(registry) = registry {
            // A registry's name obeys the same rule, but words reserved for plugins may name registries.
            match registry.parse::<PluginName>() {
                Ok(_) | Err(NameError::Reserved(_)) => {}
                Err(_) => return Err(NameError::Name(shown(word))),
            }
        }
        Ok(Self::Named {
            registry: registry.map(ToOwned::to_owned),
            name: name.parse().map_err(|error| match error {
                NameError::Name(_) => NameError::Name(shown(word)),
                other => other,
            })?,
            version,
        })
    }
}

fn is_path(word: &str) -> bool {
    let path = std::path::Path::new(word);
    let is_archive = path.extension().is_some_and(|ending| ending == "gz" || ending == "tgz");
    (word.starts_with(['/', '.']) || is_archive) && path.exists()
}

/// A sha256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Wraps the 32 bytes of a finished sha256.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// 64 lower-case hexadecimal digits.
    pub fn to_hex(self) -> String {
        use fmt::Write;
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl FromStr for Digest {
    type Err = NameError;

    /// Accepts every spelling met in registries: plain hexadecimal in either case, `sha256:` or `sha256-` before it.
    fn from_str(word: &str) -> Result<Self, NameError> {
        let trimmed = word.trim();
        let lower = trimmed.to_ascii_lowercase();
        let digits = lower.strip_prefix("sha256:").or_else(|| lower.strip_prefix("sha256-")).unwrap_or(&lower);
        let refused = || NameError::Digest(shown(trimmed));
        if digits.len() != 64 || !digits.is_ascii() {
            return Err(refused());
        }
        let mut bytes = [0_u8; 32];
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[place * 2..place * 2 + 2], 16).map_err(|_| refused())?;
        }
        if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) { Ok(Self(bytes)) } else { Err(refused()) }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", self.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        word.parse().map_err(serde::de::Error::custom)
    }
}

/// A word of foreign origin made fit for a message: control and direction characters escaped, cut at 80 characters.
pub fn shown(word: &str) -> String {
    let mut text = String::new();
    for (count, character) in word.chars().enumerate() {
        if count == 80 {
            text.push('…');
            break;
        }
        if is_safe_to_show(character) {
            text.push(character);
        } else {
            text.extend(character.escape_unicode());
        }
    }
    text
}

/// Whether a terminal shows this character as itself: no control character, no change of writing direction.
pub fn is_safe_to_show(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule() {
        for good in ["realtime", "file-processing", "a", "x1", &"a".repeat(64)] {
            assert!(good.parse::<PluginName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "../x",
            "/x",
            "a/b",
            ".",
            "..",
            "-x",
            "A",
            "A B",
            "a b",
            "a\0",
            "a\n",
            "\u{202e}a",
            "_shared",
            "1a",
            "con",
            "current",
            "staging",
            &"a".repeat(65),
            &"a".repeat(300),
        ] {
            assert!(bad.parse::<PluginName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn specifications_split_into_registry_name_and_version() {
        let spec: PluginSpec = "bundled/realtime@v1.2.3".parse().expect("valid");
        assert_eq!(
            spec,
            PluginSpec::Named {
                registry: Some("bundled".into()),
                name: "realtime".parse().expect("valid"),
                version: Some("1.2.3".parse().expect("valid")),
            }
        );
        for bad in ["realtime@one", "../x", "a/b/c", "realtime@"] {
            assert!(bad.parse::<PluginSpec>().is_err(), "{bad}");
        }
    }

    #[test]
    fn digests_are_read_in_every_spelling() {
        let hex = "ab".repeat(32);
        for good in [hex.clone(), hex.to_uppercase(), format!("sha256:{hex}"), format!("sha256-{hex}")] {
            assert_eq!(good.parse::<Digest>().expect("valid").to_hex(), hex);
        }
        for bad in ["", "md5:00", &hex[1..], &format!("{hex}0"), &format!("sha256:sha256:{hex}"), &"+a".repeat(32)] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn shown_text_cannot_steer_a_terminal() {
        assert_eq!(shown("a\u{1b}[2J\u{202e}b"), "a\\u{1b}[2J\\u{202e}b");
    }
}
