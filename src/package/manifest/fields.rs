//! Typed access to the fields of a JSON object, with the place of each in the messages. Absent and `null` are one.

use serde_json::{Map, Value};

use super::ManifestError;
use crate::name::shown;

/// An object and where it stands in the manifest (empty for the top).
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    object: Option<&'a Map<String, Value>>,
    place: &'a str,
}

/// The error for a field.
pub(super) fn wrong(field: impl Into<String>, problem: impl Into<String>) -> ManifestError {
    ManifestError::Field { field: field.into(), problem: problem.into() }
}

impl<'a> Fields<'a> {
    /// The fields of a value that must be an object.
    pub(super) fn of(value: &'a Value, place: &'a str) -> Result<Self, ManifestError> {
        match value {
            Value::Object(object) => Ok(Self { object: Some(object), place }),
            _ => Err(wrong(if place.is_empty() { "plugin.json" } else { place }, "must be an object")),
        }
    }

    /// The name of a field in messages.
    pub(super) fn place(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }

    /// The error for one of these fields.
    pub(super) fn wrong(&self, key: &str, problem: impl Into<String>) -> ManifestError {
        wrong(self.place(key), problem)
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.object?.get(key).filter(|value| !value.is_null())
    }

    /// Every field with its name, in the order of the text.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.object.into_iter().flatten()
    }

    /// An object within, or one without fields when it is absent; `place` is its full name.
    pub(super) fn object(&self, key: &str, place: &'a str) -> Result<Fields<'a>, ManifestError> {
        self.get(key).map_or(Ok(Fields { object: None, place }), |value| Fields::of(value, place))
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, ManifestError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, "must be a text")),
        }
    }

    /// The first of several spellings that is there.
    pub(super) fn first_text(&self, keys: &[&str]) -> Result<Option<&'a str>, ManifestError> {
        for key in keys {
            if let Some(text) = self.text(key)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, ManifestError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.wrong(key, "must be true or false")),
        }
    }

    /// A whole number between two bounds.
    pub(super) fn whole(&self, key: &str, lowest: u64, highest: u64) -> Result<Option<u64>, ManifestError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_u64().filter(|number| (lowest..=highest).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong(
                key,
                format!("is `{}`, but must be a whole number from {lowest} to {highest}", shown(&value.to_string())),
            )),
        }
    }

    pub(super) fn list(&self, key: &str) -> Result<&'a [Value], ManifestError> {
        match self.get(key) {
            None => Ok(&[]),
            Some(Value::Array(list)) => Ok(list),
            Some(_) => Err(self.wrong(key, "must be a list")),
        }
    }

    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, ManifestError> {
        let texts = self.list(key)?.iter().map(|value| value.as_str().map(ToOwned::to_owned)).collect();
        let texts: Option<Vec<String>> = texts;
        texts.ok_or_else(|| self.wrong(key, "must be a list of texts"))
    }
}
