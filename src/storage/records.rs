//! Reading records, cursors and who bears a name, from anything that keys can be looked up in.

use std::sync::Arc;

use super::key::{self, Key, Parts};
use super::view::{self, Kv};
use super::{StorageError, index};
use crate::domain::decide::Holder;
use crate::domain::{AccountName, OrderId, OrderRecord, Reference};

/// Something that knows the newest record of each order.
pub(crate) trait Records: Kv {
    fn record(&self, order: &OrderId) -> Result<Option<Arc<OrderRecord>>, StorageError>;
}

/// How often a content is read again whose chunks did not fit together: an update may have come
/// between them. More often it is not an update.
const READS: usize = 8;

/// Reads a content that was cut into values.
fn content(kv: &(impl Kv + ?Sized), first: &Key) -> Result<Option<Vec<u8>>, StorageError> {
    for read in 0..2 * READS {
        let Some(head) = kv.get(first)? else { return Ok(None) };
        let joined = if index::chunks_in(&head) == Some(1) {
            index::join(std::iter::once(&*head))
        } else {
            let prefix = &first[..first.len() - 2];
            let chunks = view::all(kv, prefix)?;
            index::join(chunks.iter().map(|(_, value)| &**value))
        };
        match joined {
            Some(content) => return Ok(Some(content)),
            None if read == READS => kv.distrust("an entry of the index is garbled")?,
            None => {}
        }
    }
    Err(StorageError::Poisoned { why: "an entry of the index stays garbled after a rebuild".to_owned() })
}

/// Decodes the record of an order.
pub(crate) fn stored(kv: &(impl Kv + ?Sized), order: &OrderId) -> Result<Option<OrderRecord>, StorageError> {
    let Some(json) = content(kv, &key::record(order, 0))? else { return Ok(None) };
    serde_json::from_slice(&json)
        .map(Some)
        .map_err(|e| StorageError::Poisoned { why: format!("the index's record of order {order} cannot be read: {e}") })
}

/// A cursor's value.
pub(crate) fn cursor(kv: &(impl Kv + ?Sized), name: &str) -> Result<Option<String>, StorageError> {
    let Some(value) = content(kv, &key::cursor(name, 0))? else { return Ok(None) };
    String::from_utf8(value)
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
    let found = view::all(kv, &key::references(account, kind, number))?;
    found.iter().map(|(key, _)| bearer(key).ok_or_else(|| malformed(key))).collect()
}

fn bearer(key: &[u8]) -> Option<(OrderId, String)> {
    let mut parts = Parts::of(key);
    let (_account, _number, kind, order) = (parts.text()?, parts.text()?, parts.text()?, parts.text()?);
    Some((OrderId::new(order).ok()?, kind))
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
pub(crate) fn order_in(key: &[u8], value: &[u8]) -> Result<OrderId, StorageError> {
    std::str::from_utf8(value).ok().and_then(|text| OrderId::new(text).ok()).ok_or_else(|| malformed(key))
}

/// A key that this version did not write.
pub(crate) fn malformed(key: &[u8]) -> StorageError {
    let key = key.escape_ascii();
    StorageError::Poisoned { why: format!("the index has a malformed entry {key}; delete its directory to rebuild it") }
}
