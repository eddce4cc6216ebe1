//! A text that some answers write as a number or a boolean.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer};

use super::visit::{Scalar, scalar, serialize_as_text};

/// A text, however the upstream wrote it: `"25249"`, `25249` and `true` are kept as their text.
///
/// # Errors
/// A list or an object is refused by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(String);

impl Text {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, or nothing if it is empty: upstreams write `""` for "none".
    pub fn non_empty(&self) -> Option<&str> {
        if self.0.trim().is_empty() { None } else { Some(&self.0) }
    }

    /// The text itself.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match scalar(deserializer, "a text, a number or a boolean").map_err(de::Error::custom)? {
            Scalar::Number(text) | Scalar::Text(text) => Ok(Text(text)),
            Scalar::Flag(flag) => Ok(Text(flag.to_string())),
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text(text.to_owned())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text(text)
    }
}

impl FromStr for Text {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Text(text.to_owned()))
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serialize_as_text!(Text);
