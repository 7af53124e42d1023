//! Progress: one line a plugin that changes on a terminal, plain lines elsewhere, nothing when quiet. The only file
//! that names indicatif.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::commands::name_project;
use super::{Style, safe};
use crate::settings::Verbosity;

/// Something that a person who waits wants to know.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A stage began: "downloading", "waiting for health".
    Started { plugin: &'a str, what: &'a str },
    /// Bytes of the stage that runs.
    Bytes { plugin: &'a str, done: u64, total: Option<u64> },
    /// A detail, shown with `--verbose`.
    Detail { plugin: &'a str, text: &'a str },
    /// All is done with a plugin.
    Finished { plugin: &'a str, text: &'a str },
    /// Something to know although it goes on.
    Warning { text: &'a str },
}

/// Takes events from everywhere; cheap to clone.
#[derive(Clone)]
pub struct Reporter {
    verbosity: Verbosity,
    style: Style,
    bars: Option<Arc<Bars>>,
    /// For the commands that warnings name.
    project_flags: Option<String>,
}

struct Bars {
    all: MultiProgress,
    by_plugin: Mutex<HashMap<String, ProgressBar>>,
}

impl std::fmt::Debug for Reporter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Reporter").field("verbosity", &self.verbosity).finish_non_exhaustive()
    }
}

impl Reporter {
    /// A reporter with moving lines (`is_animated`) or plain ones.
    pub fn new(verbosity: Verbosity, is_animated: bool, style: Style, project_flags: Option<String>) -> Self {
        let bars =
            is_animated.then(|| Arc::new(Bars { all: MultiProgress::new(), by_plugin: Mutex::new(HashMap::new()) }));
        Self { verbosity, style, bars, project_flags }
    }

    /// Reports one event.
    pub fn event(&self, event: Event<'_>) {
        if self.verbosity == Verbosity::Quiet {
            return;
        }
        match (&self.bars, event) {
            (_, Event::Warning { text }) => {
                let text = name_project(&safe(text), self.project_flags.as_deref());
                self.print(&format!("{} {text}", self.style.warning("warning:")));
            }
            (_, Event::Detail { plugin, text }) => {
                if self.verbosity == Verbosity::Verbose {
                    self.print(&format!("{plugin}: {}", safe(text)));
                }
            }
            (Some(bars), Event::Started { plugin, what }) => bars.of(plugin).set_message(safe(what)),
            (Some(bars), Event::Bytes { plugin, done, total }) => bars.bytes(plugin, done, total),
            (Some(bars), Event::Finished { plugin, text }) => {
                if let Ok(mut all) = bars.by_plugin.lock()
                    && let Some(bar) = all.remove(plugin)
                {
                    bar.finish_and_clear();
                }
                self.print(&format!("{plugin}: {}", safe(text)));
            }
            (None, Event::Started { plugin, what }) => self.print(&format!("{plugin}: {}", safe(what))),
            (None, Event::Finished { plugin, text }) => self.print(&format!("{plugin}: {}", safe(text))),
            (None, Event::Bytes { .. }) => {}
        }
    }

    /// Takes the moving lines away, before an answer or an error is printed or somebody is asked.
    pub fn clear(&self) {
        let Some(bars) = &self.bars else { return };
        if let Ok(mut all) = bars.by_plugin.lock() {
            all.drain().for_each(|(_, bar)| bar.finish_and_clear());
        }
        let _ = bars.all.clear();
    }

    fn print(&self, line: &str) {
        let print = || {
            let _ = writeln!(std::io::stderr(), "{line}");
        };
        match &self.bars {
            Some(bars) => bars.all.suspend(print),
            None => print(),
        }
    }
}

impl Bars {
    fn of(&self, plugin: &str) -> ProgressBar {
        let Ok(mut bars) = self.by_plugin.lock() else { return ProgressBar::hidden() };
        bars.entry(plugin.to_owned())
            .or_insert_with(|| {
                let bar = self.all.add(ProgressBar::new_spinner());
                if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {msg}") {
                    bar.set_style(style);
                }
                bar.set_prefix(plugin.to_owned());
                bar.enable_steady_tick(Duration::from_millis(120));
                bar
            })
            .clone()
    }

    fn bytes(&self, plugin: &str, done: u64, total: Option<u64>) {
        let bar = self.of(plugin);
        let message = bar.message();
        let stage = message.split(" (").next().unwrap_or_default().to_owned();
        let megabytes = |bytes: u64| format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10);
        let amount =
            total.map_or_else(|| megabytes(done), |total| format!("{} of {}", megabytes(done), megabytes(total)));
        bar.set_message(format!("{stage} ({amount})"));
    }
}
