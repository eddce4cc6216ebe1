//! The overlay and the records at hand alone, in schedules so short that each place of a turn is tried many times.

use std::collections::BTreeMap;
use std::sync::Arc;

use shuttle::future::{block_on, spawn};
use shuttle::thread;

use super::fixture::{add, hold, must, order};
use super::stage::{Shelf, open};
use super::{ended, under};
use crate::storage::key::{Change, Key};
use crate::storage::lock::{RwLock, reading, writing};
use crate::storage::value::Value;
use crate::storage::view::{Base, Chunk, Kv, Over, View};
use crate::storage::{Storage, StorageError};

/// An index that takes its changes in one by one.
#[derive(Default)]
struct Shown(RwLock<BTreeMap<Key, Option<Value>>>);

impl Kv for Shown {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StorageError> {
        Ok(reading(&self.0).get(key).cloned().flatten())
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Chunk, StorageError> {
        Ok(Over::of(&reading(&self.0), Clone::clone, from, to, limit).merge(Chunk::default()))
    }
}

impl Base for Shown {
    fn apply(&self, changes: &[Change], _: u64) -> Result<(), StorageError> {
        for (key, value) in changes {
            writing(&self.0).insert(key.clone(), value.clone());
        }
        Ok(())
    }
}

/// Frame by frame a key moves on, as a refund moves from state to state, and another counts.
fn changes(frame: u8) -> Vec<Change> {
    let at = |frame: u8| Key::from([b's', frame]);
    vec![(Key::from(*b"c"), Some(Value::from([frame]))), (at(frame - 1), None), (at(frame), Some(Value::from([])))]
}

const FRAMES: u8 = 3;

fn a_key_moves() {
    let view = Arc::new(View::new(Some(Arc::new(Shown::default()))));
    view.publish(1, changes(1));
    view.drain(&changes(1), 1).expect("in memory");
    let writer = {
        let view = Arc::clone(&view);
        thread::spawn(move || {
            for frame in 2..=FRAMES {
                view.publish(frame.into(), changes(frame));
                view.drain(&changes(frame), frame.into()).expect("in memory");
            }
        })
    };
    let mut newest = 1;
    for _ in 0..3 {
        let places = view.range(b"s", b"t", 10).expect("in memory").entries;
        assert_eq!(places.len(), 1, "the key is in one place at a time");
        assert!(places[0].0[1] >= newest, "the key went back");
        newest = places[0].0[1];
        let count = view.get(b"c").expect("in memory").expect("it is in the overlay or in the index");
        let count = count.bytes()[0];
        assert!(count >= newest, "the count went back");
        newest = count;
    }
    writer.join().expect("ends");
}

#[test]
fn a_key_that_moves_behind_a_reader_is_in_one_place_and_never_goes_back() {
    under(a_key_moves);
}

/// An order is written while somebody reads it again and again, other orders in between, so that it is not at hand.
fn an_order_is_read_while_written() {
    block_on(async {
        let (ledger, writing) = open(&Shelf::default(), 1 << 20);
        let ledger = Arc::new(ledger);
        for number in 1..=3 {
            add(&*ledger, number).await;
        }
        let read = async |ledger: &dyn Storage, number| {
            ledger.get(&order(number)).await.expect("reads").expect("known").version
        };
        let reader = {
            let ledger = Arc::clone(&ledger);
            spawn(async move {
                let mut newest = 1;
                for _ in 0..3 {
                    let version = read(&*ledger, 1).await;
                    assert!(version >= newest, "the record went back");
                    newest = version;
                    read(&*ledger, 2).await;
                    read(&*ledger, 3).await;
                }
            })
        };
        for written in 0..2 {
            let version = must(&*ledger, hold(&order(1), &format!("r-{written}"), 100)).await.record.version;
            assert_eq!(read(&*ledger, 1).await, version, "the record is older than what was acknowledged");
        }
        reader.await.expect("reads to its end");
        assert_eq!(read(&*ledger, 1).await, 3, "an older record is kept at hand");
        ended(ledger, writing).await;
    });
}

#[test]
fn a_record_at_hand_is_never_older_than_what_was_acknowledged() {
    under(an_order_is_read_while_written);
}
