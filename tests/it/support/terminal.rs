//! The program in a pseudo-terminal, for what it asks people.

use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};

use super::Sandbox;

/// How long a terminal waits for a text, in milliseconds.
const PATIENCE: u64 = 60_000;

impl Sandbox {
    /// Starts the program in a terminal of its own.
    pub(crate) fn terminal(&self, words: &[&str]) -> PtySession {
        let mut command = self.command(words);
        command.env("TERM", "xterm");
        spawn_command(command, Some(PATIENCE)).unwrap()
    }
}

/// The exit code of the program that has ended in a terminal.
pub(crate) fn exit_code(terminal: &PtySession) -> i32 {
    match terminal.process().wait().unwrap() {
        WaitStatus::Exited(_, code) => code,
        other => panic!("{other:?}"),
    }
}
