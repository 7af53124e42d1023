//! Everything that is printed: answers to standard output, the rest to standard error. The only place that prints.

mod ask;
mod commands;
mod progress;
mod style;
pub mod table;

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};

pub use ask::Choice;
pub use commands::{shell_path, shell_word};
pub use progress::{Event, Reporter};
pub use style::Style;

use crate::cli::GlobalFlags;
use crate::error::Error;
use crate::settings::Verbosity;

/// What a command answers: one value, rendered as text or as one JSON document.
pub trait Report {
    /// The document's schema, such as `nself.plugin.list/1`; described in `registry-schema/`.
    fn schema(&self) -> &'static str;
    /// `ok`, `partial` or `failed`.
    fn status(&self) -> &'static str {
        if self.exit_code() == 0 { "ok" } else { "failed" }
    }
    /// The fields after schema and status.
    fn json(&self) -> Map<String, Value>;
    /// For people and pipes; without a final newline.
    fn text(&self, style: Style) -> String;
    /// Whether the text is the user's own data, which is printed as it is.
    fn is_data(&self) -> bool {
        false
    }
    /// Whether the answer was printed line by line already, so that only the exit code is left.
    fn is_told(&self) -> bool {
        false
    }
    /// What failed, for standard error; with `--json` it is part of the document.
    fn errors(&self) -> Vec<&Error> {
        Vec::new()
    }
    /// The process's exit code.
    fn exit_code(&self) -> u8 {
        0
    }
}

/// How and where is printed, decided once.
#[derive(Debug, Clone)]
pub struct Output {
    json: bool,
    /// The flags that name the project, for the commands that texts tell the user to run.
    project_flags: Option<String>,
    /// For standard output.
    pub style: Style,
    error_style: Style,
    /// How much is said on standard error.
    pub verbosity: Verbosity,
    /// Whether progress may move the cursor.
    pub is_animated: bool,
    failure: WriteFailure,
}

/// Whether the answer could not be written, to a full disk for example; a reader that went away is no failure.
#[derive(Debug, Clone, Default)]
struct WriteFailure(Arc<Mutex<Option<String>>>);

impl WriteFailure {
    /// Notes how a write ended; whether it was done.
    fn note(&self, written: io::Result<()>) -> bool {
        let Err(error) = written else { return true };
        if error.kind() != io::ErrorKind::BrokenPipe {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.to_string());
        }
        false
    }
}

impl Output {
    /// Decides from the flags, the environment's wishes and where the streams lead.
    pub fn new(flags: &GlobalFlags) -> Self {
        let (no_color, is_ci) = crate::settings::terminal_wishes();
        let (stdout, stderr) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let verbosity = match (flags.quiet, flags.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        };
        Self {
            json: flags.json,
            project_flags: commands::project_flags(flags),
            style: Style::new(flags.color, no_color, stdout),
            error_style: Style::new(flags.color, no_color, stderr),
            verbosity,
            failure: WriteFailure::default(),
            is_animated: stderr && !is_ci && !no_color && verbosity != Verbosity::Quiet,
        }
    }

    /// Whether the answer is a JSON document.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// The exit code of the process: 1 where the answer could not be written, which is printed.
    pub fn finish(&self, code: u8) -> u8 {
        let failure = self.failure.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(reason) = failure else { return code };
        let _ = writeln!(io::stderr(), "{} could not write the answer: {reason}", self.error_style.failed("error:"));
        if code == 0 { 1 } else { code }
    }

    /// A reporter of progress on standard error.
    pub fn reporter(&self) -> Reporter {
        Reporter::new(self.verbosity, self.is_animated, self.error_style, self.project_flags.clone())
    }

    /// Prints an answer and gives the exit code.
    pub fn answer(&self, report: &dyn Report) -> u8 {
        if report.is_told() {
            return report.exit_code();
        }
        let text = if self.json {
            let mut document = Map::new();
            document.insert("schema".into(), report.schema().into());
            document.insert("status".into(), report.status().into());
            document.extend(report.json());
            commands::name_project_in(&mut document, self.project_flags.as_deref());
            serde_json::to_string_pretty(&Value::Object(document)).unwrap_or_default()
        } else {
            report.errors().into_iter().for_each(|error| self.print_error(error));
            let text = report.text(self.style);
            if report.is_data() { text } else { commands::name_project(&text, self.project_flags.as_deref()) }
        };
        if !text.is_empty() {
            self.line(&text);
        }
        report.exit_code()
    }

    /// Prints one line of the answer at once: for answers without end.
    pub fn line(&self, text: &str) -> bool {
        // A reader that went away (`| head -1`) ends the output, not the program with a panic.
        self.failure.note(writeln!(io::stdout(), "{text}").and_then(|()| io::stdout().flush()))
    }

    /// Prints a piece of what a program in a container prints, as it is.
    pub fn bytes(&self, bytes: &[u8], is_error_stream: bool) {
        if is_error_stream {
            let _ = io::stderr().write_all(bytes);
        } else {
            self.failure.note(io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()));
        }
    }

    /// Prints an error: to standard error for people, as the one document with `--json`. Gives its exit code.
    pub fn error(&self, schema: &str, error: &Error) -> u8 {
        if self.json {
            let mut document = Map::new();
            document.insert("schema".into(), schema.into());
            document.insert("status".into(), "failed".into());
            document.insert("error".into(), error_json(error));
            commands::name_project_in(&mut document, self.project_flags.as_deref());
            self.line(&serde_json::to_string_pretty(&document).unwrap_or_default());
        } else {
            self.print_error(error);
        }
        error.exit_code()
    }

    /// Prints an error as text, whatever the format of the answer.
    pub fn print_error(&self, error: &Error) {
        let mut stderr = io::stderr().lock();
        let text = error_text(error, self.error_style);
        let _ = writeln!(stderr, "{}", commands::name_project(&text, self.project_flags.as_deref()));
    }

    /// Prints a line to standard error, for what is no error and no progress.
    pub fn note(&self, text: &str) {
        if self.verbosity != Verbosity::Quiet {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }
}

/// The message, its causes, its details, and the hint.
pub fn error_text(error: &Error, style: Style) -> String {
    use std::fmt::Write;
    let mut text = format!("{} {error}", style.failed("error:"));
    let mut source = std::error::Error::source(error);
    let mut shown = error.to_string();
    while let Some(cause) = source {
        let message = cause.to_string();
        if !shown.contains(&message) {
            let _ = write!(text, "\n  caused by: {message}");
            shown = message;
        }
        source = cause.source();
    }
    for line in error.details() {
        let _ = write!(text, "\n  | {}", safe(&line));
    }
    if let Some(hint) = error.hint() {
        let _ = write!(text, "\n{} {hint}", style.note("hint:"));
    }
    text
}

/// An error as data.
pub fn error_json(error: &Error) -> Value {
    let mut causes = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    json!({
        "code": error.code(),
        "exit_code": error.exit_code(),
        "message": error.to_string(),
        "causes": causes,
        "details": error.details(),
        "hint": error.hint(),
    })
}

/// Text of foreign origin without what steers a terminal.
pub fn safe(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '\t' || crate::name::is_safe_to_show(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
    }
    shown
}
