//! A list whose bad rows do not lose it.

use serde::de::{self, Deserialize, DeserializeOwned, Deserializer};
use serde::ser::{Serialize, SerializeSeq, Serializer};
use serde_json::Value;

/// A list read row by row: one bad amount is reported with its place, the other rows are kept.
///
/// Reads a JSON list, a JSON text that holds a list, and `null` or an empty text as no rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows<T> {
    /// The rows that could be read, in the upstream's order.
    pub rows: Vec<T>,
    /// The rows that could not, with the reason.
    pub bad: Vec<BadRow>,
}

/// A row that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Its place in the list as received, from 0.
    pub index: usize,
    /// The row as received.
    pub raw: Value,
    /// The field and what is wrong with it (`total_cost: "0.005" has more than two decimals`).
    pub why: String,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Rows { rows: Vec::new(), bad: Vec::new() }
    }
}

impl<T: DeserializeOwned> Rows<T> {
    fn read(list: Vec<Value>) -> Self {
        let mut read = Rows::default();
        for (index, raw) in list.into_iter().enumerate() {
            match serde_path_to_error::deserialize(&raw) {
                Ok(row) => read.rows.push(row),
                Err(error) => read.bad.push(BadRow { index, why: error.to_string(), raw }),
            }
        }
        read
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Rows<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = match Value::deserialize(deserializer)? {
            Value::Null => Vec::new(),
            Value::Array(list) => list,
            Value::String(text) if text.trim().is_empty() => Vec::new(),
            Value::String(text) => serde_json::from_str(&text).map_err(|error| {
                de::Error::custom(format!("a text where a list is expected holds no list: {error}"))
            })?,
            _ => return Err(de::Error::custom("expected a list of rows")),
        };
        Ok(Rows::read(list))
    }
}

/// Only the rows that were read: a bad one is evidence, not something to send.
impl<T: Serialize> Serialize for Rows<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.rows.len()))?;
        for row in &self.rows {
            list.serialize_element(row)?;
        }
        list.end()
    }
}
