//! Others at the same ledger: who owns it, and who looks on.

use std::time::Duration;

use tillbook::storage::embedded::Embedded;
use tillbook::storage::{OrderQuery, Page, Storage, StorageError, TransactError};

use super::fixture::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_owner_is_refused_with_the_name_of_the_first() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    let mut options = options();
    options.lock_wait = Duration::ZERO;
    let Err(StorageError::Locked { path, holder }) = Embedded::open(directory.path(), &options) else {
        panic!("two owners");
    };
    assert_eq!(path, directory.path());
    assert!(holder.starts_with(&format!("process {} since 2", std::process::id())), "{holder}");
    ledger.close().await.expect("closed");
    Embedded::open(directory.path(), &options).expect("given back").close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_owner_who_waits_gets_the_ledger_when_the_first_lets_go() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    add(&ledger, 1).await;
    let path = directory.path().to_owned();
    let (begun, waits) = std::sync::mpsc::channel();
    let second = tokio::task::spawn_blocking(move || {
        begun.send(()).expect("the test waits");
        open(&path)
    });
    waits.recv().expect("begun");
    ledger.close().await.expect("closed");
    let second = second.await.expect("opened");
    assert!(second.get(&order(1)).await.expect("readable").is_some());
    second.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_onlooker_reads_everything_beside_the_owner_and_writes_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    for number in 0..200 {
        add(&ledger, number).await;
    }
    must(&ledger, hold(&order(7), "r-7", 100)).await;
    ledger.put_cursor("orders", "here".to_owned()).await.expect("kept");
    let onlooker = Embedded::open_read_only(directory.path()).expect("readable");
    assert_eq!(onlooker.get(&order(7)).await.expect("readable"), ledger.get(&order(7)).await.expect("readable"));
    assert_eq!(onlooker.events(3, 400).await.expect("readable"), ledger.events(3, 400).await.expect("readable"));
    assert_eq!(onlooker.cursor("orders").await.expect("readable").as_deref(), Some("here"));
    let (query, page) = (OrderQuery::default(), Page { limit: 50, after: None });
    let (theirs, ours) = (onlooker.scan(&query, &page).await, ledger.scan(&query, &page).await);
    assert_eq!(theirs.expect("readable").orders, ours.expect("readable").orders);
    let refused = onlooker.transact(hold(&order(7), "r-8", 100)).await;
    assert!(matches!(refused, Err(TransactError::Storage(StorageError::ReadOnly))));
    assert!(matches!(onlooker.put_cursor("orders", String::new()).await, Err(StorageError::ReadOnly)));
    // As it was when it was opened.
    add(&ledger, 1000).await;
    assert_eq!(onlooker.get(&order(1000)).await.expect("readable"), None);
    let again = Embedded::open_read_only(directory.path()).expect("readable");
    assert!(again.get(&order(1000)).await.expect("readable").is_some());
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn onlookers_come_and_go_while_segments_are_begun() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    add(&ledger, 0).await;
    let path = directory.path().to_owned();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let onlookers = tokio::task::spawn_blocking(move || {
        let mut seen = 0;
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            Embedded::open_read_only(&path).expect("readable at any moment");
            seen += 1;
        }
        seen
    });
    for number in 1..600 {
        add(&ledger, number).await;
    }
    drop(stop);
    assert!(onlookers.await.expect("no panic") > 0);
    assert!(directory.path().join("journal/00000005.tbj").exists());
    ledger.close().await.expect("closed");
}

#[test]
fn there_is_nothing_to_look_at_where_no_ledger_is() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let nowhere = directory.path().join("nowhere");
    for path in [directory.path(), &nowhere] {
        let refused = Embedded::open_read_only(path).err().map(|error| error.to_string());
        assert_eq!(refused, Some(format!("{} holds no ledger", path.display())));
    }
    assert!(!nowhere.exists());
    assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 0);
}
