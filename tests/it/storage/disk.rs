//! Disks that fail and fill up.

use std::path::Path;
use std::sync::Arc;

use tillbook::domain::{Outcome, RefundState};
use tillbook::storage::embedded::{Embedded, EmbeddedOptions};
use tillbook::storage::{Committed, Storage, StorageError, TransactError};

use super::faulty::FaultyDisk;
use super::fixture::*;

fn on_a_faulty_disk(directory: &Path) -> (Arc<FaultyDisk>, EmbeddedOptions) {
    let disk = FaultyDisk::new(&directory.join("journal"));
    let options = options().with_disk(disk.clone());
    (disk, options)
}

fn storage_error(answer: Result<Committed, TransactError>) -> StorageError {
    match answer {
        Err(TransactError::Storage(error)) => error,
        Err(TransactError::Refused(refusal)) => panic!("refused: {refusal}"),
        Ok(committed) => panic!("written: {:?}", committed.entries),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_failed_sync_nobody_is_told_ok_until_the_ledger_is_opened_again() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (disk, options) = on_a_faulty_disk(directory.path());
    let ledger = Arc::new(Embedded::open(directory.path(), &options).expect("opens"));
    add(&*ledger, 1).await;
    disk.fail_next_sync();
    let callers: Vec<_> = (0..16)
        .map(|caller| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move { ledger.transact(hold(&order(1), &format!("r-{caller}"), 100)).await })
        })
        .collect();
    for caller in callers {
        let error = storage_error(caller.await.expect("no panic"));
        assert!(matches!(error, StorageError::Poisoned { .. }), "{error}");
        assert!(error.is_final());
        assert!(error.to_string().contains("failed by the test"), "{error}");
    }
    assert_eq!(disk.fired(), 1);
    // Readers see what is durable, and nothing of the write whose fate is unknown.
    let record = ledger.get(&order(1)).await.expect("readable").expect("there");
    assert_eq!((record.version, record.refunds.len()), (1, 0));
    assert_eq!(ledger.events(0, 10).await.expect("readable").len(), 1);
    assert!(ledger.put_cursor("orders", "x".to_owned()).await.is_err());
    ledger.close().await.expect("closed");

    let ledger = Embedded::open(directory.path(), &options).expect("opens again");
    let before = ledger.events(0, 100).await.expect("readable").len();
    must(&ledger, hold(&order(1), "r-after", 100)).await;
    assert_eq!(ledger.events(0, 100).await.expect("readable").len(), before + 1);
    assert!(directory.path().join("journal/00000002.tbj").exists(), "the journal goes on in a new segment");
    let report = ledger.check().await.expect("checked");
    assert_eq!(report.differences, []);
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_torn_anywhere_is_not_there_after_reopening() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (disk, options) = on_a_faulty_disk(directory.path());
    let ledger = Embedded::open(directory.path(), &options).expect("opens");
    add(&ledger, 1).await;
    ledger.close().await.expect("closed");
    for (round, after) in [0, 1, 63, 64, 65, 200].into_iter().enumerate() {
        let ledger = Embedded::open(directory.path(), &options).expect("opens");
        disk.tear_next_write(after);
        let answer = ledger.transact(hold(&order(1), "torn", 100)).await;
        assert!(matches!(storage_error(answer), StorageError::Poisoned { .. }));
        ledger.close().await.expect("closed");
        let ledger = Embedded::open(directory.path(), &options).expect("opens again");
        assert_eq!(ledger.find_refund(&account(), &key("torn")).await.expect("readable"), None);
        must(&ledger, hold(&order(1), &format!("r-{round}"), 100)).await;
        let report = ledger.check().await.expect("checked");
        assert_eq!((report.events, report.differences), (2 + round as u64, vec![]));
        ledger.close().await.expect("closed");
    }
    assert_eq!(disk.fired(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_holds_and_still_takes_the_outcomes_of_all_that_is_under_way() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (disk, options) = on_a_faulty_disk(directory.path());
    let ledger = Embedded::open(directory.path(), &options).expect("opens");
    // Room for two segments of 64 KiB and what is set aside for five outcomes.
    disk.set_room(Some(128 << 10));
    for number in 0..5 {
        add(&ledger, number).await;
        must(&ledger, hold(&order(number), &format!("sent-{number}"), 100)).await;
        must(&ledger, begin(number, &format!("sent-{number}"))).await;
    }
    let mut written = 0;
    let error = loop {
        match ledger.transact(hold(&order(0), &format!("r-{written}"), 1)).await {
            Ok(_) => written += 1,
            other => break storage_error(other),
        }
        assert!(written < 1000, "the disk was never full");
    };
    assert!(matches!(error, StorageError::DiskFull { .. }), "{error}");
    assert!(!error.is_final());
    assert!(written > 20, "only {written} holds were written");
    assert_eq!(ledger.find_refund(&account(), &key(&format!("r-{written}"))).await.expect("readable"), None);
    let error = ledger.put_cursor("orders", "x".repeat(100)).await.expect_err("no room");
    assert!(matches!(error, StorageError::DiskFull { .. }), "{error}");
    // In one group with something that does not fit the outcome is written, and that is refused.
    let (seen, told) = tokio::join!(
        ledger.transact(see(big(50, 40_000))),
        ledger.transact(settle(&order(0), "sent-0", Outcome::Succeeded))
    );
    assert!(matches!(storage_error(seen), StorageError::DiskFull { .. }));
    assert_eq!(told.expect("written").record.refunded(), fen(100));
    must(&ledger, settle(&order(1), "sent-1", Outcome::Declined)).await;
    ledger.close().await.expect("closed");

    // Still full after reopening, and the outcomes of the others still fit.
    let ledger = Embedded::open(directory.path(), &options).expect("opens again");
    assert_eq!(ledger.refunds_in(RefundState::Sending, None, 10).await.expect("readable").len(), 3);
    must(&ledger, lost(&order(2), "sent-2")).await;
    must(&ledger, settle(&order(3), "sent-3", Outcome::Succeeded)).await;
    must(&ledger, settle(&order(4), "sent-4", Outcome::InDoubt)).await;
    assert_eq!(ledger.refunds_in(RefundState::Sending, None, 10).await.expect("readable"), []);
    let error = storage_error(ledger.transact(see(big(99, 100_000))).await);
    assert!(matches!(error, StorageError::DiskFull { .. }));
    disk.set_room(None);
    must(&ledger, hold(&order(0), "late", 1)).await;
    assert!(disk.fired() > 0);
    assert_eq!(ledger.check().await.expect("checked").differences, []);
    ledger.close().await.expect("closed");
}
