//! The rules: what a command does to an order, as a pure function of the newest record.
//!
//! Every function here takes what the storage [`Found`] in the same atomic step and answers with
//! the events to write (none: nothing changes) or a [`Refusal`]. They may be called again with a
//! newer record, so they have no side effects and read no clock.
//!
//! Start reading at [`refund`], the command that the ledger exists for.

mod adopt;
mod approve;
mod attempt;
mod facts;
mod judge;
mod probe;
mod record_offline;
mod refund;
mod unknown;

use std::sync::Arc;

pub use adopt::adopt;
pub use approve::approve;
pub use attempt::{Attempt, Settle, answer, attempt, cancel, is_due, lost};
pub use facts::{Seen, facts};
pub use judge::{Judge, judge};
pub use probe::{Probed, answer_then_probed, probed};
pub(crate) use probe::{is_of_a_copy, is_overdue};
pub use record_offline::{RecordOffline, record_offline};
pub use refund::{RefundCommand, Repeat, refund, well_formed};
pub use unknown::unknown_upstream;

use super::totals::{self, Age};
use super::{
    AccountName, BrokenHistory, ChainHash, DeviceName, Entry, Event, OrderId, OrderRecord, Reference, Refund,
    RefundKey, Rejection, Rules, Timestamp,
};

/// An order that bears a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The order.
    pub order: OrderId,
    /// Whether only a device has spoken of it so far.
    pub provisional: bool,
}

/// What the storage found, in the very step in which the events will be written.
#[derive(Clone, Debug)]
pub struct Found {
    /// The order's newest record.
    pub record: Option<Arc<OrderRecord>>,
    /// The *other* orders that bear one of the claimed references or one of the record's own.
    pub holders: Vec<(Reference, Holder)>,
    /// The order that has the claimed refund key in this account, this one included.
    pub key_holder: Option<OrderId>,
}

/// When and where a command is decided.
#[derive(Clone, Debug)]
pub struct Context {
    /// The account whose command it is.
    pub account: AccountName,
    /// The order it is about.
    pub order: OrderId,
    /// On which device.
    pub device: DeviceName,
    /// The wall clock.
    pub now: Timestamp,
    /// When the ledger was adopted, if it is a copy: what is known from before is not enough for a hold.
    pub adopted_at: Option<Timestamp>,
}

/// Why nothing is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The rules refuse it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The command is about that other order: decide it there.
    #[error("this is order {0}")]
    Elsewhere(OrderId),
    /// The refund is no longer in the state the command was made for: somebody else was faster.
    #[error("refund {key} is {state} by now")]
    Overtaken {
        /// The refund.
        key: RefundKey,
        /// Its state.
        state: super::RefundState,
    },
    /// The events would not follow from history: a defect, nothing is written.
    #[error(transparent)]
    Broken(#[from] BrokenHistory),
}

/// The record as it will be after `events`.
///
/// # Errors
/// [`Refusal::Broken`] where they do not follow from the record.
pub fn after(context: &Context, found: &Found, events: Vec<Event>) -> Result<OrderRecord, Refusal> {
    let mut draft = Draft::new(context, found)?;
    for event in events {
        draft.push(event)?;
    }
    draft.record().cloned()
}

/// The events of a decision so far, and the record as it will be after them.
struct Draft<'a> {
    context: &'a Context,
    record: Option<OrderRecord>,
    events: Vec<Event>,
}

impl<'a> Draft<'a> {
    fn new(context: &'a Context, found: &Found) -> Result<Draft<'a>, Refusal> {
        let record = found.record.as_deref().cloned();
        if let Some(record) = &record
            && record.account != context.account
        {
            let (order, account) = (record.id.clone(), record.account.clone());
            return Err(Rejection::OtherAccount { order, account }.into());
        }
        Ok(Draft { context, record, events: Vec::new() })
    }

    /// Adds an event and folds it into the record at once, so that the next rule sees it.
    fn push(&mut self, event: Event) -> Result<(), Refusal> {
        let version = self.record.as_ref().map_or(0, |record| record.version) + 1;
        let entry = Entry {
            sequence: 0, // given by the storage when it is written
            order: self.context.order.clone(),
            account: self.context.account.clone(),
            version,
            at: self.context.now,
            device: self.context.device.clone(),
            event,
        };
        self.record = Some(OrderRecord::apply(self.record.take(), &entry, ChainHash::START)?);
        self.events.push(entry.event);
        Ok(())
    }

    /// The record as it will be when `event` has happened too.
    fn after(&self, event: Event) -> Result<OrderRecord, Refusal> {
        let mut after = Draft { context: self.context, record: self.record.clone(), events: Vec::new() };
        after.push(event)?;
        after.record.ok_or_else(|| self.unknown_order())
    }

    /// Adds an event that settles a refund, with what was refunded elsewhere computed anew on the record as it
    /// will be.
    fn push_recounted(&mut self, mut event: Event, rules: &Rules, age: Age) -> Result<(), Refusal> {
        let totals = totals::read(&self.after(event.clone())?, rules, age);
        if let Event::Answered { external, unsettled, .. } | Event::Judged { external, unsettled, .. } = &mut event {
            (*external, *unsettled) = (totals.external, totals.unsettled);
        }
        self.push(event)
    }

    fn record(&self) -> Result<&OrderRecord, Refusal> {
        self.record.as_ref().ok_or_else(|| self.unknown_order())
    }

    fn unknown_order(&self) -> Refusal {
        let (account, wanted) = (self.context.account.clone(), self.context.order.to_string());
        Rejection::UnknownOrder { account, wanted }.into()
    }

    fn refund(&self, key: &RefundKey) -> Result<&Refund, Refusal> {
        self.record()?.refund(key).ok_or_else(|| {
            let account = self.context.account.clone();
            Rejection::UnknownRefund { account, key: key.clone() }.into()
        })
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod story;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_evidence;
#[cfg(test)]
mod tests_limits;
#[cfg(test)]
mod tests_settle;
#[cfg(test)]
mod tests_totals;
