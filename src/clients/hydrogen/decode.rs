//! hydrogen's bodies without a network, in every wrapping they come in.
//!
//! The same rows come bare from REST, inside `{code, data, error}` from a job, and inside `{data, status}` where the SDK's
//! answer was written down (seed 000).

use serde_json::Value;

use crate::clients::decode::{DecodeError, Decoded, parse};
use crate::clients::fields::Strange;
use crate::clients::rows::facts_of;
use crate::clients::wire::{Rows, Text};
use crate::domain::{Answer, Outcome, Timestamp};

use super::api::open::RefundState;
use super::api::types;
use super::function::body_words;
use super::{orders, refunds};

/// The operations that [`decode`] knows.
pub const OPERATIONS: &[&str] = &["order.list", "order.get", "refund"];

/// What the ledger makes of a body that `operation` was answered with; `now` becomes the time of asking.
///
/// The bodies do not name the merchant (the client id is in the request), so facts name none.
///
/// # Errors
/// An unknown operation; a body that cannot be read, with the field; a refusal of a question about orders. A refusal
/// of a refund is an answer.
pub fn decode(operation: &str, body: &[u8], now: Timestamp) -> Result<Decoded, DecodeError> {
    if !OPERATIONS.contains(&operation) {
        return Err(DecodeError::unknown(operation, OPERATIONS));
    }
    let wrapped: Value = parse(body)?;
    let inner = unwrapped(wrapped);
    match operation {
        "order.list" => list(inner, body, now),
        // One order bare, or the function's list of those that bear one number.
        "order.get" => match &inner {
            Value::Object(fields) if fields.contains_key("transaction_no") => {
                let facts = orders::facts(read(inner)?, "", now).map_err(strange)?;
                Ok(Decoded::Orders { orders: vec![facts], bad_rows: Vec::new() })
            }
            _ => list(inner, body, now),
        },
        _ => refund(inner, now),
    }
}

/// The value inside a job's or the SDK's envelope; anything else is itself.
fn unwrapped(mut body: Value) -> Value {
    let Some(fields) = body.as_object_mut() else { return body };
    let job = fields.get("code").is_some_and(|code| code == 0 || code == "0");
    let sdk = fields.get("status").is_some_and(Value::is_number);
    match fields.remove("data") {
        Some(data) if (job || sdk) && data.is_object() => data,
        Some(data) => {
            fields.insert("data".to_owned(), data);
            body
        }
        None => body,
    }
}

fn list(inner: Value, body: &[u8], now: Timestamp) -> Result<Decoded, DecodeError> {
    if inner.get("objects").is_none() {
        return Err(refusal(inner, body, now));
    }
    let page: types::FunctionOrderList = read(inner)?;
    let rows: Rows<types::Order> = page.objects.unwrap_or_default();
    let (orders, bad_rows) = facts_of("objects", rows, |row| orders::facts(row, "", now));
    Ok(Decoded::Orders { orders, bad_rows })
}

/// A list that is none: the function's own refusal, a job that broke, or the REST interface's error.
fn refusal(inner: Value, body: &[u8], now: Timestamp) -> DecodeError {
    let broken = |code: Option<&Value>, message: String| Answer {
        code: code.map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned)),
        message: Some(message),
        ..Answer::new(Outcome::InDoubt, now)
    };
    let answer = match (inner.get("error"), inner.get("code")) {
        (Some(Value::String(_)), _) => match read::<types::FunctionRefundAnswer>(inner) {
            Ok(said) => refunds::answer(&said, now),
            Err(error) => return error,
        },
        (Some(error), code @ Some(_)) => {
            let words = body_words(error.to_string().as_bytes());
            broken(code, words.unwrap_or_else(|| "the function failed".to_owned()))
        }
        _ => match body_words(body) {
            Some(words) => broken(inner.get("status"), words),
            None => return DecodeError::Unreadable("objects is missing".to_owned()),
        },
    };
    DecodeError::Refused { answer: Box::new(answer) }
}

/// The function's answer, or what BaaS.refund answered inside it.
fn refund(inner: Value, now: Timestamp) -> Result<Decoded, DecodeError> {
    let said: types::FunctionRefundAnswer = match &inner {
        Value::Object(fields) if fields.contains_key("state") => read(inner)?,
        Value::Object(fields) if fields.contains_key("refund_no") => {
            let refund: types::Refund = read(inner)?;
            let mut said: types::FunctionRefundAnswer = read(Value::Object(serde_json::Map::new()))?;
            (said.state, said.refund) = (Some(RefundState::Done), Some(refund));
            said
        }
        // A job that broke: perhaps after the money moved.
        Value::Object(fields) if fields.get("code").is_some_and(|code| code != 0 && code != "0") => {
            let code: Text = read(fields["code"].clone())?;
            let words = fields.get("error").and_then(|error| body_words(error.to_string().as_bytes()));
            let answer = Answer {
                code: Some(code.into_string()),
                message: Some(words.unwrap_or_else(|| "the cloud function failed".to_owned())),
                ..Answer::new(Outcome::InDoubt, now)
            };
            return Ok(Decoded::Refunds { answer, refunds: Vec::new(), bad_rows: Vec::new() });
        }
        Value::Object(fields) if fields.get("error").is_some_and(Value::is_string) => read(inner)?,
        _ => return Err(DecodeError::Unreadable("neither state nor error nor refund_no is there".to_owned())),
    };
    let answer = refunds::answer(&said, now);
    let seen = said.refund.iter().map(|refund| refunds::seen(refund, answer.outcome));
    let refunds = seen.collect::<Result<_, _>>().map_err(strange)?;
    Ok(Decoded::Refunds { answer, refunds, bad_rows: Vec::new() })
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, DecodeError> {
    serde_path_to_error::deserialize(value).map_err(|error| DecodeError::Unreadable(error.to_string()))
}

fn strange(Strange(why): Strange) -> DecodeError {
    DecodeError::Unreadable(why)
}
