//! What an upstream's total of refunds says: which refunds were made elsewhere.
//!
//! With S = refunded so far, U = refunds that may or may not have been executed, R = the upstream's
//! total (unknown is not zero):
//!
//! * U empty: what R shows beyond ours was made elsewhere.
//! * U not empty: R may show U, or somebody else's refunds, or both. What exceeds all of U is
//!   certainly made elsewhere. The rest is explained by U where some of U adds up to exactly it (and
//!   the upstream's count of refunds, where it has one, leaves room for it); else it stays
//!   *unsettled* and is not granted to anyone.
//!
//! Only figures that were read just now, by a request that began after the last outcome, may lower
//! what was made elsewhere; all others may only raise it. While U is not empty, everything is
//! counted from what was known when it was last empty, so that reading the same figures twice says
//! the same. When a refund leaves U, the figures are computed anew in the same write, so nothing is
//! counted twice.

use super::{Money, OrderRecord, RefundState, Rules};

/// Refunds made elsewhere, and what is unexplained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Certainly made elsewhere.
    pub(crate) external: Money,
    /// Maybe made elsewhere, maybe ours.
    pub(crate) unsettled: Money,
}

/// How old the upstream's total in a record's facts is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// Asked for after all that the record knows.
    Fresh,
    /// Asked for before the last outcome, or kept from an earlier read: it lowers nothing.
    Old,
}

/// Reads the totals of a record whose facts and states are already the new ones, with
/// `record.external` still the old figure.
pub(crate) fn read(record: &OrderRecord, rules: &Rules, age: Age) -> Totals {
    let Some(upstream) = record.facts.refunded else {
        // Fubei's query or seed 001's rows: nothing is said, so nothing is learnt or forgotten.
        return Totals { external: record.external, unsettled: record.unsettled };
    };
    let beyond_ours = upstream.saturating_sub(record.refunded_here());
    let doubtful: Vec<Money> = record.unsettled_refunds().map(|refund| refund.amount).collect();
    if doubtful.is_empty() {
        // A total below our own successes is behind, whenever it was asked for.
        let lowers = age == Age::Fresh && upstream >= record.refunded_here();
        let external = if lowers { beyond_ours } else { beyond_ours.max(record.external) };
        return Totals { external, unsettled: Money::ZERO };
    }
    let moved = beyond_ours.saturating_sub(record.settled_external);
    let all_of_u = Money::total(doubtful.iter().copied());
    let certain = moved.saturating_sub(all_of_u);
    let external = record.settled_external.saturating_add(certain).max(record.external);
    let open = beyond_ours.saturating_sub(external);
    let unsettled = if explains(record, rules, doubtful, upstream, external) { Money::ZERO } else { open };
    Totals { external, unsettled }
}

/// Whether some of the doubtful refunds add up to exactly what the total shows beyond `external`, and
/// the upstream's count leaves room for them beside what was made elsewhere since.
fn explains(record: &OrderRecord, rules: &Rules, doubtful: Vec<Money>, upstream: Money, external: Money) -> bool {
    // What succeeded after the total was asked for may be in it or not, just as the doubtful ones.
    let late = record
        .refunds
        .iter()
        .filter(|refund| refund.state == RefundState::Succeeded && refund.state_at >= record.facts.asked_at);
    let late: Vec<Money> = late.map(|refund| refund.amount).collect();
    let long_ours = record.refunded_here().saturating_sub(Money::total(late.iter().copied()));
    let open = upstream.saturating_sub(long_ours).saturating_sub(external);
    if open.is_zero() {
        return true;
    }
    if !rules.sole_refunder {
        return false;
    }
    let settled_count = record.settled_count.map(|count| count.saturating_sub(late.len() as u32));
    let candidates: Vec<Money> = doubtful.into_iter().chain(late).collect();
    let Some(fewest) = fewest_that_sum_to(&candidates, open) else { return false };
    let needed = fewest + u32::from(external > record.settled_external);
    match (record.facts.refund_count, settled_count) {
        (Some(now), Some(before)) => now.saturating_sub(before) >= needed,
        _ => true,
    }
}

/// The size of the smallest set of `amounts` whose sum is `wanted`. Upstreams allow at most some
/// dozens of refunds per order and nearly always one is doubtful; past 16 none is tried.
fn fewest_that_sum_to(amounts: &[Money], wanted: Money) -> Option<u32> {
    if amounts.len() > 16 {
        return None;
    }
    (1_u32..1 << amounts.len())
        .filter(|set| {
            let chosen = amounts.iter().enumerate().filter(|(i, _)| set & (1 << i) != 0);
            Money::total(chosen.map(|(_, amount)| *amount)) == wanted
        })
        .map(u32::count_ones)
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_set_that_adds_up_is_found() {
        let fen = |n| Money::from_fen(n).expect("valid");
        let amounts = [fen(10), fen(20), fen(30)];
        assert_eq!(fewest_that_sum_to(&amounts, fen(30)), Some(1));
        assert_eq!(fewest_that_sum_to(&amounts, fen(50)), Some(2));
        assert_eq!(fewest_that_sum_to(&amounts, fen(60)), Some(3));
        assert_eq!(fewest_that_sum_to(&amounts, fen(25)), None);
    }
}
