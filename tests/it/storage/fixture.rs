//! Embedded ledgers in temporary directories; the orders and commands are those of the conformance suite.

use std::path::Path;
use std::time::{Duration, Instant};

pub(crate) use tillbook::storage::conformance::shop::*;
use tillbook::storage::embedded::{Embedded, EmbeddedOptions};
use tillbook::storage::{Adoption, Committed, Storage, Transaction};

/// Takes in an order that must be new.
pub(crate) async fn add(storage: &dyn Storage, number: i64) -> Committed {
    must(storage, see(facts(number))).await
}

/// A write that has to succeed.
pub(crate) async fn must(storage: &dyn Storage, transaction: Transaction) -> Committed {
    storage.transact(transaction).await.expect("the command is in order")
}

/// Small segments, so that tests see many of them.
pub(crate) fn options() -> EmbeddedOptions {
    let mut options = EmbeddedOptions::new(device());
    options.cache_bytes = Some(4 << 20);
    options.segment_bytes = 64 << 10;
    // The storage before may be giving its lock back still.
    options.lock_wait = Duration::from_secs(10);
    options
}

pub(crate) fn open(directory: &Path) -> Embedded {
    Embedded::open(directory, &options()).expect("the ledger opens")
}

/// A closed ledger of 300 orders, in several segments.
pub(crate) async fn of_many_segments(directory: &Path) {
    let ledger = open(directory);
    for number in 0..300 {
        add(&ledger, number).await;
    }
    ledger.close().await.expect("closed");
    assert!(directory.join("journal/00000004.tbj").exists(), "one segment is no test");
}

/// A copy of a ledger, adopted: it goes on as if it were the original.
pub(crate) async fn open_copy(directory: &Path) -> Embedded {
    let ledger = open(directory);
    assert!(ledger.quarantine().is_some(), "it is no copy");
    let adoption = Adoption { transactions: Vec::new(), cursor: ("adopted".to_owned(), "by a test".to_owned()) };
    ledger.adopt(adoption).await.expect("adopted");
    ledger
}

/// The index of a closed ledger, in sled's own hands: there once sled has given its lock back, and no child that some
/// test is just starting has it inherited.
pub(crate) fn index_of(path: &Path) -> sled::Db {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        match sled::open(path) {
            Err(sled::Error::Io(error)) if error.to_string().contains("WouldBlock") && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened.expect("sled opens it"),
        }
    }
}
