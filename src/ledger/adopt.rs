//! Quarantine and its end: a copy of a ledger is used only once a person has said so.
//!
//! The danger is two devices that share one order's refunds. Both copies hold the same queue, and each would
//! send it; both know the same refundable amounts, and each would grant them. The storage therefore takes no
//! command while it is in quarantine (see [`Storage::quarantine`](crate::storage::Storage::quarantine)): no
//! hold, no start of an attempt, hence nothing is sent. Adopting it sends to review whatever the original may
//! have sent, and lets no order be refunded on what was known before.
//!
//! Nobody can see from here whether the original is still in use. The one who adopts says that it is not.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};

use crate::domain::decide;
use crate::domain::{
    AccountName, Event, OrderId, OrderRecord, Refund, RefundKey, RefundState, Rejection, Requested, Timestamp,
};
use crate::storage::{Adoption, Claims, Quarantine, Transaction};

use super::lane::LaneGuard;
use super::{Error, Inner, Ledger};

/// Where the storage keeps when and by whom the ledger was adopted.
const CURSOR: &str = "adopted";

/// What is kept of an adoption, as JSON. Read for ever; new fields are optional.
#[derive(Serialize, Deserialize)]
struct Note {
    at: Timestamp,
    by: String,
}

/// What an adoption did.
#[derive(Clone, Debug)]
pub struct Adopted {
    /// Why the ledger was in quarantine; `None`: it was not, and nothing was done.
    pub quarantine: Option<Quarantine>,
    /// When: facts from before are not enough for a refund that is not sent at once.
    pub at: Timestamp,
    /// The refunds that went to review, with their orders.
    pub reviewed: Vec<(Arc<OrderRecord>, Refund)>,
}

impl Ledger {
    /// Why this ledger neither holds nor sends: it was copied, or restored from a backup, and nobody has
    /// adopted it where it lies. `None`: it does.
    ///
    /// What cannot be seen: a snapshot of a whole machine or disk that runs again as the same machine. See
    /// [`Ledger::adopt`].
    #[must_use]
    pub fn quarantined(&self) -> Option<Quarantine> {
        self.inner.storage.quarantine()
    }

    /// Ends a quarantine by a person's word: from now on this is *the* ledger, and no other copy of it is in
    /// use. Two copies that are would both refund the same orders.
    ///
    /// Every refund that is not settled (queued, sending, accepted or in doubt) goes to review, for the
    /// original may have sent it. From then on an order is refunded only after facts that were asked for
    /// since; until then, offline, it is [`Rejection::StaleFacts`].
    ///
    /// A snapshot that no quarantine was seen for can be put in one: close it, delete the file `INSTANCE` in
    /// its directory, and open it again.
    ///
    /// # Durability
    /// The reviews are on disk before the quarantine ends; a crash in between leaves it, and adopting again
    /// is fine.
    ///
    /// # Replay
    /// Without a quarantine nothing is written: refunds asked for since are not touched.
    ///
    /// # Errors
    /// [`Rejection::Malformed`] for a name that is none; storage errors, after which it is still in
    /// quarantine.
    pub async fn adopt(&self, by: &str) -> Result<Adopted, Error> {
        if by.trim().is_empty() {
            return Err(Rejection::Malformed("an adoption needs the name of who says so".to_owned()).into());
        }
        decide::well_formed(Requested::All, None, Some(by))?;
        let (inner, at) = (&self.inner, self.inner.now());
        let Some(quarantine) = self.quarantined() else {
            return Ok(Adopted { quarantine: None, at, reviewed: Vec::new() });
        };
        let mut transactions = Vec::new();
        for (order, account) in inner.unfinished().await? {
            let (context, by) = (inner.context(&account, &order), by.to_owned());
            transactions.push(Transaction {
                order,
                account,
                claims: Claims::default(),
                now: at,
                decide: Box::new(move |found| decide::adopt(&context, found, &by)),
            });
        }
        let note = Note { at, by: by.to_owned() };
        let note = serde_json::to_string(&note).expect("a time and a text written to memory");
        let answers = inner.storage.adopt(Adoption { transactions, cursor: (CURSOR.to_owned(), note) }).await?;
        let mut reviewed = Vec::new();
        for committed in answers {
            let committed = committed?;
            let keys = committed.entries.iter().filter_map(|entry| match &entry.event {
                Event::RefundToReview { key, .. } => Some(key),
                _ => None,
            });
            let refund = |key: &RefundKey| committed.record.refund(key).cloned();
            reviewed.extend(keys.filter_map(refund).map(|refund| (Arc::clone(&committed.record), refund)));
        }
        inner.set_adopted_at(at);
        tracing::warn!(by, why = quarantine.why, reviewed = reviewed.len(), "the ledger was adopted");
        Ok(Adopted { quarantine: Some(quarantine), at, reviewed })
    }
}

impl Inner {
    /// The orders with a refund that is not settled.
    async fn unfinished(&self) -> Result<BTreeMap<OrderId, AccountName>, Error> {
        let mut orders = BTreeMap::new();
        for state in RefundState::ALL.into_iter().filter(|state| state.holds() && *state != RefundState::Review) {
            let refunds = self.storage.refunds_in(state, None, usize::MAX).await?;
            orders.extend(refunds.into_iter().map(|due| (due.order, due.account)));
        }
        Ok(orders)
    }

    /// Reads when the ledger was adopted, if it ever was. A note that cannot be read counts as one of now:
    /// what is known here is not enough for a hold then.
    pub(super) async fn read_adoption(&self) -> Result<(), Error> {
        let Some(note) = self.storage.cursor(CURSOR).await? else { return Ok(()) };
        let at = serde_json::from_str::<Note>(&note).map_or_else(
            |error| {
                tracing::warn!(%error, "when the ledger was adopted cannot be read");
                self.now()
            },
            |note| note.at,
        );
        self.set_adopted_at(at);
        Ok(())
    }

    fn set_adopted_at(&self, at: Timestamp) {
        *self.adopted_at.write().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// Waits for the order's turn: whoever sends a refund, asks what became of one or shuts the door on one has
    /// it. In quarantine nobody gets in, so that nothing is sent for which the storage would be asked too late.
    pub(super) async fn enter(&self, order: &OrderId) -> Result<LaneGuard, Error> {
        match self.storage.quarantine() {
            Some(quarantine) => Err(Error::Quarantined(quarantine)),
            None => Ok(self.lanes.enter(order).await?),
        }
    }
}
