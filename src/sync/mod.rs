//! Synchronisation: facts in, queued refunds out, unsettled refunds asked about; one round, or until told to stop. And
//! the comparison of a day with the upstream.
//!
//! What must never be here: generated types, and writes that bypass the ledger. Start reading at
//! [`Ledger::sync`], then `run.rs`; [`Ledger::reconcile`] has a folder of its own.

mod pull;
mod push;
mod reconcile;
mod report;
mod resolve;
mod rhythm;
mod run;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use reconcile::{Difference, DifferenceKind, Kept, Reconciliation, Side, Subject, Tally, Totals};
pub use report::{AccountReport, Progress, SyncReport};
pub use run::RunOptions;

use crate::domain::AccountName;
use crate::gateway::{ReadError, ReadErrorKind};
use crate::ledger::{Account, Error, Ledger};

/// What a sync is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncOptions {
    /// Only these accounts; all that are connected, if none is named.
    pub accounts: Option<Vec<AccountName>>,
}

/// Whether an account can be asked at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Yes,
    /// Not in this round: no network, or its credentials are refused.
    No,
}

impl Reach {
    /// What a failed read says about the reads to come. What is wrong with one order's question or
    /// answer says nothing about the others'.
    fn after(error: &ReadError) -> Reach {
        if error.is_passing() || error.kind == ReadErrorKind::Credentials { Reach::No } else { Reach::Yes }
    }
}

/// Who is told how far a sync is.
pub type Watcher = dyn Fn(&Progress) + Send + Sync;

impl Ledger {
    /// Does one full round: refunds that wait are sent, those that are not settled are asked about, orders
    /// are listed.
    ///
    /// An account that cannot be reached, or refuses its credentials, is left alone for the rest of
    /// the round and named in the report; the others go on. One refund that cannot be sent delays no
    /// other order's. Dropping this future sends nothing more; what is being sent is recorded all the
    /// same.
    ///
    /// # Durability
    /// Each page and each outcome is on disk before the next is asked for; a sync that is
    /// interrupted anywhere is simply done again.
    ///
    /// # Errors
    /// [`Error::UnknownAccount`] before anything is done; storage errors. What upstreams did wrong is
    /// in the report.
    pub async fn sync(&self, options: &SyncOptions, watcher: &Watcher) -> Result<SyncReport, Error> {
        let names = options.accounts.clone().unwrap_or_else(|| self.accounts());
        let accounts: Vec<Arc<Account>> =
            names.iter().map(|name| self.inner.account(name)).collect::<Result<_, Error>>()?;
        self.inner.take_over().await?;
        let mut report = SyncReport::default();
        for account in accounts {
            let mut round = AccountReport::default();
            // Refunds first: customers wait for them, and nobody waits for a list.
            let halt = push::push(self, &account, None, &mut round, watcher).await?;
            let mut unreachable = halt.is_some_and(|halt| halt.reach == Reach::No);
            if !unreachable {
                unreachable = resolve::resolve(self, &account, None, &mut round, watcher).await?.is_some();
            }
            if !unreachable {
                pull::pull(self, &account, &mut round, watcher).await?;
            }
            tracing::info!(
                account = %account.name,
                new = round.orders_new,
                changed = round.orders_changed,
                unchanged = round.orders_unchanged,
                sent = round.sent,
                waiting = round.waiting,
                problems = round.problems.len(),
                "synced"
            );
            report.accounts.insert(account.name.clone(), round);
        }
        Ok(report)
    }
}
