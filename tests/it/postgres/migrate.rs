//! A ledger moved from a directory to a server, and what becomes of the directory.

use std::path::Path;
use std::time::Duration;

use tillbook::domain::Outcome;
use tillbook::storage::conformance::shop;
use tillbook::storage::embedded::{Embedded, EmbeddedOptions};
use tillbook::storage::postgres::Postgres;
use tillbook::storage::{Storage, StorageError, TransactError};
use tillbook::{Error, Ledger, LedgerBuilder};

use super::options;
use super::server::server;

/// A closed ledger of 6,000 orders, one of them refunded and one with a refund that was being sent.
async fn of_a_shop(directory: &Path) {
    let ledger = Embedded::open(directory, &EmbeddedOptions::new(shop::device())).expect("opens");
    for page in 0..60 {
        let orders = (100 * page..100 * page + 100).map(|number| shop::see(shop::facts(number))).collect();
        ledger.transact_many(orders).await.expect("a page");
    }
    ledger.transact(shop::refund_now(1, "done", 100)).await.expect("begun");
    ledger.transact(shop::settle(&shop::order(1), "done", Outcome::Succeeded)).await.expect("settled");
    ledger.transact(shop::refund_now(2, "lost", 100)).await.expect("begun");
    ledger.put_cursor("orders", "page 60".to_owned()).await.expect("kept");
    ledger.close().await.expect("closed");
}

fn builder() -> LedgerBuilder {
    Ledger::builder().device(shop::device()).lock_wait(Duration::from_secs(10))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_ledger_that_is_moved_is_the_same_there_and_takes_nothing_here() {
    let name = "a_ledger_that_is_moved_is_the_same_there_and_takes_nothing_here";
    let Some(server) = server(name) else { return };
    let url = server.database("ledger").await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    of_a_shop(directory.path()).await;

    // Interrupted as soon as something is there.
    let there = Postgres::open(&url, &options()).await.expect("opens");
    let something = async { while there.events(0, 1).await.expect("read").is_empty() {} };
    tokio::select! {
        _ = builder().migrate(directory.path(), &url, "the server") => panic!("it was faster than its interruption"),
        () = something => {}
    }
    let were_there = there.events(0, 10_000).await.expect("read").len() as u64;
    assert!((1..6_007).contains(&were_there), "{were_there}");

    let moved = builder().migrate(directory.path(), &url, "the server").await.expect("moved");
    // The refund that was being sent is in doubt: one event more.
    assert_eq!((moved.events, moved.were_there >= were_there), (6_007 + 1, true));
    let report = there.check().await.expect("read");
    assert_eq!((report.differences, report.orders, report.refunds), (vec![], 6_000, 2));
    assert_eq!(report.state, Some(moved.state));
    assert_eq!(there.cursor("orders").await.expect("read").as_deref(), Some("page 60"));
    there.transact(shop::hold(&shop::order(3), "goes-on", 100)).await.expect("it goes on there");

    // Here it can be read, and takes nothing any more, whatever is opened again.
    for _ in 0..2 {
        let mut options = EmbeddedOptions::new(shop::device());
        // The storage before may be giving its lock back still.
        options.lock_wait = Duration::from_secs(10);
        let here = Embedded::open(directory.path(), &options).expect("opens");
        assert_eq!(here.state_hash().await.expect("read"), moved.state);
        let refused = here.transact(shop::hold(&shop::order(3), "here", 100)).await.expect_err("sealed");
        let TransactError::Storage(StorageError::Sealed { to }) = &refused else { panic!("{refused}") };
        assert_eq!(to, "the server");
        assert!(matches!(here.put_cursor("orders", "1".to_owned()).await, Err(StorageError::Sealed { .. })));
        here.close().await.expect("closed");
    }
    let elsewhere = server.database("elsewhere").await;
    let refused = builder().migrate(directory.path(), &elsewhere, "elsewhere").await.expect_err("it went on already");
    assert!(matches!(refused, Error::Storage(StorageError::Sealed { .. })), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_holds_another_ledger_is_refused_and_nothing_is_sealed() {
    let name = "a_server_that_holds_another_ledger_is_refused_and_nothing_is_sealed";
    let Some(server) = server(name) else { return };
    let url = server.database("ledger").await;
    let there = Postgres::open(&url, &options()).await.expect("opens");
    there.transact(shop::see(shop::facts(7))).await.expect("added");
    let directory = tempfile::tempdir().expect("a temporary directory");
    of_a_shop(directory.path()).await;
    let refused = builder().migrate(directory.path(), &url, "the server").await.expect_err("another ledger's");
    assert!(matches!(refused, Error::Storage(StorageError::NotEmpty { .. })), "{refused}");
    let here = Embedded::open(directory.path(), &EmbeddedOptions::new(shop::device())).expect("opens");
    here.transact(shop::hold(&shop::order(3), "here", 100)).await.expect("it goes on here");
    here.close().await.expect("closed");
}
