//! What a group reads, fetched before it decides.
//!
//! Deciding asks one question after the other, and each would be a round trip. So the questions that can be foreseen are
//! answered first, all in one; a question that was not foreseen (who bears a number that only the facts name, say) is
//! noted and refused, and the group decides once more when it was fetched too.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::bearers::Bearers;
use super::super::kept::Kept;
use super::super::key::{self, Key, Parts};
use super::super::records::Records;
use super::super::value::Value;
use super::super::view::{Chunk, Kv};
use super::super::{StorageError, Transaction};
use super::trouble::garbled;
use crate::domain::{AccountName, OrderId, OrderRecord, RefundKey};

/// What is to be fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Questions {
    pub(super) orders: BTreeSet<OrderId>,
    /// By account and number.
    pub(super) numbers: BTreeSet<(String, String)>,
    /// By account and key.
    pub(super) refunds: BTreeSet<(String, String)>,
    pub(super) cursors: BTreeSet<String>,
}

impl Questions {
    pub(super) fn is_empty(&self) -> bool {
        *self == Questions::default()
    }

    /// What a command will surely ask.
    pub(super) fn of(&mut self, transaction: &Transaction) {
        let account = transaction.account.as_str();
        self.orders.insert(transaction.order.clone());
        let numbers = transaction.claims.references.iter().map(|reference| &reference.number);
        self.numbers.extend(numbers.map(|number| (account.to_owned(), number.clone())));
        let key = transaction.claims.refund_key.iter();
        self.refunds.extend(key.map(|key| (account.to_owned(), key.to_string())));
    }

    /// The question that a key of the index stands for; `None`: no group asks it.
    fn add(&mut self, key: &[u8]) -> Option<()> {
        let mut parts = Parts::of(key);
        match *key.first()? {
            key::RECORD => drop(self.orders.insert(OrderId::new(parts.text()?).ok()?)),
            key::REFERENCE => drop(self.numbers.insert((parts.text()?, parts.text()?))),
            key::REFUND => drop(self.refunds.insert((parts.text()?, parts.text()?))),
            key::CURSOR => drop(self.cursors.insert(parts.text()?)),
            _ => return None,
        }
        Some(())
    }
}

/// Answers, and the questions that had none yet.
#[derive(Default)]
pub(super) struct Fetched {
    records: HashMap<OrderId, Option<Kept>>,
    /// Those whose rows cannot be read, and why.
    unreadable: HashMap<OrderId, String>,
    values: HashMap<Key, Option<Value>>,
    /// The numbers of these orders that others bear too.
    contested: BTreeSet<Key>,
    missing: RefCell<Questions>,
}

impl Fetched {
    /// Notes that these questions were asked: what no row answers is not there.
    pub(super) fn asked(&mut self, questions: &Questions) {
        for order in &questions.orders {
            self.records.entry(order.clone()).or_default();
        }
        let pair = |kind, (account, name): &(String, String)| key::Builder::new(kind).text(account).text(name).key();
        let numbers = questions.numbers.iter().map(|number| pair(key::REFERENCE, number));
        let refunds = questions.refunds.iter().map(|refund| pair(key::REFUND, refund));
        let cursors = questions.cursors.iter().map(|name| key::cursor(name));
        for key in numbers.chain(refunds).chain(cursors) {
            self.values.entry(key).or_default();
        }
    }

    pub(super) fn record(&mut self, kept: Kept) {
        self.records.insert(kept.record.id.clone(), Some(kept));
    }

    /// An order whose row cannot be read: its own commands are refused, the others of its group go on.
    pub(super) fn unreadable(&mut self, order: OrderId, why: String) {
        self.unreadable.insert(order, why);
    }

    /// The orders that bear numbers, as rows tell them: by account and number, the order with its kind.
    pub(super) fn bearers(&mut self, rows: impl IntoIterator<Item = (AccountName, String, OrderId, String)>) {
        let mut found: BTreeMap<Key, Bearers> = BTreeMap::new();
        for (account, number, order, kind) in rows {
            found.entry(key::reference(&account, &number)).or_default().add(&order, &kind);
        }
        self.values.extend(found.into_iter().map(|(key, bearers)| (key, bearers.encode())));
    }

    pub(super) fn refund(&mut self, account: &AccountName, key: &RefundKey, order: &OrderId) {
        self.values.insert(key::refund(account, key), Some(Value::from(order.as_str().as_bytes())));
    }

    pub(super) fn cursor(&mut self, name: &str, value: &str) {
        self.values.insert(key::cursor(name), Some(Value::from(value.as_bytes())));
    }

    pub(super) fn contested(&mut self, account: &AccountName, kind: &str, number: &str) {
        self.contested.insert(key::contested(account, kind, number));
    }

    /// The record as it was before the group, where there was one.
    pub(super) fn before(&self, order: &OrderId) -> Option<&OrderRecord> {
        self.records.get(order)?.as_ref().map(|kept| &*kept.record)
    }

    /// What was asked for and not fetched, since this was last called.
    pub(super) fn missing(&self) -> Questions {
        self.missing.take()
    }

    fn not_fetched(&self, key: &[u8]) -> StorageError {
        let known = self.missing.borrow_mut().add(key).is_some();
        let key = key.escape_ascii();
        let why = if known { "was not fetched" } else { "is nothing that a command may ask for" };
        StorageError::Poisoned { why: format!("{key} {why}") }
    }
}

impl Kv for Fetched {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StorageError> {
        self.values.get(key).cloned().ok_or_else(|| self.not_fetched(key))
    }

    fn range(&self, from: &[u8], _: &[u8], _: usize) -> Result<Chunk, StorageError> {
        Err(self.not_fetched(from))
    }
}

impl Records for Fetched {
    fn kept(&self, order: &OrderId) -> Result<Option<Kept>, StorageError> {
        if let Some(why) = self.unreadable.get(order) {
            return Err(garbled(&format!("order {order}"), why));
        }
        self.records.get(order).cloned().ok_or_else(|| self.not_fetched(&key::record(order)))
    }

    fn is_contested(&self, account: &AccountName, kind: &str, number: &str) -> Result<bool, StorageError> {
        Ok(self.contested.contains(&key::contested(account, kind, number)))
    }
}

#[cfg(all(test, feature = "conformance"))]
mod tests {
    use super::super::super::conformance::shop;
    use super::super::super::records;
    use super::*;

    #[test]
    fn what_was_not_asked_for_is_noted_and_what_no_row_answered_is_not_there() {
        let mut fetched = Fetched::default();
        let (account, order) = (shop::account(), shop::order(1));
        assert!(fetched.kept(&order).is_err());
        assert!(records::bearers(&fetched, &account, None, "7").is_err());
        assert!(records::cursor(&fetched, "orders").is_err());
        let missing = fetched.missing();
        let numbers = BTreeSet::from([(account.to_string(), "7".to_owned())]);
        let (orders, cursors) = (BTreeSet::from([order.clone()]), BTreeSet::from(["orders".to_owned()]));
        assert_eq!(missing, Questions { orders, numbers, cursors, ..Questions::default() });
        assert!(fetched.missing().is_empty());
        fetched.asked(&missing);
        assert!(fetched.kept(&order).expect("fetched").is_none());
        assert_eq!(records::bearers(&fetched, &account, None, "7").expect("fetched"), []);
        assert_eq!(records::cursor(&fetched, "orders").expect("fetched"), None);
    }

    #[test]
    fn who_bears_a_number_is_what_the_rows_say() {
        let mut fetched = Fetched::default();
        let account = shop::account();
        let row =
            |number: &str, order, kind: &str| (account.clone(), number.to_owned(), shop::order(order), kind.to_owned());
        fetched.bearers([row("7", 2, "order_sn"), row("8", 3, "order_sn"), row("7", 1, "merchant_order_sn")]);
        let of = |kind| records::bearers(&fetched, &account, kind, "7").expect("fetched");
        let (one, two) = ((shop::order(1), "merchant_order_sn".to_owned()), (shop::order(2), "order_sn".to_owned()));
        assert_eq!(of(Some("order_sn")), std::slice::from_ref(&two));
        assert_eq!(of(None), [one, two]);
    }
}
