//! The comparison itself: what both sides have goes in, what differs comes out. No IO, no clock.
//!
//! Orders are compared one by one. Refunds are told apart by their numbers where the upstream shows them, by likeness
//! (same order, same amount, not earlier) where it shows rows without a number of ours, and by the order's total where
//! it shows nothing else. What single refunds explain of a total is taken off it; what is left differs as a whole.

use crate::domain::{Money, OrderId, Outcome, Reference, Refund, RefundKey, RefundState, Timestamp};

use super::day::Day;
use super::refunds;
use super::report::{Difference, DifferenceKind, Side, Subject, Tally};

/// What the upstream answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum There<T> {
    /// It has this.
    Shown(T),
    /// It was asked, and shows none.
    Absent,
    /// It was not asked, or did not answer: nothing follows.
    Unasked,
}

impl<T> There<T> {
    pub(super) fn shown(&self) -> Option<&T> {
        match self {
            There::Shown(there) => Some(there),
            There::Absent | There::Unasked => None,
        }
    }
}

/// One order on both sides, with its refunds.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    /// A number by which people know it.
    pub(super) order: Option<Reference>,
    /// What the ledger has.
    pub(super) here: Option<OrderHere>,
    /// What the upstream has.
    pub(super) there: There<OrderThere>,
    /// The ledger's refunds that were ever attempted.
    pub(super) refunds: Vec<OwnRefund>,
    /// Refunds that the upstream shows and that bear no number of the ledger's.
    pub(super) strangers: Vec<RefundThere>,
}

/// An order as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OrderHere {
    pub(super) id: OrderId,
    /// What was paid; nothing unless it counts.
    pub(super) paid: Money,
    pub(super) status: String,
    /// Whether it is paid, in CNY.
    pub(super) counts: bool,
    pub(super) at: Option<Timestamp>,
    /// Refunds known to have happened, those made elsewhere included.
    pub(super) refunded: Money,
    /// Those made elsewhere.
    pub(super) external: Money,
}

/// An order as the upstream has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OrderThere {
    pub(super) paid: Money,
    pub(super) status: String,
    pub(super) counts: bool,
    pub(super) at: Option<Timestamp>,
    /// When it last changed, if the upstream says so.
    pub(super) updated_at: Option<Timestamp>,
    /// The upstream's total of refunds, if it says so and it can be compared.
    pub(super) refunded: Option<Money>,
}

/// A refund of the ledger's with what the upstream shows of it.
#[derive(Clone, Debug)]
pub(super) struct OwnRefund {
    pub(super) key: RefundKey,
    pub(super) upstream_refund_no: Option<String>,
    pub(super) amount: Money,
    pub(super) state: RefundState,
    /// Whether the ledger waits for evidence about it.
    pub(super) unsettled: bool,
    /// When it was sent, or else when it got its state.
    pub(super) at: Timestamp,
    pub(super) there: There<RefundThere>,
}

impl OwnRefund {
    pub(super) fn of(refund: &Refund, there: There<RefundThere>) -> OwnRefund {
        OwnRefund {
            key: refund.key.clone(),
            upstream_refund_no: refund.upstream_refund_no.clone(),
            amount: refund.amount,
            state: refund.state,
            unsettled: refund.is_unsettled(),
            at: made_at(refund),
            there,
        }
    }
}

/// When a refund was made, as far as the ledger knows: sent, or else when it got its state.
pub(super) fn made_at(refund: &Refund) -> Timestamp {
    refund.sent_at.unwrap_or(refund.state_at)
}

/// A refund as the upstream shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RefundThere {
    pub(super) number: Option<String>,
    pub(super) amount: Money,
    pub(super) outcome: Outcome,
    pub(super) status: String,
    pub(super) at: Option<Timestamp>,
    /// Whether the refund's own number ties it to ours.
    pub(super) own_number: bool,
}

/// What the comparison found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    pub(super) matched_orders: Tally,
    pub(super) matched_refunds: Tally,
    pub(super) differences: Vec<Difference>,
    /// Refunds of the day that the ledger has no end of, and the upstream has words about: it may be asked by the
    /// ledger's own rules.
    pub(super) to_ask: Vec<(OrderId, RefundKey)>,
}

/// Compares what both sides have on that day. The order of the pairs does not matter.
pub(super) fn compare(day: Day, pairs: &[Pair]) -> Compared {
    let mut found = Compared::default();
    for pair in pairs {
        order(day, pair, &mut found);
        refunds::compare(day, pair, &mut found);
    }
    found.differences.sort_by(|a, b| place(a).cmp(&place(b)));
    found.to_ask.sort();
    found
}

type Place<'a> = (Subject, DifferenceKind, Option<&'a Reference>, Option<&'a RefundKey>, Option<&'a String>);

fn place(difference: &Difference) -> Place<'_> {
    let Difference { subject, kind, order, refund_key, upstream_refund_no, .. } = difference;
    (*subject, *kind, order.as_ref(), refund_key.as_ref(), upstream_refund_no.as_ref())
}

/// When the order was paid: by the upstream's word, where it has one, so that each order belongs to one day. `None`:
/// nobody says that it was paid, or nobody knows when.
pub(super) fn paid_at(pair: &Pair) -> Option<Timestamp> {
    let here = pair.here.as_ref().filter(|here| here.counts).map(|here| here.at);
    let there = pair.there.shown().filter(|there| there.counts).map(|there| there.at);
    there.flatten().or(here.flatten()).or_else(|| pair.here.as_ref().filter(|_| there.is_some())?.at)
}

fn order(day: Day, pair: &Pair, found: &mut Compared) {
    if !paid_at(pair).is_some_and(|at| day.contains(at)) {
        return;
    }
    let kind = match (&pair.here, &pair.there) {
        (_, There::Unasked) => return, // a problem names it
        (None, There::Absent) => return,
        (None, There::Shown(_)) => DifferenceKind::MissingHere,
        (Some(_), There::Absent) => DifferenceKind::MissingThere,
        (Some(here), There::Shown(there)) if here.counts != there.counts => DifferenceKind::StatusDiffers,
        (Some(here), There::Shown(there)) if here.paid != there.paid => DifferenceKind::AmountDiffers,
        (Some(here), There::Shown(_)) => return found.matched_orders.add(here.paid),
    };
    let here = pair.here.as_ref();
    let there = pair.there.shown();
    found.differences.push(Difference {
        subject: Subject::Order,
        kind,
        order: pair.order.clone(),
        id: here.map(|here| here.id.clone()),
        refund_key: None,
        upstream_refund_no: None,
        here: here.map(|here| Side { amount: here.paid, status: here.status.clone(), at: here.at }),
        there: there.map(|there| Side { amount: there.paid, status: there.status.clone(), at: there.at }),
    });
}
