//! Answers as upstreams gave them, for accounts that ask for it: kept after the order's own write, read, erased.

use crate::domain::{AccountName, Body, Facts, OrderId, Rejection};

use super::account::Account;
use super::{Error, Inner, Ledger, Wanted};

/// What was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The order.
    pub order: OrderId,
    /// How many bytes its body had; `None` where none was kept.
    pub bytes: Option<usize>,
}

impl Ledger {
    /// The upstream's last answer about an order as it came, where the account keeps them
    /// ([`AccountSettings::keep_bodies`](super::AccountSettings)). It carries the payer's data.
    ///
    /// A cache: `None` also where the index was rebuilt since (after a power cut, or when it was damaged), and for what
    /// was larger than [`Body::LIMIT_BYTES`].
    ///
    /// # Errors
    /// [`Rejection::UnknownOrder`], [`Rejection::AmbiguousReference`]; storage errors, among them
    /// [`StorageError::ReadOnly`](crate::storage::StorageError::ReadOnly): only the ledger's owner has bodies.
    pub async fn body(&self, account: &AccountName, wanted: &Wanted) -> Result<Option<Body>, Error> {
        let order = self.inner.known(account, wanted).await?;
        Ok(self.inner.storage.body(&order).await?)
    }

    /// Erases the answer that is kept about an order. The order and its history stay: they hold no payer's data.
    ///
    /// # Durability
    /// When it returns `Ok`, the body is in no answer any more, whatever happens to the machine. Its bytes may be in
    /// pages of the index that are no longer in use until the ledger is compacted
    /// ([`LedgerBuilder::compact`](super::LedgerBuilder::compact)), and in copies of the ledger's directory.
    ///
    /// # Replay
    /// A second time there is nothing to erase. The next answer about the order is kept again, unless the account
    /// keeps none any more.
    ///
    /// # Errors
    /// As [`Ledger::body`].
    pub async fn forget(&self, account: &AccountName, wanted: &Wanted) -> Result<Forgotten, Error> {
        let order = self.inner.known(account, wanted).await?;
        let bytes = self.inner.storage.forget_body(&order).await?;
        Ok(Forgotten { order, bytes })
    }
}

impl Inner {
    async fn known(&self, account: &AccountName, wanted: &Wanted) -> Result<OrderId, Error> {
        let unknown = || Rejection::UnknownOrder { account: account.clone(), wanted: wanted.to_string() };
        Ok(self.find(account, wanted).await?.ok_or_else(unknown)?)
    }

    /// Keeps the body of facts that were taken in, where the account wants it. Nothing waits for it and nothing fails
    /// with it.
    pub(super) fn keep_body(&self, account: &Account, order: &OrderId, body: Option<Body>) {
        let Some(body) = body.filter(|_| account.keeps_bodies) else { return };
        if body.size_bytes() > Body::LIMIT_BYTES {
            let (bytes, limit) = (body.size_bytes(), Body::LIMIT_BYTES);
            tracing::warn!(%order, bytes, limit, "an answer's body is too large and is not kept");
            return;
        }
        self.storage.keep_body(order, body);
    }
}

impl Account {
    /// The facts, without a body that would not be kept: for those who gather many.
    pub(crate) fn lighten(&self, facts: Facts) -> Facts {
        if self.keeps_bodies { facts } else { Facts { body: None, ..facts } }
    }
}
