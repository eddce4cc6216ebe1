//! What `--json` prints: the shapes that scripts rely on. A field is never renamed or given another meaning.
//!
//! Money is a decimal string in yuan with two places and has a `_fen` twin; times are RFC 3339; what is not known is
//! `null`, which is not zero.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tillbook::clients::decode::SeenRefund;
use tillbook::storage::CheckReport;
use tillbook::{Facts, Money, OrderRecord, Refund, RefundState, RefundTotal, Timestamp};

use super::words;

/// Puts an amount under `name` and its fen under `name_fen`.
pub(crate) fn put_money(object: &mut Map<String, Value>, name: &str, amount: Option<Money>) {
    object.insert(name.to_owned(), amount.map(|amount| amount.to_string()).into());
    object.insert(format!("{name}_fen"), amount.map(Money::fen).into());
}

fn time(at: Option<Timestamp>) -> Value {
    at.map(|at| at.to_string()).into()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// An order with its refunds.
pub(crate) fn order(record: &OrderRecord) -> Value {
    let facts = &record.facts;
    let mut order = object(json!({
        "id": record.id.as_str(),
        "account": record.account.as_str(),
        "gateway": facts.gateway.as_str(),
        "references": facts.references,
        "status": facts.status.as_str(),
        "upstream_status": facts.upstream_status,
        "payment_method": facts.payment_method.as_ref().map(|method| method.as_str()),
    }));
    let amounts = [
        ("total", facts.total),
        ("paid", Some(record.paid())),
        ("refunded", Some(record.refunded())),
        ("held", Some(record.held())),
        ("refundable", Some(record.refundable())),
        ("excess", Some(record.excess())),
        ("external", Some(record.external)),
        ("unsettled", Some(record.unsettled)),
    ];
    for (name, amount) in amounts {
        put_money(&mut order, name, amount);
    }
    order.extend(object(json!({
        "refund_status": record.refund_status().as_str(),
        "upstream_refund_status": facts.upstream_refund_status,
        "paid_at": time(facts.paid_at),
        "created_at": time(facts.created_at),
        "updated_at": time(facts.updated_at),
        "provisional": record.provisional,
        "facts": facts_json(facts),
        "version": record.version,
        "refunds": record.refunds.iter().map(|one| refund(one)).collect::<Vec<_>>(),
    })));
    Value::Object(order)
}

/// The upstream's other fields under their own names, and what the ledger notes about the reading.
fn facts_json(facts: &Facts) -> Value {
    let mut all: Map<String, Value> = facts.details.clone().into_iter().collect();
    let mut ours = object(json!({
        "merchant": facts.merchant,
        "currency": facts.currency,
        "refund_count": facts.refund_count,
        "paid_at_source": facts.paid_at_source,
        "asked_at": time(Some(facts.asked_at)),
    }));
    // The upstream's own total: null is unknown, which is not zero.
    put_money(&mut ours, "upstream_refunded", facts.refunded);
    for (name, value) in ours {
        // The upstream's own field of that name is what was asked for.
        all.entry(name).or_insert(value);
    }
    Value::Object(all)
}

/// A refund in a list of refunds: with the order that it is of.
pub(crate) fn listed_refund(record: &OrderRecord, refund: &Refund) -> Value {
    let mut row = self::refund(refund);
    row["account"] = record.account.as_str().into();
    row["order"] = record.id.as_str().into();
    row["references"] = json!(record.facts.references);
    row
}

/// One refund, with what to tell its customer now.
pub(crate) fn refund(refund: &Refund) -> Value {
    let told = words::customer(refund);
    let mut fields = object(json!({ "key": refund.key.as_str(), "requested": refund.requested.to_string() }));
    put_money(&mut fields, "amount", Some(refund.amount));
    fields.extend(object(json!({
        "state": refund.state.as_str(),
        "upstream_refund_no": refund.upstream_refund_no,
        "memo": refund.memo,
        "by": refund.by,
        "device": refund.device.as_str(),
        "code": refund.code,
        "message": refund.message,
        "attempts": refund.attempts,
        "probes": refund.probes,
        "awaits_approval": refund.awaits_approval,
        "approved_by": refund.approved_by,
        "requested_at": time(Some(refund.requested_at)),
        "state_at": time(Some(refund.state_at)),
        "sent_at": time(refund.sent_at),
        "customer": { "zh": told.zh, "en": told.en },
    })));
    Value::Object(fields)
}

/// What refunds add up to: every state by its word, those without refunds as zero.
pub(crate) fn refund_totals(totals: &BTreeMap<RefundState, RefundTotal>) -> Value {
    let states = RefundState::ALL.map(|state| {
        let total = totals.get(&state).copied().unwrap_or_default();
        let mut fields = object(json!({ "count": total.count }));
        put_money(&mut fields, "amount", Some(total.amount));
        (state.as_str().to_owned(), Value::Object(fields))
    });
    Value::Object(states.into_iter().collect())
}

/// A refund as an upstream's body shows it.
pub(crate) fn seen_refund(seen: &SeenRefund) -> Value {
    let order: Map<String, Value> =
        seen.order.iter().map(|(kind, number)| (kind.clone(), number.clone().into())).collect();
    let mut fields = object(json!({
        "key": seen.key,
        "upstream_refund_no": seen.upstream_refund_no,
        "order": order,
        "outcome": seen.outcome.as_str(),
        "upstream_status": seen.upstream_status,
        "at": time(seen.at),
    }));
    put_money(&mut fields, "amount", seen.amount);
    Value::Object(fields)
}

/// What `verify` found.
pub(crate) fn check_report(report: &CheckReport) -> Map<String, Value> {
    let differences: Vec<Value> = report
        .differences
        .iter()
        .map(|difference| {
            json!({
                "order": difference.order.as_ref().map(|order| order.as_str()),
                "sequence": difference.sequence,
                "position": difference.position,
                "what": difference.what,
                "money": difference.money,
                "do": difference.advice,
            })
        })
        .collect();
    object(json!({
        "orders": report.orders,
        "refunds": report.refunds,
        "events": report.events,
        "good_through": report.good_through,
        "journal": report.journal,
        "state": report.state.map(|state| state.to_string()),
        "doubtful": report.doubtful.iter().map(|order| order.as_str()).collect::<Vec<_>>(),
        "notes": report.notes,
        "differences": differences,
    }))
}
