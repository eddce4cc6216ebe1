//! What a sync did, and how far it is.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::{AccountName, RefundKey, RefundState};

/// What a sync did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SyncReport {
    /// By account.
    pub accounts: BTreeMap<AccountName, AccountReport>,
}

impl SyncReport {
    /// Whether every account was reached and every row was read.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.accounts.values().all(|account| account.problems.is_empty())
    }
}

/// What a sync did for one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AccountReport {
    /// Pages listed.
    pub pages: u64,
    /// Orders that were not known before.
    pub orders_new: u64,
    /// Orders that changed.
    pub orders_changed: u64,
    /// Orders that were known just so.
    pub orders_unchanged: u64,
    /// Refunds that were sent.
    pub sent: u64,
    /// Of all that were sent or asked about: how many are in which state now.
    pub states: BTreeMap<RefundState, u64>,
    /// Refunds that still wait.
    pub waiting: u64,
    /// What went wrong, in words; the rest went on.
    pub problems: Vec<String>,
}

impl AccountReport {
    pub(super) fn count(&mut self, state: RefundState) {
        *self.states.entry(state).or_default() += 1;
    }
}

/// How far a sync is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A refund was dealt with.
    Refund {
        /// Its account.
        account: AccountName,
        /// Its key.
        key: RefundKey,
        /// Its state now.
        state: RefundState,
    },
    /// A page of orders is on disk.
    Page {
        /// The account.
        account: AccountName,
        /// Orders listed so far in this round.
        orders: u64,
        /// Orders there are in all, if the upstream says.
        total: Option<u64>,
    },
}
