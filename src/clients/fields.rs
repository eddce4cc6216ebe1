//! Building blocks of facts that every adapter needs: amounts, numbers and details, each refused or kept by name.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::{Money, OrderStatus, Reference, Timestamp};

use super::wire::{Text, UpstreamTime};

/// What is wrong with a field, in one line that begins with its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Strange(pub(crate) String);

impl Strange {
    /// The field `path` is not there, and no facts can be made without it.
    pub(crate) fn missing(path: &str) -> Strange {
        Strange(format!("{path} is missing"))
    }
}

/// An amount of `fen` fen found at `path`; a negative or a far too large one is refused.
pub(crate) fn money(path: &str, fen: Option<i64>) -> Result<Option<Money>, Strange> {
    fen.map(|fen| Money::from_fen(fen).map_err(|error| Strange(format!("{path}: {error}")))).transpose()
}

/// The number at `path` as a reference of that kind; missing or unfit is refused.
pub(crate) fn reference(kind: &str, path: &str, number: Option<&Text>) -> Result<Reference, Strange> {
    let number = number.and_then(Text::non_empty).ok_or_else(|| Strange::missing(path))?;
    Reference::new(kind, number).map_err(|error| Strange(format!("{path}: {error}")))
}

/// The moment of a wire time, its offset believed.
pub(crate) fn instant(time: &UpstreamTime) -> Timestamp {
    Timestamp::from(time.instant())
}

/// The status of an order whose word we do not know, or that has none; the word itself stays in `upstream_status`.
///
/// Not the word: `OrderStatus` reads its own words back, so an upstream's unknown `paid` would come to mean paid.
pub(crate) fn unknown_status() -> OrderStatus {
    OrderStatus::Other("other".to_owned())
}

/// The numbers of an order: those that can name it, and those that cannot, kept as details.
#[derive(Default)]
pub(crate) struct Numbers {
    /// By kind.
    pub(crate) good: BTreeMap<String, String>,
    /// Those that may not name an order.
    pub(crate) strange: Details,
}

impl Numbers {
    /// The number `number`, unless it is empty.
    pub(crate) fn add(&mut self, kind: &str, number: Option<Text>) {
        let Some(number) = number.as_ref().and_then(Text::non_empty) else { return };
        match Reference::new(kind, number) {
            Ok(reference) => {
                self.good.insert(reference.kind, reference.number);
            }
            Err(_) => self.strange.keep(kind, number),
        }
    }
}

/// Fields under their own names.
#[derive(Default)]
pub(crate) struct Details(pub(crate) BTreeMap<String, Value>);

impl Details {
    /// The text `text` under `name`.
    pub(crate) fn keep(&mut self, name: &str, text: &str) {
        self.0.insert(name.to_owned(), Value::String(text.to_owned()));
    }

    /// A text, unless it is empty.
    pub(crate) fn text(&mut self, name: &str, text: Option<Text>) {
        if let Some(text) = text.as_ref().and_then(Text::non_empty) {
            self.keep(name, text);
        }
    }

    /// An amount, as decimal text.
    pub(crate) fn amount(&mut self, name: &str, amount: Option<impl std::fmt::Display>) {
        if let Some(amount) = amount {
            self.keep(name, &amount.to_string());
        }
    }
}

/// JSON of unknown meaning, each fraction as its text: it may be money, and details hold no floats.
#[cfg(any(feature = "hydrogen", feature = "trade_order"))]
pub(crate) fn without_fractions(value: Value) -> Value {
    match value {
        Value::Number(number) if !number.is_i64() && !number.is_u64() => Value::String(number.to_string()),
        Value::Array(list) => Value::Array(list.into_iter().map(without_fractions).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, without_fractions(value))).collect())
        }
        value => value,
    }
}
