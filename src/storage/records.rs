//! Reading records, cursors and who bears a name, from anything that keys can be looked up in.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::StorageError;
use super::bearers::Bearers;
use super::kept::Kept;
use super::key::{self, Key};
use super::place::History;
use super::value::Value;
use super::view::Kv;
use crate::domain::decide::Holder;
use crate::domain::{AccountName, OrderId, OrderRecord, Reference};

/// Something that knows the newest record of each order.
pub(crate) trait Records: Kv {
    fn kept(&self, order: &OrderId) -> Result<Option<Kept>, StorageError>;

    fn record(&self, order: &OrderId) -> Result<Option<Arc<OrderRecord>>, StorageError> {
        Ok(self.kept(order)?.map(|kept| kept.record))
    }

    /// Whether several orders bear that number by its kind.
    fn is_contested(&self, account: &AccountName, kind: &str, number: &str) -> Result<bool, StorageError> {
        Ok(self.get(&key::contested(account, kind, number))?.is_some())
    }
}

/// An order as the index has it, if it has it; `None`: what it has is not right.
pub(crate) fn indexed(
    kv: &(impl Kv + ?Sized),
    history: &dyn History,
    order: &OrderId,
) -> Result<Option<Option<Kept>>, StorageError> {
    match kv.get(&key::record(order))? {
        Some(value) => Ok(value.kept(order, history)?.map(Some)),
        None => Ok(Some(None)),
    }
}

/// The same for those who cannot have an index mended: what is not right is an error.
pub(crate) fn stored(
    kv: &(impl Kv + ?Sized),
    history: &dyn History,
    order: &OrderId,
) -> Result<Option<Kept>, StorageError> {
    let wrong = || StorageError::Poisoned { why: format!("the index's record of order {order} cannot be read") };
    indexed(kv, history, order)?.ok_or_else(wrong)
}

/// A cursor's value.
pub(crate) fn cursor(kv: &(impl Kv + ?Sized), name: &str) -> Result<Option<String>, StorageError> {
    let Some(value) = kv.get(&key::cursor(name))? else { return Ok(None) };
    String::from_utf8(value.bytes().into_owned())
        .map(Some)
        .map_err(|_| StorageError::Poisoned { why: format!("the index's cursor {name} is not a text") })
}

/// The orders that bear a number, with the kind by which each does.
pub(crate) fn bearers(
    kv: &(impl Kv + ?Sized),
    account: &AccountName,
    kind: Option<&str>,
    number: &str,
) -> Result<Vec<(OrderId, String)>, StorageError> {
    Ok(bearers_under(kv, &key::reference(account, number))?.by(kind).collect())
}

/// Who bears the number of a key.
pub(crate) fn bearers_under(kv: &(impl Kv + ?Sized), key: &Key) -> Result<Bearers, StorageError> {
    let Some(value) = kv.get(key)? else { return Ok(Bearers::default()) };
    Bearers::decode(&value.bytes()).ok_or_else(|| malformed(key))
}

/// The other orders that bear one of the references, or a number of the order's own.
pub(crate) fn holders(
    records: &(impl Records + ?Sized),
    account: &AccountName,
    own: Option<&OrderRecord>,
    references: &[Reference],
) -> Result<Vec<(Reference, Holder)>, StorageError> {
    let mut wanted = BTreeSet::new();
    // Mostly nobody else bears an order's numbers, and that is known without looking each up.
    for (kind, number) in own.into_iter().flat_map(|own| &own.facts.references) {
        if records.is_contested(account, kind, number)? {
            wanted.insert(Reference { kind: kind.clone(), number: number.clone() });
        }
    }
    let is_own = |reference: &Reference| own.is_some_and(|own| own.facts.bear(reference));
    wanted.extend(references.iter().filter(|reference| !is_own(reference)).cloned());
    let mut holders = Vec::new();
    for reference in wanted {
        for (other, _) in bearers(records, account, Some(&reference.kind), &reference.number)? {
            if own.is_none_or(|own| own.id != other)
                && let Some(record) = records.record(&other)?
            {
                holders.push((reference.clone(), Holder { order: other, provisional: record.provisional }));
            }
        }
    }
    Ok(holders)
}

/// An order id that is a value.
pub(crate) fn order_in(key: &[u8], value: &Value) -> Result<OrderId, StorageError> {
    std::str::from_utf8(&value.bytes()).ok().and_then(|text| OrderId::new(text).ok()).ok_or_else(|| malformed(key))
}

/// A key that this version did not write.
pub(crate) fn malformed(key: &[u8]) -> StorageError {
    let key = key.escape_ascii();
    StorageError::Poisoned { why: format!("the index has a malformed entry {key}; delete its directory to rebuild it") }
}
