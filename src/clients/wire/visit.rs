//! One reader for everything that may come as a number or as a text.
//!
//! serde offers a fraction only as a float, or, when any crate of the final program switches on serde_json's
//! `arbitrary_precision`, as a map. Here the JSON text itself is read, so neither matters and no float is ever made.

use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected};
use serde_json::value::RawValue;

/// A scalar as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    /// A JSON number, as its text.
    Number(String),
    /// A JSON text.
    Text(String),
    /// A JSON boolean.
    Flag(bool),
}

/// Reads a number, a text or a boolean; `expected` says what for, in the error.
///
/// The deserializer must be one of serde_json's.
pub(super) fn scalar<'de, D: Deserializer<'de>>(deserializer: D, expected: &'static str) -> Result<Scalar, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    let found = match raw.get() {
        "true" => return Ok(Scalar::Flag(true)),
        "false" => return Ok(Scalar::Flag(false)),
        "null" => Unexpected::Unit,
        text if text.starts_with('"') => {
            return serde_json::from_str(text).map(Scalar::Text).map_err(de::Error::custom);
        }
        text if text.starts_with('{') => Unexpected::Map,
        text if text.starts_with('[') => Unexpected::Seq,
        number => return Ok(Scalar::Number(number.to_owned())),
    };
    Err(de::Error::invalid_type(found, &expected))
}

/// `Display`, `FromStr` and `Serialize` from [`fmt::Display`]-like text, for the generated code's bounds.
macro_rules! serialize_as_text {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}
pub(super) use serialize_as_text;
