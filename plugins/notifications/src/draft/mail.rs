//! Reads what a request says about an e-mail beside its recipient: copies, sender, replies, unsubscribing.

use kit::Fields;
use serde_json::Value;

use super::MailOptions;
use crate::mailbox::{Mailbox, parse_address};

/// The most addresses of one list.
const MOST: usize = 50;
/// The longest address that unsubscribes, in bytes.
const LINK_BYTES: usize = 900;

pub(super) fn read(fields: &mut Fields, content: &mut Fields) -> MailOptions {
    let mut take = |names: &[&str]| {
        let values: Vec<Value> =
            names.iter().flat_map(|name| [fields.take(name), content.take(name)]).flatten().collect();
        values.into_iter().next()
    };
    let given = [
        ("cc", take(&["cc"])),
        ("bcc", take(&["bcc"])),
        ("from", take(&["from"])),
        ("replyTo", take(&["replyTo", "reply_to"])),
    ];
    let links = take(&["listUnsubscribe", "list_unsubscribe"]);
    let [cc, bcc, mut from, reply_to] = given.map(|(field, value)| {
        let read = value.map_or_else(|| Ok(Vec::new()), |value| mailboxes(&value));
        read.unwrap_or_else(|why| {
            fields.reject(field, why);
            Vec::new()
        })
    });
    if from.len() > 1 {
        fields.reject("from", "must be one address");
    }
    let list_unsubscribe = links.map_or_else(|| Ok(Vec::new()), |value| read_links(&value)).unwrap_or_else(|why| {
        fields.reject("listUnsubscribe", why);
        Vec::new()
    });
    MailOptions { cc, bcc, from: from.pop(), reply_to, list_unsubscribe }
}

/// A text with one or more addresses, an object with `email` and `name`, or a list of such.
fn mailboxes(value: &Value) -> Result<Vec<Mailbox>, &'static str> {
    let list = match value {
        Value::String(text) => Mailbox::parse_list(text)?,
        Value::Object(object) => {
            let address = object.get("email").or_else(|| object.get("address")).and_then(Value::as_str);
            let name = object.get("name").and_then(Value::as_str).map(str::to_owned);
            vec![Mailbox::named(parse_address(address.unwrap_or_default())?, name)?]
        }
        Value::Array(entries) => {
            let lists = entries.iter().take(MOST + 1).map(mailboxes).collect::<Result<Vec<_>, _>>()?;
            lists.into_iter().flatten().collect()
        }
        _ => return Err("must be an e-mail address or a list of them"),
    };
    if list.len() > MOST { Err("must not have more than 50 addresses") } else { Ok(list) }
}

fn read_links(value: &Value) -> Result<Vec<String>, &'static str> {
    const WRONG: &str = "must be an https or mailto address, or a list of them";
    let links: Vec<&str> = match value {
        Value::String(text) => text.split(',').collect(),
        Value::Array(entries) => entries.iter().map(|entry| entry.as_str().unwrap_or_default()).collect(),
        _ => return Err(WRONG),
    };
    let read = |link: &str| {
        let link = link.trim().trim_start_matches('<').trim_end_matches('>');
        let is_known = ["https://", "http://", "mailto:"].iter().any(|scheme| link.starts_with(scheme));
        let is_fine = link.len() <= LINK_BYTES && link.bytes().all(|byte| byte.is_ascii_graphic());
        (is_known && is_fine && !link.contains(['<', '>', ','])).then(|| link.to_owned()).ok_or(WRONG)
    };
    if links.is_empty() || links.len() > 4 { Err(WRONG) } else { links.into_iter().map(read).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_all(value: Value) -> Result<MailOptions, Vec<kit::FieldError>> {
        let mut fields = Fields::new(value);
        let options = read(&mut fields, &mut Fields::new(json!({})));
        fields.finish().map(|()| options)
    }

    #[test]
    fn addresses_come_in_every_form_that_mail_programs_use() {
        let options = read_all(json!({
            "cc": "Ann <a@b.example>, c@müller.example", "bcc": [{"email": "d@b.example", "name": "D"}, "e@b.example"],
            "from": "\"Shop, Ltd\" <shop@b.example>", "replyTo": {"address": "help@b.example"},
            "listUnsubscribe": "<https://b.example/u?x=1>, <mailto:u@b.example>",
        }))
        .expect("fine");
        let addresses = |list: &[Mailbox]| list.iter().map(|one| one.address.clone()).collect::<Vec<_>>();
        assert_eq!(addresses(&options.cc), ["a@b.example", "c@xn--mller-kva.example"]);
        assert_eq!(addresses(&options.bcc), ["d@b.example", "e@b.example"]);
        assert_eq!(options.from.and_then(|from| from.name).as_deref(), Some("Shop, Ltd"));
        assert_eq!(addresses(&options.reply_to), ["help@b.example"]);
        assert_eq!(options.list_unsubscribe, ["https://b.example/u?x=1", "mailto:u@b.example"]);
    }

    #[test]
    fn what_cannot_be_written_is_refused_by_its_field() {
        for (value, field) in [
            (json!({"cc": "nobody"}), "cc"),
            (json!({"bcc": ["a@b.example\r\nX: y"]}), "bcc"),
            (json!({"from": ["a@b.example", "c@d.example"]}), "from"),
            (json!({"replyTo": 7}), "replyTo"),
            (json!({"listUnsubscribe": "javascript:alert(1)"}), "listUnsubscribe"),
            (json!({"listUnsubscribe": "https://x.example/\r\nX: y"}), "listUnsubscribe"),
            (json!({"cc": vec!["a@b.example"; 51]}), "cc"),
        ] {
            let errors = read_all(value.clone()).expect_err("refused");
            assert_eq!(errors[0].field, field, "{value}");
        }
    }
}
