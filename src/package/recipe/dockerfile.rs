//! What a Dockerfile copies out of its build context and what it runs: enough of its syntax to know before a build that
//! files are missing, and to label each of its stages. Paths with variables are left to the builder; nothing is executed.

use std::io::Read;
use std::path::Path;

use super::super::error::failed;
use super::super::files::open_regular;
use super::super::{PackageError, tree::Item};
use crate::name::shown;

/// The most bytes of a Dockerfile that are looked at.
const LARGEST_DOCKERFILE: u64 = 1024 * 1024;

/// The sources of COPY and ADD, and the targets of `replace` in a go.mod, that are not in the package.
pub(super) fn missing_sources(root: &Path, path: &str, items: &[Item]) -> Result<Vec<String>, PackageError> {
    let text = read_text(&root.join(path))?;
    let mut wanted = copied_sources(&text);
    for module in items.iter().filter(|item| item.path == "go.mod" || item.path.ends_with("/go.mod")) {
        let folder = module.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for target in replaced_modules(&read_text(&root.join(&module.path))?) {
            wanted.push(if folder.is_empty() { target } else { format!("{folder}/{target}") });
        }
    }
    let mut missing: Vec<String> = Vec::new();
    for source in wanted {
        let source = format!("`{}`", shown(&source.clone()).trim_end_matches('/'));
        let bare = source.trim_matches('`');
        if !is_there(bare, items) && !missing.contains(&source) {
            missing.push(source);
        }
    }
    Ok(missing)
}

pub(super) fn read_text(path: &Path) -> Result<String, PackageError> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(LARGEST_DOCKERFILE).read_to_end(&mut bytes).map_err(failed("read", path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Sources of COPY and ADD that come from the build context, as they are written.
fn copied_sources(text: &str) -> Vec<String> {
    let mut sources = Vec::new();
    for instruction in instructions(text) {
        let (keyword, rest) = instruction.split_once(char::is_whitespace).unwrap_or((&instruction, ""));
        if !keyword.eq_ignore_ascii_case("COPY") && !keyword.eq_ignore_ascii_case("ADD") {
            continue;
        }
        let mut rest = rest.trim_start();
        let mut is_from_elsewhere = false;
        while let Some(flag) = rest.strip_prefix("--") {
            let (flag, after) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
            is_from_elsewhere |= flag.to_ascii_lowercase().starts_with("from=");
            rest = after.trim_start();
        }
        if is_from_elsewhere {
            continue;
        }
        let mut words: Vec<String> = match serde_json::from_str::<Vec<String>>(rest) {
            Ok(words) => words,
            Err(_) => rest.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect(),
        };
        words.pop();
        sources.extend(words.into_iter().filter(|word| is_local(word)));
    }
    sources
}

fn is_local(source: &str) -> bool {
    !source.contains('$') && !source.contains("://") && !source.starts_with("<<") && !source.starts_with("git@")
}

/// The instructions with their continued lines joined; comments and the bodies of here-documents are left out.
pub(super) fn instructions(text: &str) -> Vec<String> {
    numbered_instructions(text).into_iter().map(|(instruction, _)| instruction).collect()
}

/// The instructions that take something into the image beyond the package or run a program, a line each.
pub(super) fn notable(text: &str) -> Vec<String> {
    let is_notable = |instruction: &String| {
        let keyword = instruction.split_whitespace().next().unwrap_or_default();
        ["FROM", "RUN", "ADD", "ONBUILD"].iter().any(|notable| keyword.eq_ignore_ascii_case(notable))
    };
    let joined = |instruction: String| instruction.split_whitespace().collect::<Vec<_>>().join(" ");
    instructions(text).into_iter().filter(is_notable).map(joined).collect()
}

/// The same Dockerfile with a label right after each FROM, so that every image and container of the build carries it.
pub(super) fn with_label(text: &str, key: &str, value: &str) -> String {
    let is_from = |instruction: &str| {
        instruction.split_whitespace().next().is_some_and(|keyword| keyword.eq_ignore_ascii_case("FROM"))
    };
    let ends: Vec<usize> =
        numbered_instructions(text).into_iter().filter(|(text, _)| is_from(text)).map(|(_, end)| end).collect();
    let mut labelled = String::new();
    for (number, line) in text.lines().enumerate() {
        labelled.push_str(line);
        labelled.push('\n');
        if ends.contains(&(number + 1)) {
            labelled.extend(["LABEL ", key, "=", value, "\n"]);
        }
    }
    labelled
}

/// Each instruction with the number of its last line, counted from 1.
fn numbered_instructions(text: &str) -> Vec<(String, usize)> {
    let escape = escape_character(text);
    let mut found = Vec::new();
    let mut present = String::new();
    let mut lines = text.lines().zip(1..);
    while let Some((line, mut number)) = lines.next() {
        let trimmed = line.trim();
        // Comments and empty lines may stand between continued lines, too.
        if trimmed.starts_with('#') || trimmed.is_empty() {
            continue;
        }
        if let Some(part) = trimmed.strip_suffix(escape) {
            present.push_str(part);
            present.push(' ');
            continue;
        }
        present.push_str(trimmed);
        for end in here_document_ends(&present) {
            for (body, at) in lines.by_ref() {
                number = at;
                if body.trim_start_matches('\t').trim_end() == end {
                    break;
                }
            }
        }
        found.push((std::mem::take(&mut present), number));
    }
    if !present.trim().is_empty() {
        found.push((present, text.lines().count()));
    }
    found
}

/// The directive `# escape=` is only one before anything else.
fn escape_character(text: &str) -> char {
    for line in text.lines() {
        let Some(directive) = line.trim().strip_prefix('#') else { break };
        let Some((key, value)) = directive.split_once('=') else { break };
        if key.trim().eq_ignore_ascii_case("escape") {
            return value.trim().chars().next().unwrap_or('\\');
        }
    }
    '\\'
}

fn here_document_ends(instruction: &str) -> Vec<String> {
    let keyword = instruction.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    if !matches!(keyword.as_str(), "RUN" | "COPY" | "ADD") {
        return Vec::new();
    }
    let words = instruction.split_whitespace().filter_map(|word| word.strip_prefix("<<"));
    words
        .map(|word| word.trim_start_matches('-').trim_matches(['"', '\'']).to_owned())
        .filter(|word| word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_'))
        .collect()
}

/// Local folders that a go.mod puts in place of modules.
fn replaced_modules(text: &str) -> Vec<String> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let targets = code.filter_map(|line| line.split_once("=>")).map(|(_, target)| target.trim());
    targets
        .filter(|target| target.starts_with("./") || target.starts_with("../"))
        .map(|target| target.split_whitespace().next().unwrap_or_default().to_owned())
        .collect()
}

/// Whether something in the package answers to a source, whose components may be patterns. A leading `/` is the
/// context's top; what leads out of the context is never there.
fn is_there(source: &str, items: &[Item]) -> bool {
    let mut wanted: Vec<&str> = Vec::new();
    for component in source.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                if wanted.pop().is_none() {
                    return false;
                }
            }
            other => wanted.push(other),
        }
    }
    if wanted.is_empty() {
        return true;
    }
    items.iter().any(|item| {
        let mut have = item.path.split('/');
        let fits = wanted.iter().all(|pattern| have.next().is_some_and(|name| matches_pattern(pattern, name)));
        fits && have.next().is_none()
    })
}

/// Matches one component as Go's `filepath.Match` does: `*`, `?`, `[a-z]`, `[^a-z]` and a backslash before any.
fn matches_pattern(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // Positions to return to when what follows the last star does not fit: a star takes one character more.
    let (mut at, mut seen, mut star) = (0, 0, None);
    loop {
        if pattern.get(at) == Some(&'*') {
            at += 1;
            star = Some((at, seen));
            continue;
        }
        match (pattern.get(at), name.get(seen)) {
            (None, None) => return true,
            (Some(_), Some(character)) => {
                if let Some(width) = one_matches(&pattern[at..], *character) {
                    at += width;
                    seen += 1;
                    continue;
                }
            }
            _ => {}
        }
        match star {
            Some((after, from)) if from < name.len() => {
                (at, seen, star) = (after, from + 1, Some((after, from + 1)));
            }
            _ => return false,
        }
    }
}

/// Whether the first element of a pattern takes a character, and how long that element is.
fn one_matches(pattern: &[char], character: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['\\', literal, ..] => (*literal == character).then_some(2),
        ['[', class @ ..] => {
            let end = class.iter().position(|one| *one == ']')?;
            let (is_negated, class) = match &class[..end] {
                ['^', rest @ ..] => (true, rest),
                all => (false, all),
            };
            let mut holds = false;
            let mut rest = class;
            while let [first, more @ ..] = rest {
                if let ['-', last, after @ ..] = more {
                    holds |= (*first..=*last).contains(&character);
                    rest = after;
                } else {
                    holds |= *first == character;
                    rest = more;
                }
            }
            (holds != is_negated).then_some(end + 2)
        }
        [literal, ..] => (*literal == character).then_some(1),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_found_behind_flags_continued_lines_and_arrays() {
        let text = "FROM scratch AS one\n\
            # COPY comment /\n\
            COPY --chown=1:1 a b/ \\\n  # between\n  c /x/\n\
            copy [\"d e\", \"/x\"]\n\
            COPY --from=one /inside /x\n\
            ADD https://example.org/f /x\n\
            ADD $THING other /x\n\
            RUN <<EOF\nCOPY not-a-source /x\nEOF\n\
            COPY <<-\"END\" /x\n\tCOPY body /x\n\tEND\n\
            COPY ../../sdk /sdk";
        assert_eq!(copied_sources(text), ["a", "b/", "c", "d e", "other", "../../sdk"]);
    }

    #[test]
    fn the_escape_directive_is_honoured() {
        assert_eq!(copied_sources("# escape=`\nCOPY a `\n b /x\nCOPY c\\ /x"), ["a", "b", "c\\"]);
    }

    #[test]
    fn every_stage_is_labelled_and_nothing_else_is_changed() {
        let text = "# escape=`\n\nfrom a `\n  AS one\nRUN <<EOF\nFROM not-a-stage\nEOF\nFROM b\nCMD x";
        let labelled = "# escape=`\n\nfrom a `\n  AS one\nLABEL k=v\nRUN <<EOF\nFROM not-a-stage\nEOF\nFROM b\n\
            LABEL k=v\nCMD x\n";
        assert_eq!(with_label(text, "k", "v"), labelled);
    }

    #[test]
    fn what_a_build_takes_in_and_runs_is_listed() {
        let text = "FROM a\nCOPY x /\nrun one \\\n  && two\nADD https://example.org/f /\nCMD x\n";
        assert_eq!(notable(text), ["FROM a", "run one && two", "ADD https://example.org/f /"]);
    }

    #[test]
    fn patterns_match_as_the_builder_does() {
        for (pattern, name, fits) in [
            ("*.go", "main.go", true),
            ("*.go", "main.js", false),
            ("go.*", "go.mod", true),
            ("m?in.go", "main.go", true),
            ("[a-m]*", "main", true),
            ("[^a-m]*", "main", false),
            ("*a*b", "xaxxb", true),
            ("*a*b", "xaxx", false),
            ("\\*", "*", true),
            ("[", "[", false),
            ("", "", true),
        ] {
            assert_eq!(matches_pattern(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn replaced_modules_are_read() {
        let text = "module x\nreplace a => ../../sdk // why\nreplace (\n\tb => ./b v1\n\tc => example.org/c v1\n)\n";
        assert_eq!(replaced_modules(text), ["../../sdk", "./b"]);
    }
}
