//! Killed at random: the test binary runs itself as a child that writes, and kills it.

#![expect(clippy::print_stdout, reason = "the child tells its parent what was acknowledged")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use tillbook::storage::Storage;

use super::fixture::*;
use crate::support::kill::{ACKNOWLEDGED, Random, run_and_kill};

/// Where the child finds the ledger; without it the child's test does nothing.
const CHILD: &str = "TILLBOOK_KILL_CHILD";

/// The test that the child runs.
const WRITER: &str = "storage::kill::child_that_writes_until_it_is_killed";

/// Not a test of its own: what the child of the test below does until it is killed.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().expect("a runtime");
    runtime.block_on(async {
        let ledger = Arc::new(open(Path::new(&directory)));
        let first = ledger.events(0, usize::MAX).await.expect("readable").len();
        for number in 0..8 {
            must(&*ledger, see(facts(number))).await;
        }
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let ledger = Arc::clone(&ledger);
                tokio::spawn(async move {
                    for round in 0.. {
                        let name = format!("{first}-{task}-{round}");
                        let number = i64::try_from(first).expect("small") * 10_000 + task + 8 * (round / 50);
                        if round % 50 == 0 {
                            must(&*ledger, see(facts(number))).await;
                        }
                        must(&*ledger, hold(&order(number), &name, 1)).await;
                        println!("{ACKNOWLEDGED}{name}");
                        if round % 20 == 0 {
                            ledger.put_cursor("round", name).await.expect("kept");
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("writes until it is killed");
        }
    });
}

#[test]
fn whatever_moment_a_writer_is_killed_at_all_it_acknowledged_is_there() {
    let long = std::env::var_os("TILLBOOK_LONG").is_some();
    let mut random = Random::of_this_run();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let mut acknowledged = 0;
    for _ledger in 0..if long { 60 } else { 6 } {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut keys = BTreeSet::new();
        for _round in 0..5 {
            keys.extend(run_and_kill(WRITER, &[(CHILD, directory.path().as_os_str())], random.moment()));
            runtime.block_on(survived(directory.path(), &keys));
        }
        acknowledged += keys.len();
    }
    assert!(acknowledged > 100, "only {acknowledged} writes were acknowledged: the kills came too early");
}

/// All acknowledged keys are there, and the index kept equals the index rebuilt.
async fn survived(directory: &Path, keys: &BTreeSet<String>) {
    let ledger = open(directory);
    for name in keys {
        let order = ledger.find_refund(&account(), &key(name)).await.expect("readable");
        let order = order.unwrap_or_else(|| panic!("{name} was acknowledged and is gone"));
        let record = ledger.get(&order).await.expect("readable").expect("there");
        assert!(record.refund(&key(name)).is_some(), "{name} is not in its order");
    }
    let report = ledger.check().await.expect("checked");
    assert_eq!(report.differences, []);
    assert!(report.refunds >= keys.len() as u64);
    let kept = ledger.index_hash().await.expect("readable");
    ledger.abandon().await.expect("abandoned");
    for entry in std::fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("index-")) {
            std::fs::remove_dir_all(path).expect("removed");
        }
    }
    let ledger = open(directory);
    assert_eq!(ledger.index_hash().await.expect("readable"), kept, "an index rebuilt is not the index kept");
    ledger.close().await.expect("closed");
}
