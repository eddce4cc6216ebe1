//! Questions to the ledger. None of them asks an upstream.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::{AccountName, Entry, Money, OrderId, OrderRecord, Refund, RefundState, Timestamp};
use crate::storage::{CheckReport, Noted, OrderQuery, Page, ScanPage, StorageError};

use super::{Error, Ledger};

/// Which refunds to give. Nothing set: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefundQuery {
    /// Of this account.
    pub account: Option<AccountName>,
    /// In this state; without one, all states in turn, those that hold money first.
    pub state: Option<RefundState>,
    /// Asked for at or after: by [`Refund::requested_at`], whatever became of it since.
    pub from: Option<Timestamp>,
    /// Asked for before.
    pub to: Option<Timestamp>,
    /// Asked for by exactly this person ([`Refund::by`]).
    pub by: Option<String>,
}

impl RefundQuery {
    /// Whether a refund is asked for.
    #[must_use]
    pub fn wants(&self, record: &OrderRecord, refund: &Refund) -> bool {
        self.account.as_ref().is_none_or(|account| *account == record.account)
            && self.state.is_none_or(|state| state == refund.state)
            && self.from.is_none_or(|from| refund.requested_at >= from)
            && self.to.is_none_or(|to| refund.requested_at < to)
            && self.by.as_ref().is_none_or(|by| refund.by.as_ref() == Some(by))
    }
}

/// One page of refunds, each with its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefundList {
    /// Those that hold money first; of one state, the one that has been in it longest first.
    pub refunds: Vec<(Arc<OrderRecord>, Refund)>,
    /// Where the next page begins; `None`: there is none. A refund whose state changes between two pages may be on
    /// both, or on none.
    pub next: Option<String>,
}

/// How many refunds there are in a state, and what they add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefundTotal {
    /// How many.
    pub count: u64,
    /// Their amounts together, at most [`Money::MAX`].
    pub amount: Money,
}

/// How many refunds are read from the storage at once: what a page or a sum costs in memory, however many there are.
const CHUNK: usize = 256;

/// A page without a limit, as with orders.
const PAGE: usize = 100;

impl Ledger {
    /// Orders, newest first, page by page.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn orders(&self, query: &OrderQuery, page: &Page) -> Result<ScanPage, Error> {
        Ok(self.inner.storage.scan(query, page).await?)
    }

    /// Refunds with their orders, page by page.
    ///
    /// # Errors
    /// Storage errors; [`StorageError::UnknownPage`] for a page that does not belong to such a query.
    pub async fn refunds(&self, query: &RefundQuery, page: &Page) -> Result<RefundList, Error> {
        let limit = if page.limit == 0 { PAGE } else { page.limit };
        let (mut states, mut after) = (states(query), None);
        if let Some(token) = &page.after {
            let (state, place) = token.split_once('/').unwrap_or((token, ""));
            let first = states.iter().position(|known| known.as_str() == state);
            let unknown = || StorageError::UnknownPage { after: token.chars().take(60).collect() };
            states.drain(..first.ok_or_else(unknown)?);
            after = Some(place.to_owned());
        }
        let mut list = RefundList::default();
        let mut last = None;
        for state in states {
            loop {
                let chunk = self.inner.storage.refunds_after(Some(state), after.as_deref(), CHUNK).await?;
                after = chunk.last().map(|(place, _)| place.clone());
                let ended = chunk.len() < CHUNK;
                for (place, due) in chunk {
                    let record = self.inner.get(&due.order).await?;
                    // The record may be newer than the index of states that led here.
                    let found = record.refund(&due.key).filter(|refund| refund.state == state);
                    let Some(refund) = found.filter(|refund| query.wants(&record, refund)).cloned() else { continue };
                    if list.refunds.len() == limit {
                        list.next = last; // there is one more
                        return Ok(list);
                    }
                    last = Some(format!("{state}/{place}"));
                    list.refunds.push((record, refund));
                }
                if ended {
                    after = None;
                    break;
                }
            }
        }
        Ok(list)
    }

    /// What all refunds of a query add up to, state by state: the sums of a shift's hand-over (交接班). A state without
    /// refunds is left out.
    ///
    /// Each refund is counted once, in the state that it has when it is read; in one state only, where the query names
    /// one.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn refund_totals(&self, query: &RefundQuery) -> Result<BTreeMap<RefundState, RefundTotal>, Error> {
        let mut totals: BTreeMap<RefundState, RefundTotal> = BTreeMap::new();
        let mut after: Option<String> = None;
        loop {
            let chunk = self.inner.storage.refunds_after(query.state, after.as_deref(), CHUNK).await?;
            for (_, due) in &chunk {
                let record = self.inner.get(&due.order).await?;
                if let Some(refund) = record.refund(&due.key).filter(|refund| query.wants(&record, refund)) {
                    let total = totals.entry(refund.state).or_default();
                    total.count += 1;
                    total.amount = total.amount.saturating_add(refund.amount);
                }
            }
            if chunk.len() < CHUNK {
                return Ok(totals);
            }
            after = chunk.into_iter().last().map(|(place, _)| place);
        }
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

    /// The same, and whether the history still is the one that was noted elsewhere: who changes a whole ledger can make
    /// all its own hashes right, but not those.
    ///
    /// # Errors
    /// As [`Ledger::verify`].
    pub async fn verify_against(&self, noted: Noted) -> Result<CheckReport, Error> {
        Ok(self.inner.storage.check_against(noted).await?)
    }
}

/// The states that a query asks for, in the order in which they are given: what waits before what is over.
fn states(query: &RefundQuery) -> Vec<RefundState> {
    let mut states = query.state.map_or(RefundState::ALL.to_vec(), |state| vec![state]);
    states.sort_by_key(|state| state.is_final());
    states
}
