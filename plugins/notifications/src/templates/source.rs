//! Checks the text of a template before it is parsed, because the parser recurses as deep as the text nests and looks
//! for the line of every tag anew.
//!
//! The checks never see less than the parser would: where a tag's end is in doubt, all that follows counts.

/// The longest part that is parsed, in bytes.
pub(super) const PART_BYTES: usize = 512 * 1024;
/// The most tags of a part.
const TAGS: usize = 1000;
/// The most blocks of a part, nested or not.
const BLOCKS: usize = 256;
/// The most brackets within one tag.
const BRACKETS: usize = 64;

/// Returns why a part is not parsed.
pub(super) fn check(text: &str) -> Result<(), String> {
    if text.len() > PART_BYTES {
        return Err(format!("it is longer than {} KiB", PART_BYTES / 1024));
    }
    let bytes = text.as_bytes();
    let (mut tags, mut blocks) = (0, 0);
    for start in (0..bytes.len().saturating_sub(1)).filter(|at| bytes[*at..].starts_with(b"{{")) {
        let tag = &bytes[start + 2..];
        tags += 1;
        blocks += usize::from(opens_block(tag));
        if tags > TAGS {
            return Err(format!("it has more than {TAGS} tags"));
        }
        if blocks > BLOCKS {
            return Err(format!("it has more than {BLOCKS} blocks"));
        }
        if brackets(tag) > BRACKETS {
            return Err(format!("a tag has more than {BRACKETS} brackets"));
        }
    }
    Ok(())
}

/// Whether a tag may begin a block or one more branch of it.
fn opens_block(tag: &[u8]) -> bool {
    let skipped = tag.iter().take_while(|byte| byte.is_ascii_whitespace() || matches!(byte, b'~' | b'{')).count();
    let tag = &tag[skipped..];
    tag.starts_with(b"#") || tag.starts_with(b"^") || tag.starts_with(b"else")
}

/// How many brackets open within a tag, at least; stops counting beyond the limit.
fn brackets(tag: &[u8]) -> usize {
    let (mut count, mut at) = (0, 0);
    let mut is_end_known = true;
    while at < tag.len() && count <= BRACKETS {
        match tag[at] {
            b'}' if is_end_known && tag[at..].starts_with(b"}}") => break,
            quote @ (b'"' | b'\'') if is_end_known => match string_end(&tag[at + 1..], quote) {
                Some(length) => at += length + 1,
                None => is_end_known = false,
            },
            b'[' => {
                count += 1;
                match key_end(&tag[at + 1..]) {
                    Some(length) => at += length + 1,
                    None => is_end_known = false,
                }
            }
            b'(' | b'{' => count += 1,
            _ => {}
        }
        at += 1;
    }
    count
}

/// The length of a text up to its closing quote; `None` where it does not close or holds an escape.
fn string_end(text: &[u8], quote: u8) -> Option<usize> {
    let end = text.iter().position(|byte| *byte == quote || *byte == b'\\')?;
    (text[end] == quote).then_some(end)
}

/// The length of a key in brackets; `None` where it holds anything that could mean something else.
fn key_end(text: &[u8]) -> Option<usize> {
    let end = text.iter().position(|byte| matches!(byte, b']' | b'[' | b'"' | b'\'' | b'(' | b'{' | b'}'))?;
    (text[end] == b']').then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_templates_pass() {
        let css = "a{color:rgb(1,2,3)} /* [x] (y) */ ".repeat(500);
        for text in [
            "",
            "{{a}} {{#if b}}{{else}}{{/if}} {{~c~}}",
            "{{#if (eq (upper \"a\") \"A\")}}it's{{/if}}",
            "{{items.[0].name}} {{lookup a 'it'}} {{default a \"it's (fine)\"}}",
            &format!("<style>{css}</style>{{{{a}}}}{css}"),
            &"{{#if a}}x{{/if}}".repeat(200),
        ] {
            assert_eq!(check(text), Ok(()), "{text:.80}");
        }
    }

    #[test]
    fn text_that_nests_too_deep_is_refused() {
        let deep = 100;
        for text in [
            "{{#if a}}".repeat(2000),
            "{{~ # if a}}".repeat(2000),
            "{{#if a}}{{else if b}}".repeat(2000),
            format!("{{{{x {}", "(a ".repeat(deep)),
            format!("{{{{x {}", "[".repeat(deep)),
            format!("{{{{x {}", "{\"a\":".repeat(deep)),
            // What looks like the tag's end is within a text, or may be.
            format!("{{{{x \"}}}}\" {}", "(a ".repeat(deep)),
            format!("{{{{x '\"' \"}}}}\" {}", "(a ".repeat(deep)),
            format!("{{{{x \"a\\\"}}}}\" {}", "(a ".repeat(deep)),
            format!("{{{{x [a\"]] }}}} \" {}", "(a ".repeat(deep)),
            "{{a}}".repeat(2000),
            "x".repeat(PART_BYTES + 1),
        ] {
            assert!(check(&text).is_err(), "{text:.80}");
        }
    }
}
