//! A ledger on a server under load, and what must be true of it afterwards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tillbook::storage::conformance::shop;
use tillbook::storage::postgres::Postgres;
use tillbook::storage::{Storage, StorageError, TransactError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::options;

/// How many holds are asked for, and granted: four orders of 80.00, and of 320 holds of 1.00 on each, eighty fit.
pub(super) const ASKED: u64 = 32 * 40;
pub(super) const GRANTED: u64 = 4 * 80;

/// Two processes on one ledger, by which 32 callers ask for holds, each until it is answered.
pub(super) struct Load {
    processes: [Arc<dyn Storage>; 2],
    /// Each gives the keys that it was granted.
    callers: JoinSet<Vec<String>>,
}

impl Load {
    pub(super) async fn begin(url: &str) -> Load {
        let open = async || Arc::new(Postgres::open(url, &options()).await.expect("opens")) as Arc<dyn Storage>;
        let processes = [open().await, open().await];
        for number in 0..4 {
            processes[0].transact(shop::see(shop::facts(number))).await.expect("added");
        }
        let mut callers = JoinSet::new();
        for caller in 0..32 {
            let storage = Arc::clone(&processes[caller % 2]);
            callers.spawn(async move {
                let mut granted = Vec::new();
                for turn in 0..40 {
                    let key = format!("k-{caller}-{turn}");
                    if hold_until_answered(&*storage, turn % 4, &key).await {
                        granted.push(key);
                    }
                }
                granted
            });
        }
        Load { processes, callers }
    }

    /// The newest sequence that the first process has seen.
    pub(super) fn newest(&self) -> watch::Receiver<u64> {
        self.processes[0].newest()
    }

    /// Waits for the callers: as much as fits was granted, all of it is found, and nothing else.
    pub(super) async fn ends(self) {
        let granted = self.callers.join_all().await.concat();
        assert_eq!(granted.len() as u64, GRANTED);
        for key in &granted {
            let key = tillbook::RefundKey::new(key).expect("valid");
            let found = self.processes[1].find_refund(&shop::account(), &key).await.expect("read");
            assert!(found.is_some(), "{key} was acknowledged and is gone");
        }
        for storage in &self.processes {
            at_rest(&**storage, GRANTED).await;
        }
    }
}

/// Asks for a hold of 1.00 until it is answered: whether it was granted.
async fn hold_until_answered(storage: &dyn Storage, order: i64, key: &str) -> bool {
    let since = Instant::now();
    loop {
        match storage.transact(shop::hold(&shop::order(order), key, 100)).await {
            Ok(_) => return true,
            Err(TransactError::Refused(_)) => return false,
            Err(TransactError::Storage(StorageError::Remote { why, .. })) => {
                assert!(since.elapsed() < Duration::from_secs(120), "no answer in two minutes: {why}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// What must hold at rest: so many refunds, and nothing that differs.
pub(super) async fn at_rest(storage: &dyn Storage, refunds: u64) {
    let report = storage.check().await.expect("read");
    assert_eq!(report.differences, []);
    assert_eq!(report.refunds, refunds);
    assert_eq!(Some(storage.state_hash().await.expect("read")), report.state);
}
