//! A list whose bad rows do not lose it.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeSeq, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::json_text::{parse_part, shown};
use crate::domain::Body;

/// A list read row by row: one bad amount is reported with its place, the other rows are kept.
///
/// Reads a JSON list, a JSON text that holds a list, and `null` or an empty text as no rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows<T> {
    /// The rows that could be read, in the upstream's order.
    pub rows: Vec<T>,
    /// The rows that could not, with the reason.
    pub bad: Vec<BadRow>,
    /// The rows that could be read, as received.
    pub bodies: Vec<Body>,
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
        Rows { rows: Vec::new(), bad: Vec::new(), bodies: Vec::new() }
    }
}

impl<T: DeserializeOwned> Rows<T> {
    fn read(list: &[&RawValue]) -> Self {
        let mut read = Rows::default();
        for (index, raw) in list.iter().enumerate() {
            match parse_part(raw.get()) {
                Ok(row) => {
                    read.rows.push(row);
                    read.bodies.push(Body::new(raw.get().to_owned()));
                }
                Err(why) => read.bad.push(BadRow { index, why, raw: shown(raw) }),
            }
        }
        read
    }
}

#[cfg(any(feature = "hydrogen", feature = "trade_order"))] // Fubei lists no orders
impl<T> Rows<T> {
    /// Each row with its body.
    pub(crate) fn with_bodies(self) -> Rows<(T, Option<Body>)> {
        let bodies = self.bodies.into_iter().map(Some).chain(std::iter::repeat(None));
        Rows { rows: self.rows.into_iter().zip(bodies).collect(), bad: self.bad, bodies: Vec::new() }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Rows<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not through `Value`, which would make floats of the amounts.
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text: String;
        let list = match raw.get() {
            "null" => return Ok(Rows::default()),
            json if json.starts_with('[') => json,
            json if json.starts_with('"') => {
                text = serde_json::from_str(json).map_err(de::Error::custom)?;
                if text.trim().is_empty() {
                    return Ok(Rows::default());
                }
                &text
            }
            _ => return Err(de::Error::custom("expected a list of rows")),
        };
        let Listed(list) = serde_json::from_str(list)
            .map_err(|error| de::Error::custom(format!("a text where a list is expected holds no list: {error}")))?;
        Ok(Rows::read(&list))
    }
}

/// How many rows a list may have. A page has a hundred, a busy shop's day some thousands; the millions of empty rows
/// that fit into an answer of 16 MiB would take gigabytes of memory.
const MOST_ROWS: usize = 50_000;

/// Rows that are not read yet.
struct Listed<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Listed<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rows;
        impl<'de> Visitor<'de> for Rows {
            type Value = Listed<'de>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(to, "a list of at most {MOST_ROWS} rows")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Listed<'de>, A::Error> {
                let mut rows = Vec::new();
                while let Some(row) = list.next_element()? {
                    if rows.len() == MOST_ROWS {
                        return Err(de::Error::custom(format!("more than {MOST_ROWS} rows in one list")));
                    }
                    rows.push(row);
                }
                Ok(Listed(rows))
            }
        }
        deserializer.deserialize_seq(Rows)
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
