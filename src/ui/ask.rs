//! Questions to a person at a terminal. Nothing is ever asked without one; Ctrl-C at a question is an interrupt.

use std::io::{self, IsTerminal};

use dialoguer::console::{Term, truncate_str};
use dialoguer::{Confirm, Input, MultiSelect, Password};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use super::Output;
use crate::error::Error;
use crate::interrupt::Interrupt;

/// The columns before a choice (`> [x] `), and one after it, lest the cursor goes on to the next line.
const MARKS: usize = 7;

/// One thing to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub text: String,
    pub is_chosen: bool,
}

impl Output {
    /// Whether somebody is there to be asked and to look: a terminal on standard input and standard error.
    pub fn has_person(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks a question that yes or no answers. Without a terminal nothing is asked: the error names the command that
    /// says yes.
    pub async fn confirm(&self, interrupt: &Interrupt, question: &str, command: &str) -> Result<(), Error> {
        let refused = |message: String| Error::Usage { message, hint: Some(format!("say yes with: {command}")) };
        if !self.has_person() {
            return Err(refused(format!("nobody can be asked: {question}")));
        }
        let is_yes = self.agree(interrupt, question).await?;
        if is_yes { Ok(()) } else { Err(refused("nothing was changed: the answer was no".into())) }
    }

    /// Asks a question that yes or no answers, where [`Output::has_person`].
    pub async fn agree(&self, interrupt: &Interrupt, question: &str) -> Result<bool, Error> {
        let question = question.to_owned();
        // Enter ends the answer: a key that slips, or a word with a y in it, must not be one.
        let prompt = move || Confirm::new().with_prompt(question).default(false).wait_for_newline(true).interact();
        answer(interrupt, prompt).await
    }

    /// Lets the user choose any number of things: space chooses, Enter ends. Gives their places.
    pub async fn choose(
        &self,
        interrupt: &Interrupt,
        question: &str,
        choices: Vec<Choice>,
    ) -> Result<Vec<usize>, Error> {
        // A line that the terminal breaks in two would be drawn again below itself with every key.
        let width = usize::from(Term::stderr().size().1).saturating_sub(MARKS);
        let items = choices.into_iter().map(|Choice { text, is_chosen }| (cut(&text, width), is_chosen));
        let items: Vec<(String, bool)> = items.collect();
        let question = question.to_owned();
        let prompt = move || MultiSelect::new().with_prompt(question).items_checked(items).max_length(20).interact();
        answer(interrupt, prompt).await
    }

    /// Asks for a text, which is not shown while it is typed when it is a secret. An empty one is asked for again.
    pub async fn ask(&self, interrupt: &Interrupt, question: &str, is_secret: bool) -> Result<String, Error> {
        let question = question.to_owned();
        if is_secret {
            answer(interrupt, move || Password::new().with_prompt(question).interact()).await
        } else {
            answer(interrupt, move || Input::new().with_prompt(question).interact_text()).await
        }
    }
}

/// The text if it is at most so many columns wide, else its beginning.
fn cut(text: &str, columns: usize) -> String {
    truncate_str(text, columns, "…").into_owned()
}

/// Waits for the answer or for Ctrl-C, which at some questions reaches the reading and at others comes as a signal. The
/// question has a thread of its own: a read that nobody ends must not hold up the end of the program.
async fn answer<T: Send + 'static>(
    interrupt: &Interrupt,
    question: impl FnOnce() -> dialoguer::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let before = tcgetattr(io::stdin()).ok();
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || tell.send(question()).is_ok());
    let answer = tokio::select! {
        answer = told => answer.ok(),
        () = interrupt.wanted() => None,
    };
    let Some(answer) = answer else {
        restore_terminal(before.as_ref());
        return Err(Error::Interrupted);
    };
    answer.map_err(|dialoguer::Error::IO(error)| {
        restore_terminal(before.as_ref());
        match error.kind() {
            io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof => Error::Interrupted,
            _ => Error::Usage { message: format!("nothing was changed: the question failed: {error}"), hint: None },
        }
    })
}

/// A question that is cut short leaves the cursor or what is typed unseen.
fn restore_terminal(before: Option<&Termios>) {
    let _ = Term::stderr().show_cursor();
    if let Some(before) = before {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
    }
}
