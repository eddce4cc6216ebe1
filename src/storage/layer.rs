//! Changes that are decided and not yet written, over what is durable.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use super::StorageError;
use super::index;
use super::kept::Kept;
use super::key::{self, Change, Key};
use super::records::{self, Records};
use super::value::Value;
use super::view::{Chunk, Kv, Over};
use crate::domain::{AccountName, OrderId, OrderRecord};

/// What a group of commands, or a stretch of replayed history, has changed so far.
pub(crate) struct Layer<'a> {
    under: &'a dyn Records,
    changes: BTreeMap<Key, Option<Value>>,
    /// Who bore the numbers that were asked for, below the changes: most are asked for twice, first whether somebody
    /// bears one, then to add who does.
    borne: RefCell<HashMap<Key, Option<Value>>>,
    written: HashMap<OrderId, Kept>,
}

impl<'a> Layer<'a> {
    pub(crate) fn new(under: &'a dyn Records) -> Layer<'a> {
        Layer { under, changes: BTreeMap::new(), borne: RefCell::default(), written: HashMap::new() }
    }

    /// Takes a record in, in the place of the one before it. Its own entry is made at the end: what is written five
    /// times is stored once.
    pub(crate) fn put_record(&mut self, old: Option<&OrderRecord>, new: Kept) -> Result<(), StorageError> {
        for (reference, gained) in index::renamed(old, &new.record) {
            let mut bearers = records::bearers_under(self, &key::reference(&new.record.account, &reference.number))?;
            self.changes.extend(bearers.rename(&new.record, &reference, gained));
        }
        self.changes.extend(index::changes(old, &new.record));
        self.written.insert(new.record.id.clone(), new);
        Ok(())
    }

    pub(crate) fn put(&mut self, changes: impl IntoIterator<Item = Change>) {
        self.changes.extend(changes);
    }

    pub(crate) fn len(&self) -> usize {
        self.changes.len() + self.written.len()
    }

    /// All changes but those of the records, and the records.
    pub(crate) fn into_parts(self) -> (Vec<Change>, HashMap<OrderId, Kept>) {
        (self.changes.into_iter().collect(), self.written)
    }
}

impl Kv for Layer<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StorageError> {
        if let Some(value) = self.changes.get(key) {
            return Ok(value.clone());
        }
        if key.first() != Some(&key::REFERENCE) {
            return self.under.get(key);
        }
        if let Some(value) = self.borne.borrow().get(key) {
            return Ok(value.clone());
        }
        let value = self.under.get(key)?;
        self.borne.borrow_mut().insert(Key::from(key), value.clone());
        Ok(value)
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
    fn kept(&self, order: &OrderId) -> Result<Option<Kept>, StorageError> {
        match self.written.get(order) {
            Some(kept) => Ok(Some(kept.clone())),
            None => self.under.kept(order),
        }
    }

    fn is_contested(&self, account: &AccountName, kind: &str, number: &str) -> Result<bool, StorageError> {
        match self.changes.get(&key::contested(account, kind, number)) {
            Some(change) => Ok(change.is_some()),
            None => self.under.is_contested(account, kind, number),
        }
    }
}
