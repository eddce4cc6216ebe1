//! The memory that a decided hold takes, counted.

use std::sync::Arc;

use tillbook::Requested;
use tillbook::domain::decide::{self, Context, Found};
use tillbook::storage::conformance::shop;

use crate::{memory_of, say, turn};

/// How many times the bytes of its record, as JSON, a hold may take while it is decided: a copy of the record, larger in
/// memory than in JSON, whose list of refunds moves to a place twice as large as one more is added.
const TIMES_THE_RECORD: usize = 5;

#[test]
fn a_hold_is_decided_in_the_memory_of_a_few_copies_of_its_order() {
    let _turn = turn();
    let (account, order, device, now) = (shop::account(), shop::order(1), shop::device(), shop::at(0));
    let context = Context { account, order, device, now, adopted_at: None };
    let mut found = Found { record: None, holders: Vec::new(), key_holder: None };
    let events = decide::facts(&context, &found, &shop::seen(shop::big(1, 600))).expect("a new order");
    found.record = Some(Arc::new(decide::after(&context, &found, events).expect("it follows")));
    for refunds in 0..=50 {
        let command = shop::refund_command(&format!("r-{refunds}"), Requested::Exactly(shop::fen(1)));
        let mut events = Vec::new();
        let memory = memory_of(|| events = decide::refund(&context, &found, &command).expect("there is enough left"));
        let record = found.record.as_ref().expect("taken in");
        let bytes = serde_json::to_vec(&**record).expect("a record is JSON").len();
        if refunds % 25 == 0 {
            say(&format!("a hold on an order with {refunds} refunds: {memory} bytes, its record has {bytes} as JSON"));
        }
        assert!(memory > 0, "nothing was counted");
        assert!(memory <= TIMES_THE_RECORD * bytes, "{refunds} refunds: {memory} bytes, the record has {bytes}");
        found.record = Some(Arc::new(decide::after(&context, &found, events).expect("it follows")));
    }
}
