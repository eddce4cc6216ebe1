//! The public handle: commands, queries, and the tasks that own attempts.
//!
//! A refund runs in a task of its own: dropping the caller's future changes nothing. What must
//! never be here: retry policy (that is [`sync`](crate::sync)), wire formats, SQL.
//!
//! Start reading at [`Ledger::refund`] in `refund.rs`, then `attempt.rs`.

mod accepted;
mod account;
mod adopt;
mod approve;
mod attempt;
mod body;
mod builder;
mod clock;
mod error;
mod export;
mod import;
mod key;
mod lane;
mod lookup;
#[cfg(feature = "postgres")]
mod migrate;
mod queries;
mod record;
mod refund;
mod resolve;
#[cfg(all(test, shuttle))]
mod schedules;
mod subscribe;

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use tokio::sync::Notify;

pub use account::AccountSettings;
pub use adopt::Adopted;
pub use body::Forgotten;
pub use builder::{LedgerBuilder, Profile};
pub use clock::{Clock, SystemClock};
pub use error::Error;
pub use import::Imported;
pub use lookup::Wanted;
#[cfg(feature = "postgres")]
pub use migrate::Migrated;
pub use queries::{RefundList, RefundQuery, RefundTotal};
pub use record::RecordOrder;
pub use refund::{RefundRequest, Refunded, Sending};
pub use resolve::Ruling;
pub use subscribe::Subscription;

use crate::domain::decide::Context;
use crate::domain::{AccountName, DeviceName, OrderId, Timestamp};
use crate::storage::Storage;

pub(crate) use account::Account;
pub(crate) use attempt::Sent;
pub(crate) use key::make_key;
use lane::Lanes;
pub(crate) use refund::refunded;
use subscribe::Subscribers;

/// An order and refund ledger. Cheap to clone; all clones are one ledger.
///
/// # Durability
/// What a call acknowledges with `Ok` survives process kill, kernel crash and power cut on a disk
/// that honours fdatasync.
///
/// # Runtime
/// Every call must be made inside a tokio runtime; a refund goes on in a task of that runtime
/// although its caller is gone. Without a runtime use [`blocking::Ledger`](crate::blocking::Ledger).
#[derive(Clone)]
pub struct Ledger {
    pub(crate) inner: Arc<Inner>,
}

/// What all clones share.
pub(crate) struct Inner {
    pub(crate) storage: Arc<dyn Storage>,
    device: DeviceName,
    clock: Arc<dyn Clock>,
    accounts: RwLock<BTreeMap<AccountName, Arc<Account>>>,
    lanes: Lanes,
    /// When this copy of the ledger was adopted: facts from before are not enough for a hold.
    adopted_at: RwLock<Option<Timestamp>>,
    subscribers: Subscribers,
    /// Told when a refund is queued, or left without an end: for those who send and ask.
    pub(crate) waits: Notify,
}

impl Inner {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The time that nobody sets.
    pub(crate) fn running(&self) -> std::time::Duration {
        self.clock.running()
    }

    /// A command on that order, now, on this device.
    fn context(&self, account: &AccountName, order: &OrderId) -> Context {
        let (account, order, device) = (account.clone(), order.clone(), self.device.clone());
        let adopted_at = *self.adopted_at.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        Context { account, order, device, now: self.now(), adopted_at }
    }

    /// The connected account of that name.
    pub(crate) fn account(&self, name: &AccountName) -> Result<Arc<Account>, Error> {
        let accounts = self.accounts.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        accounts.get(name).cloned().ok_or_else(|| Error::UnknownAccount(name.clone()))
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("device", &self.inner.device).finish_non_exhaustive()
    }
}

impl Ledger {
    /// Where a ledger is opened.
    #[must_use]
    pub fn builder() -> LedgerBuilder {
        LedgerBuilder::default()
    }

    /// The name of the device that keeps this ledger.
    #[must_use]
    pub fn device(&self) -> &DeviceName {
        &self.inner.device
    }

    /// Takes no more refunds, waits for those under way, hands subscribers what is left, writes what is
    /// pending and lets go of the files.
    ///
    /// # Errors
    /// When the storage cannot be closed properly; what was acknowledged is safe all the same.
    pub async fn close(&self) -> Result<(), Error> {
        self.inner.lanes.close().await;
        self.inner.subscribers.close(&*self.inner.storage).await;
        Ok(self.inner.storage.close().await?)
    }
}
