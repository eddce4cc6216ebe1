//! Answers kept beside the index: found, replaced, erased, and lost with the index without any harm.

use tillbook::Body;
use tillbook::storage::Storage;
use tillbook::storage::embedded::Embedded;
use tillbook::storage::memory::Memory;

use super::fixture::*;

/// A body of so many bytes that differ from their neighbours.
pub(super) fn body(name: &str, bytes: usize) -> Body {
    let text: Vec<u8> = name.bytes().chain(*b" ").cycle().take(bytes).collect();
    Body::new(text)
}

async fn kept(storage: &dyn Storage, number: i64) -> Option<Body> {
    storage.body(&order(number)).await.expect("readable")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_body_of_each_order_is_kept_until_it_is_forgotten() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let storages: [Box<dyn Storage>; 2] = [Box::new(open(directory.path())), Box::new(Memory::new(device()))];
    for storage in &storages {
        add(&**storage, 1).await;
        assert_eq!(kept(&**storage, 1).await, None);
        for bytes in [0, 1, 6 * 1024, 6 * 1024 + 1, Body::LIMIT_BYTES, 20] {
            storage.keep_body(&order(1), body("one", bytes));
            storage.keep_body(&order(2), body("two", bytes));
            assert_eq!(kept(&**storage, 1).await, Some(body("one", bytes)), "{bytes}");
        }
        assert_eq!(storage.forget_body(&order(1)).await.expect("erased"), Some(20));
        assert_eq!(storage.forget_body(&order(1)).await.expect("erased"), None);
        assert_eq!((kept(&**storage, 1).await, kept(&**storage, 2).await), (None, Some(body("two", 20))));
        assert_eq!(storage.check().await.expect("checked").differences, []);
        storage.close().await.expect("closed");
        storage.keep_body(&order(1), body("late", 10));
        assert!(storage.body(&order(2)).await.is_err() && storage.forget_body(&order(2)).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_outlast_a_close_and_what_was_forgotten_stays_so_after_a_kill() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    for number in 0..3 {
        add(&ledger, number).await;
        ledger.keep_body(&order(number), body(&format!("b-{number}"), 9_000));
    }
    ledger.close().await.expect("closed");
    let ledger = open(directory.path());
    assert_eq!(kept(&ledger, 0).await, Some(body("b-0", 9_000)));
    ledger.forget_body(&order(1)).await.expect("erased");
    ledger.abandon().await.expect("abandoned");
    let ledger = open(directory.path());
    let found = [kept(&ledger, 0).await, kept(&ledger, 1).await, kept(&ledger, 2).await];
    assert_eq!(found, [Some(body("b-0", 9_000)), None, Some(body("b-2", 9_000))]);
    // An onlooker has no index, so that it says that it cannot tell, and not that there is none.
    let onlooker = Embedded::open_read_only(directory.path()).expect("beside its owner");
    assert!(onlooker.body(&order(0)).await.is_err());
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuilt_index_has_lost_the_bodies_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    let record = add(&ledger, 1).await.record;
    let hash = ledger.index_hash().await.expect("readable");
    ledger.keep_body(&order(1), body("lost", 100));
    assert_eq!(kept(&ledger, 1).await, Some(body("lost", 100)));
    assert_eq!(ledger.index_hash().await.expect("readable"), hash, "a body is no part of the state");
    ledger.close().await.expect("closed");
    std::fs::remove_dir_all(directory.path().join("index-1")).expect("removed");
    let ledger = open(directory.path());
    assert_eq!(kept(&ledger, 1).await, None);
    assert_eq!(ledger.get(&order(1)).await.expect("readable").expect("there"), record);
    assert_eq!(ledger.check().await.expect("checked").differences, []);
    ledger.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_bodies_at_once_are_not_waited_for() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    add(&ledger, 1).await;
    // Far more than may wait: what is in excess is dropped, and no command hears of it.
    for number in 0..500 {
        ledger.keep_body(&order(number), body("many", Body::LIMIT_BYTES));
    }
    must(&ledger, hold(&order(1), "refund", 100)).await;
    ledger.close().await.expect("closed");
    let ledger = open(directory.path());
    assert_eq!(kept(&ledger, 0).await, Some(body("many", Body::LIMIT_BYTES)));
    assert_eq!(ledger.check().await.expect("checked").differences, []);
    ledger.close().await.expect("closed");
}
