//! trade_order's bodies without a network.

use serde::de::DeserializeOwned;

use crate::clients::decode::{DecodeError, Decoded, parse};
use crate::clients::fields::Strange;
use crate::clients::rows::read_each;
use crate::domain::{Answer, Outcome, Timestamp};
use crate::gateway::BadRow;

use super::api::types;
use super::envelope::{Envelope, Refusal};
use super::{orders, refunds};

/// The operations that [`decode`] knows.
pub const OPERATIONS: &[&str] = &["order.get", "order.list", "refund", "refund.list"];

/// What the ledger makes of a body that `operation` was answered with; `now` becomes the time of asking. An unknown
/// order and an empty page are no orders, not an error: code 0 with `data` null.
///
/// # Errors
/// An unknown operation; a body that cannot be read, with the field; a refusal of a question. A refusal of a refund is
/// an answer.
pub fn decode(operation: &str, body: &[u8], now: Timestamp) -> Result<Decoded, DecodeError> {
    match operation {
        "order.get" => {
            let order = answered::<types::TradeOrderAnswer>(body, now)?.data;
            let facts = order.map(|order| orders::facts(order, now)).transpose();
            let facts = facts.map_err(|Strange(why)| DecodeError::Unreadable(format!("data.{why}")))?;
            Ok(Decoded::Orders { orders: facts.into_iter().collect(), bad_rows: Vec::new() })
        }
        "order.list" => {
            let rows = answered::<types::TradeOrderPage>(body, now)?.data.unwrap_or_default();
            let (orders, bad_rows) = read_each("data", rows, |row| orders::facts(row, now));
            Ok(Decoded::Orders { orders, bad_rows })
        }
        "refund" => {
            let (answer, refunds) = match verdict(body)? {
                Err(refusal) => (refunds::refused(&refusal, now), Vec::new()),
                Ok(()) => {
                    let refund = parse::<types::RefundAnswer>(body)?.data;
                    let answer = refunds::taken(refund.as_ref(), now);
                    let seen = refund.iter().map(|refund| refunds::seen_taken(refund, answer.outcome)).collect();
                    (answer, seen)
                }
            };
            Ok(Decoded::Refunds { answer, refunds, bad_rows: Vec::new() })
        }
        "refund.list" => refund_list(body, now),
        other => Err(DecodeError::unknown(other, OPERATIONS)),
    }
}

/// A list of one refund tells about that refund; of none or several, about none in particular.
fn refund_list(body: &[u8], now: Timestamp) -> Result<Decoded, DecodeError> {
    let rows = answered::<types::RefundOrderPage>(body, now)?.data.unwrap_or_default();
    let mut bad_rows: Vec<BadRow> = Vec::new();
    for row in &rows.bad {
        bad_rows.push(BadRow { path: format!("data[{}]", row.index), why: row.why.clone() });
    }
    let mut seen = Vec::new();
    for row in &rows.rows {
        match refunds::seen(row) {
            Ok(refund) => seen.push(refund),
            Err(Strange(why)) => {
                let number = row.mch_refund_no.as_ref().map_or("no number", |number| number.as_str());
                bad_rows.push(BadRow { path: format!("data (refund {number})"), why });
            }
        }
    }
    let (outcome, upstream_refund_no, message) = match (seen.as_slice(), bad_rows.len()) {
        ([one], 0) => (one.outcome, one.upstream_refund_no.clone(), None),
        ([], 0) => (Outcome::InDoubt, None, Some("no refund in the list, which proves nothing".to_owned())),
        _ => (Outcome::InDoubt, None, Some("more than one refund in the list".to_owned())),
    };
    let answer = Answer { upstream_refund_no, code: Some("0".to_owned()), message, ..Answer::new(outcome, now) };
    Ok(Decoded::Refunds { answer, refunds: seen, bad_rows })
}

/// The whole answer, if its code is 0.
fn answered<T: DeserializeOwned>(body: &[u8], now: Timestamp) -> Result<T, DecodeError> {
    match verdict(body)? {
        Err(refusal) => Err(DecodeError::Refused { answer: Box::new(refunds::refused(&refusal, now)) }),
        Ok(()) => parse(body),
    }
}

/// What the envelope says, read before its data: a refusal may carry data of any shape.
fn verdict(body: &[u8]) -> Result<Result<(), Refusal>, DecodeError> {
    let envelope: Envelope = parse(body)?;
    envelope.verdict().ok_or_else(|| DecodeError::Unreadable("code is missing".to_owned()))
}
