//! Commits by the ids that their writers gave them: for how long a lost answer may still be looked up, and when the row
//! that tells it is removed.
//!
//! Both are counted on the server's clock, and the second is three times the first: a process that slept in between
//! (a closed lid, a stopped machine) must not take a row that was removed for a commit that never was.

use std::sync::Arc;
use std::time::Duration;

use super::super::StorageError;
use super::reads::Reads;

/// How long after a commit was sent its writer may still look whether it arrived.
const ASKED_FOR: Duration = Duration::from_secs(5 * 60);

/// What is older than three times that, some of it: several processes prune side by side.
const PRUNE: &str = "DELETE FROM commits WHERE id IN (
    SELECT id FROM commits WHERE at < now() - interval '15 minutes' ORDER BY at LIMIT 10000 FOR UPDATE SKIP LOCKED)
    RETURNING 1";

/// How often it is looked whether some are old enough by now, which nothing else tells.
const EVERY: Duration = Duration::from_secs(60);

/// Whether a commit that was begun then is still told from one that never arrived; both times are the server's.
pub(super) fn may_be_looked_up(begun: jiff::Timestamp, now: jiff::Timestamp) -> bool {
    now.duration_since(begun).unsigned_abs() <= ASKED_FOR
}

/// Removes what nobody can ask for any more, for as long as the ledger is open.
pub(super) async fn prune(reads: Arc<Reads>) {
    loop {
        match reads.prune().await {
            Ok(0) => tokio::time::sleep(EVERY).await,
            Ok(removed) => tracing::debug!(removed, "old commits pruned"),
            Err(error) => {
                // Nothing rests on it but room on the server's disk.
                tracing::info!(%error, "old commits could not be pruned");
                tokio::time::sleep(EVERY).await;
            }
        }
    }
}

impl Reads {
    async fn prune(&self) -> Result<usize, StorageError> {
        Ok(self.query(PRUNE, &[]).await?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_looked_up_for_five_minutes_by_the_servers_clock_whichever_way_that_is_set() {
        let at = |second| jiff::Timestamp::from_second(second).expect("in range");
        let told = [0, 300, 301, -300, -301].map(|second| may_be_looked_up(at(0), at(second)));
        assert_eq!(told, [true, true, false, true, false]);
    }
}
