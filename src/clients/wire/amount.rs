//! Amounts: yuan with two decimals, or whole fen; both are held as fen.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{self, Serialize, Serializer};

use super::visit::{Scalar, scalar, serialize_as_text};

/// An amount that is not exact to the fen, or not an amount at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {why}")]
pub struct AmountError {
    /// The value as received.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// An amount the upstream writes in yuan, as number or text; sent as a JSON number.
///
/// # Units
/// Held as fen. `"398.00"`, `398.0`, `398` and `" 398 "` are one amount.
///
/// # Errors
/// More than two decimals, a number too long to be exact, grouping, currency signs, hexadecimal, and anything that is
/// not a number are refused by name. `null` and an absent field are the `None` around this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Yuan(i64);

/// An amount the upstream writes in yuan; sent as a JSON text with two decimals (`"398.00"`).
///
/// # Units
/// Held as fen, read like [`Yuan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct YuanText(i64);

/// An amount the upstream writes in fen, as number or text; sent as a JSON number.
///
/// # Errors
/// A fraction (`1.5`) is refused by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fen(i64);

/// A whole number that may come as text; sent as a JSON number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count(i64);

macro_rules! amounts {
    ($($name:ident)*) => { $(
        impl $name {
            /// The amount that is `fen` fen.
            pub const fn from_fen(fen: i64) -> Self {
                Self(fen)
            }

            /// The amount in fen.
            pub const fn fen(self) -> i64 {
                self.0
            }
        }
    )* };
}
amounts!(Yuan YuanText Fen);

impl Count {
    /// The count `value`.
    pub const fn new(value: i64) -> Self {
        Self(value)
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// Fen of an amount written in yuan.
fn fen_of_yuan(text: &str) -> Result<i64, AmountError> {
    let error = |why| AmountError { text: text.to_owned(), why };
    let yuan = decimal(text).ok_or_else(|| error("is not an amount in yuan"))?;
    let fen = yuan.checked_mul(Decimal::ONE_HUNDRED).ok_or_else(|| error("is too large for an amount"))?;
    if !fen.fract().is_zero() {
        return Err(error("has more than two decimals"));
    }
    i64::try_from(fen).map_err(|_| error("is too large for an amount"))
}

/// A whole number written as number or text.
fn whole(text: &str, why: &'static str) -> Result<i64, AmountError> {
    let error = |why| AmountError { text: text.to_owned(), why };
    let number = decimal(text).ok_or_else(|| error(why))?;
    if !number.fract().is_zero() {
        return Err(error(why));
    }
    i64::try_from(number.trunc()).map_err(|_| error("is too large"))
}

/// Reads `-12`, `12.50` and `1e2`; `Decimal`'s own parser also takes `1_000` and more digits than it can hold.
fn decimal(text: &str) -> Option<Decimal> {
    let text = text.trim();
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E');
    if text.is_empty() || !text.chars().all(plain) || !text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if text.contains(['e', 'E']) {
        let (mantissa, exponent) = text.split_once(['e', 'E'])?;
        // `from_scientific` loses digits in silence when the exponent is far out.
        let exponent: i32 = exponent.parse().ok()?;
        if !(-10..=15).contains(&exponent) || mantissa.contains(['e', 'E']) {
            return None;
        }
        return Decimal::from_scientific(text).ok();
    }
    Decimal::from_str_exact(text).ok()
}

fn yuan_text(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    let fen = fen.unsigned_abs();
    format!("{sign}{}.{:02}", fen / 100, fen % 100)
}

fn read<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
    parse: impl FnOnce(&str) -> Result<i64, AmountError>,
) -> Result<i64, D::Error> {
    match scalar(deserializer, expected)? {
        Scalar::Number(text) | Scalar::Text(text) => parse(&text).map_err(de::Error::custom),
        Scalar::Flag(flag) => Err(de::Error::custom(format!("expected {expected}, found `{flag}`"))),
    }
}

const YUAN: &str = "an amount in yuan as number or text";
const FEN: &str = "an amount in whole fen as number or text";
const COUNT: &str = "a whole number or its text";

impl<'de> Deserialize<'de> for Yuan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, YUAN, fen_of_yuan).map(Yuan)
    }
}

impl<'de> Deserialize<'de> for YuanText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, YUAN, fen_of_yuan).map(YuanText)
    }
}

impl<'de> Deserialize<'de> for Fen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, FEN, |text| whole(text, "is not a whole number of fen")).map(Fen)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, COUNT, |text| whole(text, "is not a whole number")).map(Count)
    }
}

impl FromStr for Yuan {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Self, AmountError> {
        fen_of_yuan(text).map(Yuan)
    }
}

impl FromStr for YuanText {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Self, AmountError> {
        fen_of_yuan(text).map(YuanText)
    }
}

impl FromStr for Fen {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Self, AmountError> {
        whole(text, "is not a whole number of fen").map(Fen)
    }
}

impl FromStr for Count {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Self, AmountError> {
        whole(text, "is not a whole number").map(Count)
    }
}

impl fmt::Display for Yuan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&yuan_text(self.0))
    }
}

impl fmt::Display for YuanText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&yuan_text(self.0))
    }
}

impl fmt::Display for Fen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

serialize_as_text!(YuanText);

/// The JSON number is the exact text (`10.50`), written without passing through a float. JSON only: for a query or a
/// form the specs use [`YuanText`] (a lint sees to it).
impl Serialize for Yuan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = serde_json::value::RawValue::from_string(yuan_text(self.0)).map_err(ser::Error::custom)?;
        number.serialize(serializer)
    }
}

impl Serialize for Fen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}
