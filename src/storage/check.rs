//! The check: all events read again from the first byte, all records folded anew, and everything that is kept
//! compared with what they say.
//!
//! Writes go on meanwhile. What looks different is looked at once more with writes held back for a
//! moment, after the events written since were taken in; only what differs then is reported.
//! Takes memory for all orders at once.

use std::collections::{BTreeSet, HashMap};

use super::key::{self, Change, Key, Parts, Value};
use super::lines::{Line, lines};
use super::place::{History, Place, Walked};
use super::reader::Reader;
use super::view::{self, Go, Kv};
use super::{CheckReport, Difference, StorageError, index, records};
use crate::domain::{ChainHash, Entry, OrderId, OrderRecord};

/// What the events alone say.
#[derive(Default)]
struct Expected {
    orders: HashMap<OrderId, Order>,
    cursors: HashMap<String, String>,
    /// Each key's hash with its value's: what the index must hold, no more and no less.
    entries: HashMap<[u8; 16], [u8; 8]>,
    /// Orders that had events since this was last emptied.
    touched: BTreeSet<OrderId>,
    frame: u64,
    sequence: u64,
}

struct Order {
    record: OrderRecord,
    places: Vec<Place>,
}

/// Checks a storage. `freeze` holds back writes while what it gives is kept, and tells the last frame.
pub(crate) fn check<F>(
    reader: &Reader,
    freeze: impl FnOnce() -> Result<(u64, F), StorageError>,
) -> Result<CheckReport, StorageError> {
    let mut expected = Expected::default();
    if let Some(broken) = damage(expected.advance(&*reader.history, reader.published()))? {
        return Ok(expected.report(vec![broken]));
    }
    expected.touched.clear();
    let mut suspects = expected.compare(reader)?;
    let (frame, frozen) = freeze()?;
    if let Some(broken) = damage(expected.advance(&*reader.history, frame))? {
        return Ok(expected.report(vec![broken]));
    }
    for order in std::mem::take(&mut expected.touched) {
        suspects.extend(expected.keys_of(&order));
    }
    let mut differences = Vec::new();
    for key in suspects {
        let kept = reader.view.get(&key)?;
        if !expected.agrees(&key, kept.as_ref()) {
            differences.push(expected.difference(reader, &key, kept.as_ref()));
        }
    }
    drop(frozen);
    Ok(expected.report(differences))
}

/// Damaged history is what a check is for: a finding, not a failure of the check.
fn damage(read: Result<(), StorageError>) -> Result<Option<Difference>, StorageError> {
    let error = match read {
        Ok(()) => return Ok(None),
        Err(error) => error,
    };
    let (order, sequence, position) = match &error {
        StorageError::Damaged { path, position, .. } | StorageError::Unreadable { path, position, .. } => {
            (None, None, Some(format!("{} byte {position}", path.display())))
        }
        StorageError::Broken(broken) => (Some(broken.order.clone()), Some(broken.sequence), None),
        _ => return Err(error),
    };
    let cause = std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
    let what = format!("{error}{cause}; what came after it was not checked, and money may be affected");
    Ok(Some(Difference { order, sequence, position, what }))
}

impl Expected {
    /// Takes in the events of all frames up to `through`.
    fn advance(&mut self, history: &dyn History, through: u64) -> Result<(), StorageError> {
        let after = self.frame;
        history.walk(after, through, &mut |walked| self.frame(history, &walked))?;
        self.frame = self.frame.max(through);
        Ok(())
    }

    fn frame(&mut self, history: &dyn History, walked: &Walked<'_>) -> Result<(), StorageError> {
        let before = self.sequence;
        for (from, line) in lines(walked.payload) {
            let place = walked.place.part(from, line);
            match Line::read(line).map_err(|e| history.unreadable(place, e.to_string()))? {
                Line::Cursor(cursor) => {
                    let had = self.cursors.get(&cursor.name).map(String::as_str);
                    let changes = index::cursor_changes(&cursor.name, had, &cursor.value);
                    self.note(changes);
                    self.cursors.insert(cursor.name, cursor.value);
                }
                Line::Entry(entry) if entry.sequence != self.sequence + 1 => {
                    let why = format!("event {} follows event {}", entry.sequence, self.sequence);
                    return Err(history.unreadable(place, why));
                }
                Line::Entry(entry) => self.entry(&entry, line, place)?,
            }
        }
        if self.sequence > before {
            self.note([index::sequence_change(self.sequence, walked.place)]);
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry, line: &[u8], place: Place) -> Result<(), StorageError> {
        self.sequence = entry.sequence;
        let order = self.orders.remove(&entry.order);
        let (old, mut places) = order.map_or((None, Vec::new()), |order| (Some(order.record), order.places));
        let head = old.as_ref().map_or(ChainHash::START, |record| record.head).next(line);
        let record = OrderRecord::apply(old.clone(), entry, head)?;
        places.push(place);
        self.note(index::changes(old.as_ref(), &record));
        self.note([index::event_change(&entry.order, entry.version, place)]);
        self.orders.insert(entry.order.clone(), Order { record, places });
        self.touched.insert(entry.order.clone());
        Ok(())
    }

    fn note(&mut self, changes: impl IntoIterator<Item = Change>) {
        for (key, value) in changes {
            match value {
                Some(value) => self.entries.insert(hash(&key), hash(&value)),
                None => self.entries.remove(&hash(&key)),
            };
        }
    }

    /// Every key that seems to be missing, superfluous or to hold something else.
    fn compare(&self, reader: &Reader) -> Result<BTreeSet<Key>, StorageError> {
        let mut suspects = BTreeSet::new();
        let mut right = 0;
        for kind in key::KINDS {
            view::for_each(&reader.view, &[kind], &key::end_of(&[kind]), &mut |key, value| {
                if self.agrees(key, Some(value)) {
                    right += 1;
                } else {
                    suspects.insert(key.clone());
                }
                Ok(Go::On)
            })?;
        }
        if right < self.entries.len() {
            for order in self.orders.keys() {
                for key in self.keys_of(order) {
                    if reader.view.get(&key)?.is_none() {
                        suspects.insert(key);
                    }
                }
            }
        }
        Ok(suspects)
    }

    fn agrees(&self, key: &Key, kept: Option<&Value>) -> bool {
        self.entries.get(&hash(key)).copied() == kept.map(|value| hash(value))
    }

    fn keys_of(&self, order: &OrderId) -> Vec<Key> {
        let Some(Order { record, places }) = self.orders.get(order) else { return Vec::new() };
        let events = (1..).zip(places).map(|(version, _)| key::event(order, version));
        index::entries(record).into_keys().chain(events).collect()
    }

    fn difference(&self, reader: &Reader, key: &Key, kept: Option<&Value>) -> Difference {
        let order = order_of(key, kept);
        let should = self.entries.contains_key(&hash(key));
        let how = match (should, kept) {
            (true, None) => "is missing",
            (true, Some(_)) => "is not what the events say",
            (false, _) => "is there, and no event accounts for it",
        };
        let known = order.as_ref().and_then(|order| self.orders.get(order));
        let money = match (key.first(), known) {
            (Some(&key::RECORD), Some(order)) => amounts(&order.record, reader),
            (Some(&key::RECORD), None) => "money is affected: no such order was ever recorded".to_owned(),
            (Some(&key::REFUND), _) => "a repeated refund key may be taken for a new one".to_owned(),
            _ => "no amount is affected".to_owned(),
        };
        let what = format!("{} {how}; {money}; close the ledger and delete its index to rebuild it", name_of(key));
        let last = known.and_then(|order| order.places.last());
        let position = last.map(|place| reader.history.describe(*place));
        Difference { order, sequence: None, position, what }
    }

    fn report(&self, differences: Vec<Difference>) -> CheckReport {
        let refunds = self.orders.values().map(|order| order.record.refunds.len() as u64).sum();
        CheckReport { orders: self.orders.len() as u64, refunds, events: self.sequence, differences }
    }
}

/// How the amounts of a record that is kept differ from those that its events make.
fn amounts(says: &OrderRecord, reader: &Reader) -> String {
    let Ok(Some(kept)) = records::stored(&reader.view, &says.id) else {
        return "the record cannot be read".to_owned();
    };
    let of = |record: &OrderRecord| {
        let (paid, refunded, held) = (record.paid(), record.refunded(), record.held());
        format!("paid {paid}, refunded {refunded}, held {held}")
    };
    let (kept, says) = (of(&kept), of(says));
    if kept == says { "the amounts agree".to_owned() } else { format!("it has {kept}, and the events say {says}") }
}

/// In what words a kind of key is reported.
fn name_of(key: &[u8]) -> &'static str {
    match key.first() {
        Some(&key::RECORD) => "the record",
        Some(&key::REFERENCE) => "an entry for a reference",
        Some(&key::REFUND) => "an entry for a refund key",
        Some(&key::TIME) => "the entry by time",
        Some(&key::STATE) => "an entry by refund state",
        Some(&key::EVENT) => "the place of an event",
        Some(&key::SEQUENCE) => "the place of a frame",
        Some(&key::CURSOR) => "a cursor",
        _ => "an unknown entry",
    }
}

/// The order that an entry is about.
fn order_of(key: &[u8], value: Option<&Value>) -> Option<OrderId> {
    let mut parts = Parts::of(key);
    let order = match *key.first()? {
        key::RECORD | key::EVENT => parts.text()?,
        key::REFERENCE => {
            let (_account, _number, _kind) = (parts.text()?, parts.text()?, parts.text()?);
            parts.text()?
        }
        key::TIME => {
            parts.time_down()?;
            parts.text()?
        }
        key::REFUND | key::STATE => std::str::from_utf8(value?).ok()?.to_owned(),
        _ => return None,
    };
    OrderId::new(order).ok()
}

fn hash<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut short = [0; N];
    short.copy_from_slice(&blake3::hash(bytes).as_bytes()[..N]);
    short
}
