//! An upstream's answer of any bytes is read, or refused with the field: by every operation of every gateway, and
//! then by the rules, which take in the facts that were read.

use tillbook::clients::decode::{Decoded, decode};
use tillbook::domain::Rules;
use tillbook::domain::decide::{self as rules, Context, Found, Seen};
use tillbook::{AccountName, DeviceName, Facts, OrderId, Timestamp};

use super::Memory;

/// What a body may cost.
pub(crate) const MEMORY: Memory = Memory { fixed_bytes: 1 << 20, bytes_each: 200 };

const OPERATIONS: [(&str, &[&str]); 3] = [
    ("hydrogen", &["order.list", "order.get", "refund"]),
    ("trade_order", &["order.get", "order.list", "refund", "refund.list"]),
    ("fubei", &["order.query", "order.refund", "refund.query", "refund.statistics", "order.bill"]),
];

pub(crate) fn body(bytes: &[u8]) {
    for (gateway, operations) in OPERATIONS {
        for operation in operations {
            match decode(gateway, operation, bytes, Timestamp::EPOCH) {
                Ok(Decoded::Orders { orders, .. }) => orders.into_iter().for_each(|facts| take_in(gateway, facts)),
                Ok(Decoded::Refunds { refunds, .. }) => {
                    let _ = format!("{refunds:?}");
                }
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }
}

/// The order's first record, as a ledger would make it.
fn take_in(gateway: &str, facts: Facts) {
    let number = facts.native.as_ref().map_or("-", |native| native.number.as_str());
    // An id that is too long, or has what no id may have, is refused by name.
    let Ok(order) = OrderId::new(format!("{gateway}:{}:{number}", facts.merchant)) else { return };
    let context = Context {
        account: AccountName::new("shop-1").expect("a name"),
        order,
        device: DeviceName::new("till-3").expect("a name"),
        now: Timestamp::EPOCH,
        adopted_at: None,
    };
    let found = Found { record: None, holders: Vec::new(), key_holder: None };
    let seen = Seen { facts: facts.into(), rules: Rules::default() };
    let Ok(events) = rules::facts(&context, &found, &seen) else { return };
    let record = rules::after(&context, &found, events).expect("what was decided can be applied");
    assert!(record.refundable() <= record.paid(), "{record:?}");
    assert_eq!(serde_json::from_str(&serde_json::to_string(&record).expect("JSON")).ok(), Some(record));
}
