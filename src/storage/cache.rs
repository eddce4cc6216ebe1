//! Decoded records of the orders that are busy now.

use std::collections::HashMap;
use std::sync::Arc;

use super::lock::{Mutex, locked};
use crate::domain::{OrderId, OrderRecord};

/// Up to twice `limit` records: the young ones, and those that were young before.
pub(crate) struct RecordCache {
    limit: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Counts publications. A record read from the view while one happened may be the older one,
    /// so it is not kept.
    epoch: u64,
    young: HashMap<OrderId, Arc<OrderRecord>>,
    old: HashMap<OrderId, Arc<OrderRecord>>,
}

impl Kept {
    fn insert(&mut self, record: Arc<OrderRecord>, limit: usize) {
        if self.young.len() >= limit {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(record.id.clone(), record);
    }
}

impl RecordCache {
    pub(crate) fn new(limit: usize) -> RecordCache {
        RecordCache { limit, kept: Mutex::default() }
    }

    /// The newest durable record, if kept; and the epoch to [`offer`](Self::offer) one with.
    pub(crate) fn get(&self, order: &OrderId) -> (Option<Arc<OrderRecord>>, u64) {
        let mut kept = locked(&self.kept);
        let epoch = kept.epoch;
        if let Some(record) = kept.young.get(order) {
            return (Some(Arc::clone(record)), epoch);
        }
        let record = kept.old.remove(order);
        if let Some(record) = &record {
            kept.insert(Arc::clone(record), self.limit);
        }
        (record, epoch)
    }

    /// Keeps a record that was read from the view, unless something was published since `epoch`.
    pub(crate) fn offer(&self, record: Arc<OrderRecord>, epoch: u64) {
        let mut kept = locked(&self.kept);
        if kept.epoch == epoch {
            kept.insert(record, self.limit);
        }
    }

    /// Keeps records in the moment in which `show` makes them visible in the view.
    pub(crate) fn publish(&self, records: impl IntoIterator<Item = Arc<OrderRecord>>, show: impl FnOnce()) {
        let mut kept = locked(&self.kept);
        kept.epoch += 1;
        for record in records {
            kept.old.remove(&record.id);
            kept.insert(record, self.limit);
        }
        show();
    }
}
