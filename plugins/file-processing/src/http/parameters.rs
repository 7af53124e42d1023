//! Reads the text fields of a form: takes field after field and collects what is wrong.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::str::FromStr;

use kit::FieldError;

use crate::images::{Fit, Format, LONGEST_SIDE};
use crate::keys;
use crate::problem::Problem;

/// The fields of a form; [`Parameters::finish`] tells whether all of them were usable.
pub(super) struct Parameters {
    fields: HashMap<String, String>,
    errors: Vec<FieldError>,
    off: Option<Problem>,
}

impl Parameters {
    pub(super) fn new(fields: HashMap<String, String>) -> Self {
        Self { fields, errors: Vec::new(), off: None }
    }

    /// Notes that a field cannot be used.
    pub(super) fn reject(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError { field: field.to_owned(), message: message.into() });
    }

    /// Ends the reading.
    pub(super) fn finish(self) -> Result<(), Problem> {
        match self.off {
            _ if !self.errors.is_empty() => Err(Problem::Invalid(self.errors)),
            Some(off) => Err(off),
            None => Ok(()),
        }
    }

    pub(super) fn has(&self, field: &str) -> bool {
        self.text(field).is_some()
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str).filter(|text| !text.is_empty() && *text != "undefined")
    }

    fn number<T: FromStr + PartialOrd + std::fmt::Display>(
        &mut self,
        field: &str,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        let number = self.text(field)?.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            self.reject(field, format!("must be a whole number from {} to {}", range.start(), range.end()));
        }
        number
    }

    /// Pixels of a side.
    pub(super) fn side(&mut self, field: &str) -> Option<u32> {
        self.number(field, 1..=LONGEST_SIDE)
    }

    /// 1 to 100.
    pub(super) fn quality(&mut self, default: u8) -> u8 {
        self.number("quality", 1..=100).unwrap_or(default)
    }

    pub(super) fn flag(&mut self, field: &str, default: bool) -> bool {
        match self.text(field).map(str::to_ascii_lowercase).as_deref() {
            None => default,
            Some("true" | "1" | "yes" | "on") => true,
            Some("false" | "0" | "no" | "off") => false,
            Some(_) => {
                self.reject(field, "must be true or false");
                default
            }
        }
    }

    pub(super) fn fit(&mut self, field: &str, default: Fit) -> Fit {
        let Some(text) = self.text(field) else { return default };
        Fit::parse(text).unwrap_or_else(|| {
            self.reject(field, "must be one of cover, contain, fill, inside, outside");
            default
        })
    }

    /// The wanted format; one that is known and not written is an answer of its own.
    pub(super) fn format(&mut self) -> Option<Format> {
        match Format::parse(self.text("format")?) {
            Ok(format) => Some(format),
            Err(Problem::Invalid(errors)) => {
                self.errors.extend(errors);
                None
            }
            Err(off) => {
                self.off = Some(off);
                None
            }
        }
    }

    /// The id that the caller gives the file, or a new one.
    pub(super) fn file_id(&mut self) -> String {
        let Some(id) = self.text("fileId").or_else(|| self.text("id")) else { return keys::new_id() };
        if !keys::is_id(id) {
            self.reject("fileId", "must have 1 to 128 letters, digits, `-`, `_` or single dots");
            return keys::new_id();
        }
        id.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        Parameters::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn every_unusable_field_is_reported() {
        let mut fields = parameters(&[
            ("width", "-1"),
            ("height", "1e9"),
            ("quality", "101"),
            ("fit", "squeeze"),
            ("format", "docx"),
            ("fileId", "../a"),
            ("progressive", "perhaps"),
        ]);
        fields.side("width");
        fields.side("height");
        fields.quality(85);
        fields.fit("fit", Fit::Cover);
        fields.format();
        fields.file_id();
        fields.flag("progressive", false);
        let Err(Problem::Invalid(errors)) = fields.finish() else { panic!("nothing was refused") };
        assert_eq!(errors.len(), 7);
    }

    #[test]
    fn avif_is_known_and_off() {
        let mut fields = parameters(&[("format", "avif")]);
        assert_eq!(fields.format(), None);
        assert!(matches!(fields.finish(), Err(Problem::Off(_))));
    }
}
