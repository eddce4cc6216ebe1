//! What a sync did, and how far it is.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{AccountName, RefundKey, RefundState};

/// What a sync did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Questions asked about refunds that are not settled.
    pub asked: u64,
    /// Of all that were sent or asked about: how many are in which state now.
    pub states: BTreeMap<RefundState, u64>,
    /// Refunds that still wait.
    pub waiting: u64,
    /// What went wrong, in words; the rest went on. The first thousand.
    pub problems: Vec<String>,
    /// How many more there were.
    pub more_problems: u64,
}

/// How many problems are kept in words: a person reads no more, and a list of a million bad rows must
/// not fill a till's memory.
const PROBLEMS: usize = 1_000;

impl AccountReport {
    pub(super) fn count(&mut self, state: RefundState) {
        *self.states.entry(state).or_default() += 1;
    }

    pub(super) fn problem(&mut self, what: String) {
        if self.problems.len() < PROBLEMS {
            self.problems.push(what);
        } else {
            self.more_problems += 1;
        }
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
    /// An account cannot be asked, or takes no refunds: it is left alone for a while.
    Paused {
        /// The account.
        account: AccountName,
        /// Why.
        why: String,
        /// For how long.
        wait: Duration,
    },
    /// An account that was paused answers again.
    Resumed {
        /// The account.
        account: AccountName,
    },
    /// Something went wrong with one refund or one row; the rest goes on.
    Problem {
        /// The account.
        account: AccountName,
        /// What, in words.
        what: String,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_problems_the_first_are_kept_in_words_and_the_rest_are_counted() {
        let mut report = AccountReport::default();
        (0..PROBLEMS + 7).for_each(|row| report.problem(format!("row {row}")));
        assert_eq!((report.problems.len(), report.more_problems), (PROBLEMS, 7));
        assert_eq!(report.problems.first().map(String::as_str), Some("row 0"));
    }
}
