//! What the ledger makes of an upstream's body, without a network: for `tillbook decode`, for replaying samples, and
//! for a person who wonders what an answer means.

use thiserror::Error;

pub use crate::gateway::SeenRefund;

use crate::domain::{Answer, Facts, Timestamp};
use crate::gateway::BadRow;

/// What a body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// Orders, and the rows that could not be read.
    Orders {
        /// The orders, in the upstream's order.
        orders: Vec<Facts>,
        /// The rows that could not be read.
        bad_rows: Vec<BadRow>,
    },
    /// What became of refunds; also what a refusal of any question would mean for one.
    Refunds {
        /// What the body tells about the money, as if it had answered an attempt.
        answer: Answer,
        /// The refunds it names.
        refunds: Vec<SeenRefund>,
        /// The rows that could not be read.
        bad_rows: Vec<BadRow>,
    },
}

/// What the ledger makes of a body that `operation` of `gateway` was answered with; `now` becomes the time of asking.
///
/// | gateway | operations |
/// | --- | --- |
/// | `hydrogen` | `order.list`, `order.get`, `refund` (what the cloud function answers) |
/// | `trade_order` | `order.get`, `order.list`, `refund`, `refund.list` |
/// | `fubei` | `order.query`, `order.refund`, `refund.query`, `refund.statistics`, `order.bill` |
///
/// # Errors
/// A gateway or an operation that is none of these or was not built in, and what the gateway's own `decode` refuses.
pub fn decode(gateway: &str, operation: &str, body: &[u8], now: Timestamp) -> Result<Decoded, DecodeError> {
    // Unused where no gateway was built in.
    let _ = (operation, body, now);
    let decoded = match gateway {
        #[cfg(feature = "fubei")]
        "fubei" => super::fubei::decode(operation, body, now),
        #[cfg(feature = "trade_order")]
        "trade_order" => super::trade_order::decode(operation, body, now),
        #[cfg(feature = "hydrogen")]
        "hydrogen" => super::hydrogen::decode(operation, body, now),
        _ => Err(DecodeError::Gateway { gateway: gateway.to_owned() }),
    };
    match decoded {
        // A refusal is an answer too: no order, and the outcome that a refund would have from it.
        Err(DecodeError::Refused { answer }) => {
            Ok(Decoded::Refunds { answer: *answer, refunds: Vec::new(), bad_rows: Vec::new() })
        }
        decoded => decoded,
    }
}

/// Why a body says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No such gateway.
    #[error("`{gateway}` is no gateway of this build; fubei, trade_order and hydrogen are features of it")]
    Gateway {
        /// The gateway asked for.
        gateway: String,
    },
    /// No such operation can be decoded.
    #[error("`{operation}` cannot be decoded; one of {known}")]
    Operation {
        /// The operation asked for.
        operation: String,
        /// Those that can be, with commas between.
        known: String,
    },
    /// The body cannot be read: the field, and what is wrong with it.
    #[error("{0}")]
    Unreadable(String),
    /// The body is the upstream's refusal of a question.
    #[error("the upstream refused: {}", words(answer))]
    Refused {
        /// Its code and words, with what they would tell about the money had a refund been answered so.
        answer: Box<Answer>,
    },
}

fn words(answer: &Answer) -> String {
    let message = answer.message.as_deref().unwrap_or("without a word");
    answer.code.as_ref().map_or_else(|| message.to_owned(), |code| format!("{message} (code {code})"))
}

impl DecodeError {
    /// The error for `operation`, which is none of `known`.
    pub(crate) fn unknown(operation: &str, known: &[&str]) -> Self {
        DecodeError::Operation { operation: operation.to_owned(), known: known.join(", ") }
    }
}

/// Reads a body; an error names the field.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        // Text that is no JSON has no field to blame, only a line and a column.
        let why = match error.inner().is_data() {
            true => error.to_string(),
            false => format!("the body is not JSON: {}", error.inner()),
        };
        DecodeError::Unreadable(why)
    })?;
    reader.end().map_err(|error| DecodeError::Unreadable(format!("more follows the answer: {error}")))?;
    Ok(value)
}
