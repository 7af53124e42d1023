//! `http-webhook` and `http-request`: one request, whose answer is the job's result.

use std::time::Duration;

use kit::outbound::{Answer, Call, shown};
use reqwest::Method;
use reqwest::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use serde_json::{Value, json};
use url::Url;

use super::{Fault, Task, Workshop};

/// How long a request may take that says nothing itself.
const USUAL_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) async fn run(workshop: &Workshop, task: &Task) -> Result<Value, Fault> {
    let call = read(task, workshop.timeout)?;
    let what = format!("{} {}", call.method, shown(&call.url));
    workshop.guarded.check(&call.url).map_err(|why| Fault::Lasting(format!("payload.url {why}")))?;
    let answer = workshop.guarded.send(call).await.map_err(Fault::Passing)?;
    task.log(&format!("{what}: {} in {} ms", answer.status, answer.took.as_millis())).await;
    if answer.is_success() {
        return Ok(json!({
            "status": answer.status,
            "body": answer.body,
            "bodyCut": answer.is_cut,
            "duration": u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX),
        }));
    }
    let text = format!("{what} answered {}", answer.explain());
    if is_retried(&task.payload["retryOnStatus"], &answer) {
        Err(Fault::Passing(text))
    } else {
        Err(Fault::Lasting(text))
    }
}

/// The job's own list decides where it has one.
fn is_retried(statuses: &Value, answer: &Answer) -> bool {
    match statuses.as_array() {
        Some(statuses) => statuses.iter().any(|status| status.as_u64() == Some(u64::from(answer.status))),
        None => answer.is_temporary(),
    }
}

fn read(task: &Task, longest: Duration) -> Result<Call, Fault> {
    let lasting = |text: &str| Fault::Lasting(text.to_owned());
    let url = Url::parse(task.required("url")?).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.ok_or_else(|| lasting("payload.url must be an http or https address"))?;
    let body = match &task.payload["body"] {
        Value::Null => None,
        Value::String(text) => Some((text.clone().into_bytes(), "text/plain; charset=utf-8")),
        value => Some((value.to_string().into_bytes(), "application/json")),
    };
    let method = match task.text("method") {
        Some(name) => Method::from_bytes(name.to_ascii_uppercase().as_bytes())
            .map_err(|_| lasting("payload.method must be an HTTP method"))?,
        None if task.kind == "http-webhook" || body.is_some() => Method::POST,
        None => Method::GET,
    };
    let mut headers = read_headers(&task.payload["headers"])?;
    if let Some((_, kind)) = &body
        && !headers.contains_key(CONTENT_TYPE)
    {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    let timeout = task.payload["timeout"].as_u64().map_or(USUAL_TIMEOUT, Duration::from_millis).min(longest);
    let call = Call { method, url, headers, body: body.map(|(bytes, _)| bytes), timeout };
    Ok(match task.text("secret") {
        Some(secret) => call.signed(secret, &task.unique_id()),
        None => call,
    })
}

fn read_headers(value: &Value) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    let Some(object) = value.as_object() else {
        return if value.is_null() {
            Ok(headers)
        } else {
            Err(Fault::Lasting("payload.headers must be an object of texts".to_owned()))
        };
    };
    for (name, value) in object {
        let illegal = || Fault::Lasting(format!("payload.headers has `{name}`, which cannot be sent"));
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let name: HeaderName = name.parse().map_err(|_| illegal())?;
        let value = HeaderValue::from_str(&text).map_err(|_| illegal())?;
        // These belong to the connection, not to the message.
        if ![HOST, CONTENT_LENGTH, CONNECTION, TRANSFER_ENCODING].contains(&name) {
            headers.append(name, value);
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue_name::QueueName;

    const MINUTE: Duration = Duration::from_mins(1);

    fn call(payload: Value) -> Result<Call, Fault> {
        let queue = QueueName::parse("default").expect("a legal name");
        read(&Task::new(queue, bullmq::Job::new("http-request", payload, None)), MINUTE)
    }

    #[test]
    fn a_request_is_read_with_its_signature_and_within_the_longest_time() {
        let call = call(json!({
            "url": "http://host/hook", "body": {"a": 1}, "secret": "s", "timeout": 999_999_999_u64,
            "headers": {"X-Own": "1", "Host": "evil", "content-length": "7"},
        }))
        .unwrap_or_else(|fault| panic!("{fault:?}"));
        assert_eq!((call.method, call.timeout), (Method::POST, MINUTE));
        assert_eq!(call.body.as_deref(), Some(br#"{"a":1}"#.as_slice()));
        assert_eq!(call.headers["x-signature"].len(), 64);
        assert_eq!(call.headers["x-own"], "1");
        assert!(!call.headers.contains_key(HOST) && !call.headers.contains_key(CONTENT_LENGTH));
    }

    #[test]
    fn what_cannot_be_sent_is_no_reason_to_try_again() {
        for payload in [
            json!({}),
            json!({"url": "file:///etc/passwd"}),
            json!({"url": "http://h", "method": "A B"}),
            json!({"url": "http://h", "headers": {"a b": "c"}}),
            json!({"url": "http://h", "headers": {"a": "c\r\nd: e"}}),
            json!({"url": "http://h", "headers": [1]}),
        ] {
            assert!(matches!(call(payload.clone()), Err(Fault::Lasting(_))), "{payload}");
        }
    }
}
