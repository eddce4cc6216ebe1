//! What a group of commands that share a write tells about it: its places, its room, and how many refunds it sends.

use std::collections::HashMap;

use super::bearers::Bearers;
use super::conformance::shop::{
    account, at, begin, device, facts, hold, lost, order, refund_now, see, settle, transaction,
};
use super::group::{Decided, Group, NotDecided, Room, Written};
use super::kept::Kept;
use super::key::{self, Key};
use super::lines::Cursor;
use super::place::Place;
use super::records::{self, Records};
use super::value::Value;
use super::view::{Chunk, Kv};
use super::{Claims, StorageError, Transaction};
use crate::domain::decide::Holder;
use crate::domain::{Entry, OrderId, Outcome, Reference};

/// A place that nobody reads.
const NOWHERE: Place = Place { segment: 1, offset: 144, length: 0, crc: 0 };

/// What is durable: some records, and some names.
#[derive(Default)]
struct Known {
    records: HashMap<OrderId, Kept>,
    names: HashMap<Key, Value>,
}

impl Known {
    fn of(decided: Decided) -> Known {
        let records = decided.written_at(NOWHERE).records.into_iter();
        Known { records: records.map(|kept| (kept.record.id.clone(), kept)).collect(), names: HashMap::new() }
    }
}

impl Kv for Known {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StorageError> {
        Ok(self.names.get(key).cloned())
    }

    fn range(&self, _: &[u8], _: &[u8], _: usize) -> Result<Chunk, StorageError> {
        Ok(Chunk::default())
    }
}

impl Records for Known {
    fn kept(&self, order: &OrderId) -> Result<Option<Kept>, StorageError> {
        Ok(self.records.get(order).cloned())
    }
}

fn told(decided: Result<super::Committed, NotDecided>) -> Result<usize, String> {
    match decided {
        Ok(committed) => Ok(committed.entries.len()),
        Err(NotDecided::NoRoom) => Err("no room".to_owned()),
        Err(NotDecided::Refused(refusal)) => Err(refusal.to_string()),
        Err(NotDecided::Unreadable(error) | NotDecided::Failed(error)) => Err(error.to_string()),
    }
}

fn cursor(name: &str, value: &str) -> Cursor {
    Cursor { name: name.to_owned(), value: value.to_owned() }
}

/// Two orders, each with a refund that is being sent: seven entries after sequence 10.
fn two_being_sent() -> Decided {
    let (known, device) = (Known::default(), device());
    let mut group = Group::new(&known, &device, 10, Room::Free);
    for (transaction, entries) in [
        (see(facts(1)), 1),
        (hold(&order(1), "a", 1_000), 1),
        (begin(1, "a"), 1),
        (see(facts(2)), 1),
        (refund_now(2, "b", 1_000), 3),
    ] {
        assert_eq!(told(group.decide(&mut { transaction })), Ok(entries));
    }
    group.finish()
}

#[test]
fn what_begins_an_attempt_needs_free_space_and_what_ends_it_has_its_own() {
    let decided = two_being_sent();
    assert_eq!((decided.sequence, decided.sending, decided.room), (17, 2, Room::Free));
    let known = Known::of(decided);

    let device = device();
    let mut group = Group::new(&known, &device, 17, Room::Reserved);
    let no_room = Err("no room".to_owned());
    assert_eq!(told(group.decide(&mut hold(&order(1), "c", 100))), no_room);
    assert_eq!(told(group.decide(&mut see(facts(3)))), no_room);
    assert!(matches!(group.put_cursor(&cursor("orders", "7")), Err(NotDecided::NoRoom)));
    assert_eq!(told(group.decide(&mut settle(&order(1), "a", Outcome::Succeeded))), Ok(1));
    assert_eq!(told(group.decide(&mut lost(&order(2), "b"))), Ok(1));
    let decided = group.finish();
    assert_eq!((decided.sequence, decided.sending, decided.room), (19, -2, Room::Reserved));
    assert_eq!(decided.payload.entries.len(), 2);

    // An end together with anything else is as any other write.
    let mut group = Group::new(&known, &device, 17, Room::Free);
    assert_eq!(told(group.decide(&mut settle(&order(1), "a", Outcome::Succeeded))), Ok(1));
    assert!(group.put_cursor(&cursor("orders", "7")).is_ok());
    let decided = group.finish();
    assert_eq!((decided.sequence, decided.sending, decided.room), (18, -1, Room::Free));
}

#[test]
fn a_cursor_that_is_what_it_was_is_not_written_again() {
    let (known, device) = (Known::default(), device());
    let mut group = Group::new(&known, &device, 0, Room::Free);
    for value in ["7", "7", "8"] {
        assert!(group.put_cursor(&cursor("orders", value)).is_ok());
    }
    let decided = group.finish();
    let want = "{\"cursor\":\"orders\",\"value\":\"7\"}\n{\"cursor\":\"orders\",\"value\":\"8\"}\n";
    assert_eq!(String::from_utf8(decided.payload.bytes.clone()).expect("text"), want);
    assert_eq!(decided.sequence, 0);
    // A frame of cursors alone bears no sequence.
    let keys: Vec<u8> = decided.written_at(NOWHERE).changes.iter().map(|(key, _)| key[0]).collect();
    assert_eq!(keys, vec![key::CURSOR]);
}

#[test]
fn each_entry_and_the_frame_are_found_where_they_lie() {
    let decided = two_being_sent();
    let bytes = decided.payload.bytes.clone();
    let frame = Place { segment: 3, offset: 1_000, length: bytes.len() as u32, crc: crc32c::crc32c(&bytes) };
    let Written { changes, records } = decided.written_at(frame);
    let trails: HashMap<_, _> = records.into_iter().map(|kept| (kept.record.id.clone(), kept.trail)).collect();
    for (sequence, (number, version)) in (11..).zip([(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (2, 4)]) {
        let place = trails[&order(number)].places()[version - 1];
        let from = (place.offset - 1_000) as usize;
        let line = &bytes[from..from + place.length as usize];
        let entry: Entry = serde_json::from_slice(line).expect("an entry");
        assert_eq!((entry.sequence, &entry.order, entry.version), (sequence, &order(number), version as u64));
        assert_eq!((place.segment, place.crc, bytes[from + line.len()]), (3, crc32c::crc32c(line), b'\n'));
    }
    assert_eq!([1, 2].map(|number| trails[&order(number)].places().len()), [3, 4]);
    let (_, last) = changes.iter().find(|(key, _)| *key == key::sequence(17)).expect("the frame has a place");
    assert_eq!(last.as_ref().and_then(|value| Place::decode(&value.bytes())), Some(frame));
}

#[test]
fn whoever_else_bears_a_contested_number_of_an_order_is_found_and_the_others_are_not_looked_for() {
    let mut known = Known::of(two_being_sent());
    let record = known.record(&order(1)).expect("readable").expect("known");
    let mut numbers = record.facts.references.iter();
    let (Some((contested, first)), Some((plain, second))) = (numbers.next(), numbers.next()) else {
        panic!("two numbers at least")
    };
    for (kind, number) in [(contested, first), (plain, second)] {
        let mut bearers = Bearers::default();
        [1, 2].iter().for_each(|bearer| bearers.add(&order(*bearer), kind));
        known.names.insert(key::reference(&account(), number), bearers.encode().expect("two bear it"));
    }
    known.names.insert(key::contested(&account(), contested, first), Value::from(Vec::new()));
    let found = records::holders(&known, &account(), Some(&record), &[]).expect("readable");
    let reference = Reference { kind: contested.clone(), number: first.clone() };
    assert_eq!(found, [(reference, Holder { order: order(2), provisional: false })]);
}

#[test]
fn a_decision_that_panics_is_an_error_with_its_words() {
    let panicking = |panic: fn()| -> Transaction {
        transaction(&order(1), at(0), Claims::default(), move |_, _| {
            panic();
            Ok(Vec::new())
        })
    };
    let (known, device) = (Known::default(), device());
    for (panic, words) in [
        ((|| panic!("a text")) as fn(), "a text"),
        (|| panic!("{} of words", "text"), "text of words"),
        (|| std::panic::panic_any(7), "without words"),
    ] {
        let mut group = Group::new(&known, &device, 0, Room::Free);
        let failed = group.decide(&mut panicking(panic));
        let Err(NotDecided::Failed(StorageError::Poisoned { why })) = failed else { panic!("not failed: {words}") };
        assert_eq!(why, format!("a decision panicked: {words}"));
    }
}
