//! `decode`: what the ledger makes of an upstream's body, without network and without a ledger.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value, json};
use tillbook::clients::decode::{DecodeError, Decoded, SeenRefund, decode};
use tillbook::domain::decide::{self as rules, Context, Found, Seen};
use tillbook::domain::{Answer, Rules};
use tillbook::gateway::BadRow;
use tillbook::{AccountName, DeviceName, Facts, OrderId, OrderRecord};

use crate::cli::args::DecodeArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::{json, table};

/// The most that is read: far above any page of an upstream, far below a machine's memory.
const MOST_BYTES: u64 = 64 << 20;

/// Reads the body and prints orders, or an outcome with its refunds.
pub(crate) fn run(output: Output, args: &DecodeArgs) -> Result<Exit, Failure> {
    let body = read(args.file.as_deref())?;
    let now = jiff::Timestamp::now().into();
    let decoded = decode(&args.gateway, &args.operation, &body, now).map_err(failure)?;
    let (mut document, text, bad_rows) = match decoded {
        Decoded::Orders { orders, bad_rows } => {
            let records =
                orders.into_iter().map(|facts| record(facts, &args.gateway)).collect::<Result<Vec<_>, _>>()?;
            let listed: Vec<Value> = records.iter().map(order_json).collect();
            let number =
                |record: &OrderRecord| record.facts.native.as_ref().map_or("-", |native| &native.number).to_owned();
            let text: Vec<String> = records.iter().map(|record| table::order_named(record, number(record))).collect();
            if records.is_empty() && bad_rows.is_empty() {
                output.note("no order is in it");
            }
            (json!({ "orders": listed }), text.join("\n\n"), bad_rows)
        }
        Decoded::Refunds { answer, refunds, bad_rows } => {
            (outcome_json(&answer, &refunds), outcome_text(&answer, &refunds), bad_rows)
        }
    };
    let failure = unread(&bad_rows);
    if let Some(failure) = &failure {
        document["error"] = failure.error_json();
    }
    output.result(&document, || text)?;
    failure.map_or(Ok(Exit::Done), |failure| Err(failure.in_document()))
}

fn read(file: Option<&Path>) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let (name, done) = match file {
        Some(path) => {
            let opened = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut body));
            (path.display().to_string(), opened)
        }
        None => ("standard input".to_owned(), std::io::stdin().lock().take(MOST_BYTES + 1).read_to_end(&mut body)),
    };
    done.map_err(|error| Failure::new("io", format!("cannot read {name}: {error}")))?;
    if body.len() as u64 > MOST_BYTES {
        return Err(Failure::new("unreadable_body", format!("{name} is larger than {} MiB", MOST_BYTES >> 20)));
    }
    Ok(body)
}

fn failure(error: DecodeError) -> Failure {
    match &error {
        DecodeError::Gateway { .. } | DecodeError::Operation { .. } => Failure::of("unknown_operation", &error),
        _ => Failure::of("unreadable_body", &error),
    }
}

/// The failure that rows are which could not be read; those that could are printed all the same.
fn unread(bad_rows: &[BadRow]) -> Option<Failure> {
    let first = bad_rows.first()?;
    let rows: Vec<Value> = bad_rows.iter().map(|row| json!({ "path": row.path, "why": row.why })).collect();
    let others = if rows.len() > 1 { format!(" (and {} more rows)", rows.len() - 1) } else { String::new() };
    let text = format!("cannot read {}: {}{others}", first.path, first.why);
    Some(Failure::new("unreadable_body", text).fact("bad_rows", rows))
}

/// The record that a ledger would make of these facts: made by the ledger's own rules.
fn record(facts: Facts, gateway: &str) -> Result<OrderRecord, Failure> {
    let internal = |error: &dyn std::error::Error| Failure::of("internal", error);
    let native = facts.native.as_ref().map_or("", |native| native.number.as_str());
    let name = match facts.merchant.as_str() {
        "" => format!("{gateway}:{native}"),
        merchant => format!("{gateway}:{merchant}:{native}"),
    };
    let context = Context {
        account: AccountName::new("none").map_err(|error| internal(&error))?,
        order: OrderId::new(name).map_err(|error| Failure::of("unreadable_body", &error))?,
        device: DeviceName::new("none").map_err(|error| internal(&error))?,
        now: facts.asked_at,
        adopted_at: None,
    };
    let found = Found { record: None, holders: Vec::new(), key_holder: None };
    let seen = Seen { facts: facts.into(), rules: Rules::default() };
    rules::facts(&context, &found, &seen)
        .and_then(|events| rules::after(&context, &found, events))
        .map_err(|error| internal(&error))
}

/// A body does not know whose it is, nor when it was asked for.
fn order_json(record: &OrderRecord) -> Value {
    let mut order = json::order(record);
    order["account"] = Value::Null;
    order["facts"]["asked_at"] = Value::Null;
    order
}

fn outcome_json(answer: &Answer, refunds: &[SeenRefund]) -> Value {
    json!({
        "outcome": answer.outcome.as_str(),
        "blocked": answer.blocked,
        "code": answer.code,
        "message": answer.message,
        "upstream_refund_no": answer.upstream_refund_no,
        "refunds": refunds.iter().map(json::seen_refund).collect::<Vec<_>>(),
    })
}

fn outcome_text(answer: &Answer, refunds: &[SeenRefund]) -> String {
    let mut lines = vec![format!("outcome {}", answer.outcome.as_str())];
    lines.extend(answer.code.iter().map(|code| format!("code {code}")));
    lines.extend(answer.message.iter().map(|message| format!("message {message}")));
    lines.extend(refunds.iter().map(|seen| {
        let shown: Map<String, Value> = match json::seen_refund(seen) {
            Value::Object(fields) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            _ => Map::new(),
        };
        let fields: Vec<String> = shown
            .iter()
            .map(|(name, value)| match value {
                Value::String(text) => format!("{name} {text}"),
                other => format!("{name} {other}"),
            })
            .collect();
        format!("refund {}", fields.join(", "))
    }));
    lines.join("\n")
}
