//! Digests: what one user is to get on one channel at one time becomes one message.

use std::fmt::Write;

use handlebars::html_escape;
use serde_json::json;

use super::lease::lease_end;
use crate::state::App;
use crate::store::{Claimed, Payload};
use crate::time::now;

/// The longest text of one entry, in letters.
const ENTRY_LETTERS: usize = 500;

/// What was taken, with the rest of the digest that it belongs to, if it belongs to one.
pub(super) async fn gather(app: &App, mut begun: Vec<Claimed>) -> Vec<Claimed> {
    let Some(first) = begun.first().filter(|first| first.digest.is_some()) else { return begun };
    let now = now();
    match app.store.claim_digest(app.backlog.instance(), first, now, lease_end(now)).await {
        Ok(rest) => begun.extend(rest.into_iter().filter(|claimed| app.backlog.begin(&claimed.id))),
        Err(error) => tracing::warn!(%error, "a digest goes out in parts"),
    }
    begun
}

/// One message out of several; it goes to the newest address.
pub(super) fn combine(payloads: &[Payload]) -> Payload {
    let mut ordered: Vec<&Payload> = payloads.iter().collect();
    ordered.sort_by_key(|payload| payload.created_at);
    let title = format!("{} notifications", ordered.len());
    let mut text = String::new();
    let mut html = String::from("<ul>");
    for payload in &ordered {
        let body: String = payload.body.chars().take(ENTRY_LETTERS).collect();
        // Writing to a string does not fail.
        let _ = writeln!(text, "* {}\n  {}\n", payload.title, body.replace('\n', "\n  "));
        let _ = write!(html, "<li><strong>{}</strong><br>{}</li>", html_escape(&payload.title), html_escape(&body));
    }
    html.push_str("</ul>");
    let titles: Vec<&str> = ordered.iter().map(|payload| payload.title.as_str()).collect();
    let sms = format!("{title}: {}", titles.join("; "));
    let newest = ordered.last().map_or_else(|| payloads[0].clone(), |payload| (*payload).clone());
    Payload { content: json!({"subject": title, "text": text, "html": html, "sms": sms}), title, body: text, ..newest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Priority;

    fn payload(title: &str, body: &str, created_at: i64) -> Payload {
        Payload {
            id: title.to_owned(),
            user_id: "u".to_owned(),
            kind: "k".to_owned(),
            category: "c".to_owned(),
            priority: Priority::NORMAL,
            title: title.to_owned(),
            body: body.to_owned(),
            content: json!({}),
            recipient: crate::draft::Recipient::default(),
            has_attachments: false,
            data: json!({}),
            created_at,
        }
    }

    #[test]
    fn entries_stand_in_their_order_and_are_escaped() {
        let digest = combine(&[payload("second", "two", 2), payload("<first>", "one & only", 1)]);
        assert_eq!(digest.content["subject"], "2 notifications");
        let html = digest.content["html"].as_str().expect("html");
        assert!(html.contains("<strong>&lt;first&gt;</strong><br>one &amp; only"), "{html}");
        assert!(html.find("first") < html.find("second"));
        assert_eq!(digest.content["sms"], "2 notifications: <first>; second");
        assert_eq!(digest.id, "second");
    }
}
