//! JSON inside a text, and values that come as either.

use serde::de::{self, Deserialize, DeserializeOwned, Deserializer};
use serde::ser::{self, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

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
        parse_part(&text).map(JsonText).map_err(de::Error::custom)
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
        // Not through `Value`, which would make floats of the amounts.
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if raw.get().starts_with('"') {
            let text: String = serde_json::from_str(raw.get()).map_err(de::Error::custom)?;
            return Ok(match parse_part(&text) {
                Ok(value) => JsonOrText::Json(value),
                Err(_) => JsonOrText::Text(text),
            });
        }
        Ok(match parse_part(raw.get()) {
            Ok(value) => JsonOrText::Json(value),
            Err(why) => JsonOrText::Unread { why, raw: shown(&raw) },
        })
    }
}

/// Reads a JSON text; an error names the field. It names no line and column: they would be those of the part alone.
pub(crate) fn parse_part<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text)).map_err(|error| {
        let place = format!(" at line {} column {}", error.inner().line(), error.inner().column());
        let text = error.to_string();
        text.strip_suffix(&place).unwrap_or(&text).to_owned()
    })
}

/// What could not be read, for a person to look at; nothing is calculated from it.
pub(super) fn shown(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| Value::String(raw.get().to_owned()))
}
