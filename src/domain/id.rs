//! Names of things: accounts, orders, references, refund keys, devices.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text cannot be a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?} {why}")]
pub struct NameError {
    /// What the text should have been: "refund key", "account name".
    pub what: &'static str,
    /// The text, cut to 60 characters.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl NameError {
    fn new(what: &'static str, text: &str, why: &'static str) -> NameError {
        NameError { what, text: text.chars().take(60).collect(), why }
    }
}

/// One to `most` characters of `[0-9A-Za-z_-]`: what every upstream and every file system takes.
fn plain_name(what: &'static str, text: &str, most: usize, too_long: &'static str) -> Result<(), NameError> {
    if text.is_empty() {
        Err(NameError::new(what, text, "is empty"))
    } else if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        Err(NameError::new(what, text, "may hold only 0-9 A-Z a-z _ -"))
    } else if text.len() > most {
        Err(NameError::new(what, text, too_long))
    } else {
        Ok(())
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and makes the name.
            ///
            /// # Errors
            /// A text that breaks the rules above; the error names the rule.
            pub fn new(text: impl AsRef<str>) -> Result<$name, NameError> {
                let text = text.as_ref();
                let check: fn(&str) -> Result<(), NameError> = $check;
                check(text)?;
                Ok($name(Arc::from(text)))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<$name, NameError> {
                $name::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<$name, NameError> {
                $name::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
    };
}

name! {
    /// The user's name for one merchant's credentials at one gateway, such as `shop-1`:
    /// 1 to 32 characters of `[0-9A-Za-z_-]`.
    AccountName, |text| plain_name("account name", text, 32, "is longer than 32 characters")
}
name! {
    /// The permanent name of one refund (退款单号), unique per account: 1 to 32 characters of
    /// `[0-9A-Za-z_-]`, which is what all channels take as a client refund number.
    RefundKey, |text| plain_name("refund key", text, 32, "is longer than 32 characters")
}
name! {
    /// The name of the till, kiosk or server that keeps this ledger: 1 to 32 characters of
    /// `[0-9A-Za-z_-]`.
    DeviceName, |text| plain_name("device name", text, 32, "is longer than 32 characters")
}
name! {
    /// The word for a kind of gateway: `fubei`, `trade_order`, `hydrogen`, or a user's own.
    GatewayName, |text| plain_name("gateway name", text, 32, "is longer than 32 characters")
}
name! {
    /// The ledger's own permanent name for an order.
    ///
    /// For an order learnt from an upstream: `gateway:merchant:native number`. For one recorded
    /// offline: `provisional:` and a UUID, kept after facts confirm it.
    OrderId, |text| if text.is_empty() || text.len() > 256 || text.chars().any(char::is_control) {
        Err(NameError::new("order id", text, "must have 1 to 256 bytes and no control character"))
    } else {
        Ok(())
    }
}

impl OrderId {
    /// The identity of an order that an upstream knows.
    ///
    /// # Errors
    /// Numbers with control characters or far beyond any documented length.
    pub fn of_native(gateway: &GatewayName, merchant: &str, number: &str) -> Result<OrderId, NameError> {
        OrderId::new(format!("{gateway}:{merchant}:{number}"))
    }
}

/// A number that names an order, with its kind as the upstream spells it: `order_sn=2017...`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reference {
    /// The upstream's own word for the number: `order_sn`, `tradeOrderId`, `transaction_no`.
    pub kind: String,
    /// The number; text, for leading zeros matter.
    pub number: String,
}

impl Reference {
    /// Checks and makes a reference.
    ///
    /// # Errors
    /// An empty kind or number, more than 32 or 128 bytes, control characters, or a kind with
    /// anything but letters, digits and `_`.
    pub fn new(kind: &str, number: &str) -> Result<Reference, NameError> {
        plain_name("reference kind", kind, 32, "is longer than 32 characters")?;
        check_number(number)?;
        Ok(Reference { kind: kind.to_owned(), number: number.to_owned() })
    }
}

/// Checks a number that may name an order.
///
/// # Errors
/// Empty, more than 128 bytes, control characters, or blanks around it.
pub fn check_number(number: &str) -> Result<(), NameError> {
    let what = "order number";
    if number.is_empty() {
        Err(NameError::new(what, number, "is empty"))
    } else if number.len() > 128 {
        Err(NameError::new(what, number, "is longer than 128 bytes"))
    } else if number.chars().any(char::is_control) || number.trim() != number {
        Err(NameError::new(what, number, "has a control character or blanks around it"))
    } else {
        Ok(())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.kind, self.number)
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_by_rule_and_the_rule_is_named() {
        assert_eq!(RefundKey::new("till-3-abc").map(|k| k.to_string()), Ok("till-3-abc".to_owned()));
        for (text, want) in [
            ("", "refund key \"\" is empty"),
            ("a b", "refund key \"a b\" may hold only 0-9 A-Z a-z _ -"),
            ("退款", "refund key \"退款\" may hold only 0-9 A-Z a-z _ -"),
            (
                "123456789012345678901234567890123",
                "refund key \"123456789012345678901234567890123\" is longer than 32 characters",
            ),
        ] {
            assert_eq!(RefundKey::new(text).expect_err("refused").to_string(), want);
        }
        let longest = "12345678901234567890123456789012";
        assert_eq!(RefundKey::new(longest).map(|key| key.to_string()), Ok(longest.to_owned()));
    }

    #[test]
    fn an_order_number_has_up_to_128_bytes() {
        assert_eq!(check_number(&"7".repeat(128)), Ok(()));
        for number in ["7".repeat(129), "7".repeat(200)] {
            let why = check_number(&number).expect_err("refused").to_string();
            assert_eq!(why, format!("order number {:?} is longer than 128 bytes", "7".repeat(60)));
        }
    }

    #[test]
    fn a_reference_keeps_its_leading_zeros_and_refuses_blanks() {
        let reference = Reference::new("order_sn", "007").expect("valid");
        assert_eq!((reference.to_string(), format!("{reference:?}")), ("order_sn=007".into(), "order_sn=007".into()));
        assert!(Reference::new("order_sn", " 7").is_err());
        assert!(Reference::new("order sn", "7").is_err());
    }
}
