//! Who bears a number: one entry of the index, shared by all orders that do.
//!
//! Mostly one order does, so that looking a number up, and finding that nobody else claims it, takes one key.

use std::collections::BTreeSet;

use super::key::{Builder, Parts};
use super::value::Value;
use crate::domain::OrderId;

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

    pub(crate) fn remove(&mut self, order: &OrderId, kind: &str) {
        self.0.remove(&(order.clone(), kind.to_owned()));
    }

    /// All of them, or those by one kind.
    pub(crate) fn by(self, kind: Option<&str>) -> impl Iterator<Item = (OrderId, String)> {
        self.0.into_iter().filter(move |(_, borne)| kind.is_none_or(|kind| kind == borne))
    }
}
