//! A queue's name, checked once: it becomes part of Redis keys and of paths.

use std::sync::Arc;

/// The longest name in bytes.
const LONGEST: usize = 100;

/// A name that is safe in a key, a path and a label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct QueueName(Arc<str>);

impl QueueName {
    /// Takes a name; the error completes "a queue's name …".
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > LONGEST {
            return Err("must have 1 to 100 characters");
        }
        if !text.chars().all(is_legal) {
            return Err("may have letters, digits, `-`, `_` and `.` only");
        }
        Ok(Self(Arc::from(text)))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for QueueName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_break_a_key_or_a_path_are_refused() {
        assert!(QueueName::parse("high-priority_2.b").is_ok());
        let long = "x".repeat(101);
        for name in ["", "a:b", "a b", "a/b", "ü", "a\n", &long] {
            assert!(QueueName::parse(name).is_err(), "{name:?}");
        }
    }
}
