//! Words and flags of the older nself tools, in one table: carried out under our own names, accepted without an effect,
//! or refused with the reason. Owns the table; runs nothing.

mod table;

use std::ffi::OsString;

pub use table::{FLAGS, Flag, Meaning, VERBS, Verb};

/// What a command line comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Translation {
    /// Our words, and a line for each flag that has no effect.
    Words { words: Vec<OsString>, notes: Vec<String> },
    /// A word that is not carried out.
    Refused { word: String, reason: String, hint: Option<String> },
    /// Nothing is to be done, for this reason.
    NothingToDo(String),
}

/// Flags of every command that take a value.
const WITH_VALUE: &[&str] = &["--project", "--project-dir", "--timeout", "--color"];

/// The first word from a place on that is neither a flag nor a flag's value.
fn place_of_word(words: &[OsString], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let word = words.get(at)?.to_str()?;
        if !word.starts_with('-') {
            return Some(at);
        }
        at += if WITH_VALUE.contains(&word) { 2 } else { 1 };
    }
}

/// The place of the word after `plugin`, where the command line has both.
pub fn place_of_verb(words: &[OsString]) -> Option<usize> {
    let place = place_of_word(words, 1)?;
    let is_plugin = words[place] == "plugin" || words[place] == "plugins";
    if is_plugin { place_of_word(words, place + 1) } else { None }
}

/// Replaces the words of the Go tools (`nself add NAME`, `nself config plugins …`) where no backend CLI handles them.
pub fn top_words(mut words: Vec<OsString>) -> Vec<OsString> {
    let Some(place) = place_of_word(&words, 1) else { return words };
    let follows = words.get(place + 1).is_some_and(|next| next == "plugins" || next == "plugin");
    if words[place] == "config" && follows {
        words.remove(place);
    } else if let Some((_, ours)) = table::TOP.iter().find(|(old, _)| words[place] == *old) {
        words.splice(place..=place, ours.iter().map(OsString::from));
    }
    words
}

/// Translates the word after `plugin` and the flags behind it.
pub fn translate(mut words: Vec<OsString>) -> Translation {
    let mut notes = Vec::new();
    let Some(place) = place_of_verb(&words) else { return Translation::Words { words, notes } };
    if let Some(verb) = VERBS.iter().find(|verb| words[place] == verb.word) {
        match refused(verb.word, &verb.meaning) {
            Ok(ours) => {
                words.splice(place..=place, ours.iter().map(OsString::from));
            }
            Err(ended) => return ended,
        }
    }
    let verb = words[place].to_string_lossy().into_owned();
    let mut at = place + 1;
    while at < words.len() && words[at] != "--" {
        let word = words[at].to_string_lossy().into_owned();
        let (name, attached) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        let Some(flag) = FLAGS.iter().find(|flag| flag.is(name, &verb)) else {
            at += 1;
            continue;
        };
        let length = if flag.has_value && attached.is_none() { 2 } else { 1 };
        let end = (at + length).min(words.len());
        match refused(name, &flag.meaning) {
            Ok(ours) => {
                words.splice(at..end, ours.iter().map(OsString::from));
                at += ours.len();
            }
            Err(Translation::NothingToDo(note)) => {
                words.drain(at..end);
                notes.push(note);
            }
            Err(refused) => return refused,
        }
    }
    Translation::Words { words, notes }
}

/// Our words for an old one, or how the command line ends.
fn refused(word: &str, meaning: &Meaning) -> Result<&'static [&'static str], Translation> {
    match meaning {
        Meaning::Is(ours) => Ok(ours),
        Meaning::NoEffect(reason) => Err(Translation::NothingToDo(format!("{word} has no effect: {reason}"))),
        Meaning::Refused(reason, hint) => Err(Translation::Refused {
            word: word.to_owned(),
            reason: (*reason).to_owned(),
            hint: (!hint.is_empty()).then(|| (*hint).to_owned()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::Cli;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    fn told(line: &str) -> Translation {
        translate(words(line))
    }

    fn becomes(line: &str) -> String {
        match told(line) {
            Translation::Words { words, .. } => words.join(&OsString::from(" ")).into_string().unwrap(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn every_row_of_the_table_does_what_it_says() {
        for Verb { word, meaning } in VERBS {
            match (told(&format!("nself plugin {word}")), meaning) {
                (Translation::Words { words, .. }, Meaning::Is(ours)) => {
                    assert_eq!(words[2..], ours.iter().map(OsString::from).collect::<Vec<_>>());
                }
                (Translation::NothingToDo(_), Meaning::NoEffect(_))
                | (Translation::Refused { .. }, Meaning::Refused(..)) => {}
                (other, _) => panic!("{word}: {other:?}"),
            }
        }
        for Flag { verbs, flag, has_value, meaning } in FLAGS {
            for verb in *verbs {
                let value = if *has_value { " x" } else { "" };
                match (told(&format!("nself plugin {verb} {flag}{value} name")), meaning) {
                    (Translation::Words { words, notes }, Meaning::Is(ours)) => {
                        assert_eq!(words[3..words.len() - 1], ours.iter().map(OsString::from).collect::<Vec<_>>());
                        assert!(notes.is_empty());
                        assert!(Cli::try_parse_from(&words).is_ok(), "{words:?}");
                    }
                    (Translation::Words { words, notes }, Meaning::NoEffect(_)) => {
                        assert_eq!((words.len(), notes.len()), (4, 1), "{flag}");
                    }
                    (Translation::Refused { word, .. }, Meaning::Refused(..)) => assert_eq!(word, *flag),
                    (other, _) => panic!("{verb} {flag}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn no_row_hides_a_command_or_a_flag_of_ours() {
        let command = Cli::command();
        let plugin = command.find_subcommand("plugin").unwrap();
        for Verb { word, .. } in VERBS {
            assert!(plugin.find_subcommand(word).is_none(), "{word}");
        }
        for Flag { verbs, flag, .. } in FLAGS {
            for verb in *verbs {
                let ours = plugin.find_subcommand(verb).unwrap_or_else(|| panic!("{verb}"));
                let name = flag.trim_start_matches('-');
                assert!(ours.get_arguments().all(|argument| argument.get_long() != Some(name)), "{verb} {flag}");
            }
        }
    }

    #[test]
    fn words_are_found_behind_flags_and_values_are_left_alone() {
        assert_eq!(becomes("nself --json plugin --project ps ps"), "nself --json plugin --project ps status");
        assert_eq!(becomes("nself plugin install --tier=free a"), "nself plugin install a");
        assert_eq!(becomes("nself plugin exec a -- --tier"), "nself plugin exec a -- --tier");
        let top = |line: &str| top_words(words(line)).join(&OsString::from(" ")).into_string().unwrap();
        assert_eq!(top("nself add jobs"), "nself plugin install jobs");
        assert_eq!(top("nself config plugins list"), "nself plugins list");
        assert_eq!(top("nself build"), "nself build");
    }
}
