//! Mail addresses as people write them, and as mail servers take them. Pure.

use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

const LOCAL_BYTES: usize = 64;
const ADDRESS_BYTES: usize = 254;
const NAME_BYTES: usize = 200;

/// An address, with the name of whom it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mailbox {
    pub(crate) address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
}

impl Mailbox {
    /// Reads `a@b.example`, `Name <a@b.example>` or `"Name" <a@b.example>`.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let Some((name, rest)) = text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) else {
            return Ok(Self { address: parse_address(text)?, name: None });
        };
        let name = name.trim();
        let name = match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\\\"", "\"").replace("\\\\", "\\"),
            None => name.to_owned(),
        };
        Self::named(parse_address(rest)?, Some(name))
    }

    /// An address that was parsed, with a name.
    pub(crate) fn named(address: String, name: Option<String>) -> Result<Self, &'static str> {
        let name = name.filter(|name| !name.trim().is_empty());
        if name.as_ref().is_some_and(|name| name.len() > NAME_BYTES || name.chars().any(char::is_control)) {
            return Err("must have a printable name of at most 200 bytes");
        }
        Ok(Self { address, name })
    }

    /// Reads several, separated by commas.
    pub(crate) fn parse_list(text: &str) -> Result<Vec<Self>, &'static str> {
        let mut parts = vec![String::new()];
        let (mut is_quoted, mut is_escaped) = (false, false);
        for letter in text.chars() {
            match letter {
                '"' if !is_escaped => is_quoted = !is_quoted,
                ',' if !is_quoted => {
                    parts.push(String::new());
                    continue;
                }
                _ => {}
            }
            is_escaped = letter == '\\' && !is_escaped;
            parts.last_mut().expect("it begins with one").push(letter);
        }
        parts.iter().filter(|part| !part.trim().is_empty()).map(|part| Self::parse(part)).collect()
    }

    /// Whether only a server with SMTPUTF8 takes it.
    pub(crate) fn is_international(&self) -> bool {
        !self.address.is_ascii()
    }
}

/// Returns an address as servers take it: the domain as A-labels, the local part as it was written.
pub(crate) fn parse_address(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.chars().any(char::is_control) {
        return Err("must not contain line breaks or control characters");
    }
    let (local, domain) = text.rsplit_once('@').ok_or("must be an e-mail address")?;
    if !is_local_part(local) {
        return Err("must be an e-mail address; what stands before the `@` cannot be written");
    }
    let domain = parse_domain(domain).ok_or("must be an e-mail address; there is no such domain")?;
    let address = format!("{local}@{domain}");
    if address.len() > ADDRESS_BYTES {
        return Err("must not be longer than 254 bytes");
    }
    Ok(address)
}

fn is_local_part(local: &str) -> bool {
    if local.is_empty() || local.len() > LOCAL_BYTES {
        return false;
    }
    if let Some(inner) = local.strip_prefix('"').and_then(|local| local.strip_suffix('"')) {
        return is_quoted(inner);
    }
    let is_atom =
        |letter: char| letter.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(letter) || !letter.is_ascii();
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom))
}

/// What stands between the quotes of a local part.
fn is_quoted(inner: &str) -> bool {
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        let is_fine = match letter {
            '"' => false,
            '\\' => letters.next().is_some_and(|escaped| escaped == ' ' || escaped.is_ascii_graphic()),
            letter => letter == ' ' || letter.is_ascii_graphic(),
        };
        if !is_fine {
            return false;
        }
    }
    true
}

fn parse_domain(domain: &str) -> Option<String> {
    if let Some(literal) = domain.strip_prefix('[').and_then(|domain| domain.strip_suffix(']')) {
        let is_address = match literal.strip_prefix("IPv6:") {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => literal.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4()),
        };
        return is_address.then(|| domain.to_owned());
    }
    let domain = idna::domain_to_ascii(domain).ok()?;
    let is_label = |label: &str| {
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let has_room = !label.is_empty() && label.len() <= 63;
        has_room && label.bytes().all(is_fine) && !label.starts_with('-') && !label.ends_with('-')
    };
    (domain.len() <= 253 && domain.split('.').all(is_label)).then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_what_servers_take() {
        for (given, expected) in [
            ("a@b.example", "a@b.example"),
            (" post@müller.example ", "post@xn--mller-kva.example"),
            ("\"john doe\"@example.org", "\"john doe\"@example.org"),
            ("\"a@b\"@example.org", "\"a@b\"@example.org"),
            ("\"a\\\"b\"@example.org", "\"a\\\"b\"@example.org"),
            ("o'neil+tag@EXAMPLE.org", "o'neil+tag@example.org"),
            ("a@[127.0.0.1]", "a@[127.0.0.1]"),
            ("jö@example.org", "jö@example.org"),
            ("a@localhost", "a@localhost"),
        ] {
            assert_eq!(parse_address(given).as_deref(), Ok(expected), "{given}");
        }
        for bad in [
            "",
            "a",
            "@b.example",
            "a@",
            "a@b..example",
            "a..b@c.example",
            ".a@b.example",
            "a b@c.example",
            "\"a\"b@c.example",
            "\"a\n\"@c.example",
            "a@b.example\r\nBcc: c@d.example",
            "a@-b.example",
            "a@[x]",
            "a@b.example,c@d.example",
            "a<b@c.example",
            "\"a\\\"@c.example",
        ] {
            assert!(parse_address(bad).is_err(), "{bad:?}");
        }
        assert!(parse_address(&format!("{}@b.example", "a".repeat(65))).is_err());
    }

    #[test]
    fn names_stand_before_addresses() {
        let read = |text| Mailbox::parse(text).map(|one| (one.name, one.address));
        let named = |name: &str| Ok((Some(name.to_owned()), "a@b.example".to_owned()));
        assert_eq!(read("Ann <a@b.example>"), named("Ann"));
        assert_eq!(read("\"Ann \\\"A\\\" O, Ltd\" <a@b.example>"), named("Ann \"A\" O, Ltd"));
        assert_eq!(read("<a@b.example>"), Ok((None, "a@b.example".to_owned())));
        assert!(read("Ann\r\nBcc: x <a@b.example>").is_err());
        let list = Mailbox::parse_list("\"O, Ltd\" <a@b.example>, c@d.example,").expect("two");
        assert_eq!(list.len(), 2);
        assert_eq!(list[0].name.as_deref(), Some("O, Ltd"));
    }
}
