//! What happened to an order: the append-only, hash-chained history that is the truth.
//!
//! Events are read for ever: a variant or field is never renamed or given another meaning; new
//! fields are optional. They carry results (the amount fixed, the refunds made elsewhere), so that
//! replaying them needs no rule and a later version's rules cannot change the past.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    AccountName, Answer, Baseline, DeviceName, Facts, Finding, Money, OrderId, RefundKey, RefundState, Requested,
    Timestamp, Verdict,
};

/// One thing that happened to one order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A device recorded a payment that the upstream has not confirmed yet.
    OrderRecorded {
        /// What the device says.
        facts: Arc<Facts>,
        /// Who recorded it.
        by: Option<String>,
    },
    /// An upstream said something new about the order.
    FactsSeen {
        /// What it said.
        facts: Arc<Facts>,
        /// Refunds made elsewhere, as far as they are certain.
        external: Money,
        /// What the upstream's total shows beyond that while a refund is unsettled.
        unsettled: Money,
    },
    /// Refundable balance was set aside for a refund.
    RefundHeld {
        /// The refund's permanent name.
        key: RefundKey,
        /// What was asked for.
        requested: Requested,
        /// The amount it was fixed to.
        amount: Money,
        /// A note.
        memo: Option<String>,
        /// Who asked.
        by: Option<String>,
        /// Not to be sent before this.
        due_at: Timestamp,
        /// Whether it waits for a person's approval.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        needs_approval: bool,
    },
    /// An attempt begins: written before the first byte leaves. The claim of the one who sends.
    AttemptStarted {
        /// Which refund.
        key: RefundKey,
        /// The attempt's number, from 1.
        attempt: u32,
        /// The upstream's totals before it.
        baseline: Option<Baseline>,
    },
    /// An attempt or a probe told something.
    Answered {
        /// Which refund.
        key: RefundKey,
        /// The state it takes.
        state: RefundState,
        /// What was told.
        answer: Answer,
        /// Not to be sent before this, if it is queued again.
        due_at: Timestamp,
        /// Refunds made elsewhere, computed anew.
        external: Money,
        /// What is still unexplained, computed anew.
        unsettled: Money,
        /// Whether a fence shut the attempt out: proven not executed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fenced: bool,
    },
    /// The upstream was asked what became of a refund, and nothing was proven: kept as evidence.
    Probed {
        /// Which refund.
        key: RefundKey,
        /// What was found.
        finding: Box<Finding>,
    },
    /// A person settled it, with the evidence before them.
    Judged {
        /// Which refund.
        key: RefundKey,
        /// What became of it, by their word.
        verdict: Verdict,
        /// Who.
        by: String,
        /// Why.
        note: String,
        /// Not to be sent before this, if it is queued again.
        due_at: Timestamp,
        /// Refunds made elsewhere, computed anew.
        external: Money,
        /// What is still unexplained, computed anew.
        unsettled: Money,
    },
    /// A person let it go out that had to wait for them.
    RefundApproved {
        /// Which refund.
        key: RefundKey,
        /// Who.
        by: String,
        /// Not to be sent before this.
        due_at: Timestamp,
    },
    /// Nobody knows how the attempt ended: the process died while sending.
    AttemptLost {
        /// Which refund.
        key: RefundKey,
    },
    /// A person must look at it.
    RefundToReview {
        /// Which refund.
        key: RefundKey,
        /// Why, with the figures.
        reason: String,
    },
    /// Withdrawn before anything was executed.
    RefundCanceled {
        /// Which refund.
        key: RefundKey,
        /// Who withdrew it.
        by: Option<String>,
    },
}

impl Event {
    /// The event's word, as stored and printed.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Event::OrderRecorded { .. } => "order_recorded",
            Event::FactsSeen { .. } => "facts_seen",
            Event::RefundHeld { .. } => "refund_held",
            Event::AttemptStarted { .. } => "attempt_started",
            Event::Answered { .. } => "answered",
            Event::Probed { .. } => "probed",
            Event::Judged { .. } => "judged",
            Event::RefundApproved { .. } => "refund_approved",
            Event::AttemptLost { .. } => "attempt_lost",
            Event::RefundToReview { .. } => "refund_to_review",
            Event::RefundCanceled { .. } => "refund_canceled",
        }
    }

    /// The facts that it brings, which are the order's from then on.
    #[must_use]
    pub fn facts(&self) -> Option<&Arc<Facts>> {
        match self {
            Event::OrderRecorded { facts, .. } | Event::FactsSeen { facts, .. } => Some(facts),
            Event::RefundHeld { .. }
            | Event::AttemptStarted { .. }
            | Event::Answered { .. }
            | Event::Probed { .. }
            | Event::Judged { .. }
            | Event::RefundApproved { .. }
            | Event::AttemptLost { .. }
            | Event::RefundToReview { .. }
            | Event::RefundCanceled { .. } => None,
        }
    }
}

/// The 32-byte BLAKE3 hash that ends an order's chain so far.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// What the first event of each order follows.
    pub const START: ChainHash = ChainHash([0; 32]);

    /// Its 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash after `content` (the exact bytes that are kept) follows `self`.
    #[must_use]
    pub fn next(self, content: &[u8]) -> ChainHash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(content);
        ChainHash(*hasher.finalize().as_bytes())
    }
}

impl std::fmt::Display for ChainHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl TryFrom<String> for ChainHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<ChainHash, &'static str> {
        let hash = blake3::Hash::from_hex(text.as_bytes()).map_err(|_| "not 64 hex digits")?;
        Ok(ChainHash(*hash.as_bytes()))
    }
}

impl From<ChainHash> for String {
    fn from(hash: ChainHash) -> String {
        hash.to_string()
    }
}

/// An event with its place in history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place among all events of the ledger, from 1, without gaps.
    pub sequence: u64,
    /// The order it happened to.
    pub order: OrderId,
    /// The account the order belongs to.
    pub account: AccountName,
    /// Its place among the order's events, from 1: the record's version after it.
    pub version: u64,
    /// When (our clock).
    pub at: Timestamp,
    /// On which device.
    pub device: DeviceName,
    /// What happened.
    pub event: Event,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_hash_is_its_hex_and_depends_on_all_that_came_before() {
        let first = ChainHash::START.next(b"a");
        let second = first.next(b"b");
        assert_ne!(second, ChainHash::START.next(b"b"));
        assert_eq!(ChainHash::try_from(second.to_string()), Ok(second));
        assert!(ChainHash::try_from("00".to_owned()).is_err());
        let hex = second.to_string();
        assert_eq!((String::from(second), format!("{second:?}"), hex.len()), (hex.clone(), hex, 64));
    }
}
