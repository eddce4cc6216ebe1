//! What is there after closing, dropping, killing and losing the index.

use tillbook::storage::Storage;

use super::fixture::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_is_there_after_a_clean_close() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ledger = open(directory.path());
    add(&ledger, 1).await;
    must(&ledger, hold(&order(1), "r-1", 100)).await;
    ledger.put_cursor("orders", "here".to_owned()).await.expect("kept");
    let events = ledger.events(0, 10).await.expect("readable");
    let hash = ledger.state_hash().await.expect("readable");
    ledger.close().await.expect("closed");
    let ledger = open(directory.path());
    assert_eq!(ledger.state_hash().await.expect("readable"), hash);
    assert_eq!(ledger.events(0, 10).await.expect("readable"), events);
    assert_eq!(ledger.cursor("orders").await.expect("readable").as_deref(), Some("here"));
    assert_eq!(must(&ledger, hold(&order(1), "r-2", 100)).await.entries[0].sequence, 3);
    ledger.close().await.expect("closed");
}
