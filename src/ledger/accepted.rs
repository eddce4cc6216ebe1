//! What an upstream accepted is asked about once, at once, so that the cashier hears the end of it where there is one,
//! and what it accepted and what it told are one durable write.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::domain::decide::{self, Found, Probed, Settle};
use crate::domain::{OrderRecord, RefundKey};
use crate::future::spawn;
use crate::gateway::Lease;

use super::account::Account;
use super::{Error, Inner};

/// How long an accepted answer stays in memory for the question that follows it: no longer than an upstream nearby takes
/// to answer, and than a cashier would notice. A process that dies meanwhile leaves the refund in doubt, which is then
/// asked about by its own number; where the upstream alone numbers refunds, the answer that tells it is written at once.
const KEPT: Duration = Duration::from_millis(250);

impl Inner {
    /// Records that the upstream accepted a refund, and what it tells of it now: both in one write, where it tells so
    /// soon. Else the answer is written by itself, and what the question brings, if anything, after it.
    ///
    /// # Errors
    /// The answer could not be written. That the question failed is none: accepted is on disk and true, and the next
    /// sync asks again.
    pub(super) async fn settle_accepted(
        self: &Arc<Self>,
        account: &Arc<Account>,
        record: &Arc<OrderRecord>,
        settle: Settle,
        lease: Option<&Lease>,
    ) -> Result<Arc<OrderRecord>, Error> {
        let (order, key) = (&record.id, settle.key.clone());
        let accepted = Arc::new(self.as_accepted(account, record, &settle)?);
        let mut question = pin!(self.question(account, &accepted, &key));
        let kept = match (account.gateway.capabilities().client_refund_number, lease) {
            (false, _) => Duration::ZERO,
            (true, None) => KEPT,
            // What is left of a lease is for the writing too.
            (true, Some(lease)) => KEPT.min(lease.left() / 2),
        };
        let told = match timeout(kept, &mut question).await {
            Ok(Ok(probed)) => match self.weigh(account, order, Some(settle.clone()), probed).await {
                Ok(record) => return Ok(record),
                // Refused, or no room for both: there is room for the answer.
                Err(error) => Some(Err(error)),
            },
            Ok(Err(error)) => Some(Err(error)),
            Err(_) => None,
        };
        let record = self.settle(account, order, settle).await?;
        let told = match told {
            Some(told) => told,
            None => question.await,
        };
        self.take(account, &record, &key, told).await.or_else(|error| {
            tracing::info!(%key, %error, "an accepted refund could not be asked about yet");
            Ok(record)
        })
    }

    /// The record as it will be once the answer is written: what the upstream is asked by.
    fn as_accepted(&self, account: &Account, record: &Arc<OrderRecord>, settle: &Settle) -> Result<OrderRecord, Error> {
        let context = self.context(&account.name, &record.id);
        let found = Found { record: Some(record.clone()), holders: Vec::new(), key_holder: None };
        let events = decide::answer(&context, &found, settle)?;
        Ok(decide::after(&context, &found, events)?)
    }

    /// Asks in a task of its own: a panic in a gateway must not take the answer with it.
    async fn question(
        self: &Arc<Self>,
        account: &Arc<Account>,
        accepted: &Arc<OrderRecord>,
        key: &RefundKey,
    ) -> Result<Probed, Error> {
        let (inner, account, accepted, key) = (self.clone(), account.clone(), accepted.clone(), key.clone());
        let asked = spawn(async move { inner.evidence(&account, &accepted, &key, false, Duration::ZERO).await });
        asked.await.unwrap_or_else(|error| Err(Error::TaskLost(error.to_string())))
    }
}
