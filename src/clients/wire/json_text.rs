//! JSON inside a text, and values that come as either.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeOwned, Deserializer};
use serde::ser::{self, Serialize, Serializer};
use serde_json::Value;

/// A value that travels as a JSON text inside JSON (`"biz_content": "{\"order_sn\":\"1\"}"`).
///
/// Written exactly once, when the body is made: the signature is over that very text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonText<T>(pub T);

impl<T: Serialize> Serialize for JsonText<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(&self.0).map_err(ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for JsonText<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map(JsonText).map_err(de::Error::custom)
    }
}

/// A value that comes as JSON or as a text that may hold JSON (hydrogen's `gateway_extra_info`, a list documented as
/// list and sent as text).
///
/// An object or a list is read as `T`; a text that holds one as well; any other text is kept as it is, and so is JSON
/// that is not a `T`: it never fails the answer around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonOrText<T> {
    /// A value, whether it came as JSON or inside a text.
    Json(T),
    /// A text that holds no `T`, empty ones included.
    Text(String),
    /// JSON that is no `T`, with the reason.
    Unread {
        /// The JSON as received.
        raw: Value,
        /// Where and why it is no `T`.
        why: String,
    },
}

impl<T> JsonOrText<T> {
    /// The value, if there is one.
    pub fn json(&self) -> Option<&T> {
        match self {
            JsonOrText::Json(value) => Some(value),
            JsonOrText::Text(_) | JsonOrText::Unread { .. } => None,
        }
    }
}

impl<T: Serialize> Serialize for JsonOrText<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            JsonOrText::Json(value) => value.serialize(serializer),
            JsonOrText::Text(text) => serializer.serialize_str(text),
            JsonOrText::Unread { raw, .. } => raw.serialize(serializer),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for JsonOrText<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Value::deserialize(deserializer)?;
        if let Value::String(text) = raw {
            return Ok(match parse(&text) {
                Ok(value) => JsonOrText::Json(value),
                Err(_) => JsonOrText::Text(text),
            });
        }
        Ok(match serde_path_to_error::deserialize(&raw) {
            Ok(value) => JsonOrText::Json(value),
            Err(error) => JsonOrText::Unread { why: error.to_string(), raw },
        })
    }
}

/// Reads a JSON text; an error names the field.
fn parse<T: DeserializeOwned>(text: &str) -> Result<T, impl fmt::Display + use<T>> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text))
}
