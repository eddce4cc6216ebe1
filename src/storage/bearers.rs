//! Who bears a number: one entry of the index, shared by all orders that do.
//!
//! Mostly one order does, so that looking a number up, and finding that nobody else claims it, takes one key.

use std::collections::BTreeSet;

use super::key::{self, Builder, Change, Parts};
use super::value::Value;
use crate::domain::{OrderId, OrderRecord, Reference};

/// The first byte of a value.
const BEARERS: u8 = 1;

/// The orders that bear a number, with the kind by which each does.
///
/// A set: replaying what it holds already changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bearers(BTreeSet<(OrderId, String)>);

impl Bearers {
    /// As it is in the index; `None`: no version of this code wrote that.
    pub(crate) fn decode(value: &[u8]) -> Option<Bearers> {
        let mut parts = Parts::of(value.strip_prefix(&[BEARERS]).map(|_| value)?);
        let mut bearers = BTreeSet::new();
        while !parts.is_empty() {
            bearers.insert((OrderId::new(parts.text()?).ok()?, parts.text()?));
        }
        Some(Bearers(bearers))
    }

    /// As it is in the index; `None` where there are none.
    pub(crate) fn encode(&self) -> Option<Value> {
        let all = self.0.iter();
        let key = all.fold(Builder::new(BEARERS), |key, (order, kind)| key.text(order.as_str()).text(kind)).key();
        (!self.0.is_empty()).then(|| Value::from(key))
    }

    pub(crate) fn add(&mut self, order: &OrderId, kind: &str) {
        self.0.insert((order.clone(), kind.to_owned()));
    }

    fn remove(&mut self, order: &OrderId, kind: &str) {
        self.0.remove(&(order.clone(), kind.to_owned()));
    }

    /// Whether several orders bear it by that kind.
    fn are_several(&self, kind: &str) -> bool {
        self.0.iter().filter(|(_, borne)| borne == kind).count() > 1
    }

    /// An order gains a number (`true`) or no longer bears it; tells what changes in the index.
    ///
    /// Told once more, as after a kill, it tells all of it again.
    pub(crate) fn rename(&mut self, order: &OrderRecord, reference: &Reference, gained: bool) -> Vec<Change> {
        let Reference { kind, number } = reference;
        let before = self.are_several(kind);
        match gained {
            true => self.add(&order.id, kind),
            false => self.remove(&order.id, kind),
        }
        let mut changes = vec![(key::reference(&order.account, number), self.encode())];
        let after = self.are_several(kind);
        if before || after {
            changes.push((key::contested(&order.account, kind, number), after.then(|| Value::from([]))));
        }
        changes
    }

    /// All of them, or those by one kind.
    pub(crate) fn by(self, kind: Option<&str>) -> impl Iterator<Item = (OrderId, String)> {
        self.0.into_iter().filter(move |(_, borne)| kind.is_none_or(|kind| kind == borne))
    }
}

#[cfg(all(test, feature = "conformance"))]
mod tests {
    use super::*;
    use crate::storage::conformance::shop;

    fn order(id: &str) -> OrderId {
        OrderId::new(id).expect("valid")
    }

    #[test]
    fn who_bears_a_number_is_told_by_its_kind_and_without_one_and_what_is_read_again_is_the_same() {
        let mut bearers = Bearers::default();
        bearers.add(&order("a订单"), "order_sn");
        bearers.add(&order("b"), "order_sn");
        bearers.add(&order("b"), "receipt");
        bearers.add(&order("b"), "receipt");
        let read = Bearers::decode(&bearers.encode().expect("somebody bears it").bytes()).expect("ours");
        assert_eq!(read, bearers);
        let by = |kind| read.clone().by(kind).map(|(order, kind)| format!("{order} {kind}")).collect::<Vec<_>>();
        assert_eq!(by(None), ["a订单 order_sn", "b order_sn", "b receipt"]);
        assert_eq!(by(Some("order_sn")), ["a订单 order_sn", "b order_sn"]);
        assert_eq!(by(Some("order_sn2")), [""; 0]);
    }

    #[test]
    fn a_number_that_nobody_bears_any_more_has_no_entry_and_what_is_not_ours_is_refused() {
        let mut bearers = Bearers::default();
        bearers.add(&order("a"), "order_sn");
        bearers.remove(&order("a"), "receipt");
        let whole = bearers.encode().expect("somebody bears it").bytes().into_owned();
        assert_eq!(Bearers::decode(&whole[..whole.len() - 1]), None);
        assert_eq!(Bearers::decode(b"\x02a\0order_sn\0"), None);
        bearers.remove(&order("a"), "order_sn");
        assert_eq!(bearers.encode(), None);
    }

    #[test]
    fn a_number_is_contested_as_long_as_several_orders_bear_it_by_one_kind() {
        let (one, two) = (shop::first_record(1), shop::first_record(2));
        let by = |kind: &str| Reference { kind: kind.to_owned(), number: "7".to_owned() };
        let mark = key::contested(&shop::account(), "order_sn", "7");
        let mut bearers = Bearers::default();
        let mut marked = |order: &OrderRecord, kind: &str, gained: bool| {
            let changes = bearers.rename(order, &by(kind), gained);
            assert_eq!(changes[0], (key::reference(&shop::account(), "7"), bearers.encode()));
            changes[1..].iter().map(|(key, value)| (*key == mark, value.is_some())).collect::<Vec<_>>()
        };
        assert_eq!(marked(&one, "order_sn", true), []);
        assert_eq!(marked(&two, "receipt", true), []);
        // Told twice, as when frames are replayed over an index that is ahead of its checkpoint.
        assert_eq!([(); 2].map(|()| marked(&two, "order_sn", true)), [[(true, true)], [(true, true)]]);
        assert_eq!(marked(&one, "order_sn", false), [(true, false)]);
        assert_eq!(marked(&one, "order_sn", false), []);
        assert_eq!(marked(&two, "order_sn", false), []);
    }
}
