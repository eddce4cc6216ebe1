//! Where a command that changes something is done: by this process as the ledger's owner, or by the running till.

use std::sync::Arc;

use tillbook::serve::Client;
use tillbook::sync::Watcher;
use tillbook::{
    AccountName, Body, Forgotten, Ledger, OrderRecord, RecordOrder, RefundKey, RefundRequest, Refunded, Ruling,
    SyncOptions, SyncReport, Wanted,
};

use super::exit::Failure;

/// The ledger, or the till that owns it. Every command does one thing at it, and hears the same from both.
#[derive(Debug)]
pub(crate) enum Desk {
    /// This process owns the ledger.
    Own(Ledger),
    /// Another does, and answers.
    Beside(Client),
}

impl Desk {
    /// A new refund key of the ledger's device.
    pub(crate) fn make_key(&self) -> RefundKey {
        match self {
            Desk::Own(ledger) => ledger.make_key(),
            Desk::Beside(client) => client.make_key(),
        }
    }

    pub(crate) async fn refund(self, request: RefundRequest) -> Result<Refunded, Failure> {
        match self {
            Desk::Own(ledger) => Ok(ledger.refund(request).await?),
            Desk::Beside(client) => Ok(client.refund(request).await?),
        }
    }

    pub(crate) async fn cancel(
        self,
        account: &AccountName,
        key: &RefundKey,
        by: Option<String>,
    ) -> Result<Refunded, Failure> {
        match self {
            Desk::Own(ledger) => Ok(ledger.cancel(account, key, by).await?),
            Desk::Beside(client) => Ok(client.cancel(account, key, by).await?),
        }
    }

    pub(crate) async fn approve(self, account: &AccountName, key: &RefundKey, by: String) -> Result<Refunded, Failure> {
        match self {
            Desk::Own(ledger) => Ok(ledger.approve(account, key, by).await?),
            Desk::Beside(client) => Ok(client.approve(account, key, by).await?),
        }
    }

    pub(crate) async fn resolve(self, ruling: Ruling) -> Result<Refunded, Failure> {
        match self {
            Desk::Own(ledger) => Ok(ledger.resolve(ruling).await?),
            Desk::Beside(client) => Ok(client.resolve(ruling).await?),
        }
    }

    pub(crate) async fn record_order(self, order: RecordOrder) -> Result<Arc<OrderRecord>, Failure> {
        match self {
            Desk::Own(ledger) => Ok(ledger.record_order(order).await?),
            Desk::Beside(client) => Ok(client.record_order(order).await?),
        }
    }

    pub(crate) async fn fetch(self, account: &AccountName, order: &Wanted) -> Result<Arc<OrderRecord>, Failure> {
        match self {
            Desk::Own(ledger) => Ok(ledger.fetch(account, order).await?),
            Desk::Beside(client) => Ok(client.fetch(account, order).await?),
        }
    }

    pub(crate) async fn body(self, account: &AccountName, order: &Wanted) -> Result<Option<Body>, Failure> {
        match self {
            Desk::Own(ledger) => Ok(ledger.body(account, order).await?),
            Desk::Beside(client) => Ok(client.body(account, order).await?),
        }
    }

    pub(crate) async fn forget(self, account: &AccountName, order: &Wanted) -> Result<Forgotten, Failure> {
        match self {
            Desk::Own(ledger) => Ok(ledger.forget(account, order).await?),
            Desk::Beside(client) => Ok(client.forget(account, order).await?),
        }
    }

    /// One round; how far it is, is told only by a ledger of one's own.
    pub(crate) async fn sync(self, options: &SyncOptions, watcher: &Watcher) -> Result<SyncReport, Failure> {
        match self {
            Desk::Own(ledger) => Ok(ledger.sync(options, watcher).await?),
            Desk::Beside(client) => Ok(client.sync(options).await?),
        }
    }
}
