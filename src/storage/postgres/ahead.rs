//! Orders read before the ledger is held: the other processes need not wait while they are read.
//!
//! What was read is good where the order's chain still has the same head once the ledger is held, for every event moves
//! it; the others are read again. What depends on other orders (who bears a number) is never read ahead.

use std::collections::{BTreeSet, HashMap};

use super::super::kept::Kept;
use super::fetched::Fetched;
use crate::domain::OrderId;

/// Orders as they were a moment ago; `None`: there was none.
#[derive(Default)]
pub(super) struct Ahead(HashMap<OrderId, Option<Kept>>);

impl Ahead {
    /// Those that were not read yet.
    pub(super) fn lacks(&self, orders: &BTreeSet<OrderId>) -> Vec<OrderId> {
        orders.iter().filter(|order| !self.has(order)).cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn has(&self, order: &OrderId) -> bool {
        self.0.contains_key(order)
    }

    /// What a read of these orders found.
    pub(super) fn read(&mut self, orders: Vec<OrderId>, found: Vec<Kept>) {
        self.0.extend(orders.into_iter().map(|order| (order, None)));
        self.0.extend(found.into_iter().map(|kept| (kept.record.id.clone(), Some(kept))));
    }

    /// An order that has to be read again, whatever it was.
    pub(super) fn forget(&mut self, order: &OrderId) {
        self.0.remove(order);
    }

    /// Hands over what is as it was, by the heads that the orders have now; gives the others, to be read again.
    pub(super) fn settle<'a>(
        &self,
        orders: &[&'a OrderId],
        heads: &HashMap<&str, &[u8]>,
        fetched: &mut Fetched,
    ) -> Vec<&'a OrderId> {
        let mut changed = Vec::new();
        for order in orders {
            match (self.0.get(*order).and_then(Option::as_ref), heads.get(order.as_str())) {
                (Some(kept), Some(head)) if kept.record.head.as_bytes() == head => fetched.record(kept.clone()),
                (None, None) => {}
                _ => changed.push(*order),
            }
        }
        changed
    }
}

/// So many orders are worth a round trip of their own.
const FEW: usize = 8;

/// So many groups read nothing ahead after one that read for nothing.
const PAUSE: u32 = 16;

/// When reading ahead is worth it: where others hold the ledger in turn, unless they change the same orders.
#[derive(Default)]
pub(super) struct Worth {
    others_write: bool,
    pause: u32,
}

impl Worth {
    /// Whether a group reads these orders ahead.
    pub(super) fn while_for(&mut self, orders: usize) -> bool {
        let pauses = self.pause > 0;
        self.pause = self.pause.saturating_sub(1);
        self.others_write && !pauses && orders >= FEW
    }

    /// What a group saw: whether others wrote since the one before, how many orders were read ahead, and how many of
    /// them for nothing.
    pub(super) fn seen(&mut self, others_write: bool, read: usize, changed: usize) {
        self.others_write = others_write;
        if changed * 4 > read {
            self.pause = PAUSE;
        }
    }
}

#[cfg(all(test, feature = "conformance"))]
mod tests {
    use std::sync::Arc;

    use super::super::super::conformance::shop;
    use super::super::super::kept::Trail;
    use super::super::super::records::Records as _;
    use super::super::fetched::Questions;
    use super::*;
    use crate::domain::ChainHash;

    fn kept(number: i64, version: u64, head: ChainHash) -> Kept {
        let mut record = shop::first_record(number);
        (record.version, record.head) = (version, head);
        Kept { record: Arc::new(record), trail: Trail::default() }
    }

    #[test]
    fn what_was_read_ahead_is_good_where_the_head_is_the_same() {
        let [one, two, gone, new, none] = [1, 2, 3, 4, 5].map(shop::order);
        let (before, after) = (ChainHash::START.next(b"1"), ChainHash::START.next(b"2"));
        let mut ahead = Ahead::default();
        let all: BTreeSet<OrderId> = [&one, &two, &gone, &new, &none].into_iter().cloned().collect();
        assert_eq!(ahead.lacks(&all).len(), 5);
        let found = vec![kept(1, 1, before), kept(2, 1, before), kept(3, 1, before)];
        ahead.read(ahead.lacks(&all), found);
        assert!(ahead.lacks(&all).is_empty());
        let heads = [(&one, &before), (&two, &after), (&new, &after)];
        let heads = heads.map(|(order, head)| (order.as_str(), head.as_bytes().as_slice())).into();
        let mut fetched = Fetched::default();
        fetched.asked(&Questions { orders: all, ..Questions::default() });
        let orders = [&one, &two, &gone, &new, &none];
        assert_eq!(ahead.settle(&orders, &heads, &mut fetched), [&two, &gone, &new]);
        assert_eq!(fetched.kept(&one).expect("fetched").map(|kept| kept.record.version), Some(1));
        assert!(fetched.kept(&none).expect("fetched").is_none());
        ahead.forget(&one);
        assert!(!ahead.has(&one));
    }

    #[test]
    fn nothing_is_read_ahead_alone_or_for_few_or_where_others_change_the_same() {
        let mut worth = Worth::default();
        assert!(!worth.while_for(64), "nobody else was seen");
        worth.seen(true, 0, 0);
        assert!(worth.while_for(FEW) && !worth.while_for(FEW - 1));
        worth.seen(true, 64, 17);
        assert_eq!((0..=PAUSE).map(|_| worth.while_for(64)).filter(|is| *is).count(), 1);
        worth.seen(true, 64, 16);
        assert!(worth.while_for(64));
        worth.seen(false, 64, 0);
        assert!(!worth.while_for(64));
    }
}
