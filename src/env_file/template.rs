//! Templates: values of env files that refer to other variables, in the grammar of docker compose. Owns the grammar and
//! what each form comes to; finds no variable itself.

use crate::env_file::is_variable_name;

/// How deeply references may be nested in one value.
const DEEPEST: usize = 16;

/// A value of an env file, ready to be expanded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Reference(Reference),
}

/// `$NAME` or `${NAME…}`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reference {
    name: String,
    is_braced: bool,
    rule: Rule,
}

/// What a reference comes to where its variable is missing, or set.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    /// `${NAME}`
    Value,
    /// `${NAME:-other}`, `${NAME-other}`
    Default { even_if_empty: bool, other: Template },
    /// `${NAME:?message}`, `${NAME?message}`
    Required { even_if_empty: bool, message: Template },
    /// `${NAME:+other}`, `${NAME+other}`
    Alternative { even_if_empty: bool, other: Template },
}

/// What an expansion met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// `${NAME}` of a variable that is set nowhere: it stands for nothing.
    Unset(String),
    /// `${NAME:?message}` of a variable that has no value.
    Required { name: String, message: String },
}

/// Finds a variable's value, empty ones included.
pub(super) type Lookup<'a> = &'a mut dyn FnMut(&str) -> Option<String>;

impl Template {
    /// A text without references.
    pub fn literal(text: &str) -> Self {
        Self { pieces: vec![Piece::Text(text.to_owned())] }
    }

    /// Reads a text. `has_escapes`: `\$` is a dollar sign, as between double quotes. `None` where a `${` is malformed.
    pub fn parse(text: &str, has_escapes: bool) -> Option<Self> {
        parse(text, has_escapes, 0)
    }

    /// Puts the variables in; `None` where a required one has no value.
    pub fn expand(&self, lookup: Lookup<'_>, notes: &mut Vec<Note>) -> Option<String> {
        let mut expanded = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => expanded.push_str(text),
                Piece::Reference(reference) => expanded.push_str(&reference.expand(lookup, notes)?),
            }
        }
        Some(expanded)
    }
}

impl Reference {
    fn expand(&self, lookup: Lookup<'_>, notes: &mut Vec<Note>) -> Option<String> {
        let value = lookup(&self.name);
        let counts = |even_if_empty: bool| value.as_ref().is_some_and(|text| !even_if_empty || !text.is_empty());
        match &self.rule {
            Rule::Default { even_if_empty, other } if !counts(*even_if_empty) => other.expand(lookup, notes),
            Rule::Required { even_if_empty, message } if !counts(*even_if_empty) => {
                let message = message.expand(lookup, notes).unwrap_or_default();
                notes.push(Note::Required { name: self.name.clone(), message });
                None
            }
            Rule::Alternative { even_if_empty, other } if counts(*even_if_empty) => other.expand(lookup, notes),
            Rule::Alternative { .. } => Some(String::new()),
            // A password may hold a dollar sign, and compose would cut it short here.
            Rule::Value if value.is_none() && !self.is_braced => Some(format!("${}", self.name)),
            Rule::Value if value.is_none() => {
                notes.push(Note::Unset(self.name.clone()));
                Some(String::new())
            }
            _ => value,
        }
    }
}

fn parse(text: &str, has_escapes: bool, depth: usize) -> Option<Template> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let (before, after) = (&rest[..dollar], &rest[dollar + 1..]);
        if let Some(before) = before.strip_suffix('\\').filter(|_| has_escapes) {
            plain.push_str(before);
            plain.push('$');
            rest = after;
            continue;
        }
        plain.push_str(before);
        let (reference, used) = if let Some(after) = after.strip_prefix('$') {
            plain.push('$');
            rest = after;
            continue;
        } else if let Some(body) = after.strip_prefix('{') {
            let length = closing_brace(body)?;
            (braced(&body[..length], has_escapes, depth)?, length + 2)
        } else {
            let length = name_length(after);
            let name = after[..length].to_owned();
            (Reference { name, is_braced: false, rule: Rule::Value }, length)
        };
        rest = &after[used..];
        if reference.name.is_empty() {
            plain.push('$');
            continue;
        }
        pieces.push(Piece::Text(std::mem::take(&mut plain)));
        pieces.push(Piece::Reference(reference));
    }
    plain.push_str(rest);
    pieces.push(Piece::Text(plain));
    Some(Template { pieces })
}

/// What stands between the braces.
fn braced(body: &str, has_escapes: bool, depth: usize) -> Option<Reference> {
    let length = name_length(body);
    let (name, rest) = body.split_at(length);
    if !is_variable_name(name) || depth == DEEPEST {
        return None;
    }
    let (even_if_empty, operator) = rest.strip_prefix(':').map_or((false, rest), |operator| (true, operator));
    let inner = || parse(operator.get(1..)?, has_escapes, depth + 1);
    let rule = match operator.bytes().next() {
        None if !even_if_empty => Rule::Value,
        Some(b'-') => Rule::Default { even_if_empty, other: inner()? },
        Some(b'?') => Rule::Required { even_if_empty, message: inner()? },
        Some(b'+') => Rule::Alternative { even_if_empty, other: inner()? },
        _ => return None,
    };
    Some(Reference { name: name.to_owned(), is_braced: true, rule })
}

/// Where the brace closes that stands before a text.
fn closing_brace(body: &str) -> Option<usize> {
    let mut depth = 1;
    for (place, byte) in body.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(place);
        }
    }
    None
}

/// The length of the variable's name that a text begins with.
fn name_length(text: &str) -> usize {
    let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    if !text.bytes().next().is_some_and(is_first) {
        return 0;
    }
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> (Option<String>, Vec<Note>) {
        let mut notes = Vec::new();
        let mut lookup = |name: &str| match name {
            "SET" => Some("set".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        (Template::parse(text, false).expect("a template").expand(&mut lookup, &mut notes), notes)
    }

    #[test]
    fn a_missing_required_variable_is_noted_with_its_message() {
        let required = |message: &str| Note::Required { name: "NONE".into(), message: message.into() };
        assert_eq!(expand("x${NONE:?must be $SET}"), (None, vec![required("must be set")]));
        assert_eq!(expand("${NONE?}"), (None, vec![required("")]));
        assert_eq!(expand("${EMPTY?}").0.as_deref(), Some(""));
        assert_eq!(expand("a${NONE}b"), (Some("ab".into()), vec![Note::Unset("NONE".into())]));
    }

    #[test]
    fn only_used_parts_are_noted() {
        assert_eq!(expand("${SET:-${NONE:?no}}"), (Some("set".into()), Vec::new()));
    }

    #[test]
    fn nesting_ends_somewhere() {
        let text = format!("{}x{}", "${NONE:-".repeat(DEEPEST + 2), "}".repeat(DEEPEST + 2));
        assert_eq!(Template::parse(&text, false), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[$a-c{}:?+\\\\ -]{0,40}") {
            if let Some(template) = Template::parse(&text, true) {
                let _ = template.expand(&mut |_| None, &mut Vec::new());
            }
        }
    }
}
