//! Reads JSON objects that others sent: takes field after field and collects what is wrong.
//!
//! Used for HTTP bodies and for socket payloads alike, so that both report the same details.

use std::cell::RefCell;
use std::future::Future;

use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::deadline::is_too_slow;
use super::error::Failure;

/// The most bytes of a request body that [`JsonObject`] reads, put into the request by the router.
#[derive(Clone, Copy)]
pub(crate) struct BodyLimit(pub(crate) usize);

/// How many ignored fields an answer lists, and how much of a name it shows.
const MOST_IGNORED: usize = 20;
const NAME_CHARACTERS: usize = 100;

/// One field that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field's name as the sender wrote it.
    pub field: String,
    /// What is wrong with it, for people.
    pub message: String,
}

/// A JSON object being read; [`Fields::finish`] tells whether all of it was usable.
pub struct Fields {
    object: Map<String, Value>,
    errors: Vec<FieldError>,
    /// Whether the fields that nobody takes are reported in the answer: those of a request's body.
    is_body: bool,
}

tokio::task_local! {
    /// The fields of the current request's body that its handler did not take.
    static IGNORED: RefCell<Vec<String>>;
}

/// Runs a request's handler and returns its answer with the fields of the body that it did not take.
pub(crate) async fn with_ignored<T>(handler: impl Future<Output = T>) -> (T, Vec<String>) {
    IGNORED
        .scope(RefCell::default(), async {
            let answer = handler.await;
            (answer, IGNORED.with(RefCell::take))
        })
        .await
}

impl Fields {
    /// Takes an object; anything else becomes an error of the payload as a whole.
    pub fn new(value: Value) -> Self {
        if let Value::Object(object) = value {
            return Self { object, errors: Vec::new(), is_body: false };
        }
        let mut fields = Self { object: Map::new(), errors: Vec::new(), is_body: false };
        fields.reject("payload", "must be a JSON object");
        fields
    }

    /// Notes that a field cannot be used.
    pub fn reject(&mut self, field: &str, message: &str) {
        self.errors.push(FieldError { field: field.to_owned(), message: message.to_owned() });
    }

    /// Ends the reading: the errors found, if any. What was not taken of a request's body is reported in the answer as
    /// `ignored`.
    pub fn finish(self) -> Result<(), Vec<FieldError>> {
        if self.is_body && !self.object.is_empty() {
            let names = self.object.keys().take(MOST_IGNORED).map(|name| name.chars().take(NAME_CHARACTERS).collect());
            let mut names: Vec<String> = names.collect();
            names.sort_unstable();
            // Outside of a server, as in tests, nobody asks.
            let _ = IGNORED.try_with(|ignored| ignored.borrow_mut().extend(names));
        }
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }

    /// Takes all fields that are left: those of an object with names of the sender's own.
    pub fn take_all(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.object)
    }

    /// All that has not been taken yet, as it came.
    pub fn object(&self) -> &Map<String, Value> {
        &self.object
    }

    /// Whether the field is there and not null.
    pub fn has(&self, field: &str) -> bool {
        self.object.get(field).is_some_and(|value| !value.is_null())
    }

    /// The field as it came, taken out; `None` where it is missing or null.
    pub fn take(&mut self, field: &str) -> Option<Value> {
        self.object.remove(field).filter(|value| !value.is_null())
    }

    /// A text that must be there and not be empty; empty after an error.
    pub fn text(&mut self, field: &str) -> String {
        match self.optional_text(field) {
            Some(text) if !text.is_empty() => text,
            Some(_) => {
                self.reject(field, "must not be empty");
                String::new()
            }
            None => {
                // A wrong type was reported already.
                if self.errors.iter().all(|error| error.field != field) {
                    self.reject(field, "is required");
                }
                String::new()
            }
        }
    }

    /// A text that may be missing.
    pub fn optional_text(&mut self, field: &str) -> Option<String> {
        let value = self.take(field)?;
        if let Value::String(text) = value {
            return Some(text);
        }
        self.reject(field, "must be a string");
        None
    }

    /// A switch that must be there; `false` after an error.
    pub fn flag(&mut self, field: &str) -> bool {
        match self.take(field) {
            Some(Value::Bool(flag)) => flag,
            Some(_) => {
                self.reject(field, "must be true or false");
                false
            }
            None => {
                self.reject(field, "is required");
                false
            }
        }
    }

    /// A number of 0 or more that may be missing.
    pub fn optional_count(&mut self, field: &str) -> Option<u64> {
        let value = self.take(field)?;
        // JavaScript sends whole numbers as floats once they were computed with.
        let count = value.as_u64().or_else(|| whole(value.as_f64()?));
        if count.is_none() {
            self.reject(field, "must be a number of 0 or more");
        }
        count
    }

    /// A list of at most `most` texts that must be there; empty after an error.
    pub fn texts(&mut self, field: &str, most: usize) -> Vec<String> {
        let Some(value) = self.take(field) else {
            self.reject(field, "is required");
            return Vec::new();
        };
        let Ok(texts) = serde_json::from_value::<Vec<String>>(value) else {
            self.reject(field, "must be a list of strings");
            return Vec::new();
        };
        if texts.len() > most {
            self.reject(field, &format!("must not have more than {most} entries"));
            return Vec::new();
        }
        texts
    }

    /// A list that may be missing.
    pub fn optional_list(&mut self, field: &str) -> Option<Vec<Value>> {
        let value = self.take(field)?;
        if let Value::Array(entries) = value {
            return Some(entries);
        }
        self.reject(field, "must be a list");
        None
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
fn whole(number: f64) -> Option<u64> {
    (0.0..9e15).contains(&number).then_some(number as u64)
}

/// The JSON body of a request, as an extractor: 415 without a JSON content type, 413 over the
/// limit, 400 where it is no JSON.
///
/// The content type is required because a browser sends any other without asking first: pages of
/// other origins could post to a server that listens on this machine.
pub struct JsonObject(pub Fields);

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        if !is_json(request.headers()) {
            return Err(unsupported(request.headers()));
        }
        let limit = request.extensions().get::<BodyLimit>().map_or(usize::MAX, |limit| limit.0);
        let announced = announced_bytes(request.headers());
        if announced.is_some_and(|bytes| bytes > limit as u64) {
            return Err(Failure::too_large(announced, limit));
        }
        let body = axum::body::to_bytes(request.into_body(), limit).await.map_err(|error| {
            if is_too_slow(&error) { Failure::too_slow() } else { Failure::too_large(announced, limit) }
        })?;
        let value = serde_json::from_slice(&body).map_err(|error| {
            let error = format!("the request body is not JSON: {error}");
            Failure::new(StatusCode::BAD_REQUEST, error)
        })?;
        Ok(Self(Fields { is_body: true, ..Fields::new(value) }))
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.unwrap_or_default().split(';').next();
    essence.unwrap_or_default().trim()
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = content_type(headers).to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

fn unsupported(headers: &HeaderMap) -> Failure {
    Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the request body must be JSON")
        .with("mimeType", json!(content_type(headers)))
        .with("supported", json!(["application/json"]))
}

fn announced_bytes(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unusable_field_is_reported_once() {
        let mut fields = Fields::new(json!({"name": 7, "empty": "", "ids": ["a", 1]}));
        fields.text("name");
        fields.text("empty");
        fields.text("missing");
        fields.flag("on");
        fields.texts("ids", 9);
        let named: Vec<String> = fields.finish().unwrap_err().into_iter().map(|error| error.field).collect();
        assert_eq!(named, ["name", "empty", "missing", "on", "ids"]);
    }

    #[test]
    fn a_payload_that_is_no_object_is_an_error() {
        for value in [json!(null), json!([1]), json!("text"), json!(3)] {
            assert!(Fields::new(value).finish().is_err());
        }
    }

    #[test]
    fn counts_take_whole_floats_and_refuse_negative_numbers() {
        let mut fields = Fields::new(json!({"a": 1.0, "b": -1, "c": null}));
        assert_eq!(fields.optional_count("a"), Some(1));
        assert_eq!(fields.optional_count("b"), None);
        assert_eq!(fields.optional_count("c"), None);
        assert_eq!(fields.finish().unwrap_err().len(), 1);
    }
}
