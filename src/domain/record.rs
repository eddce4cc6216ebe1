//! An order as the ledger keeps it: its facts, its refunds, and the amounts that follow from them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    AccountName, ChainHash, Entry, Event, Facts, Finding, Money, OrderId, OrderStatus, Outcome, Refund, RefundKey,
    RefundState, RefundStatus, Timestamp,
};

/// The unit of atomicity: one order with all that happened to it, folded from its events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRecord {
    /// The ledger's own name for it.
    pub id: OrderId,
    /// The account it belongs to.
    pub account: AccountName,
    /// How many events made it.
    pub version: u64,
    /// The end of its hash chain.
    pub head: ChainHash,
    /// The latest facts; records that follow each other share them.
    pub facts: Arc<Facts>,
    /// Whether only a device has spoken so far: recorded offline, not yet confirmed upstream.
    pub provisional: bool,
    /// Its refunds, oldest first; records that follow each other share those that did not change.
    pub refunds: Vec<Arc<Refund>>,
    /// Refunds made elsewhere, as far as they are certain.
    pub external: Money,
    /// Whether a refund made elsewhere was ever seen on this order.
    pub external_seen: bool,
    /// What the upstream's total shows beyond ours and `external` while a refund is unsettled and
    /// does not explain it: maybe that refund, maybe somebody else's. Never granted again.
    pub unsettled: Money,
    /// The upstream's refund count when nothing was unsettled, raised by each own success since.
    pub settled_count: Option<u32>,
    /// `external` when nothing was unsettled: what a moved total is compared with.
    #[serde(default)]
    pub settled_external: Money,
    /// When the last outcome ended or was applied, whichever is later; facts asked for before it
    /// lower nothing. It never goes back, although clocks do.
    pub outcome_at: Option<Timestamp>,
}

impl OrderRecord {
    /// The refund of that key.
    #[must_use]
    pub fn refund(&self, key: &RefundKey) -> Option<&Refund> {
        self.refunds.iter().map(Arc::as_ref).find(|refund| refund.key == *key)
    }

    /// The amounts of all refunds in a state that `wanted` picks.
    pub(crate) fn sum(&self, wanted: impl Fn(RefundState) -> bool) -> Money {
        Money::total(self.refunds.iter().filter(|r| wanted(r.state)).map(|r| r.amount))
    }

    /// 实付: what the customer paid, the cap of all refunds.
    #[must_use]
    pub fn paid(&self) -> Money {
        self.facts.paid
    }

    /// Our refunds that succeeded.
    #[must_use]
    pub fn refunded_here(&self) -> Money {
        self.sum(|state| state == RefundState::Succeeded)
    }

    /// 已退: refunds known to have happened, those made elsewhere included.
    #[must_use]
    pub fn refunded(&self) -> Money {
        self.refunded_here().saturating_add(self.external)
    }

    /// 预留: what is set aside for refunds that are neither settled nor withdrawn.
    #[must_use]
    pub fn held(&self) -> Money {
        self.sum(RefundState::holds)
    }

    /// What can no longer be granted: refunded, held, and what a moved total leaves unexplained.
    #[must_use]
    pub fn committed(&self) -> Money {
        self.refunded().saturating_add(self.held()).saturating_add(self.unsettled)
    }

    /// What is out or may be: refunded, what a moved total leaves unexplained, and refunds that may have been
    /// executed. What only waits, in the queue or for a person, is not in it: it goes out only if it fits then.
    pub(crate) fn at_stake(&self) -> Money {
        let in_doubt = Money::total(self.unsettled_refunds().map(|refund| refund.amount));
        self.refunded().saturating_add(in_doubt).saturating_add(self.unsettled)
    }

    /// 可退: what may still be granted.
    #[must_use]
    pub fn refundable(&self) -> Money {
        if self.is_refundable_status() { self.paid().saturating_sub(self.committed()) } else { Money::ZERO }
    }

    /// By how much facts show refunded and held to exceed paid.
    #[must_use]
    pub fn excess(&self) -> Money {
        self.refunded().saturating_add(self.held()).saturating_sub(self.paid())
    }

    /// Whether the status allows refunds at all.
    #[must_use]
    pub fn is_refundable_status(&self) -> bool {
        self.facts.status == OrderStatus::Paid && self.facts.currency == "CNY"
    }

    /// 退款状态: what the amounts imply.
    #[must_use]
    pub fn refund_status(&self) -> RefundStatus {
        let refunded = self.refunded();
        if refunded.is_zero() {
            RefundStatus::None
        } else if refunded < self.paid() {
            RefundStatus::Partial
        } else {
            RefundStatus::Complete
        }
    }

    /// The refunds that the upstream may or may not have executed: U of the design.
    pub(crate) fn unsettled_refunds(&self) -> impl Iterator<Item = &Refund> {
        self.refunds.iter().map(Arc::as_ref).filter(|refund| refund.is_unsettled())
    }

    /// Folds one entry into a record (`None`: the order's first).
    ///
    /// # Errors
    /// An entry that cannot follow: history that no version of this code wrote.
    pub fn apply(record: Option<OrderRecord>, entry: &Entry, head: ChainHash) -> Result<OrderRecord, BrokenHistory> {
        let mut record = match record {
            Some(record) => record,
            None => OrderRecord::first(entry)?,
        };
        if entry.version != record.version + 1 || entry.order != record.id {
            return Err(BrokenHistory::new(entry, "it does not follow the order's last event"));
        }
        record.version = entry.version;
        record.head = head;
        record.fold(entry)?;
        Ok(record)
    }

    /// The empty record before the order's first event.
    fn first(entry: &Entry) -> Result<OrderRecord, BrokenHistory> {
        let Some(facts) = entry.event.facts() else {
            return Err(BrokenHistory::new(entry, "an order cannot begin with it"));
        };
        Ok(OrderRecord {
            id: entry.order.clone(),
            account: entry.account.clone(),
            version: 0,
            head: ChainHash::START,
            facts: Arc::clone(facts),
            provisional: matches!(entry.event, Event::OrderRecorded { .. }),
            refunds: Vec::new(),
            external: Money::ZERO,
            external_seen: false,
            unsettled: Money::ZERO,
            settled_count: None,
            settled_external: Money::ZERO,
            outcome_at: None,
        })
    }

    fn fold(&mut self, entry: &Entry) -> Result<(), BrokenHistory> {
        match &entry.event {
            Event::OrderRecorded { facts, .. } => self.facts = Arc::clone(facts),
            Event::FactsSeen { facts, external, unsettled } => {
                self.facts = Arc::clone(facts);
                self.provisional = false;
                // An outcome is no later than what is written after it: the clock was set back since.
                self.outcome_at = self.outcome_at.map(|at| if at.is_ahead_of(entry.at) { entry.at } else { at });
                self.set_external(*external, *unsettled);
                if self.unsettled_refunds().next().is_none() {
                    // The larger of the two: a row may say nothing new, or be older than our last success.
                    self.settled_count = self.settled_count.max(facts.refund_count);
                }
            }
            Event::RefundHeld { key, requested, amount, memo, by, due_at, needs_approval } => {
                if self.refund(key).is_some() {
                    return Err(BrokenHistory::new(entry, "the order has a refund of that key"));
                }
                let device = entry.device.clone();
                self.refunds.push(Arc::new(Refund {
                    memo: memo.clone(),
                    by: by.clone(),
                    due_at: *due_at,
                    awaits_approval: *needs_approval,
                    ..Refund::queued(key.clone(), *requested, *amount, device, entry.at)
                }));
            }
            Event::AttemptStarted { key, attempt, baseline } => {
                let refund = self.step(entry, key, RefundState::Sending)?;
                refund.attempts = *attempt;
                refund.baseline = *baseline;
                refund.sent_at = Some(entry.at);
                (refund.probes, refund.last_finding) = (0, None);
            }
            Event::Answered { key, state, answer, due_at, external, unsettled, fenced } => {
                let refund = self.step(entry, key, *state)?;
                refund.due_at = *due_at;
                if *state == RefundState::Queued || matches!(answer.outcome, Outcome::NotSent | Outcome::Blocked) {
                    // Proven not executed: the attempt left nothing to compare totals with.
                    refund.sent_at = None;
                    refund.baseline = None;
                }
                refund.fences = refund.fences.saturating_add(u32::from(*fenced));
                refund.code.clone_from(&answer.code);
                refund.message.clone_from(&answer.message);
                if answer.upstream_refund_no.is_some() {
                    refund.upstream_refund_no.clone_from(&answer.upstream_refund_no);
                }
                self.settled_as(*state);
                self.outcome_at = self.outcome_at.max(Some(entry.at.max(answer.ended_at)));
                self.set_external(*external, *unsettled);
            }
            Event::Probed { key, finding } => {
                let refund = self.existing(entry, key)?;
                refund.probes = refund.probes.saturating_add(1);
                refund.last_finding = Some(Finding::clone(finding));
            }
            Event::Judged { key, verdict, note, due_at, external, unsettled, .. } => {
                let state = verdict.state();
                let refund = self.step(entry, key, state)?;
                refund.message = Some(note.clone());
                if !matches!(state, RefundState::Succeeded | RefundState::Reversed) {
                    // By that person's word nothing was executed: there is nothing to compare totals with.
                    refund.sent_at = None;
                    refund.baseline = None;
                }
                if state == RefundState::Queued {
                    refund.due_at = *due_at;
                }
                self.settled_as(state);
                self.outcome_at = self.outcome_at.max(Some(entry.at));
                self.set_external(*external, *unsettled);
            }
            Event::RefundApproved { key, by, due_at } => {
                let refund = self.existing(entry, key)?;
                refund.awaits_approval = false;
                refund.approved_by = Some(by.clone());
                refund.due_at = *due_at;
            }
            Event::AttemptLost { key } => {
                let refund = self.step(entry, key, RefundState::InDoubt)?;
                refund.message = Some("the process ended while this refund was being sent".to_owned());
                self.outcome_at = self.outcome_at.max(Some(entry.at));
            }
            Event::RefundToReview { key, reason } => {
                self.step(entry, key, RefundState::Review)?.message = Some(reason.clone());
            }
            Event::RefundCanceled { key, .. } => {
                self.step(entry, key, RefundState::Canceled)?;
            }
        }
        Ok(())
    }

    fn set_external(&mut self, external: Money, unsettled: Money) {
        self.external_seen |= !external.is_zero();
        self.external = external;
        self.unsettled = unsettled;
        if self.unsettled_refunds().next().is_none() {
            self.settled_external = external;
        }
    }

    /// Keeps the upstream's count of refunds in step with our own successes.
    fn settled_as(&mut self, state: RefundState) {
        if state == RefundState::Succeeded {
            self.settled_count = self.settled_count.map(|count| count.saturating_add(1));
        }
    }

    fn existing(&mut self, entry: &Entry, key: &RefundKey) -> Result<&mut Refund, BrokenHistory> {
        let refund = self.refunds.iter_mut().find(|refund| refund.key == *key);
        let refund = refund.ok_or_else(|| BrokenHistory::new(entry, "the order has no refund of that key"))?;
        Ok(Arc::make_mut(refund))
    }

    /// Moves a refund to `next` if the transition table allows it.
    fn step(&mut self, entry: &Entry, key: &RefundKey, next: RefundState) -> Result<&mut Refund, BrokenHistory> {
        let refund = self.existing(entry, key)?;
        if !refund.state.may_become(next) {
            return Err(BrokenHistory::new(entry, "the refund's state does not allow it"));
        }
        refund.state = next;
        refund.state_at = entry.at;
        Ok(refund)
    }
}

/// An event that cannot follow the ones before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {sequence} ({event}) of order {order} cannot be applied: {why}")]
pub struct BrokenHistory {
    /// The event's place in the ledger.
    pub sequence: u64,
    /// The event's word.
    pub event: &'static str,
    /// The order.
    pub order: OrderId,
    /// What is wrong.
    pub why: &'static str,
}

impl BrokenHistory {
    fn new(entry: &Entry, why: &'static str) -> BrokenHistory {
        BrokenHistory { sequence: entry.sequence, event: entry.event.name(), order: entry.order.clone(), why }
    }
}
