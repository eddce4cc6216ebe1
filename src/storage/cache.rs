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
    /// Counts how often the young ones became the old ones.
    turn: u64,
    young: HashMap<OrderId, Kept>,
    old: HashMap<OrderId, Kept>,
}

impl Ages {
    fn insert(&mut self, kept: Kept, limit: usize) {
        if self.young.len() >= limit {
            self.old = std::mem::take(&mut self.young);
            self.turn += 1;
        }
        self.young.insert(kept.record.id.clone(), kept);
    }
}

impl RecordCache {
    pub(crate) fn new(limit: usize) -> RecordCache {
        RecordCache { limit, ages: Mutex::default() }
    }

    /// The newest durable record, if kept; and the turn to [`offer`](Self::offer) one with.
    pub(crate) fn get(&self, order: &OrderId) -> (Option<Kept>, u64) {
        let mut ages = locked(&self.ages);
        let turn = ages.turn;
        if let Some(kept) = ages.young.get(order) {
            return (Some(kept.clone()), turn);
        }
        let kept = ages.old.remove(order);
        if let Some(kept) = &kept {
            ages.insert(kept.clone(), self.limit);
        }
        (kept, turn)
    }

    /// Keeps a record that was read from the view since `turn`, unless it may be older than what was published
    /// meanwhile: that is kept for a turn more, so for so long it is seen here.
    pub(crate) fn offer(&self, kept: Kept, turn: u64) {
        let mut ages = locked(&self.ages);
        let order = &kept.record.id;
        let is_newest = ages.turn <= turn + 1 && !ages.young.contains_key(order) && !ages.old.contains_key(order);
        if is_newest {
            ages.insert(kept, self.limit);
        }
    }

    /// Keeps records in the moment in which `show` makes them visible in the view.
    pub(crate) fn publish(&self, records: impl IntoIterator<Item = Kept>, show: impl FnOnce()) {
        let mut ages = locked(&self.ages);
        for kept in records {
            ages.old.remove(&kept.record.id);
            ages.insert(kept, self.limit);
        }
        show();
    }
}

#[cfg(all(test, feature = "conformance"))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::storage::conformance::shop;
    use crate::storage::kept::Trail;

    fn kept(number: i64, version: u64) -> Kept {
        let mut record = shop::first_record(number);
        record.version = version;
        Kept { record: Arc::new(record), trail: Trail::default() }
    }

    fn version(cache: &RecordCache, number: i64) -> Option<u64> {
        cache.get(&shop::order(number)).0.map(|kept| kept.record.version)
    }

    #[test]
    fn a_record_that_was_read_before_a_newer_one_was_shown_never_takes_its_place() {
        // However many others were shown since: the newer one may have been let go of meanwhile.
        for others in 0..6 {
            let cache = RecordCache::new(2);
            let (_, turn) = cache.get(&shop::order(1));
            cache.publish([kept(1, 2)], || ());
            (0..others).for_each(|other| cache.publish([kept(10 + other, 1)], || ()));
            cache.offer(kept(1, 1), turn);
            assert_ne!(version(&cache, 1), Some(1), "{others} others");
        }
    }

    #[test]
    fn a_record_that_was_read_while_others_were_shown_is_kept() {
        let cache = RecordCache::new(2);
        let (_, turn) = cache.get(&shop::order(1));
        cache.publish([kept(2, 1)], || ());
        cache.offer(kept(1, 1), turn);
        assert_eq!((version(&cache, 1), version(&cache, 2)), (Some(1), Some(1)));
        cache.publish([kept(1, 2)], || ());
        assert_eq!(version(&cache, 1), Some(2));
    }
}
