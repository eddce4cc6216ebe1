//! hydrogen's bodies without a network, in every wrapping they come in.
//!
//! The same rows come bare from REST, inside `{code, data, error}` from a job, and inside `{data, status}` where the SDK's
//! answer was written down (seed 000).

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::clients::decode::{DecodeError, Decoded, parse};
use crate::clients::fields::Strange;
use crate::clients::rows::read_each;
use crate::clients::wire::{Rows, Text, parse_part};
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
    let inner = unwrapped(body)?;
    match operation {
        "order.list" => list(inner, body, now),
        // One order bare, or the function's list of those that bear one number.
        "order.get" => match &inner.shape {
            Value::Object(fields) if fields.contains_key("transaction_no") => {
                let facts = orders::facts(read(&inner.text)?, "", now).map_err(strange)?;
                Ok(Decoded::Orders { orders: vec![facts], bad_rows: Vec::new() })
            }
            _ => list(inner, body, now),
        },
        _ => refund(inner, now),
    }
}

/// A body without its envelope.
struct Inner {
    /// What kind of body it is; its amounts are not looked at.
    shape: Value,
    /// What is decoded: `shape` would have made floats of the amounts.
    text: String,
}

/// What is inside a job's or the SDK's envelope; anything else is itself.
fn unwrapped(body: &[u8]) -> Result<Inner, DecodeError> {
    let mut shape: Value = parse(body)?;
    let job = shape.get("code").is_some_and(|code| code == 0 || code == "0");
    let sdk = shape.get("status").is_some_and(Value::is_number);
    if (job || sdk) && shape.get("data").is_some_and(Value::is_object) {
        let mut fields: BTreeMap<String, Box<RawValue>> = parse(body)?;
        if let Some(data) = fields.remove("data") {
            return Ok(Inner { shape: shape["data"].take(), text: data.get().to_owned() });
        }
    }
    Ok(Inner { shape, text: String::from_utf8_lossy(body).into_owned() })
}

fn list(inner: Inner, body: &[u8], now: Timestamp) -> Result<Decoded, DecodeError> {
    if inner.shape.get("objects").is_none() {
        return Err(refusal(inner, body, now));
    }
    let page: types::FunctionOrderList = read(&inner.text)?;
    let rows: Rows<types::Order> = page.objects.unwrap_or_default();
    let (orders, bad_rows) = read_each("objects", rows, |row| orders::facts(row, "", now));
    Ok(Decoded::Orders { orders, bad_rows })
}

/// A list that is none: the function's own refusal, a job that broke, or the REST interface's error.
fn refusal(inner: Inner, body: &[u8], now: Timestamp) -> DecodeError {
    let broken = |code: Option<&Value>, message: String| Answer {
        code: code.map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned)),
        message: Some(message),
        ..Answer::new(Outcome::InDoubt, now)
    };
    let answer = match (inner.shape.get("error"), inner.shape.get("code")) {
        (Some(Value::String(_)), _) => match read::<types::FunctionRefundAnswer>(&inner.text) {
            Ok(said) => refunds::answer(&said, now),
            Err(error) => return error,
        },
        (Some(error), code @ Some(_)) => {
            let words = body_words(error.to_string().as_bytes());
            broken(code, words.unwrap_or_else(|| "the function failed".to_owned()))
        }
        _ => match body_words(body) {
            Some(words) => broken(inner.shape.get("status"), words),
            None => return DecodeError::Unreadable("objects is missing".to_owned()),
        },
    };
    DecodeError::Refused { answer: Box::new(answer) }
}

/// The function's answer, or what BaaS.refund answered inside it.
fn refund(inner: Inner, now: Timestamp) -> Result<Decoded, DecodeError> {
    let said: types::FunctionRefundAnswer = match &inner.shape {
        Value::Object(fields) if fields.contains_key("state") => read(&inner.text)?,
        Value::Object(fields) if fields.contains_key("refund_no") => {
            let refund: types::Refund = read(&inner.text)?;
            let mut said: types::FunctionRefundAnswer = read("{}")?;
            (said.state, said.refund) = (Some(RefundState::Done), Some(refund));
            said
        }
        // A job that broke: perhaps after the money moved.
        Value::Object(fields) if fields.get("code").is_some_and(|code| code != 0 && code != "0") => {
            let code: Text = read(&fields["code"].to_string())?;
            let words = fields.get("error").and_then(|error| body_words(error.to_string().as_bytes()));
            let answer = Answer {
                code: Some(code.into_string()),
                message: Some(words.unwrap_or_else(|| "the cloud function failed".to_owned())),
                ..Answer::new(Outcome::InDoubt, now)
            };
            return Ok(Decoded::Refunds { answer, refunds: Vec::new(), bad_rows: Vec::new() });
        }
        Value::Object(fields) if fields.get("error").is_some_and(Value::is_string) => read(&inner.text)?,
        _ => return Err(DecodeError::Unreadable("neither state nor error nor refund_no is there".to_owned())),
    };
    let answer = refunds::answer(&said, now);
    let seen = said.refund.iter().map(|refund| refunds::seen(refund, answer.outcome));
    let refunds = seen.collect::<Result<_, _>>().map_err(strange)?;
    Ok(Decoded::Refunds { answer, refunds, bad_rows: Vec::new() })
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, DecodeError> {
    parse_part(text).map_err(DecodeError::Unreadable)
}

fn strange(Strange(why): Strange) -> DecodeError {
    DecodeError::Unreadable(why)
}
