//! A JSON value that borrows from the document, for the few fields of an entry that are used, and a way to pass over
//! all others. Owns bounds (nesting, repeated keys, number of values); knows no field by name.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// How many values one field may hold, its lists and objects counted through.
const MOST_VALUES: u32 = 8192;

/// One value of any type. A wrong type must not fail the document, only the entry that it is in.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Loose<'a> {
    #[default]
    Absent,
    Null,
    Bool(bool),
    Whole(i64),
    /// A number that is not whole or does not fit.
    OtherNumber,
    Text(Cow<'a, str>),
    List(Vec<Loose<'a>>),
    Object(Vec<(Cow<'a, str>, Loose<'a>)>),
    /// Not usable in any place: a key twice in one object, or more values than [`MOST_VALUES`].
    Torn,
}

impl<'a> Loose<'a> {
    /// The value under this key; absent, too, where this is no object.
    pub(super) fn get(&self, key: &str) -> &Loose<'a> {
        const ABSENT: &Loose<'static> = &Loose::Absent;
        match self {
            Self::Object(fields) => fields.iter().find(|(name, _)| name == key).map_or(ABSENT, |(_, value)| value),
            _ => ABSENT,
        }
    }

    /// Whether nothing is said: absent or null.
    pub(super) fn is_silent(&self) -> bool {
        matches!(self, Self::Absent | Self::Null)
    }
}

impl<'de> Deserialize<'de> for Loose<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let left = Cell::new(MOST_VALUES);
        let value = Values { left: &left }.deserialize(deserializer)?;
        Ok(if left.get() == 0 { Self::Torn } else { value })
    }
}

/// Reads values until none are left to spend; what comes after that is passed over.
#[derive(Clone, Copy)]
struct Values<'b> {
    left: &'b Cell<u32>,
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = Loose<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Loose<'de>, D::Error> {
        self.left.set(self.left.get().saturating_sub(1));
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = Loose<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Loose<'de>, E> {
        Ok(Loose::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Loose<'de>, E> {
        Ok(Loose::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Loose<'de>, E> {
        Ok(Loose::Whole(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Loose<'de>, E> {
        Ok(i64::try_from(value).map_or(Loose::OtherNumber, Loose::Whole))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Loose<'de>, E> {
        Ok(Loose::OtherNumber)
    }

    fn visit_str<E>(self, value: &str) -> Result<Loose<'de>, E> {
        Ok(Loose::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Loose<'de>, E> {
        Ok(Loose::Text(Cow::Borrowed(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Loose<'de>, A::Error> {
        let mut values = Vec::new();
        while self.left.get() > 0 {
            match list.next_element_seed(self)? {
                Some(value) => values.push(value),
                None => return Ok(Loose::List(values)),
            }
        }
        while list.next_element::<Skip>()?.is_some() {}
        Ok(Loose::Torn)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose<'de>, A::Error> {
        let mut fields: Vec<(Cow<'de, str>, Loose<'de>)> = Vec::new();
        while self.left.get() > 0 {
            match map.next_key::<Word<'de>>()? {
                Some(Word(key)) => fields.push((key, map.next_value_seed(self)?)),
                None => return Ok(if has_repeated_key(&fields) { Loose::Torn } else { Loose::Object(fields) }),
            }
        }
        while map.next_entry::<Skip, Skip>()?.is_some() {}
        Ok(Loose::Torn)
    }
}

fn has_repeated_key(fields: &[(Cow<'_, str>, Loose<'_>)]) -> bool {
    let mut keys: Vec<&str> = fields.iter().map(|(key, _)| key.as_ref()).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

/// A text that borrows where the document spells it without escapes.
pub(super) struct Word<'a>(pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for Word<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = Word<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text")
            }

            fn visit_str<E>(self, value: &str) -> Result<Word<'de>, E> {
                Ok(Word(Cow::Owned(value.to_owned())))
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Word<'de>, E> {
                Ok(Word(Cow::Borrowed(value)))
            }
        }
        deserializer.deserialize_str(Words)
    }
}

/// Passes over one value. Unlike serde's own `IgnoredAny` it refuses what it would refuse to read (nesting without
/// end, numbers and characters that do not exist), so that a damaged document is damaged wherever the damage is.
pub(super) struct Skip;

impl<'de> Deserialize<'de> for Skip {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Skip {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}
