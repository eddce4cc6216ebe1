//! Changes that are decided and not yet written, over what is durable.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::StorageError;
use super::index;
use super::key::{self, Change, Key};
use super::records::{self, Records};
use super::value::Value;
use super::view::{Chunk, Kv, Over};
use crate::domain::{OrderId, OrderRecord};

/// What a group of commands, or a stretch of replayed history, has changed so far.
pub(crate) struct Layer<'a> {
    under: &'a dyn Records,
    changes: BTreeMap<Key, Option<Value>>,
    written: HashMap<OrderId, Arc<OrderRecord>>,
}

impl<'a> Layer<'a> {
    pub(crate) fn new(under: &'a dyn Records) -> Layer<'a> {
        Layer { under, changes: BTreeMap::new(), written: HashMap::new() }
    }

    pub(crate) fn put_record(&mut self, old: Option<&OrderRecord>, new: Arc<OrderRecord>) -> Result<(), StorageError> {
        for (reference, gained) in index::renamed(old, &new) {
            let key = key::reference(&new.account, &reference.number);
            let mut bearers = records::bearers_under(self, &key)?;
            match gained {
                true => bearers.add(&new.id, &reference.kind),
                false => bearers.remove(&new.id, &reference.kind),
            }
            self.changes.insert(key, bearers.encode());
        }
        self.changes.extend(index::changes(old, &new));
        self.written.insert(new.id.clone(), new);
        Ok(())
    }

    pub(crate) fn put(&mut self, changes: impl IntoIterator<Item = Change>) {
        self.changes.extend(changes);
    }

    pub(crate) fn len(&self) -> usize {
        self.changes.len()
    }

    /// All changes, and the records they were made from.
    pub(crate) fn into_parts(self) -> (Vec<Change>, Vec<Arc<OrderRecord>>) {
        (self.changes.into_iter().collect(), self.written.into_values().collect())
    }
}

impl Kv for Layer<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StorageError> {
        match self.changes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.under.get(key),
        }
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Chunk, StorageError> {
        if from >= to {
            return Ok(Chunk::default());
        }
        let over = Over::of(&self.changes, Clone::clone, from, to, limit);
        Ok(over.merge(self.under.range(from, to, limit)?))
    }

    fn distrust(&self, why: &str) -> Result<(), StorageError> {
        self.under.distrust(why)
    }
}

impl Records for Layer<'_> {
    fn record(&self, order: &OrderId) -> Result<Option<Arc<OrderRecord>>, StorageError> {
        match self.written.get(order) {
            Some(record) => Ok(Some(Arc::clone(record))),
            None => self.under.record(order),
        }
    }
}
