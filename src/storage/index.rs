//! What the index holds of a record, as a pure function of the record.
//!
//! Live writes and the rebuild from the journal both go through [`changes`], so that an index kept
//! and an index rebuilt cannot differ.

use std::sync::Arc;

use super::kept::Kept;
use super::key::{self, Change, Key};
use super::place::Place;
use super::value::Value;
use crate::domain::{OrderRecord, Reference, Refund, RefundState, Timestamp};
use crate::storage::OrderQuery;

/// Raised when keys or values change their meaning: an index of another format is rebuilt.
pub(crate) const INDEX_FORMAT: u32 = 3;

/// The entry of a record.
pub(crate) fn record_change(kept: &Kept) -> Change {
    (key::record(&kept.record.id), Some(Value::Record(kept.clone())))
}

/// What else changes in the index when a record takes the place of an older one.
pub(crate) fn changes(old: Option<&OrderRecord>, new: &OrderRecord) -> Vec<Change> {
    let mut changes = Vec::new();
    let (before, time) = (old.map(OrderQuery::time_of), OrderQuery::time_of(new));
    if before != Some(time) {
        changes.extend(before.map(|before| (time_key(before, new), None)));
        changes.push((time_key(time, new), Some(Value::from(new.account.as_str().as_bytes()))));
    }
    for (number, refund) in new.refunds.iter().enumerate() {
        // Refunds are added at the end and stay where they are.
        let before = old.and_then(|old| old.refunds.get(number));
        if before.is_some_and(|before| place_in_state(before) == place_in_state(refund)) {
            continue;
        }
        if let Some(before) = before {
            changes.push((state_key(new, before), None));
        }
        let order = Value::from(new.id.as_str().as_bytes());
        if before.is_none() {
            changes.push((key::refund(&new.account, &refund.key), Some(order.clone())));
        }
        changes.push((state_key(new, refund), Some(order)));
    }
    changes
}

/// The numbers that a record bears and the one before it did not (`true`), and the other way round (`false`): their
/// entries are shared with other orders, so whoever writes them reads them first.
pub(crate) fn renamed(old: Option<&OrderRecord>, new: &OrderRecord) -> Vec<(Reference, bool)> {
    // Most events leave the facts alone, and then the old record and the new one share them.
    if old.is_some_and(|old| Arc::ptr_eq(&old.facts, &new.facts)) {
        return Vec::new();
    }
    let gained = new.facts.all_references().filter(|reference| !old.is_some_and(|old| old.facts.bear(reference)));
    let before = old.into_iter().flat_map(|old| old.facts.all_references());
    let lost = before.filter(|reference| !new.facts.bear(reference));
    lost.map(|reference| (reference, false)).chain(gained.map(|reference| (reference, true))).collect()
}

/// Every key under which the index holds something of one record; whether a number is contested others decide too.
pub(crate) fn keys(record: &OrderRecord) -> Vec<Key> {
    let account = &record.account;
    let mut keys = vec![key::record(&record.id), time_key(OrderQuery::time_of(record), record)];
    for (kind, number) in &record.facts.references {
        keys.extend([key::reference(account, number), key::contested(account, kind, number)]);
    }
    for refund in &record.refunds {
        keys.extend([key::refund(account, &refund.key), state_key(record, refund)]);
    }
    keys
}

fn time_key(time: Timestamp, record: &OrderRecord) -> Key {
    key::time(time.unix_microseconds(), &record.id)
}

fn state_key(record: &OrderRecord, refund: &Refund) -> Key {
    let (state, since) = place_in_state(refund);
    key::state(state, since.unix_microseconds(), &record.account, &refund.key)
}

/// Under what a refund is found by its state.
fn place_in_state(refund: &Refund) -> (RefundState, Timestamp) {
    (refund.state, queue_time(refund.state, refund.due_at, refund.state_at))
}

/// By what the refunds of a state are sorted: the queue by when each is due.
fn queue_time(state: RefundState, due_at: Timestamp, state_at: Timestamp) -> Timestamp {
    match state {
        RefundState::Queued => due_at,
        RefundState::Sending
        | RefundState::Accepted
        | RefundState::InDoubt
        | RefundState::Succeeded
        | RefundState::Declined
        | RefundState::Review
        | RefundState::Canceled
        | RefundState::Reversed => state_at,
    }
}

/// Where a frame that ends in this sequence lies.
pub(crate) fn sequence_change(last: u64, place: Place) -> Change {
    (key::sequence(last), Some(place.encode()))
}

/// A cursor's new value.
pub(crate) fn cursor_change(name: &str, value: &str) -> Change {
    (key::cursor(name), Some(Value::from(value.as_bytes())))
}
