//! The README's first command: it runs, its promises hold, and it leaves nothing behind that it does not name.

use serde_json::Value;

use crate::support::program::run_in;

#[tokio::test]
async fn every_promise_of_the_demo_holds() {
    let dir = tempfile::tempdir().expect("a directory");
    let ran = run_in(dir.path(), &["demo", "--json"], b"").await;
    let document = ran.done();
    let promises = document["promises"].as_array().expect("promises").clone();
    let broken: Vec<&Value> = promises.iter().filter(|promise| promise["holds"] != true).collect();
    assert_eq!((promises.len(), broken), (9, Vec::new()));
    let ledger = document["ledger"].as_str().expect("a directory");
    assert!(!std::path::Path::new(ledger).exists(), "a temporary ledger is gone afterwards");
    assert!(ran.stderr.contains("refund_interval = \"0s\""), "the demo says what it sets");
}

#[tokio::test]
async fn a_named_directory_keeps_the_ledger_and_must_be_fresh() {
    let dir = tempfile::tempdir().expect("a directory");
    let ran = run_in(dir.path(), &["demo", "--data", "here"], b"").await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let widest = ran.stdout.lines().map(|line| line.chars().map(columns).sum::<usize>()).max();
    assert!(widest <= Some(100), "a line of {widest:?} columns:\n{}", ran.stdout);
    let listed =
        run_in(dir.path(), &["--json", "--config", "here/tillbook.toml", "orders", "--limit", "1000"], b"").await;
    assert!(listed.done()["orders"].as_array().is_some_and(|orders| orders.len() >= 300));
    let again = run_in(dir.path(), &["demo", "--json", "--data", "here"], b"").await;
    assert_eq!(again.failure(), (2, "malformed".to_owned()));
}

/// Columns of a terminal that a character takes: two for what the demo has of Chinese.
fn columns(c: char) -> usize {
    if matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{ff00}'..='\u{ff60}') { 2 } else { 1 }
}
