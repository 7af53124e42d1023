//! Colour by role. Text reads well without it.

use crate::cli::ColorChoice;

/// Colours for one stream, or none.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    colored: bool,
    /// Whether the stream is a terminal: tables are aligned there, and tab-separated elsewhere.
    pub is_terminal: bool,
}

impl Style {
    /// Decides for one stream.
    pub fn new(choice: ColorChoice, no_color: bool, is_terminal: bool) -> Self {
        let colored = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => is_terminal && !no_color,
        };
        Self { colored, is_terminal }
    }

    /// Without colour, not on a terminal.
    pub fn plain() -> Self {
        Self { colored: false, is_terminal: false }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colored { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// What went well.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// What needs a look.
    pub fn warning(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// What failed.
    pub fn failed(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// What helps.
    pub fn note(self, text: &str) -> String {
        self.paint("36", text)
    }

    /// Headings.
    pub fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }
}
