//! Fubei's bodies without a network.

use crate::clients::decode::{DecodeError, Decoded, parse};
use crate::clients::fields::Strange;
use crate::clients::wire::Rows;
use crate::domain::{Answer, Facts, Outcome, Timestamp};
use crate::gateway::BadRow;

use super::api::types;
use super::envelope::{Envelope, Refusal};
use super::{orders, refunds};

/// The operations that [`decode`] knows.
pub const OPERATIONS: &[&str] = &["order.query", "order.refund", "refund.query", "refund.statistics", "order.bill"];

/// What the ledger makes of a body that `operation` was answered with; `now` becomes the time of asking.
///
/// # Errors
/// An unknown operation; a body that cannot be read, with the field; a refusal of a question about orders. A refusal
/// of a refund is an answer: its outcome is in doubt, for only what refund.query and refund.statistics say *after* it
/// can prove that nothing was executed.
pub fn decode(operation: &str, body: &[u8], now: Timestamp) -> Result<Decoded, DecodeError> {
    match operation {
        "order.query" => {
            let order = data(body, now, "data", |answer: types::OrderQueryAnswer| answer.data)?;
            one_order(orders::facts(order, None, "", now))
        }
        "refund.statistics" => {
            let statistics = data(body, now, "data", |answer: types::RefundStatisticsAnswer| answer.data)?;
            one_order(orders::statistics_facts(statistics, "", now))
        }
        "order.bill" => {
            let bill = data(body, now, "data", |answer: types::OrderBillAnswer| answer.data)?;
            let (orders, bad_rows) = bill_rows(bill.list.unwrap_or_default(), "", now);
            Ok(Decoded::Orders { orders, bad_rows })
        }
        "order.refund" => match verdict(body)? {
            Err(refusal) => Ok(refunds_of(refused(&refusal, now), Vec::new())),
            Ok((code, message)) => {
                let data = parse::<types::OrderRefundAnswer>(body)?.data;
                let answer = refunds::accepted(data.as_ref(), code, message, None, now);
                Ok(refunds_of(answer, data.iter().map(refunds::seen_accepted).collect()))
            }
        },
        "refund.query" => match verdict(body)? {
            Err(refusal) => Ok(refunds_of(refused(&refusal, now), Vec::new())),
            Ok((code, message)) => {
                let refund = parse::<types::RefundQueryAnswer>(body)?.data;
                let seen: Vec<_> = refund.iter().map(refunds::seen).collect::<Result<_, _>>().map_err(strange)?;
                let answer = Answer {
                    upstream_refund_no: seen.first().and_then(|refund| refund.upstream_refund_no.clone()),
                    code: Some(code),
                    message,
                    ..Answer::new(seen.first().map_or(Outcome::InDoubt, |refund| refund.outcome), now)
                };
                Ok(refunds_of(answer, seen))
            }
        },
        other => Err(DecodeError::unknown(other, OPERATIONS)),
    }
}

/// The rows of a bill, and those that cannot be read with their paths.
pub(super) fn bill_rows(rows: Rows<types::BillRow>, merchant: &str, now: Timestamp) -> (Vec<Facts>, Vec<BadRow>) {
    let mut bad_rows: Vec<BadRow> = Vec::new();
    for row in rows.bad {
        bad_rows.push(BadRow { path: format!("data.list[{}]", row.index), why: row.why });
    }
    let mut orders = Vec::new();
    for row in rows.rows {
        let number = row.order_sn.as_ref().map_or("no number", |number| number.as_str()).to_owned();
        match orders::bill_row(row, merchant, now) {
            Ok(order) => orders.push(order),
            Err(Strange(why)) => bad_rows.push(BadRow { path: format!("data.list (order {number})"), why }),
        }
    }
    (orders, bad_rows)
}

fn one_order(order: Result<Facts, Strange>) -> Result<Decoded, DecodeError> {
    Ok(Decoded::Orders { orders: vec![order.map_err(strange)?], bad_rows: Vec::new() })
}

fn refunds_of(answer: Answer, refunds: Vec<crate::clients::decode::SeenRefund>) -> Decoded {
    Decoded::Refunds { answer, refunds, bad_rows: Vec::new() }
}

fn refused(refusal: &Refusal, now: Timestamp) -> Answer {
    let outcome = if refusal.is_of_the_envelope() { Outcome::Blocked } else { Outcome::InDoubt };
    let blocked = (outcome == Outcome::Blocked).then_some(crate::domain::BlockReason::Credentials);
    Answer { blocked, code: Some(refusal.code.clone()), message: Some(refusal.words()), ..Answer::new(outcome, now) }
}

/// The data of a successful answer.
fn data<T, D>(body: &[u8], now: Timestamp, path: &str, data: impl FnOnce(T) -> Option<D>) -> Result<D, DecodeError>
where
    T: serde::de::DeserializeOwned,
{
    match verdict(body)? {
        Err(refusal) => Err(DecodeError::Refused { answer: Box::new(refused(&refusal, now)) }),
        Ok(_) => data(parse(body)?).ok_or_else(|| DecodeError::Unreadable(format!("{path} is missing"))),
    }
}

/// What the envelope says, read before its data: a refusal may carry data of any shape.
fn verdict(body: &[u8]) -> Result<Result<(String, Option<String>), Refusal>, DecodeError> {
    let envelope: Envelope = parse(body)?;
    envelope.verdict().ok_or_else(|| DecodeError::Unreadable("result_code is missing".to_owned()))
}

fn strange(Strange(why): Strange) -> DecodeError {
    DecodeError::Unreadable(why)
}
