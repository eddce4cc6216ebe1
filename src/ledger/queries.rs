//! Questions to the ledger. None of them asks an upstream.

use std::sync::Arc;

use crate::domain::{AccountName, Entry, OrderId, OrderRecord, Refund, RefundState};
use crate::storage::{CheckReport, OrderQuery, Page, ScanPage};

use super::{Error, Ledger};

/// Which refunds to give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefundQuery {
    /// Of this account.
    pub account: Option<AccountName>,
    /// In this state; without one, all states in turn.
    pub state: Option<RefundState>,
}

impl Ledger {
    /// Orders, newest first, page by page.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn orders(&self, query: &OrderQuery, page: &Page) -> Result<ScanPage, Error> {
        Ok(self.inner.storage.scan(query, page).await?)
    }

    /// Refunds with their orders, by state, oldest state first; at most `limit`.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn refunds(&self, query: &RefundQuery, limit: usize) -> Result<Vec<(Arc<OrderRecord>, Refund)>, Error> {
        let states = query.state.map_or(RefundState::ALL.to_vec(), |state| vec![state]);
        let mut found = Vec::new();
        for state in states {
            // Of one account only: others are passed over, so all of the state are read.
            let most = if query.account.is_some() { usize::MAX } else { limit.saturating_sub(found.len()) };
            for due in self.inner.storage.refunds_in(state, None, most).await? {
                if found.len() == limit {
                    return Ok(found);
                }
                if query.account.as_ref().is_some_and(|account| *account != due.account) {
                    continue;
                }
                let record = self.inner.get(&due.order).await?;
                // The record may be newer than the index of states that led here.
                if let Some(refund) = record.refund(&due.key).filter(|refund| refund.state == state).cloned() {
                    found.push((record, refund));
                }
            }
        }
        Ok(found)
    }

    /// What happened, in order, after a sequence number: at most `limit` entries.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn events(&self, after: u64, limit: usize) -> Result<Vec<Arc<Entry>>, Error> {
        Ok(self.inner.storage.events(after, limit).await?)
    }

    /// All that happened to one order.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn events_of(&self, order: &OrderId) -> Result<Vec<Arc<Entry>>, Error> {
        Ok(self.inner.storage.events_of(order).await?)
    }

    /// Re-reads everything from disk, recomputes every balance, state and hash chain from events
    /// alone, and reports each difference.
    ///
    /// # Errors
    /// Storage errors; a difference is no error, it is in the report.
    pub async fn verify(&self) -> Result<CheckReport, Error> {
        Ok(self.inner.storage.check().await?)
    }
}
