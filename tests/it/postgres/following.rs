//! What one process writes, others follow: every event once, in order, and soon.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tillbook::Ledger;
use tillbook::storage::Storage;
use tillbook::storage::conformance::shop;
use tillbook::storage::postgres::Postgres;

use super::options;
use super::server::server;
use crate::support::say;

/// Holds by each process.
const HOLDS: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_process_follows_what_the_others_write_in_order_and_soon() {
    let Some(server) = server("each_process_follows_what_the_others_write_in_order_and_soon") else { return };
    let url = server.database("ledger").await;
    let mut writers: Vec<Arc<Postgres>> = Vec::new();
    for _ in 0..2 {
        writers.push(Arc::new(Postgres::open(&url, &options()).await.expect("opens")));
    }
    let onlooker = Ledger::builder().open_read_only(&url).await.expect("opens");
    let third: Arc<dyn Storage> = Arc::new(Postgres::open(&url, &options()).await.expect("opens"));
    let ledgers = [onlooker, Ledger::builder().storage(third).await.expect("opens")];
    for number in 0..2 {
        writers[0].transact(shop::see(shop::facts(number))).await.expect("added");
    }
    let all = 2 + 2 * HOLDS as u64;
    let listening: Vec<_> = ledgers
        .iter()
        .map(|ledger| {
            let mut following = ledger.subscribe(0);
            tokio::spawn(async move {
                let mut seen = Vec::new();
                for _ in 0..all {
                    let entry = following.next().await.expect("read").expect("open");
                    seen.push((entry.sequence, Instant::now()));
                }
                seen
            })
        })
        .collect();
    let acknowledged: Arc<Mutex<HashMap<u64, Instant>>> = Arc::default();
    let mut writing = Vec::new();
    for (number, writer) in (0..).zip(&writers) {
        let (writer, acknowledged) = (Arc::clone(writer), Arc::clone(&acknowledged));
        writing.push(tokio::spawn(async move {
            for turn in 0..HOLDS {
                let hold = shop::hold(&shop::order(number), &format!("k-{number}-{turn}"), 100);
                let entry = writer.transact(hold).await.expect("granted").entries[0].sequence;
                acknowledged.lock().expect("nothing panics with it in hand").insert(entry, Instant::now());
            }
        }));
    }
    for writer in writing {
        writer.await.expect("no panic");
    }
    let mut latest = Duration::ZERO;
    for listener in listening {
        let seen =
            tokio::time::timeout(Duration::from_secs(60), listener).await.expect("it is told").expect("no panic");
        let sequences: Vec<u64> = seen.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(sequences, (1..=all).collect::<Vec<_>>());
        let acknowledged = acknowledged.lock().expect("nothing panics with it in hand");
        let late =
            seen.iter().filter_map(|(sequence, at)| Some(at.saturating_duration_since(*acknowledged.get(sequence)?)));
        latest = latest.max(late.max().expect("some"));
    }
    say(&format!(
        "{all} events of two processes seen by two others, at the latest {latest:?} after they were acknowledged"
    ));
    // A look every quarter of a second, on a machine that has other things to do.
    assert!(latest < Duration::from_secs(5), "{latest:?}");
}
