//! One visitor for everything that may come as a number or as a text.
//!
//! Numbers reach a visitor in three ways: as an integer, as an `f64`, or, when any crate of the final program switches
//! on serde_json's `arbitrary_precision`, as a map that holds the literal text. All three become that text here.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer};

/// A scalar as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    /// A JSON number, as its text; for a fraction its shortest text (see [`scalar`]).
    Number(String),
    /// A JSON text.
    Text(String),
    /// A JSON boolean.
    Flag(bool),
}

/// Reads a number, a text or a boolean; `expected` says what for, in the error.
///
/// A fraction arrives as `f64` and is written back as the shortest text that means the same `f64`. Up to 15 digits
/// that is the text as received (every amount from 0.00 to 5,000,000.00 was tried). Beyond, two different texts may
/// meet, so a fraction of 1e13 or more is refused. The float is never calculated with.
pub(super) fn scalar<'de, D: Deserializer<'de>>(deserializer: D, expected: &'static str) -> Result<Scalar, D::Error> {
    deserializer.deserialize_any(ScalarVisitor { expected })
}

struct ScalarVisitor {
    expected: &'static str,
}

impl<'de> de::Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Scalar, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number.to_string()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Scalar, E> {
        if number.abs() >= 1e13 {
            return Err(E::custom(format!("the number {number} has more digits than can be read exactly")));
        }
        Ok(Scalar::Number(number.to_string()))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(text))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Scalar, A::Error> {
        let number = serde_json::Number::deserialize(de::value::MapAccessDeserializer::new(map))
            .map_err(|_| de::Error::custom(format!("expected {}, found an object", self.expected)))?;
        Ok(Scalar::Number(number.to_string()))
    }
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
