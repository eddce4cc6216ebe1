//! The check: all events read again from the first byte, all records folded anew, and everything that is kept
//! compared with what they say.
//!
//! Writes go on meanwhile. What looks different is looked at once more with writes held back for a
//! moment, after the events written since were taken in; only what differs then is reported.
//! Takes memory for all orders at once.

mod recompute;
mod report;

use std::collections::BTreeSet;

use recompute::{Purpose, Recomputed, amounts, hash};
pub(crate) use report::REBUILD;
pub use report::{CheckReport, Difference, JournalHead, Noted};

use super::bearers::Bearers;
use super::key::{self, Key, Parts};
use super::place::History;
use super::reader::Reader;
use super::value::Value;
use super::view::{self, Go, Kv};
use super::{StorageError, records};
use crate::domain::{OrderId, OrderRecord};

/// Checks a storage, and where heads were noted whether its history still is the one. `freeze` holds back writes while
/// what it gives is kept, and tells the last frame.
pub(crate) fn check<F>(
    reader: &Reader,
    noted: Option<&Noted>,
    freeze: impl FnOnce() -> Result<(u64, F), StorageError>,
) -> Result<CheckReport, StorageError> {
    let mut recomputed = Recomputed::new(Purpose::Index, noted);
    recomputed.advance(&*reader.history, reader.published())?;
    if !recomputed.is_whole() {
        return Ok(without_index(recomputed));
    }
    recomputed.touched.clear();
    let mut suspects = suspects(&recomputed, reader)?;
    let (frame, frozen) = freeze()?;
    recomputed.advance(&*reader.history, frame)?;
    if !recomputed.is_whole() {
        return Ok(without_index(recomputed));
    }
    for order in std::mem::take(&mut recomputed.touched) {
        suspects.extend(recomputed.keys_of(&order));
    }
    let mut differences = Vec::new();
    for key in suspects {
        let kept = reader.view.get(&key)?;
        if !agrees(&recomputed, &key, kept.as_ref()) {
            differences.push(difference(&recomputed, reader, &key, kept.as_ref()));
        }
    }
    drop(frozen);
    Ok(recomputed.report(differences))
}

fn without_index(mut recomputed: Recomputed<'_>) -> CheckReport {
    recomputed.note("the index was not compared: the journal that it is made from is not whole");
    recomputed.report(Vec::new())
}

/// Checks a history alone; `why` says why no index is compared with it.
pub(crate) fn check_history(
    history: &dyn History,
    noted: Option<&Noted>,
    why: &str,
) -> Result<CheckReport, StorageError> {
    let mut recomputed = Recomputed::new(Purpose::Events, noted);
    recomputed.advance(history, u64::MAX)?;
    recomputed.note(why);
    Ok(recomputed.report(Vec::new()))
}

/// Every key that seems to be missing, superfluous or to hold something else.
fn suspects(recomputed: &Recomputed<'_>, reader: &Reader) -> Result<BTreeSet<Key>, StorageError> {
    let mut suspects = BTreeSet::new();
    let mut right = 0;
    for kind in key::KINDS {
        view::for_each(&reader.view, &[kind], &key::end_of(&[kind]), &mut |key, value| {
            if agrees(recomputed, key, Some(value)) {
                right += 1;
            } else {
                suspects.insert(key.clone());
            }
            Ok(Go::On)
        })?;
    }
    if right < recomputed.entries.len() {
        for order in recomputed.orders.keys() {
            for key in recomputed.keys_of(order) {
                if reader.view.get(&key)?.is_none() {
                    suspects.insert(key);
                }
            }
        }
    }
    Ok(suspects)
}

fn agrees(recomputed: &Recomputed<'_>, key: &Key, kept: Option<&Value>) -> bool {
    recomputed.entries.get(&hash(key)).copied() == kept.map(|value| hash(&value.bytes()))
}

fn difference(recomputed: &Recomputed<'_>, reader: &Reader, key: &Key, kept: Option<&Value>) -> Difference {
    let order = order_of(key, kept);
    let how = match (recomputed.entries.contains_key(&hash(key)), kept) {
        (true, None) => "is missing",
        (true, Some(_)) => "is not what the events say",
        (false, _) => "is there, and no event accounts for it",
    };
    let known = order.as_ref().and_then(|order| recomputed.orders.get(order));
    let known = known.and_then(|order| order.kept.as_ref());
    let money = match (key.first(), known) {
        (Some(&key::RECORD), Some(known)) => differing(&known.record, reader),
        (Some(&key::RECORD), None) => Some("no such order was ever recorded".to_owned()),
        (Some(&key::REFUND), _) => Some("a repeated refund key may be taken for a new one".to_owned()),
        _ => None,
    };
    let last = known.and_then(|known| known.trail.places().last());
    let position = last.map(|place| reader.history.describe(*place));
    Difference { order, sequence: None, position, what: format!("{} {how}", name_of(key)), money, advice: REBUILD }
}

/// How the amounts of a record that is kept differ from those that its events make; `None`: they do not.
fn differing(says: &OrderRecord, reader: &Reader) -> Option<String> {
    let Ok(Some(kept)) = records::stored(&reader.view, &*reader.history, &says.id) else {
        return Some("the record cannot be read".to_owned());
    };
    let (kept, says) = (amounts(&kept.record), amounts(says));
    (kept != says).then(|| format!("it has {kept}, and the events say {says}"))
}

/// In what words a kind of key is reported.
fn name_of(key: &[u8]) -> &'static str {
    match key.first() {
        Some(&key::RECORD) => "the record",
        Some(&key::REFERENCE) => "an entry for a reference",
        Some(&key::REFUND) => "an entry for a refund key",
        Some(&key::TIME) => "the entry by time",
        Some(&key::STATE) => "an entry by refund state",
        Some(&key::CONTESTED) => "the mark of a number that several orders bear",
        Some(&key::SEQUENCE) => "the place of a frame",
        Some(&key::CURSOR) => "a cursor",
        _ => "an unknown entry",
    }
}

/// The order that an entry is about.
fn order_of(key: &[u8], value: Option<&Value>) -> Option<OrderId> {
    let mut parts = Parts::of(key);
    let order = match *key.first()? {
        key::RECORD => parts.text()?,
        key::REFERENCE => {
            let (order, _kind) = Bearers::decode(&value?.bytes())?.by(None).next()?;
            return Some(order);
        }
        key::TIME => {
            parts.time_down()?;
            parts.text()?
        }
        key::REFUND | key::STATE => std::str::from_utf8(&value?.bytes()).ok()?.to_owned(),
        _ => return None,
    };
    OrderId::new(order).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{AccountName, RefundKey, RefundState};

    #[test]
    fn an_entry_of_any_kind_has_a_name_and_tells_its_order() {
        let account = AccountName::new("shop-1").expect("valid");
        let (order, refund) = (OrderId::new("o").expect("valid"), RefundKey::new("k").expect("valid"));
        let mut bearers = Bearers::default();
        bearers.add(&order, "order_sn");
        let borne = bearers.encode().expect("somebody bears it");
        let (empty, named): (Value, Value) = (Value::from([]), Value::from(*b"o"));
        for (key, value, name, of) in [
            (key::record(&order), &empty, "the record", Some(&order)),
            (key::reference(&account, "7"), &borne, "an entry for a reference", Some(&order)),
            (key::refund(&account, &refund), &named, "an entry for a refund key", Some(&order)),
            (key::time(5, &order), &empty, "the entry by time", Some(&order)),
            (key::state(RefundState::Queued, 5, &account, &refund), &named, "an entry by refund state", Some(&order)),
            (key::contested(&account, "order_sn", "7"), &empty, "the mark of a number that several orders bear", None),
            (key::sequence(3), &empty, "the place of a frame", None),
            (key::cursor("orders"), &empty, "a cursor", None),
            (Arc::from(*b"?"), &empty, "an unknown entry", None),
        ] {
            assert_eq!((name_of(&key), order_of(&key, Some(value)).as_ref()), (name, of), "{key:?}");
        }
    }
}
