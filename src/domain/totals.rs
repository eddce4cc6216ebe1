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

use super::{Money, OrderRecord, Refund, RefundKey, RefundState, Rules};

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
    let unsettled = if explains(record, rules, upstream, external) { Money::ZERO } else { open };
    Totals { external, unsettled }
}

/// Whether the total proves that the refund of that key was executed: nobody but this ledger refunds the
/// order, the figure before the attempt is known, and what the total shows beyond what is known adds up
/// only with this refund in it.
pub(crate) fn prove(record: &OrderRecord, rules: &Rules, key: &RefundKey) -> bool {
    let Some(upstream) = record.facts.refunded else { return false };
    let known_before = |refund: &Refund| refund.baseline.is_some_and(|baseline| baseline.refunded.is_some());
    if !rules.sole_refunder
        || record.external_seen
        || !record.refund(key).is_some_and(|refund| refund.is_unsettled() && known_before(refund))
    {
        return false;
    }
    let question = Question::of(record, upstream, record.external);
    let sets = question.sets();
    !question.open.is_zero()
        && !sets.is_empty()
        && sets.iter().all(|set| set.iter().any(|candidate| candidate.key == *key))
}

/// Whether some of the doubtful refunds add up to exactly what the total shows beyond `external`, and
/// the upstream's count leaves room for them beside what was made elsewhere since.
fn explains(record: &OrderRecord, rules: &Rules, upstream: Money, external: Money) -> bool {
    let question = Question::of(record, upstream, external);
    question.open.is_zero() || (rules.sole_refunder && !question.sets().is_empty())
}

/// What a total shows beyond what is known, and the refunds that may be in it.
struct Question<'a> {
    /// What is to be explained.
    open: Money,
    /// Those in doubt, and those that succeeded after the total was asked for: in it or not.
    candidates: Vec<&'a Refund>,
    /// How many refunds the upstream counts beyond those that are known, if it counts.
    room: Option<u32>,
}

impl<'a> Question<'a> {
    fn of(record: &'a OrderRecord, upstream: Money, external: Money) -> Question<'a> {
        let is_late =
            |refund: &&Refund| refund.state == RefundState::Succeeded && refund.state_at >= record.facts.asked_at;
        let late: Vec<&Refund> = record.refunds.iter().map(std::sync::Arc::as_ref).filter(is_late).collect();
        let late_sum = Money::total(late.iter().map(|refund| refund.amount));
        let long_ours = record.refunded_here().saturating_sub(late_sum);
        let open = upstream.saturating_sub(long_ours).saturating_sub(external);
        let settled_count = record.settled_count.map(|count| count.saturating_sub(late.len() as u32));
        let elsewhere = u32::from(external > record.settled_external);
        let room = record.facts.refund_count.zip(settled_count);
        let room = room.map(|(now, before)| now.saturating_sub(before).saturating_sub(elsewhere));
        Question { open, candidates: record.unsettled_refunds().chain(late).collect(), room }
    }

    /// Each set of candidates whose sum is exactly what is open, and for which there is room. Upstreams
    /// allow at most some dozens of refunds per order and nearly always one is doubtful; past 16 none is
    /// tried.
    fn sets(&self) -> Vec<Vec<&'a Refund>> {
        if self.candidates.len() > 16 || self.open.is_zero() {
            return Vec::new();
        }
        let all = 1_u32..1 << self.candidates.len();
        let sets = all.filter(|set| self.room.is_none_or(|room| set.count_ones() <= room)).map(|set| {
            let chosen = self.candidates.iter().enumerate().filter(|(i, _)| set & (1 << i) != 0);
            chosen.map(|(_, refund)| *refund).collect::<Vec<_>>()
        });
        sets.filter(|set| Money::total(set.iter().map(|refund| refund.amount)) == self.open).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DeviceName, Requested, Timestamp};

    #[test]
    fn every_set_that_adds_up_is_found_and_none_that_the_count_has_no_room_for() {
        let fen = |n| Money::from_fen(n).expect("valid");
        let refund = |n: i64| {
            let (key, device) = (RefundKey::new(format!("k{n}")), DeviceName::new("till"));
            let (key, device) = (key.expect("valid"), device.expect("valid"));
            Refund::queued(key, Requested::Exactly(fen(n)), fen(n), device, Timestamp::EPOCH)
        };
        let refunds = [refund(10), refund(20), refund(30)];
        let amounts = |open, room| {
            let question = Question { open: fen(open), candidates: refunds.iter().collect(), room };
            let sets = question.sets();
            sets.iter().map(|set| set.iter().map(|refund| refund.amount.fen()).collect()).collect::<Vec<Vec<i64>>>()
        };
        assert_eq!(amounts(30, None), [vec![10, 20], vec![30]]);
        assert_eq!(amounts(30, Some(1)), [vec![30]]);
        assert_eq!(amounts(50, None), [vec![20, 30]]);
        assert_eq!(amounts(25, None), Vec::<Vec<i64>>::new());
        assert_eq!(amounts(0, None), Vec::<Vec<i64>>::new());
        // Sixteen candidates are tried, and no more.
        for (many, sets) in [(16, 1), (17, 0)] {
            let ones: Vec<Refund> = (0..many).map(|_| refund(1)).collect();
            let question = Question { open: fen(many), candidates: ones.iter().collect(), room: None };
            assert_eq!(question.sets().len(), sets, "{many}");
        }
    }
}
