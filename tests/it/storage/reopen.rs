//! What is there after closing, dropping, dying and losing the index.

use std::path::Path;
use std::sync::Arc;

use tillbook::storage::Storage;
use tillbook::storage::embedded::{Embedded, Profile};

use super::fixture::*;

/// Some of everything that is kept.
async fn fill(ledger: &Embedded, from: i64) {
    for number in from..from + 40 {
        add(ledger, number).await;
        must(ledger, hold(&order(number), &format!("r-{number}"), 100)).await;
        ledger.put_cursor("orders", "c".repeat(usize::try_from(number).expect("small") * 100)).await.expect("kept");
    }
    for number in from..from + 5 {
        must(ledger, begin(number, &format!("r-{number}"))).await;
    }
    must(ledger, see(big(from, 30_000))).await;
}

fn remove_index(directory: &Path) {
    let mut removed = 0;
    for entry in std::fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("index-")) {
            std::fs::remove_dir_all(path).expect("removed");
            removed += 1;
        }
    }
    assert!(removed > 0, "there was no index");
}

/// Opens a ledger whose index, closed cleanly and so trusted, was changed behind its back.
fn open_after(directory: &Path, change: impl FnOnce(&sled::Db)) -> Embedded {
    let entries = std::fs::read_dir(directory).expect("readable").map(|entry| entry.expect("readable").path());
    let index = index_of(&entries.filter(|path| path.join("db").exists()).max().expect("an index"));
    change(&index);
    index.flush().expect("flushed");
    drop(index);
    open(directory)
}

async fn hash_of(ledger: &Embedded) -> [u8; 32] {
    ledger.index_hash().await.expect("readable")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_is_there_after_a_clean_close() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    fill(&ledger, 0).await;
    let (hash, events) = (hash_of(&ledger).await, ledger.events(0, 1000).await.expect("readable"));
    ledger.close().await.expect("closed");
    let ledger = open(directory.path());
    assert_eq!(hash_of(&ledger).await, hash);
    assert_eq!(ledger.events(0, 1000).await.expect("readable"), events);
    assert_eq!(ledger.cursor("orders").await.expect("readable"), Some("c".repeat(3900)));
    let next = must(&ledger, hold(&order(20), "next", 1)).await;
    assert_eq!(next.entries[0].sequence, events.len() as u64 + 1);
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_is_there_after_being_dropped_without_closing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    fill(&ledger, 0).await;
    let hash = hash_of(&ledger).await;
    drop(ledger);
    let ledger = open(directory.path());
    assert_eq!(hash_of(&ledger).await, hash);
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_index_had_not_yet_taken_in_when_the_process_died_is_replayed() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut options = options();
    options.profile = Profile::Server; // all that waits for its index fits in memory
    let mut hash = [0; 32];
    for round in 0..4 {
        let ledger = Embedded::open(directory.path(), &options).expect("opens");
        if round > 0 {
            assert_eq!(hash_of(&ledger).await, hash, "round {round}");
        }
        // In turn: the index saw nothing, all, or a part of what was written.
        ledger.stall_index(round != 1);
        fill(&ledger, round * 100).await;
        if round == 2 {
            ledger.stall_index(false);
        }
        hash = hash_of(&ledger).await;
        ledger.abandon().await.expect("abandoned");
    }
    let ledger = open(directory.path());
    assert_eq!(hash_of(&ledger).await, hash);
    assert_eq!(ledger.check().await.expect("checked").differences, []);
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_index_is_rebuilt_equal_without_losing_an_event() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    fill(&ledger, 0).await;
    ledger.wait_for_index();
    let (hash, events) = (hash_of(&ledger).await, ledger.events(0, 1000).await.expect("readable"));
    ledger.close().await.expect("closed");
    remove_index(directory.path());
    let ledger = open(directory.path());
    assert_eq!(hash_of(&ledger).await, hash);
    assert_eq!(ledger.events(0, 1000).await.expect("readable"), events);
    assert_eq!(ledger.check().await.expect("checked").differences, []);
    // The rebuilt one is kept by the next open.
    ledger.close().await.expect("closed");
    let rebuilt = directory.path().join("index-1/db");
    let before = std::fs::metadata(&rebuilt).and_then(|file| file.created()).ok();
    let ledger = open(directory.path());
    assert_eq!(std::fs::metadata(&rebuilt).and_then(|file| file.created()).ok(), before);
    assert_eq!(hash_of(&ledger).await, hash);
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_garbled_anywhere_is_rebuilt_without_losing_an_event() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    fill(&ledger, 0).await;
    let (hash, mut events) = (hash_of(&ledger).await, ledger.events(0, 1000).await.expect("readable").len());
    ledger.close().await.expect("closed");
    for garble in 0..8_usize {
        let index = std::fs::read_dir(directory.path()).expect("readable").map(|entry| entry.expect("readable").path());
        let index = index.filter(|path| path.join("db").exists()).max().expect("an index");
        let file = if garble == 0 { index.join("conf") } else { index.join("db") };
        let mut bytes = std::fs::read(&file).expect("readable");
        match garble {
            7 => bytes.clear(),
            _ => {
                let length = bytes.len();
                let part = length / 8;
                bytes[(garble * part).min(length - 1)..].iter_mut().take(part.max(16)).for_each(|byte| *byte ^= 0xa5);
            }
        }
        std::fs::write(&file, bytes).expect("written");
        let ledger = open(directory.path());
        let report = ledger.check().await.expect("checked");
        assert_eq!((report.events, report.differences), (events as u64, vec![]), "garbled {garble}");
        if garble == 0 {
            assert_eq!(hash_of(&ledger).await, hash);
        }
        must(&ledger, hold(&order(39), &format!("g-{garble}"), 1)).await;
        events += 1;
        ledger.close().await.expect("closed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_breaks_while_in_use_is_rebuilt_under_the_callers_hands() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    fill(&ledger, 0).await;
    ledger.close().await.expect("closed");
    let ledger = open_after(directory.path(), |index| {
        for key in index.scan_prefix(b"o").keys() {
            index.insert(key.expect("readable"), "garbage that is longer than ten bytes").expect("inserted");
        }
    });
    let held = must(&ledger, hold(&order(7), "again", 100)).await;
    assert_eq!(held.record.held(), fen(200));
    assert_eq!(ledger.check().await.expect("checked").differences, []);
    let hash = hash_of(&ledger).await;
    ledger.close().await.expect("closed");
    assert!(directory.path().join("index-2").exists());
    let ledger = open(directory.path());
    assert_eq!(hash_of(&ledger).await, hash);
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_index_can_be_made_on_disk_it_is_kept_in_memory_and_everything_works() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    fill(&ledger, 0).await;
    let hash = hash_of(&ledger).await;
    ledger.close().await.expect("closed");
    remove_index(directory.path());
    // The last generation there can be, and a file where its directory would be.
    std::fs::write(directory.path().join(format!("index-{}", u32::MAX)), "in the way").expect("written");
    for round in 0..2 {
        let ledger = open(directory.path());
        if round == 0 {
            assert_eq!(hash_of(&ledger).await, hash);
        }
        add(&ledger, 1000 + round).await;
        must(&ledger, hold(&order(1000 + round), &format!("m-{round}"), 100)).await;
        ledger.wait_for_index();
        assert_eq!(ledger.find_refund(&account(), &key("m-0")).await.expect("readable"), Some(order(1000)));
        assert_eq!(ledger.check().await.expect("checked").differences, []);
        ledger.close().await.expect("closed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_points_elsewhere_gives_the_right_records_and_events_all_the_same() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    fill(&ledger, 0).await;
    let (all, some) = (ledger.events(0, 1000).await, ledger.events_of(&order(3)).await);
    let (all, some) = (all.expect("readable"), some.expect("readable"));
    let record = ledger.get(&order(3)).await.expect("readable");
    ledger.close().await.expect("closed");
    for kind in [b"o", b"q"] {
        let ledger = open_after(directory.path(), |index| {
            let entries: Vec<_> = index.scan_prefix(kind).map(|entry| entry.expect("readable")).collect();
            for ((key, _), (_, value)) in entries.iter().zip(entries.iter().rev()) {
                index.insert(key, value).expect("inserted");
            }
        });
        assert_eq!(ledger.get(&order(3)).await.expect("readable"), record);
        assert_eq!(ledger.events_of(&order(3)).await.expect("readable"), some);
        assert_eq!(ledger.events(0, 1000).await.expect("readable"), all);
        assert_eq!(ledger.check().await.expect("checked").differences, []);
        ledger.close().await.expect("closed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_index_whose_file_is_cut_while_in_use_is_rebuilt_while_readers_and_writers_wait() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    for number in 0..600 {
        add(&ledger, number).await;
    }
    ledger.close().await.expect("closed");
    // Opened with nothing in sled's cache, so that what is read must come from the file.
    let ledger = Arc::new(open(directory.path()));
    let file = std::fs::OpenOptions::new().write(true).open(directory.path().join("index-1/db")).expect("there");
    file.set_len(1000).expect("cut");
    let tasks: Vec<_> = (0..600)
        .map(|number| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move {
                if number % 3 == 0 {
                    must(&*ledger, hold(&order(number), &format!("r-{number}"), 100)).await;
                } else {
                    let record = ledger.get(&order(number)).await.expect("readable").expect("there");
                    assert_eq!(record.paid(), fen(8000));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("answered");
    }
    assert!(directory.path().join("index-2/db").exists(), "nothing was rebuilt: the fault never fired");
    let report = ledger.check().await.expect("checked");
    assert_eq!((report.events, report.differences), (800, vec![]));
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_ledger_in_use_does_not_trust_the_copied_index() {
    let (directory, elsewhere) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("another"));
    let ledger = open(directory.path());
    fill(&ledger, 0).await;
    let hash = hash_of(&ledger).await;
    for (from, to) in [("journal", "journal"), ("index-1", "index-1")] {
        let (from, to) = (directory.path().join(from), elsewhere.path().join(to));
        std::fs::create_dir(&to).expect("made");
        for entry in std::fs::read_dir(from).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_file() {
                std::fs::copy(&path, to.join(path.file_name().expect("named"))).expect("copied");
            }
        }
    }
    let copy = open(elsewhere.path());
    assert_eq!(hash_of(&copy).await, hash);
    assert!(elsewhere.path().join("index-2").exists());
    copy.close().await.expect("closed");
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_goes_on_over_many_segments_and_none_is_removed() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut events = 0;
    for round in 0..5 {
        let ledger = open(directory.path());
        for number in 0..120 {
            add(&ledger, round * 1000 + number).await;
            events += 1;
        }
        if round == 4 {
            let all = ledger.events(0, usize::MAX).await.expect("readable");
            let sequences: Vec<u64> = all.iter().map(|entry| entry.sequence).collect();
            assert_eq!(sequences, (1..=events).collect::<Vec<u64>>());
            assert_eq!(ledger.check().await.expect("checked").differences, []);
            // Larger than any segment.
            must(&ledger, see(big(round * 1000, 200_000))).await;
            must(&ledger, hold(&order(round * 1000), "after", 1)).await;
            assert_eq!(ledger.check().await.expect("checked").differences, []);
        }
        ledger.close().await.expect("closed");
    }
    let names: Vec<_> = std::fs::read_dir(directory.path().join("journal")).expect("readable").collect();
    assert!(names.len() >= 7, "{} segments", names.len());
    for number in 1..=names.len() {
        assert!(directory.path().join(format!("journal/{number:08}.tbj")).exists());
    }
}
