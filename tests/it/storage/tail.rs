//! Following a journal from outside: entry by entry, while its owner writes, stops and begins again.

use std::sync::Arc;

use tillbook::domain::Entry;
use tillbook::storage::embedded::Tail;
use tillbook::storage::{Storage, StorageError};

use super::fixture::*;

fn all(tail: &mut Tail) -> Vec<Arc<Entry>> {
    std::iter::from_fn(|| tail.read().expect("readable")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_sees_what_the_owner_has_and_then_what_comes_through_segments_and_crashes() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    add(&ledger, 0).await;
    let mut tail = Tail::open(directory.path(), 0).expect("readable");
    let mut seen = all(&mut tail);
    assert_eq!(seen, ledger.events(0, 10).await.expect("readable"));
    assert_eq!(tail.read().expect("readable"), None);
    let mut ledger = ledger;
    for round in 0..4 {
        for number in 0..100 {
            add(&ledger, 1 + round * 100 + number).await;
            if number % 7 == 0 {
                seen.extend(all(&mut tail));
            }
        }
        // Begun again after a kill, the journal goes on in another segment; after a close in the same one.
        if round % 2 == 0 {
            ledger.abandon().await.expect("abandoned");
        } else {
            ledger.close().await.expect("closed");
        }
        ledger = open(directory.path());
    }
    seen.extend(all(&mut tail));
    assert!(directory.path().join("journal/00000004.tbj").exists(), "the test saw one segment only");
    assert_eq!(seen, ledger.events(0, usize::MAX).await.expect("readable"));
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_begins_after_any_sequence_wherever_that_lies() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    for number in 0..300 {
        add(&ledger, number).await;
        if number % 50 == 0 {
            // Several events in one frame.
            must(&ledger, refund_now(number, &format!("r-{number}"), 100)).await;
        }
    }
    let events = ledger.events(0, usize::MAX).await.expect("readable");
    assert!(directory.path().join("journal/00000003.tbj").exists(), "one segment is no test");
    for after in (0..events.len()).step_by(3).chain([events.len()]) {
        let mut tail = Tail::open(directory.path(), after as u64).expect("readable");
        assert_eq!(tail.read().expect("readable"), events.get(after).cloned(), "after {after}");
    }
    let mut far = Tail::open(directory.path(), events.len() as u64 + 1).expect("readable");
    add(&ledger, 1000).await;
    add(&ledger, 1001).await;
    let seen: Vec<u64> = all(&mut far).iter().map(|entry| entry.sequence).collect();
    assert_eq!(seen, [events.len() as u64 + 2]);
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tail_that_reads_as_fast_as_it_can_never_meets_half_a_frame() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    add(&ledger, 0).await;
    let path = directory.path().to_owned();
    let tail = tokio::task::spawn_blocking(move || {
        let mut tail = Tail::open(path, 0).expect("readable");
        let (mut next, mut looks) = (1, 0_u64);
        while next <= 400 {
            looks += 1;
            if let Some(entry) = tail.read().expect("readable at any moment") {
                assert_eq!(entry.sequence, next);
                next += 1;
            } else {
                std::thread::yield_now();
            }
        }
        looks
    });
    for number in 1..400 {
        must(&ledger, see(big(number, 700))).await;
    }
    assert!(tail.await.expect("no panic") > 400, "it never had to wait");
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_said_with_file_and_position_and_no_ledger_is_no_ledger() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    assert!(matches!(Tail::open(directory.path(), 0), Err(StorageError::NoLedger { .. })));
    let ledger = open(directory.path());
    for number in 0..200 {
        add(&ledger, number).await;
    }
    ledger.close().await.expect("closed");
    let first = directory.path().join("journal/00000001.tbj");
    let mut bytes = std::fs::read(&first).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&first, bytes).expect("written");
    let mut tail = Tail::open(directory.path(), 0).expect("the damage is further on");
    let damage = loop {
        match tail.read() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("read over the damage"),
            Err(error) => break error,
        }
    };
    assert!(matches!(&damage, StorageError::Damaged { path, .. } if *path == first), "{damage}");
}
