//! An order as a storage keeps it: its record, and where in the history its events lie.
//!
//! The index holds the places alone, and a record is folded from its events when it is read. What a refund writes to
//! the index is then twenty bytes more of places instead of a record with all its facts and refunds, and the whole
//! index of a shop fits in memory. Only where an order has had many events, what they come to is kept beside them; its
//! facts are not, for they are two thirds of a record, and lie in the event that brought them.
//!
//! What is in the history never changes, so no record can be found with events or facts of another version.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::StorageError;
use super::lines;
use super::place::{History, Place};
use crate::domain::{AccountName, ChainHash, Event, Facts, Money, OrderId, OrderRecord, Refund, Timestamp};

/// A record with its trail.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) record: Arc<OrderRecord>,
    pub(crate) trail: Trail,
}

/// Where the events of an order lie, by their versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trail {
    places: Arc<Vec<Place>>,
    /// The version that the facts came with.
    facts: u32,
}

impl Trail {
    /// Goes on with the next event, which lies there.
    pub(crate) fn push(&mut self, place: Place, brings_facts: bool) {
        Arc::make_mut(&mut self.places).push(place);
        if brings_facts {
            self.facts = u32::try_from(self.places.len()).expect("an order has fewer events than memory has bytes");
        }
    }

    /// The places of all events, the first one first.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }
}

/// An order that had more events than this is not folded from them each time. What is kept instead is a few hundred
/// bytes a refund, written anew with each event, and sled writes every value several times over: with six in the place of
/// 24, 64 callers who held for two minutes made a file of 2.9 GB beside a journal of 0.85 GB, and waited for the disk.
const FOLDED: usize = 24;

/// A read that takes longer came from the disk and not from the system's memory: then the order's other events, which lie
/// scattered, are asked for all at once and not one after the other.
const FROM_DISK: Duration = Duration::from_micros(50);

/// A record without its name, which is its key, and without its facts.
#[derive(Serialize, Deserialize)]
pub(super) struct Stem {
    account: AccountName,
    version: u64,
    head: ChainHash,
    provisional: bool,
    refunds: Vec<Arc<Refund>>,
    external: Money,
    external_seen: bool,
    unsettled: Money,
    settled_count: Option<u32>,
    settled_external: Money,
    outcome_at: Option<Timestamp>,
}

impl Stem {
    pub(super) fn of(record: &OrderRecord) -> Stem {
        Stem {
            account: record.account.clone(),
            version: record.version,
            head: record.head,
            provisional: record.provisional,
            refunds: record.refunds.clone(),
            external: record.external,
            external_seen: record.external_seen,
            unsettled: record.unsettled,
            settled_count: record.settled_count,
            settled_external: record.settled_external,
            outcome_at: record.outcome_at,
        }
    }

    /// For storages that keep refunds by themselves.
    #[cfg(feature = "postgres")]
    pub(super) fn without_refunds(record: &OrderRecord) -> Stem {
        Stem { refunds: Vec::new(), ..Stem::of(record) }
    }

    #[cfg(feature = "postgres")]
    pub(super) fn with_refunds(self, refunds: Vec<Arc<Refund>>) -> Stem {
        Stem { refunds, ..self }
    }

    pub(super) fn with(self, id: OrderId, facts: Arc<Facts>) -> OrderRecord {
        OrderRecord {
            id,
            account: self.account,
            version: self.version,
            head: self.head,
            facts,
            provisional: self.provisional,
            refunds: self.refunds,
            external: self.external,
            external_seen: self.external_seen,
            unsettled: self.unsettled,
            settled_count: self.settled_count,
            settled_external: self.settled_external,
            outcome_at: self.outcome_at,
        }
    }
}

impl Kept {
    /// The order after one event more, which lies at `place`.
    pub(crate) fn after(old: Option<&Kept>, record: Arc<OrderRecord>, event: &Event, place: Place) -> Kept {
        let mut trail = old.map(|old| old.trail.clone()).unwrap_or_default();
        trail.push(place, event.facts().is_some());
        Kept { record, trail }
    }

    /// The bytes that the index holds: how many events there are, which one brought the facts, where they all lie;
    /// and where they are many, the rest of the record as JSON.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let Trail { places, facts } = &self.trail;
        let count = u32::try_from(places.len()).expect("an order has fewer events than memory has bytes");
        let mut bytes = Vec::with_capacity(8 + Place::BYTES * places.len());
        bytes.extend(count.to_be_bytes());
        bytes.extend(facts.to_be_bytes());
        bytes.extend(places.iter().flat_map(|place| place.to_bytes()));
        if places.len() > FOLDED {
            serde_json::to_writer(&mut bytes, &Stem::of(&self.record)).expect("it has no maps, and memory takes all");
        }
        bytes
    }

    /// What bytes of the index say of an order; `None` where they, or the places in them, are not right.
    pub(crate) fn read(order: &OrderId, bytes: &[u8], history: &dyn History) -> Result<Option<Kept>, StorageError> {
        let Some((trail, stem)) = split(bytes) else { return Ok(None) };
        let record = match stem {
            [] => folded(order, &trail, history)?,
            _ => completed(order, &trail, stem, history)?,
        };
        Ok(record.map(|record| Kept { record: Arc::new(record), trail }))
    }
}

/// The record that the events of a trail make.
fn folded(order: &OrderId, trail: &Trail, history: &dyn History) -> Result<Option<OrderRecord>, StorageError> {
    let mut record: Option<OrderRecord> = None;
    let began = Instant::now();
    for (version, place) in (1..).zip(trail.places.iter()) {
        let line = history.read(*place)?;
        if version == 1 && began.elapsed() > FROM_DISK {
            history.announce(&trail.places[1..]);
        }
        let Ok(entry) = lines::entry(&line) else { return Ok(None) };
        if entry.order != *order || entry.version != version {
            return Ok(None);
        }
        let head = record.as_ref().map_or(ChainHash::START, |record| record.head).next(&line);
        let Ok(next) = OrderRecord::apply(record, &entry, head) else { return Ok(None) };
        record = Some(next);
    }
    Ok(record)
}

/// The record that a stem makes with the facts of the event that brought them.
fn completed(
    order: &OrderId,
    trail: &Trail,
    stem: &[u8],
    history: &dyn History,
) -> Result<Option<OrderRecord>, StorageError> {
    let Ok(stem) = serde_json::from_slice::<Stem>(stem) else { return Ok(None) };
    let place = trail.facts.checked_sub(1).and_then(|at| trail.places.get(at as usize));
    let Some(place) = place.filter(|_| stem.version == trail.places.len() as u64) else { return Ok(None) };
    let Ok(entry) = lines::entry(&history.read(*place)?) else { return Ok(None) };
    let facts = entry.event.facts().filter(|_| entry.order == *order && entry.version == u64::from(trail.facts));
    Ok(facts.map(|facts| stem.with(entry.order.clone(), Arc::clone(facts))))
}

/// The trail that bytes of the index begin with, and what follows it.
fn split(bytes: &[u8]) -> Option<(Trail, &[u8])> {
    let (count, rest) = bytes.split_first_chunk()?;
    let (facts, rest) = rest.split_first_chunk()?;
    let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
    let (places, rest) = rest.split_at_checked(count.checked_mul(Place::BYTES)?)?;
    let places: Option<Vec<Place>> = places.chunks_exact(Place::BYTES).map(Place::decode).collect();
    Some((Trail { places: Arc::new(places?), facts: u32::from_be_bytes(*facts) }, rest))
}

#[cfg(all(test, feature = "conformance"))]
mod tests {
    use super::*;
    use crate::domain::{Entry, RefundKey, Requested};
    use crate::storage::conformance::shop;
    use crate::storage::lock::{Mutex, locked};
    use crate::storage::memory::Log;
    use crate::storage::place::Walked;

    fn add(lines: &Log, old: Option<&Kept>, order: &OrderId, event: Event) -> Kept {
        let version = old.map_or(0, |old| old.record.version) + 1;
        let (account, device, at) = (shop::account(), shop::device(), shop::at(0));
        let entry = Entry { sequence: version, order: order.clone(), account, version, at, device, event };
        let line = serde_json::to_vec(&entry).expect("an entry is JSON");
        let before = old.map(|old| OrderRecord::clone(&old.record));
        let head = before.as_ref().map_or(ChainHash::START, |record| record.head).next(&line);
        let record = OrderRecord::apply(before, &entry, head).expect("it follows");
        let (_, place) = lines.append(&line);
        Kept::after(old, Arc::new(record), &entry.event, place)
    }

    fn seen(number: i64) -> Event {
        let facts = Arc::new(shop::facts(number));
        Event::FactsSeen { facts, external: Money::ZERO, unsettled: Money::ZERO }
    }

    fn held(key: &str) -> Event {
        let (key, amount) = (RefundKey::new(key).expect("valid"), shop::fen(100));
        let (memo, by, requested) = (None, Some("张三".to_owned()), Requested::Exactly(amount));
        Event::RefundHeld { key, requested, amount, memo, by, due_at: shop::at(1), needs_approval: true }
    }

    fn read(lines: &Log, order: &OrderId, bytes: &[u8]) -> Option<(OrderRecord, Trail)> {
        let kept = Kept::read(order, bytes, lines).expect("the lines can be read");
        kept.map(|kept| (OrderRecord::clone(&kept.record), kept.trail))
    }

    #[test]
    fn an_order_is_read_back_with_the_facts_that_came_last_and_the_places_of_all_its_events() {
        let (lines, order) = (Log::default(), shop::order(1));
        let mut kept: Option<Kept> = None;
        // Beyond the number up to which it is folded, the rest of the record lies beside the places.
        let held = (0..FOLDED).map(|number| held(&format!("k{number}")));
        for (events, event) in (1..).zip([seen(1), seen(7)].into_iter().chain(held)) {
            let next = add(&lines, kept.as_ref(), &order, event);
            assert_eq!(next.trail.places().len(), events);
            assert_eq!(read(&lines, &order, &next.bytes()), Some(((*next.record).clone(), next.trail.clone())));
            kept = Some(next);
        }
        assert_eq!(kept.map(|kept| *kept.record.facts == shop::facts(7)), Some(true));
    }

    /// A history on a disk that takes its time, and what it was told of before.
    struct FarAway<'a> {
        lines: &'a Log,
        announced: Mutex<Vec<Place>>,
    }

    impl History for FarAway<'_> {
        fn read(&self, place: Place) -> Result<Vec<u8>, StorageError> {
            std::thread::sleep(2 * FROM_DISK);
            self.lines.read(place)
        }

        fn announce(&self, places: &[Place]) {
            locked(&self.announced).extend(places);
        }

        fn walk(
            &self,
            _: u64,
            _: u64,
            _: &mut dyn FnMut(Walked<'_>) -> Result<(), StorageError>,
        ) -> Result<(), StorageError> {
            unreachable!("one order is read by its places")
        }

        fn describe(&self, place: Place) -> String {
            self.lines.describe(place)
        }

        fn unreadable(&self, place: Place, why: String) -> StorageError {
            self.lines.unreadable(place, why)
        }
    }

    #[test]
    fn where_the_first_event_comes_from_the_disk_all_others_are_asked_for_at_once() {
        let (lines, order) = (Log::default(), shop::order(1));
        let mut kept = add(&lines, None, &order, seen(1));
        for number in 0..9 {
            kept = add(&lines, Some(&kept), &order, held(&format!("k{number}")));
        }
        let far = FarAway { lines: &lines, announced: Mutex::default() };
        let read = Kept::read(&order, &kept.bytes(), &far).expect("the lines can be read");
        assert_eq!(read.map(|read| read.record), Some(kept.record));
        assert_eq!(*locked(&far.announced), kept.trail.places()[1..]);
    }

    #[test]
    fn bytes_or_places_that_are_not_the_order_s_own_are_not_right() {
        let (order, other) = (shop::order(1), shop::order(2));
        for refunds in [1, FOLDED] {
            let lines = Log::default();
            let of_other = add(&lines, None, &other, seen(2));
            let mut kept = add(&lines, None, &order, seen(1));
            for number in 0..refunds {
                kept = add(&lines, Some(&kept), &order, held(&format!("k{number}")));
            }
            let bytes = kept.bytes();
            assert!(read(&lines, &order, &bytes).is_some());
            // All of the trail and nothing of the rest is an order that is folded: the checksum beside it tells.
            let trail = 8 + Place::BYTES * kept.trail.places.len();
            for end in (0..bytes.len()).filter(|end| *end != trail) {
                assert_eq!(read(&lines, &order, &bytes[..end]), None, "cut at {end}");
            }
            assert_eq!(read(&lines, &order, &of_other.bytes()), None);
            assert_eq!(read(&lines, &other, &bytes), None);
            let Trail { places, facts } = kept.trail.clone();
            let mut swapped = places.to_vec();
            swapped.swap(0, 1);
            let changed = |places: Vec<Place>, facts| Trail { places: Arc::new(places), facts };
            let mut wrong = vec![changed(swapped, facts)];
            if refunds == FOLDED {
                let fewer = places[..FOLDED].to_vec();
                wrong.extend([changed(fewer, facts), changed(places.to_vec(), 0), changed(places.to_vec(), 2)]);
            }
            for trail in wrong {
                let mut bytes = Kept { record: Arc::clone(&kept.record), trail: trail.clone() }.bytes();
                if refunds == FOLDED && trail.places.len() == FOLDED {
                    bytes.extend(serde_json::to_vec(&Stem::of(&kept.record)).expect("a stem is JSON"));
                }
                assert_eq!(read(&lines, &order, &bytes), None, "{trail:?}");
            }
        }
    }
}
