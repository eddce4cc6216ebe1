//! A server that is lost for good, and its synchronous replica that takes its place.

use std::sync::Arc;

use tillbook::storage::Storage;
use tillbook::storage::conformance::shop;
use tillbook::storage::postgres::Postgres;

use super::faults::{at_rest, hold_until_answered};
use super::options;
use super::server::server;
use crate::support::outside::skipped;
use crate::support::say;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_that_was_acknowledged_is_lost_when_a_synchronous_replica_takes_over() {
    let name = "nothing_that_was_acknowledged_is_lost_when_a_synchronous_replica_takes_over";
    if std::env::var_os("TILLBOOK_LONG").is_none() {
        return skipped(name, "two servers and half a minute", "TILLBOOK_LONG=1 cargo test");
    }
    let (mut granted, rounds) = (0, 3);
    for _ in 0..rounds {
        let Some(mut primary) = server(name) else { return };
        primary.database("ledger").await;
        let replica = primary.replica().await;
        let url = primary.url_of_either(&replica, "ledger");
        let mut processes: Vec<Arc<dyn Storage>> = Vec::new();
        for _ in 0..2 {
            processes.push(Arc::new(Postgres::open(&url, &options()).await.expect("opens")));
        }
        for number in 0..4 {
            processes[0].transact(shop::see(shop::facts(number))).await.expect("added");
        }
        let mut callers = Vec::new();
        for caller in 0..32_i64 {
            let storage = Arc::clone(&processes[usize::try_from(caller % 2).expect("small")]);
            callers.push(tokio::spawn(async move {
                let mut granted = Vec::new();
                for turn in 0..40 {
                    let key = format!("k-{caller}-{turn}");
                    if hold_until_answered(&*storage, turn % 4, &key).await {
                        granted.push(key);
                    }
                }
                granted
            }));
        }
        processes[0].newest().wait_for(|newest| *newest >= 100).await.expect("open");
        primary.kill();
        replica.promote();
        let mut keys = Vec::new();
        for caller in callers {
            keys.extend(caller.await.expect("no caller panics"));
        }
        // 80.00 yuan each: of 320 refunds of 1.00 on an order, eighty fit.
        assert_eq!(keys.len(), 4 * 80);
        for key in &keys {
            let key = tillbook::RefundKey::new(key).expect("valid");
            let found = processes[1].find_refund(&shop::account(), &key).await.expect("read");
            assert!(found.is_some(), "{key} was acknowledged and is gone");
        }
        for storage in &processes {
            at_rest(&**storage, 320).await;
        }
        granted += keys.len();
    }
    say(&format!(
        "{rounds} failovers to a synchronous replica under load: {granted} refunds granted and found again, 0 over, 0 doubles"
    ));
}
