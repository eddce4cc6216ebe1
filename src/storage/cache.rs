//! Decoded records of the orders that are busy now.

use std::collections::HashMap;

use super::kept::Kept;
use super::lock::{Mutex, locked};
use crate::domain::OrderId;

/// Up to twice `limit` records: the young ones, and those that were young before.
pub(crate) struct RecordCache {
    limit: usize,
    ages: Mutex<Ages>,
}

#[derive(Default)]
struct Ages {
    /// Counts publications. A record read from the view while one happened may be the older one,
    /// so it is not kept.
    epoch: u64,
    young: HashMap<OrderId, Kept>,
    old: HashMap<OrderId, Kept>,
}

impl Ages {
    fn insert(&mut self, kept: Kept, limit: usize) {
        if self.young.len() >= limit {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(kept.record.id.clone(), kept);
    }
}

impl RecordCache {
    pub(crate) fn new(limit: usize) -> RecordCache {
        RecordCache { limit, ages: Mutex::default() }
    }

    /// The newest durable record, if kept; and the epoch to [`offer`](Self::offer) one with.
    pub(crate) fn get(&self, order: &OrderId) -> (Option<Kept>, u64) {
        let mut ages = locked(&self.ages);
        let epoch = ages.epoch;
        if let Some(kept) = ages.young.get(order) {
            return (Some(kept.clone()), epoch);
        }
        let kept = ages.old.remove(order);
        if let Some(kept) = &kept {
            ages.insert(kept.clone(), self.limit);
        }
        (kept, epoch)
    }

    /// Keeps a record that was read from the view, unless something was published since `epoch`.
    pub(crate) fn offer(&self, kept: Kept, epoch: u64) {
        let mut ages = locked(&self.ages);
        if ages.epoch == epoch {
            ages.insert(kept, self.limit);
        }
    }

    /// Keeps records in the moment in which `show` makes them visible in the view.
    pub(crate) fn publish(&self, records: impl IntoIterator<Item = Kept>, show: impl FnOnce()) {
        let mut ages = locked(&self.ages);
        ages.epoch += 1;
        for kept in records {
            ages.old.remove(&kept.record.id);
            ages.insert(kept, self.limit);
        }
        show();
    }
}
