//! One line of the doctor's answer, and what kept a fact from being known. Owns their shapes; judges nothing.

use serde::Serialize;

use crate::error::Error;
use crate::preflight::Problem;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    /// It works, or may; worth a look.
    Warning,
    /// It stands in the way.
    Failed,
}

impl Level {
    /// As it is printed.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// One line: what was looked at, how it came out and why, and the one command that mends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// A stable word for scripts: `engine`, `disk`, `ports`, …
    pub(super) check: &'static str,
    /// What was looked at: a plugin, a folder, an address; empty where the check has but one thing to look at.
    pub(super) subject: String,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { level: Level::Ok, check, subject: subject.into(), message: message.into(), hint: None }
    }

    pub(super) fn warning(check: &'static str, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::ok(check, subject, message) }
    }

    pub(super) fn failed(check: &'static str, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { level: Level::Failed, ..Self::ok(check, subject, message) }
    }

    /// With the command that mends it.
    pub(super) fn mend(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What would stop an installation stops here too.
    pub(super) fn of_problem(check: &'static str, subject: impl Into<String>, problem: Problem) -> Self {
        Self { hint: problem.hint, ..Self::failed(check, subject, problem.message) }
    }

    pub(super) fn of_trouble(check: &'static str, subject: impl Into<String>, trouble: &Trouble) -> Self {
        Self { hint: trouble.hint.clone(), ..Self::failed(check, subject, trouble.message.clone()) }
    }
}

/// Why something could not be looked at, with its causes in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<&Error> for Trouble {
    fn from(error: &Error) -> Self {
        let mut message = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = cause.source();
        }
        for detail in error.details() {
            message = format!("{message}; {detail}");
        }
        Self { message, hint: error.hint() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_causes_of_an_error_are_in_its_line_once() {
        let source = crate::fs::failed("read", std::path::Path::new("/x"))(std::io::Error::other("broken disk"));
        let trouble = Trouble::from(Error::File(source));
        assert_eq!(trouble.message, "could not read `/x`: broken disk");
    }
}
