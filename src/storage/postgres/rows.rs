//! Records as rows, and back.

use std::sync::Arc;

use tokio_postgres::Row;

use super::super::kept::{Kept, Stem, Trail};
use super::super::{OrderQuery, StorageError};
use super::trouble::garbled;
use crate::domain::{
    ChainHash, DeviceName, Entry, Facts, Money, OrderId, OrderRecord, Reference, Refund, RefundState, Timestamp,
};

/// Fen as the tables hold them.
fn fen(amount: Money) -> i64 {
    amount.fen()
}

/// The years that the server and this process both know, from -3734 to 9999, in microseconds.
const KNOWN: (i64, i64) = (-180_000_000_000_000_000, 253_402_207_200_000_000);

/// A time as the tables hold it, to the microsecond: what pages are sorted by everywhere. One beyond what they can hold
/// is the last that they can.
pub(super) fn time(at: Timestamp) -> jiff::Timestamp {
    time_of(at.unix_microseconds())
}

/// The same, by its microseconds.
pub(super) fn time_of(micros: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(micros.clamp(KNOWN.0, KNOWN.1)).expect("both ends are in range")
}

/// What a json column holds.
fn text_of(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("it has no maps, and memory takes all")
}

/// By what the refunds of a state are sorted: the queue by when each is due.
pub(super) fn since(refund: &Refund) -> jiff::Timestamp {
    time(if refund.state == RefundState::Queued { refund.due_at } else { refund.state_at })
}

/// Columns of `events`, one value of each a row.
#[derive(Default)]
pub(super) struct Events {
    pub(super) sequences: Vec<i64>,
    pub(super) orders: Vec<String>,
    pub(super) versions: Vec<i64>,
    pub(super) times: Vec<jiff::Timestamp>,
    pub(super) devices: Vec<String>,
    pub(super) types: Vec<&'static str>,
    pub(super) lines: Vec<String>,
    pub(super) hashes: Vec<Vec<u8>>,
}

impl Events {
    pub(super) fn push(&mut self, entry: &Entry, line: &str, hash: ChainHash) {
        self.sequences.push(entry.sequence.cast_signed());
        self.orders.push(entry.order.to_string());
        self.versions.push(entry.version.cast_signed());
        self.times.push(time(entry.at));
        self.devices.push(entry.device.to_string());
        self.types.push(entry.event.name());
        self.lines.push(line.to_owned());
        self.hashes.push(hash.as_bytes().to_vec());
    }
}

/// Columns of `orders` that any event may change.
#[derive(Default)]
pub(super) struct Orders {
    pub(super) ids: Vec<String>,
    pub(super) accounts: Vec<String>,
    pub(super) versions: Vec<i64>,
    pub(super) heads: Vec<Vec<u8>>,
    pub(super) provisional: Vec<bool>,
    pub(super) refunded: Vec<i64>,
    pub(super) held: Vec<i64>,
    pub(super) external: Vec<i64>,
    pub(super) unsettled: Vec<i64>,
    pub(super) excess: Vec<i64>,
    pub(super) records: Vec<String>,
}

impl Orders {
    pub(super) fn push(&mut self, record: &OrderRecord) {
        self.ids.push(record.id.to_string());
        self.accounts.push(record.account.to_string());
        self.versions.push(record.version.cast_signed());
        self.heads.push(record.head.as_bytes().to_vec());
        self.provisional.push(record.provisional);
        self.refunded.push(fen(record.refunded()));
        self.held.push(fen(record.held()));
        self.external.push(fen(record.external));
        self.unsettled.push(fen(record.unsettled));
        self.excess.push(fen(record.excess()));
        self.records.push(text_of(&Stem::without_refunds(record)));
    }
}

/// Columns of `orders` that only facts change.
#[derive(Default)]
pub(super) struct FactsColumns {
    pub(super) times: Vec<jiff::Timestamp>,
    pub(super) statuses: Vec<String>,
    pub(super) methods: Vec<Option<String>>,
    pub(super) currencies: Vec<String>,
    pub(super) paid: Vec<i64>,
    pub(super) facts: Vec<String>,
}

impl FactsColumns {
    pub(super) fn push(&mut self, record: &OrderRecord) {
        let facts = &record.facts;
        self.times.push(time(OrderQuery::time_of(record)));
        self.statuses.push(facts.status.to_string());
        self.methods.push(facts.payment_method.as_ref().map(ToString::to_string));
        self.currencies.push(facts.currency.clone());
        self.paid.push(fen(facts.paid));
        self.facts.push(serde_json::to_string(&**facts).expect("facts are JSON, and memory takes all"));
    }
}

/// Columns of `order_numbers`.
#[derive(Default)]
pub(super) struct Numbers {
    pub(super) accounts: Vec<String>,
    pub(super) numbers: Vec<String>,
    pub(super) kinds: Vec<String>,
    pub(super) orders: Vec<String>,
}

impl Numbers {
    pub(super) fn push(&mut self, record: &OrderRecord, reference: &Reference) {
        self.accounts.push(record.account.to_string());
        self.numbers.push(reference.number.clone());
        self.kinds.push(reference.kind.clone());
        self.orders.push(record.id.to_string());
    }
}

/// Columns of `refunds`.
#[derive(Default)]
pub(super) struct Refunds {
    pub(super) accounts: Vec<String>,
    pub(super) keys: Vec<String>,
    pub(super) orders: Vec<String>,
    pub(super) states: Vec<String>,
    pub(super) since: Vec<jiff::Timestamp>,
    pub(super) amounts: Vec<i64>,
    pub(super) requested_at: Vec<jiff::Timestamp>,
    pub(super) requested_by: Vec<Option<String>>,
    pub(super) memos: Vec<Option<String>>,
    pub(super) attempts: Vec<i32>,
    pub(super) places: Vec<i32>,
    pub(super) records: Vec<String>,
}

impl Refunds {
    /// The refunds of a record that are not what they were.
    pub(super) fn push_changed(&mut self, before: Option<&OrderRecord>, record: &OrderRecord) {
        for (number, refund) in record.refunds.iter().enumerate() {
            // Refunds are added at the end and stay where they are; those that did not change are shared.
            let before = before.and_then(|before| before.refunds.get(number));
            if before.is_some_and(|before| Arc::ptr_eq(before, refund)) {
                continue;
            }
            self.accounts.push(record.account.to_string());
            self.keys.push(refund.key.to_string());
            self.orders.push(record.id.to_string());
            self.states.push(refund.state.to_string());
            self.since.push(since(refund));
            self.amounts.push(fen(refund.amount));
            self.requested_at.push(time(refund.requested_at));
            self.requested_by.push(refund.by.clone());
            self.memos.push(refund.memo.clone());
            self.attempts.push(i32::try_from(refund.attempts).unwrap_or(i32::MAX));
            self.places.push(i32::try_from(number).unwrap_or(i32::MAX));
            self.records.push(text_of(refund));
        }
    }
}

/// Columns of `attempts`.
#[derive(Default)]
pub(super) struct Attempts {
    pub(super) accounts: Vec<String>,
    pub(super) keys: Vec<String>,
    pub(super) numbers: Vec<i32>,
    pub(super) orders: Vec<String>,
    pub(super) devices: Vec<String>,
}

/// Columns of `attempts` that their end changes.
#[derive(Default)]
pub(super) struct Ended {
    pub(super) accounts: Vec<String>,
    pub(super) keys: Vec<String>,
    pub(super) numbers: Vec<i32>,
    pub(super) states: Vec<String>,
}

impl Attempts {
    /// The attempts that a record has under way now and had not before; and the other way round.
    pub(super) fn push_changed(
        &mut self,
        ended: &mut Ended,
        device: &DeviceName,
        before: Option<&OrderRecord>,
        record: &OrderRecord,
    ) {
        for (number, refund) in record.refunds.iter().enumerate() {
            let before = before.and_then(|before| before.refunds.get(number)).and_then(|refund| under_way(refund));
            let now = under_way(refund);
            if before == now {
                continue;
            }
            if let Some(attempt) = before {
                ended.accounts.push(record.account.to_string());
                ended.keys.push(refund.key.to_string());
                ended.numbers.push(attempt);
                ended.states.push(refund.state.to_string());
            }
            if let Some(attempt) = now {
                self.accounts.push(record.account.to_string());
                self.keys.push(refund.key.to_string());
                self.numbers.push(attempt);
                self.orders.push(record.id.to_string());
                self.devices.push(device.to_string());
            }
        }
    }
}

/// The number of a refund's attempt, while it is being sent.
pub(super) fn under_way(refund: &Refund) -> Option<i32> {
    (refund.state == RefundState::Sending).then(|| i32::try_from(refund.attempts).unwrap_or(i32::MAX))
}

/// The columns that [`record`] reads, for queries.
///
/// An order's refunds are rows of their own, so that one more costs no more on an order that has had many: kept in the
/// order's row, fifty of them would be compressed and written anew with each.
pub(super) const RECORD: &str = "id, facts::text, ARRAY[record::text] || ARRAY(
    SELECT refund.record::text FROM refunds refund WHERE refund.order_id = orders.id ORDER BY refund.place)";

/// The record of a row of [`RECORD`].
pub(super) fn record(row: &Row) -> Result<OrderRecord, StorageError> {
    let (id, facts, parts): (String, &str, Vec<&str>) = (row.get(0), row.get(1), row.get(2));
    let wrong = |why: &dyn std::fmt::Display| garbled(&format!("order {id}"), why);
    let facts: Facts = serde_json::from_str(facts).map_err(|e| wrong(&e))?;
    let (stem, refunds) = parts.split_first().ok_or_else(|| wrong(&"nothing is there"))?;
    let stem: Stem = serde_json::from_str(stem).map_err(|e| wrong(&e))?;
    let refunds: Result<Vec<Arc<Refund>>, _> = refunds.iter().map(|refund| serde_json::from_str(refund)).collect();
    Ok(stem
        .with_refunds(refunds.map_err(|e| wrong(&e))?)
        .with(OrderId::new(&id).map_err(|e| wrong(&e))?, Arc::new(facts)))
}

pub(super) fn kept(row: &Row) -> Result<Kept, StorageError> {
    record(row).map(|record| Kept { record: Arc::new(record), trail: Trail::default() })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_is_kept_to_the_microsecond_and_the_ends_of_time_are_the_last_that_tables_hold() {
        let at = Timestamp::EPOCH.saturating_add(Duration::from_nanos(1_234_567));
        assert_eq!(time(at).as_nanosecond(), 1_234_000);
        let (first, last): (Timestamp, Timestamp) = (jiff::Timestamp::MIN.into(), jiff::Timestamp::MAX.into());
        assert_eq!((time(first).as_microsecond(), time(last).as_microsecond()), KNOWN);
    }
}
