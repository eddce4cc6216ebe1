//! Reading records, cursors and who bears a name, from anything that keys can be looked up in.

use std::sync::Arc;

use super::StorageError;
use super::bearers::Bearers;
use super::key::{self, Key};
use super::value::Value;
use super::view::Kv;
use crate::domain::decide::Holder;
use crate::domain::{AccountName, OrderId, OrderRecord, Reference};

/// Something that knows the newest record of each order.
pub(crate) trait Records: Kv {
    fn record(&self, order: &OrderId) -> Result<Option<Arc<OrderRecord>>, StorageError>;
}

/// The record of an order, as the index has it.
pub(crate) fn stored(kv: &(impl Kv + ?Sized), order: &OrderId) -> Result<Option<Arc<OrderRecord>>, StorageError> {
    kv.get(&key::record(order))?.map(|value| value.record(order)).transpose()
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

/// The other orders that bear one of the references.
pub(crate) fn holders(
    records: &(impl Records + ?Sized),
    account: &AccountName,
    order: &OrderId,
    references: impl IntoIterator<Item = Reference>,
) -> Result<Vec<(Reference, Holder)>, StorageError> {
    let mut holders: Vec<(Reference, Holder)> = Vec::new();
    for reference in references {
        if holders.iter().any(|(seen, _)| *seen == reference) {
            continue;
        }
        for (other, _) in bearers(records, account, Some(&reference.kind), &reference.number)? {
            if other != *order
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
