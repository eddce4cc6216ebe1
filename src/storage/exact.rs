//! Which events are read again exactly as they are, whatever is in them.
//!
//! What is folded into a record must be what a rebuild will read from the line, so that an index kept and an index
//! rebuilt cannot differ; so a line is read back before it counts. JSON and the rules of names cannot keep everything
//! (a fraction may come back another one, a word under `Other` as the word it is, a body is left out), but what most
//! events hold they can, and reading those back was a quarter of what an import's writer did.

use serde_json::Value;

use crate::domain::{Event, Facts, OrderStatus, PaymentMethod};

/// Whether an event is known to come back from its line as it is. `false`: it has to be read to be sure.
///
/// Every field is named, so that a new one is thought of here.
pub(super) fn comes_back(event: &Event) -> bool {
    match event {
        Event::FactsSeen { facts, external: _, unsettled: _ } => facts_come_back(facts),
        Event::RefundHeld { key: _, requested: _, amount: _, memo: _, by: _, due_at: _, needs_approval: _ } => true,
        Event::OrderRecorded { .. }
        | Event::AttemptStarted { .. }
        | Event::Answered { .. }
        | Event::AttemptLost { .. }
        | Event::Probed { .. }
        | Event::Judged { .. }
        | Event::RefundApproved { .. }
        | Event::RefundCanceled { .. }
        | Event::RefundToReview { .. } => false,
    }
}

fn facts_come_back(facts: &Facts) -> bool {
    let Facts {
        gateway: _,
        merchant: _,
        native: _,
        references: _,
        status,
        upstream_status: _,
        payment_method,
        currency: _,
        total: _,
        paid: _,
        refunded: _,
        refund_count: _,
        upstream_refund_status: _,
        paid_at: _,
        paid_at_source: _,
        created_at: _,
        updated_at: _,
        details,
        asked_at: _,
        upstream_time,
        body,
    } = facts;
    !matches!(status, OrderStatus::Other(_))
        && !matches!(payment_method, Some(PaymentMethod::Other(_)))
        && details.values().all(is_plain)
        && upstream_time.is_none()
        && body.is_none()
}

/// A text, a whole number, a yes or no, or nothing.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => number.is_i64() || number.is_u64(),
        Value::Array(_) | Value::Object(_) => false,
    }
}

#[cfg(all(test, feature = "conformance"))]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::{Body, Entry, Money, RefundKey, Requested, Timestamp};
    use crate::storage::conformance::shop;
    use crate::storage::lines;

    fn seen(change: impl FnOnce(&mut Facts)) -> Event {
        let mut facts = shop::facts(1);
        facts.upstream_time = None;
        change(&mut facts);
        Event::FactsSeen { facts: Arc::new(facts), external: Money::ZERO, unsettled: Money::ZERO }
    }

    /// The event as its line is read again; `None` where it cannot be.
    fn again(event: Event) -> Option<Event> {
        let (order, account, device, at) = (shop::order(1), shop::account(), shop::device(), shop::at(0));
        let entry = Entry { sequence: 1, order, account, version: 1, at, device, event };
        let line = serde_json::to_vec(&entry).expect("an entry is JSON");
        lines::entry(&line).ok().map(|entry| entry.event)
    }

    #[test]
    fn what_does_not_come_back_is_not_said_to() {
        let mut deep = json!("far down");
        (0..200).for_each(|_| deep = json!([deep]));
        for event in [
            seen(|facts| facts.status = OrderStatus::Other("paid".to_owned())),
            seen(|facts| facts.payment_method = Some(PaymentMethod::Other("cash".to_owned()))),
            seen(|facts| facts.upstream_time = Some(shop::at(1))),
            seen(|facts| facts.body = Some(Body::new(b"{}".to_vec()))),
            seen(|facts| drop(facts.details.insert("deep".to_owned(), deep))),
        ] {
            assert!(!comes_back(&event));
            assert_ne!(again(event.clone()), Some(event));
        }
        assert!(!comes_back(&seen(|facts| drop(facts.details.insert("rate".to_owned(), json!(0.1))))));
    }

    fn plain() -> impl Strategy<Value = Value> {
        let number = prop_oneof![any::<i64>().prop_map(Value::from), any::<u64>().prop_map(Value::from)];
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), ".*".prop_map(Value::from), number]
    }

    fn instant() -> impl Strategy<Value = Timestamp> {
        let (least, most) = (jiff::Timestamp::MIN.as_nanosecond(), jiff::Timestamp::MAX.as_nanosecond());
        (least..=most).prop_map(|at| Timestamp::from(jiff::Timestamp::from_nanosecond(at).expect("in range")))
    }

    proptest! {
        #[test]
        fn what_is_said_to_come_back_does(
            texts in prop::collection::vec(".*", 4),
            names in prop::collection::btree_map(".*", ".*", 0..4),
            details in prop::collection::btree_map(".*", plain(), 0..6),
            times in prop::collection::vec(prop::option::of(instant()), 4),
            count in any::<Option<u32>>(),
            fen in prop::option::of(0..=Money::MAX.fen()),
            status in "[a-z_]*",
            approval in any::<bool>(),
        ) {
            let amount = fen.map(|fen| Money::from_fen(fen).expect("in range"));
            let event = seen(|facts| {
                facts.merchant.clone_from(&texts[0]);
                facts.upstream_status.clone_from(&texts[1]);
                facts.currency.clone_from(&texts[2]);
                facts.upstream_refund_status = Some(texts[3].clone());
                (facts.references, facts.details) = (names, details);
                (facts.total, facts.refunded, facts.refund_count) = (amount, amount, count);
                (facts.paid_at, facts.created_at, facts.updated_at) = (times[0], times[1], times[2]);
                facts.asked_at = times[3].unwrap_or(facts.asked_at);
                facts.payment_method = Some(PaymentMethod::from(status.as_str()));
            });
            let held = Event::RefundHeld {
                key: RefundKey::new("k").expect("valid"),
                requested: amount.map_or(Requested::All, Requested::Exactly),
                amount: amount.unwrap_or(Money::ZERO),
                memo: Some(texts[0].clone()),
                by: Some(texts[1].clone()),
                due_at: times[3].unwrap_or(Timestamp::EPOCH),
                needs_approval: approval,
            };
            prop_assert!(comes_back(&held));
            for event in [held, event] {
                if comes_back(&event) {
                    prop_assert_eq!(again(event.clone()), Some(event));
                }
            }
        }
    }
}
