//! Large refunds wait for a person.

use std::sync::Arc;

use crate::domain::decide::{self, Found};
use crate::domain::{AccountName, RefundKey, RefundState};

use super::{Error, Inner, Ledger, Refunded, Sent, refund};

impl Ledger {
    /// Lets a refund go out that waits because it is above the account's `hold_above`, and sends it at once
    /// if it can be.
    ///
    /// # Durability
    /// The approval is on disk before anything is sent.
    ///
    /// # Replay
    /// An approved refund answers as it stands.
    ///
    /// # Errors
    /// [`UnknownRefund`](crate::Rejection::UnknownRefund), [`NothingToApprove`](crate::Rejection::NothingToApprove).
    pub async fn approve(&self, account: &AccountName, key: &RefundKey, by: String) -> Result<Refunded, Error> {
        let (inner, account, key) = (self.inner.clone(), account.clone(), key.clone());
        tokio::spawn(async move { inner.approve(account, key, by).await }).await?
    }
}

impl Inner {
    async fn approve(self: Arc<Self>, account: AccountName, key: RefundKey, by: String) -> Result<Refunded, Error> {
        let account = self.account(&account)?;
        let order = self.order_of(&account.name, &key).await?;
        let (context, wanted) = (self.context(&account.name, &order), key.clone());
        let decide = Box::new(move |found: &Found| decide::approve(&context, found, &wanted, &by));
        let committed = self.decide_on(&account.name, &order, decide).await?;
        if committed.entries.is_empty() {
            return refund::refunded(committed.record, &key, true, None);
        }
        let waiting = match self.clone().push(account, order.clone(), key.clone()).await {
            Ok(Sent::Yes(record, answer)) => {
                return refund::refunded(record, &key, false, Some(super::attempt::waiting(&answer)));
            }
            Ok(Sent::No(_, why)) => why,
            Ok(Sent::Paused(error)) => Some(error.to_string()),
            // The approval is on disk; the next sync sends the refund.
            Err(error @ Error::Rejected(_)) => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        let record = self.get(&order).await?;
        let queued = record.refund(&key).is_some_and(|refund| refund.state == RefundState::Queued);
        let waiting = waiting.or_else(|| queued.then(refund::why_it_waits));
        refund::refunded(record, &key, false, waiting)
    }
}
