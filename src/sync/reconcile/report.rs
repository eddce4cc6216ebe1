//! What a reconciliation found.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::domain::{AccountName, Money, OrderId, Reference, RefundKey, Timestamp};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// 订单: one order, on the day it was paid.
    Order,
    /// 退款: one refund, on the day it was made.
    Refund,
    /// 退款合计: all refunds of one order together, beyond what single refunds explain: a refund made elsewhere that the
    /// upstream shows in its total alone.
    RefundTotal,
}

impl Subject {
    /// The word that is printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Subject::Order => "order",
            Subject::Refund => "refund",
            Subject::RefundTotal => "refund_total",
        }
    }

    /// The word that Chinese staff read.
    #[must_use]
    pub fn chinese(self) -> &'static str {
        match self {
            Subject::Order => "订单",
            Subject::Refund => "退款",
            Subject::RefundTotal => "退款合计",
        }
    }
}

/// In what way the ledger and the upstream differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DifferenceKind {
    /// 长款: the upstream has it, the ledger does not.
    MissingHere,
    /// 短款: the ledger has it, the upstream does not.
    MissingThere,
    /// 金额不符: both have it, with two amounts.
    AmountDiffers,
    /// 状态不符: both have it, in two states.
    StatusDiffers,
    /// 退款冲回: it succeeded here, and the upstream, asked by the refund's own number, says by now that it failed.
    ReversedLate,
}

impl DifferenceKind {
    /// The word that is printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            DifferenceKind::MissingHere => "missing_here",
            DifferenceKind::MissingThere => "missing_there",
            DifferenceKind::AmountDiffers => "amount_differs",
            DifferenceKind::StatusDiffers => "status_differs",
            DifferenceKind::ReversedLate => "reversed_late",
        }
    }

    /// The word that Chinese staff read.
    #[must_use]
    pub fn chinese(self) -> &'static str {
        match self {
            DifferenceKind::MissingHere => "长款",
            DifferenceKind::MissingThere => "短款",
            DifferenceKind::AmountDiffers => "金额不符",
            DifferenceKind::StatusDiffers => "状态不符",
            DifferenceKind::ReversedLate => "退款冲回",
        }
    }
}

/// What one side has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// What was paid, or refunded.
    pub amount: Money,
    /// The state, in the ledger's words; `in_total` for a refund that only the upstream's total shows; an upstream's own
    /// word where ours has none.
    pub status: String,
    /// When it was paid or refunded, if that is known.
    pub at: Option<Timestamp>,
}

/// One thing on which the ledger and the upstream differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What differs.
    pub subject: Subject,
    /// In what way.
    pub kind: DifferenceKind,
    /// A number of the order: its own, where it is known.
    pub order: Option<Reference>,
    /// The ledger's name for the order, if it has it.
    pub id: Option<OrderId>,
    /// The refund's key here.
    pub refund_key: Option<RefundKey>,
    /// The upstream's number of the refund.
    pub upstream_refund_no: Option<String>,
    /// What the ledger has (had, before anything was kept from this reconciliation).
    pub here: Option<Side>,
    /// What the upstream has.
    pub there: Option<Side>,
}

/// How many, and how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub sum: Money,
}

impl Tally {
    pub(super) fn add(&mut self, amount: Money) {
        self.count += 1;
        self.sum = self.sum.saturating_add(amount);
    }
}

/// How many of one kind, and how much on each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many.
    pub count: u64,
    /// Their sum as the ledger has them.
    pub here: Money,
    /// Their sum as the upstream has them.
    pub there: Money,
}

/// What was kept of that which the upstream said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Orders that were not known before.
    pub orders_new: u64,
    /// Orders that changed.
    pub orders_changed: u64,
    /// Refunds that left doubt.
    pub refunds_settled: u64,
}

/// What a reconciliation of one day found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciliation {
    /// The account.
    pub account: AccountName,
    /// The day, in Beijing.
    pub day: Date,
    /// Orders that both sides have alike, with what was paid.
    pub matched_orders: Tally,
    /// Refunds that both sides have alike.
    pub matched_refunds: Tally,
    /// Each difference: orders first, then refunds, by kind and number.
    pub differences: Vec<Difference>,
    /// What could not be read or asked, in words: where this is not empty, there may be more differences. The first
    /// thousand.
    pub problems: Vec<String>,
    /// How many more problems there were.
    pub more_problems: u64,
    /// What was kept afterwards; `None` where the ledger is open for reading only.
    pub kept: Option<Kept>,
}

impl Reconciliation {
    /// Whether everything was read and asked to the end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.problems.is_empty()
    }

    /// Whether everything was compared, and nothing differs.
    #[must_use]
    pub fn is_matched(&self) -> bool {
        self.is_complete() && self.differences.is_empty()
    }

    /// Counts and sums of the differences, by what and how.
    #[must_use]
    pub fn totals(&self) -> BTreeMap<(Subject, DifferenceKind), Totals> {
        let mut totals: BTreeMap<_, Totals> = BTreeMap::new();
        let amount = |side: &Option<Side>| side.as_ref().map_or(Money::ZERO, |side| side.amount);
        for difference in &self.differences {
            let total = totals.entry((difference.subject, difference.kind)).or_default();
            total.count += 1;
            total.here = total.here.saturating_add(amount(&difference.here));
            total.there = total.there.saturating_add(amount(&difference.there));
        }
        totals
    }
}

/// How many problems are kept in words.
const PROBLEMS: usize = 1_000;

/// What went wrong, in words; a list of a million bad rows must not fill a till's memory.
#[derive(Debug, Default)]
pub(super) struct Problems {
    pub(super) words: Vec<String>,
    pub(super) more: u64,
}

impl Problems {
    pub(super) fn add(&mut self, what: String) {
        if self.words.len() < PROBLEMS {
            self.words.push(what);
        } else {
            self.more += 1;
        }
    }
}
