//! Amounts of money: whole fen inside, decimal yuan at the edges, never a float.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// An amount in CNY: a whole count of fen (分), never negative.
///
/// # Invariants
/// `0 <= fen <= Money::MAX`. Arithmetic is checked; there are no operators, and there is no way
/// in from a float.
///
/// # Units
/// [`Money::fen`] counts fen; [`Money::yuan`], `Display` and `FromStr` speak yuan with two places.
///
/// # Examples
/// ```
/// use tillbook::Money;
/// let price: Money = "12.50".parse()?;
/// assert_eq!(price.fen(), 1250);
/// assert_eq!(price.to_string(), "12.50");
/// let refused = "12.505".parse::<Money>().unwrap_err();
/// assert_eq!(refused.to_string(), "12.505 has more than two decimal places");
/// # Ok::<(), tillbook::MoneyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Money(i64);

/// Why a number is not an amount of money.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// The text is not a plain decimal number.
    #[error("{0:?} is not an amount")]
    NotANumber(String),
    /// Smaller than a fen would have to be cut off, and nothing is ever rounded here.
    #[error("{0} has more than two decimal places")]
    TooPrecise(String),
    /// Below zero.
    #[error("{0} is negative")]
    Negative(String),
    /// Above [`Money::MAX`].
    #[error("{0} is beyond 10,000,000,000,000.00 yuan")]
    TooLarge(String),
}

impl Money {
    /// No money.
    pub const ZERO: Money = Money(0);
    /// The largest amount: ten trillion yuan. Sums of thousands of such amounts still fit an `i64`.
    pub const MAX: Money = Money(1_000_000_000_000_000);

    /// Makes an amount from a count of fen.
    ///
    /// # Errors
    /// Negative counts and counts beyond [`Money::MAX`].
    pub fn from_fen(fen: i64) -> Result<Money, MoneyError> {
        if fen < 0 {
            Err(MoneyError::Negative(fen_text(fen)))
        } else if fen > Money::MAX.0 {
            Err(MoneyError::TooLarge(fen_text(fen)))
        } else {
            Ok(Money(fen))
        }
    }

    /// Makes an amount from decimal yuan.
    ///
    /// # Errors
    /// More than two decimal places (trailing zeros are fine), negative, or beyond [`Money::MAX`].
    pub fn from_yuan(yuan: Decimal) -> Result<Money, MoneyError> {
        if yuan.is_sign_negative() && !yuan.is_zero() {
            return Err(MoneyError::Negative(yuan.to_string()));
        }
        let fen =
            yuan.checked_mul(Decimal::ONE_HUNDRED).ok_or_else(|| MoneyError::TooLarge(yuan.to_string()))?.normalize();
        if fen.scale() > 0 {
            return Err(MoneyError::TooPrecise(yuan.to_string()));
        }
        match i64::try_from(fen) {
            Ok(fen) if fen <= Money::MAX.0 => Ok(Money(fen)),
            _ => Err(MoneyError::TooLarge(yuan.to_string())),
        }
    }

    /// The count of fen.
    #[must_use]
    pub const fn fen(self) -> i64 {
        self.0
    }

    /// The amount in yuan, with two decimal places.
    #[must_use]
    pub fn yuan(self) -> Decimal {
        Decimal::new(self.0, 2)
    }

    /// Whether this is no money at all.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `self + other`, or `None` beyond [`Money::MAX`].
    #[must_use]
    pub fn checked_add(self, other: Money) -> Option<Money> {
        // Both are at most 10^15, so the sum of two cannot overflow an i64.
        Some(Money(self.0 + other.0)).filter(|sum| *sum <= Money::MAX)
    }

    /// `self - other`, or `None` where that would be negative.
    #[must_use]
    pub fn checked_sub(self, other: Money) -> Option<Money> {
        Some(Money(self.0 - other.0)).filter(|rest| rest.0 >= 0)
    }

    /// `self + other`, at most [`Money::MAX`]: for what has been taken away, where more is safer.
    #[must_use]
    pub fn saturating_add(self, other: Money) -> Money {
        self.checked_add(other).unwrap_or(Money::MAX)
    }

    /// `self - other`, at least zero: for what may still be taken, where less is safer.
    #[must_use]
    pub fn saturating_sub(self, other: Money) -> Money {
        self.checked_sub(other).unwrap_or(Money::ZERO)
    }

    /// The sum of all, at most [`Money::MAX`].
    #[must_use]
    pub fn total(amounts: impl IntoIterator<Item = Money>) -> Money {
        amounts.into_iter().fold(Money::ZERO, Money::saturating_add)
    }
}

/// Fen as yuan text, for amounts that are not `Money` yet (the error wants to name them).
fn fen_text(fen: i64) -> String {
    Decimal::new(fen, 2).to_string()
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:02}", self.0 / 100, self.0 % 100))
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    /// Reads yuan: digits with an optional point. No sign but `-` (which is refused by name), no
    /// exponent, no grouping, no currency sign, no blank.
    fn from_str(text: &str) -> Result<Money, MoneyError> {
        let plain = text.strip_prefix('-').unwrap_or(text);
        let shape = |c: char| c.is_ascii_digit() || c == '.';
        // `Decimal` would also take `1_000` and a lone point.
        if !plain.starts_with(|c: char| c.is_ascii_digit())
            || plain.ends_with('.')
            || plain.matches('.').count() > 1
            || !plain.chars().all(shape)
        {
            return Err(MoneyError::NotANumber(text.chars().take(40).collect()));
        }
        let yuan = Decimal::from_str_exact(text).map_err(|_| {
            let fraction = plain.split_once('.').map_or("", |(_, fraction)| fraction);
            let name: String = text.chars().take(40).collect();
            match fraction.trim_end_matches('0').len() {
                0..=2 => MoneyError::TooLarge(name),
                _ => MoneyError::TooPrecise(name),
            }
        })?;
        Money::from_yuan(yuan)
    }
}

impl TryFrom<i64> for Money {
    type Error = MoneyError;

    fn try_from(fen: i64) -> Result<Money, MoneyError> {
        Money::from_fen(fen)
    }
}

impl From<Money> for i64 {
    fn from(money: Money) -> i64 {
        money.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yuan_texts_become_exact_fen_or_a_named_refusal() {
        for (text, want) in [
            ("0", Ok(0)),
            ("80", Ok(8000)),
            ("398.00", Ok(39800)),
            ("1.11", Ok(111)),
            ("0.01", Ok(1)),
            ("0.10000", Ok(10)),
            ("10000000000000.00", Ok(1_000_000_000_000_000)),
            ("0.005", Err("0.005 has more than two decimal places")),
            ("12.505", Err("12.505 has more than two decimal places")),
            ("-5", Err("-5 is negative")),
            ("10000000000000.01", Err("10000000000000.01 is beyond 10,000,000,000,000.00 yuan")),
            ("", Err("\"\" is not an amount")),
            ("1,000.00", Err("\"1,000.00\" is not an amount")),
            ("1_000", Err("\"1_000\" is not an amount")),
            ("1e2", Err("\"1e2\" is not an amount")),
            ("\u{a5}5", Err("\"\u{a5}5\" is not an amount")),
            (" 5", Err("\" 5\" is not an amount")),
            (".5", Err("\".5\" is not an amount")),
            ("5.", Err("\"5.\" is not an amount")),
            ("1.2.3", Err("\"1.2.3\" is not an amount")),
            ("NaN", Err("\"NaN\" is not an amount")),
            // More digits than a `Decimal` holds.
            (
                "100000000000000000000000000000.00",
                Err("100000000000000000000000000000.00 is beyond 10,000,000,000,000.00 yuan"),
            ),
            (
                "0.00000000000000000000000000001",
                Err("0.00000000000000000000000000001 has more than two decimal places"),
            ),
        ] {
            let got = text.parse::<Money>().map(Money::fen).map_err(|e| e.to_string());
            assert_eq!(got, want.map_err(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn every_fen_survives_text_and_back() {
        for fen in (0..20_000).chain([Money::MAX.fen() - 1, Money::MAX.fen()]) {
            let money = Money::from_fen(fen).expect("in range");
            assert_eq!(money.to_string().parse(), Ok(money));
            assert_eq!(Money::from_yuan(money.yuan()), Ok(money));
        }
    }

    #[test]
    fn what_is_written_as_fen_is_read_back_and_what_is_no_amount_is_refused_by_its_yuan() {
        let stored = serde_json::to_string(&Money(1_250)).expect("written");
        assert_eq!((stored.as_str(), serde_json::from_str::<Money>(&stored).ok()), ("1250", Some(Money(1_250))));
        for (fen, want) in
            [(-1, "-0.01 is negative"), (Money::MAX.0 + 1, "10000000000000.01 is beyond 10,000,000,000,000.00 yuan")]
        {
            assert_eq!(Money::from_fen(fen).expect_err("refused").to_string(), want);
            assert!(serde_json::from_str::<Money>(&fen.to_string()).is_err());
        }
    }

    #[test]
    fn subtraction_below_zero_is_none() {
        let (one, two) = (Money(1), Money(2));
        assert_eq!(two.checked_sub(one), Some(one));
        assert_eq!(one.checked_sub(two), None);
        assert_eq!(one.saturating_sub(two), Money::ZERO);
        assert_eq!(Money::MAX.checked_add(one), None);
    }
}
