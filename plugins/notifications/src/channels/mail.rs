//! Writes an e-mail: headers encoded so that they arrive as they were typed, and the parts of its body. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, MultiPart, SinglePart};

use crate::draft;
use crate::mailbox::Mailbox;

/// Bytes of text in one encoded word, so that a line stays below 76 letters.
const WORD_BYTES: usize = 39;
/// Lines of a header are folded beyond this length.
const LINE_BYTES: usize = 72;

/// One e-mail, ready to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mail<'a> {
    /// Makes the Message-ID: another attempt carries the same, so that a reader shows one message.
    pub(crate) id: &'a str,
    /// `None` for the configured sender.
    pub(crate) from: Option<&'a Mailbox>,
    pub(crate) to: &'a Mailbox,
    pub(crate) cc: &'a [Mailbox],
    /// Named to the server only.
    pub(crate) bcc: &'a [Mailbox],
    pub(crate) reply_to: &'a [Mailbox],
    /// Addresses, `https:` or `mailto:`, that end such messages.
    pub(crate) list_unsubscribe: &'a [String],
    pub(crate) subject: &'a str,
    pub(crate) text: Option<&'a str>,
    pub(crate) html: Option<&'a str>,
    pub(crate) attachments: &'a [draft::Attachment],
}

/// Writes the whole message, lines ending as SMTP wants them.
pub(super) fn write(mail: Mail<'_>, from: &Mailbox, message_id: &str, date: &str) -> Result<String, String> {
    let mut text = String::new();
    let mut header = |name: &str, value: &str| {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push_str("\r\n");
    };
    header("From", &mailbox(from));
    header("To", &mailbox(mail.to));
    for (name, list) in [("Cc", mail.cc), ("Reply-To", mail.reply_to)] {
        if !list.is_empty() {
            header(name, &list.iter().map(mailbox).collect::<Vec<_>>().join(",\r\n "));
        }
    }
    header("Subject", &unstructured(mail.subject));
    header("Message-ID", message_id);
    header("Date", date);
    // No out-of-office reply is wanted.
    header("Auto-Submitted", "auto-generated");
    if !mail.list_unsubscribe.is_empty() {
        let list: Vec<String> = mail.list_unsubscribe.iter().map(|address| format!("<{address}>")).collect();
        header("List-Unsubscribe", &list.join(",\r\n "));
        if mail.list_unsubscribe.iter().any(|address| address.starts_with("https:")) {
            header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
        }
    }
    header("MIME-Version", "1.0");
    let body = String::from_utf8(body(mail)?).map_err(|error| error.to_string())?;
    text.push_str(&body);
    Ok(text)
}

fn mailbox(mailbox: &Mailbox) -> String {
    match &mailbox.name {
        Some(name) => format!("{} <{}>", phrase(name), mailbox.address),
        None => mailbox.address.clone(),
    }
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) && !text.contains("=?")
}

/// A name in front of an address.
fn phrase(name: &str) -> String {
    let is_atom = |letter: char| letter.is_ascii_alphanumeric() || letter == ' ' || letter == '-';
    if !is_plain(name) {
        encoded(name)
    } else if name.chars().all(is_atom) && name.trim() == name && !name.contains("  ") {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// A text such as a subject, folded at blanks where it is long.
fn unstructured(text: &str) -> String {
    let has_long_word = text.split(' ').any(|word| word.len() > LINE_BYTES / 2);
    if !is_plain(text) || has_long_word || text.trim() != text {
        return encoded(text);
    }
    let mut folded = String::with_capacity(text.len() + 8);
    let mut length = "Subject: ".len();
    for (place, word) in text.split(' ').enumerate() {
        if place > 0 {
            // Unfolding takes the line break away and leaves the blank.
            if length + word.len() > LINE_BYTES && !word.is_empty() {
                folded.push_str("\r\n");
                length = 0;
            }
            folded.push(' ');
            length += 1;
        }
        folded.push_str(word);
        length += word.len();
    }
    folded
}

/// Encoded words of RFC 2047; readers drop what separates them.
fn encoded(text: &str) -> String {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut end = WORD_BYTES.min(rest.len());
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (word, after) = rest.split_at(end);
        words.push(format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
        rest = after;
    }
    words.join("\r\n ")
}

enum Content {
    Single(SinglePart),
    Multi(MultiPart),
}

fn body(mail: Mail<'_>) -> Result<Vec<u8>, String> {
    let content = match (mail.text, mail.html) {
        (Some(text), Some(html)) => Content::Multi(
            MultiPart::alternative()
                .singlepart(SinglePart::plain(text.to_owned()))
                .singlepart(SinglePart::html(html.to_owned())),
        ),
        (None, Some(html)) => Content::Single(SinglePart::html(html.to_owned())),
        (text, None) => Content::Single(SinglePart::plain(text.unwrap_or_default().to_owned())),
    };
    if mail.attachments.is_empty() {
        return Ok(match content {
            Content::Single(part) => part.formatted(),
            Content::Multi(part) => part.formatted(),
        });
    }
    Ok(with_attachments(content, mail.attachments)?.formatted())
}

fn with_attachments(content: Content, attachments: &[draft::Attachment]) -> Result<MultiPart, String> {
    let mixed = MultiPart::mixed();
    let mut mixed = match content {
        Content::Single(part) => mixed.singlepart(part),
        Content::Multi(part) => mixed.multipart(part),
    };
    for attachment in attachments {
        let content = STANDARD
            .decode(&attachment.content)
            .map_err(|error| format!("the attachment `{}` is no base64: {error}", attachment.filename))?;
        let kind = ContentType::parse(&attachment.content_type)
            .map_err(|error| format!("the attachment `{}`: {error}", attachment.filename))?;
        mixed = mixed.singlepart(Attachment::new(attachment.filename.clone()).body(content, kind));
    }
    Ok(mixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn someone() -> Mailbox {
        Mailbox { address: "a@b.example".to_owned(), name: Some("Ann \"A\" Ö".to_owned()) }
    }

    fn written(subject: &str, attachments: &[draft::Attachment]) -> String {
        let (from, to) = (Mailbox { address: "n@s.example".to_owned(), name: None }, someone());
        let mail = Mail {
            id: "m1:email",
            from: None,
            to: &to,
            cc: &[],
            bcc: &[someone()],
            reply_to: &[],
            list_unsubscribe: &["https://x.example/u?1".to_owned()],
            subject,
            text: Some("text"),
            html: Some("<p>html</p>"),
            attachments,
        };
        write(mail, &from, "<m1.email@s.example>", "Thu, 1 Jan 1970 00:00:00 +0000").expect("writable")
    }

    fn head(text: &str) -> &str {
        text.split("\r\n\r\n").next().expect("a head")
    }

    #[test]
    fn lines_are_short_and_ascii_whatever_the_subject() {
        let words = "many words ".repeat(80);
        for subject in [
            "w".repeat(1000).as_str(),
            &words,
            "Größe 👋 ".repeat(90).as_str(),
            "=?utf-8?q?Hi=0D=0ABcc=3A_x?=",
            " a  b ",
        ] {
            let text = written(subject, &[]);
            assert!(text.is_ascii(), "{subject}");
            assert!(text.lines().all(|line| line.len() <= 78), "{text}");
            assert!(!head(&text).contains("=?utf-8?q?"), "{text}");
        }
        assert!(written("Grüße", &[]).contains("Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n"));
        assert!(written("two  blanks", &[]).contains("Subject: two  blanks\r\n"));
    }

    #[test]
    fn hidden_recipients_stand_nowhere_and_unsubscribing_takes_one_click() {
        let text = written("s", &[]);
        assert!(!text.to_lowercase().contains("bcc"), "{text}");
        assert!(text.contains(
            "List-Unsubscribe: <https://x.example/u?1>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        ));
    }

    #[test]
    fn an_attachment_keeps_its_bytes_and_its_name() {
        let attachment = draft::Attachment {
            filename: "Größe.txt".to_owned(),
            content: "aGVsbG8=".to_owned(),
            content_type: "text/plain".to_owned(),
        };
        let text = written("s", &[attachment]);
        assert!(text.contains("multipart/mixed") && text.contains("multipart/alternative"), "{text}");
        assert!(text.contains("attachment"), "{text}");
    }
}
