//! An order of about 1 KB with so many refunds held on it, made by the ledger's own rules.

use std::sync::Arc;

use tillbook::domain::decide::{self, Context, Found, RefundCommand};
use tillbook::domain::{Entry, Event};
use tillbook::storage::conformance::shop;
use tillbook::{OrderRecord, Requested};

/// How many refunds an order has: none yet, as many as Fubei takes, as many as WeChat takes.
pub(crate) const REFUNDS: [usize; 3] = [0, 10, 50];

pub(crate) fn context() -> Context {
    let (account, order, device, now) = (shop::account(), shop::order(1), shop::device(), shop::at(0));
    Context { account, order, device, now, adopted_at: None }
}

/// What a storage finds of an order with so many refunds held.
pub(crate) fn found(refunds: usize) -> Found {
    let context = context();
    let mut found = Found { record: None, holders: Vec::new(), key_holder: None };
    let seen = shop::seen(shop::big(1, 600));
    let events = decide::facts(&context, &found, &seen).expect("a new order is taken in");
    found.record = Some(Arc::new(decide::after(&context, &found, events).expect("it follows")));
    for number in 0..refunds {
        let events = decide::refund(&context, &found, &command(&format!("r-{number}"))).expect("there is enough left");
        found.record = Some(Arc::new(decide::after(&context, &found, events).expect("it follows")));
    }
    found
}

pub(crate) fn record(refunds: usize) -> OrderRecord {
    let found = found(refunds);
    found.record.map(Arc::unwrap_or_clone).expect("it was taken in")
}

/// A refund of ten fen, held and queued.
pub(crate) fn command(key: &str) -> RefundCommand {
    shop::refund_command(key, Requested::Exactly(shop::fen(10)))
}

/// An event in its place, as it goes to the journal.
pub(crate) fn entry(event: Event) -> Entry {
    let Context { account, order, device, now, .. } = context();
    Entry { sequence: 123_456, order, account, version: 12, at: now, device, event }
}

/// The events that lines are made of: what an upstream says, and a hold.
pub(crate) fn facts_seen() -> Entry {
    let none = Found { record: None, holders: Vec::new(), key_holder: None };
    let seen = shop::seen(shop::big(1, 600));
    only(decide::facts(&context(), &none, &seen).expect("a new order is taken in"))
}

pub(crate) fn refund_held() -> Entry {
    only(decide::refund(&context(), &found(0), &command("till-3-0001")).expect("there is enough left"))
}

fn only(events: Vec<Event>) -> Entry {
    let [event] = events.try_into().expect("one event");
    entry(event)
}
