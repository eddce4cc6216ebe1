//! The comparison of one order's refunds.

use std::time::Duration;

use crate::domain::{Money, Outcome, RefundState, Timestamp};

use super::compare::{Compared, OwnRefund, Pair, RefundThere, There, paid_at};
use super::day::Day;
use super::report::{Difference, DifferenceKind, Side, Subject};

/// How much earlier than our sending an upstream's clock may say it made the refund.
const CLOCKS: Duration = Duration::from_secs(600);

/// What a refund's state here says about the money.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Here {
    /// It moved.
    Done,
    /// It may move, or may have moved.
    Open,
    /// It did not move, or moved back.
    Undone,
}

fn says(own: &OwnRefund) -> Here {
    match own.state {
        RefundState::Succeeded => Here::Done,
        RefundState::Sending | RefundState::Accepted | RefundState::InDoubt => Here::Open,
        RefundState::Review if own.unsettled => Here::Open,
        RefundState::Review
        | RefundState::Queued
        | RefundState::Declined
        | RefundState::Canceled
        | RefundState::Reversed => Here::Undone,
    }
}

/// What one refund's comparison found.
enum Judged {
    Matched,
    /// Neither side says that money moved.
    Nothing,
    Differs(DifferenceKind, Option<Side>),
}

/// How much more the upstream's total shows than what is explained so far, in fen; below zero where it shows less.
/// `None`: there is no total to go by.
struct Beyond(Option<i64>);

impl Beyond {
    /// Takes an amount off it, if that much is there.
    fn explain(&mut self, amount: Money) -> bool {
        match &mut self.0 {
            Some(left) if *left >= amount.fen() => {
                *left -= amount.fen();
                true
            }
            _ => false,
        }
    }
}

/// Compares the refunds of one order, and its total.
pub(super) fn compare(day: Day, pair: &Pair, found: &mut Compared) {
    let mut rows: Vec<&RefundThere> = pair.strangers.iter().collect();
    rows.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.number.cmp(&b.number)));
    let mut own: Vec<&OwnRefund> = pair.refunds.iter().collect();
    own.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.key.cmp(&b.key)));
    let own: Vec<(&OwnRefund, There<&RefundThere>)> =
        own.into_iter().map(|refund| (refund, shown_of(refund, &mut rows))).collect();
    let mut beyond = beyond(pair, &own);
    // Rows first: what they explain of the total is certain.
    strangers(day, pair, &rows, &mut beyond, found);
    // Newest first: the newest is the likeliest to be missing.
    for (refund, there) in own.iter().rev() {
        let judged = judge(refund, there, &mut beyond);
        let at = there.shown().and_then(|there| there.at).unwrap_or(refund.at);
        if day.contains(at) {
            record(pair, refund, there, judged, found);
        }
    }
    total(day, pair, &beyond, found);
}

/// Refunds made elsewhere. The ledger knows them by their sum alone: it covers the oldest rows, unless the total shows
/// that even they are news.
fn strangers(day: Day, pair: &Pair, rows: &[&RefundThere], beyond: &mut Beyond, found: &mut Compared) {
    let mut external = pair.here.as_ref().map_or(Money::ZERO, |here| here.external);
    let rows = rows.iter().filter(|row| row.outcome == Outcome::Succeeded);
    let mut covered = |row: &RefundThere| {
        let left = external.checked_sub(row.amount);
        external = left.unwrap_or(external);
        left.is_some()
    };
    let (known, mut news): (Vec<&RefundThere>, Vec<&RefundThere>) = rows.partition(|row| covered(row));
    if let Beyond(Some(left)) = beyond {
        *left -= news.iter().map(|row| row.amount.fen()).sum::<i64>();
    }
    for row in known.into_iter().rev() {
        if beyond.explain(row.amount) {
            news.push(row);
        } else if row.at.is_some_and(|at| day.contains(at)) {
            found.matched_refunds.add(row.amount);
        }
    }
    for row in news.into_iter().filter(|row| row.at.is_some_and(|at| day.contains(at))) {
        found.differences.push(Difference {
            upstream_refund_no: row.number.clone(),
            there: Some(side(row)),
            ..about(pair, Subject::Refund, DifferenceKind::MissingHere)
        });
    }
}

/// What the upstream shows of a refund of ours: by its number, or else a row that is like it, which is then no
/// stranger's.
fn shown_of<'a>(own: &'a OwnRefund, rows: &mut Vec<&'a RefundThere>) -> There<&'a RefundThere> {
    match &own.there {
        There::Shown(there) => return There::Shown(there),
        There::Unasked => return There::Unasked,
        There::Absent => {}
    }
    if own.upstream_refund_no.is_some() || says(own) == Here::Undone {
        return There::Absent;
    }
    let not_before = own.at.saturating_sub(CLOCKS);
    let like = |there: &RefundThere| there.amount == own.amount && there.at.is_none_or(|at| at >= not_before);
    let rank = |there: &RefundThere| (there.outcome != Outcome::Succeeded, there.at);
    let places = rows.iter().enumerate().filter(|(_, there)| like(there));
    let place = places.min_by_key(|(_, there)| rank(there)).map(|(place, _)| place);
    place.map_or(There::Absent, |place| There::Shown(rows.remove(place)))
}

/// The upstream's total beyond the ledger's, less what the refunds shown one by one explain of it.
fn beyond(pair: &Pair, own: &[(&OwnRefund, There<&RefundThere>)]) -> Beyond {
    let Some(total) = pair.there.shown().and_then(|there| there.refunded) else { return Beyond(None) };
    let here = pair.here.as_ref().map_or(Money::ZERO, |here| here.refunded);
    let shown = own.iter().filter_map(|(refund, there)| there.shown().map(|there| (refund, there)));
    let explained: i64 = shown
        .map(|(refund, there)| {
            let here = if says(refund) == Here::Done { refund.amount.fen() } else { 0 };
            let there = if there.outcome == Outcome::Succeeded { there.amount.fen() } else { 0 };
            there - here
        })
        .sum();
    Beyond(Some(total.fen() - here.fen() - explained))
}

fn judge(own: &OwnRefund, there: &There<&RefundThere>, beyond: &mut Beyond) -> Judged {
    let there = match there {
        There::Shown(there) => there,
        There::Absent => return judge_absent(own, beyond),
        There::Unasked => return Judged::Nothing,
    };
    if there.outcome != Outcome::Succeeded && there.outcome != Outcome::Declined {
        // Some upstreams count a refund under way in their totals, others do not.
        beyond.explain(there.amount);
    }
    let kind = match (says(own), there.outcome) {
        (Here::Undone, Outcome::Declined) => return Judged::Nothing,
        (Here::Done, Outcome::Succeeded) if own.amount == there.amount => return Judged::Matched,
        (Here::Done, Outcome::Succeeded) => DifferenceKind::AmountDiffers,
        (_, Outcome::Accepted) if own.state == RefundState::Accepted && own.amount == there.amount => {
            return Judged::Matched;
        }
        (_, Outcome::Accepted) if own.state == RefundState::Accepted => DifferenceKind::AmountDiffers,
        (Here::Done, Outcome::Declined) if there.own_number => DifferenceKind::ReversedLate,
        _ => DifferenceKind::StatusDiffers,
    };
    Judged::Differs(kind, Some(side(there)))
}

/// The upstream shows no such refund: only its total may tell whether it has it.
fn judge_absent(own: &OwnRefund, beyond: &mut Beyond) -> Judged {
    match (says(own), beyond.0) {
        (Here::Undone, _) => Judged::Nothing,
        (Here::Done, Some(left)) if left > -own.amount.fen() => Judged::Matched,
        (Here::Done, left) => {
            beyond.0 = left.map(|left| left + own.amount.fen());
            Judged::Differs(DifferenceKind::MissingThere, None)
        }
        (Here::Open, _) if beyond.explain(own.amount) => {
            let there = Side { amount: own.amount, status: "in_total".to_owned(), at: None };
            Judged::Differs(DifferenceKind::StatusDiffers, Some(there))
        }
        (Here::Open, _) => Judged::Differs(DifferenceKind::MissingThere, None),
    }
}

fn record(pair: &Pair, own: &OwnRefund, there: &There<&RefundThere>, judged: Judged, found: &mut Compared) {
    let (kind, side) = match judged {
        Judged::Nothing => return,
        Judged::Matched => return found.matched_refunds.add(own.amount),
        Judged::Differs(kind, side) => (kind, side),
    };
    let number = own.upstream_refund_no.clone().or_else(|| there.shown().and_then(|there| there.number.clone()));
    let words = there.shown().is_some_and(|there| there.outcome != Outcome::InDoubt);
    if let Some(here) = pair.here.as_ref().filter(|_| words && own.unsettled && own.state != RefundState::Sending) {
        found.to_ask.push((here.id.clone(), own.key.clone()));
    }
    found.differences.push(Difference {
        refund_key: Some(own.key.clone()),
        upstream_refund_no: number,
        here: Some(Side { amount: own.amount, status: own.state.as_str().to_owned(), at: Some(own.at) }),
        there: side,
        ..about(pair, Subject::Refund, kind)
    });
}

/// What is left of the total, after all single refunds. A total has no day: it belongs to the day on which the order
/// last changed, where the upstream says that, and else to the days on which it was paid and refunded here.
fn total(day: Day, pair: &Pair, beyond: &Beyond, found: &mut Compared) {
    let (Some(there), Some(left)) = (pair.there.shown(), beyond.0) else { return };
    let here_counts = pair.here.as_ref().is_none_or(|here| here.counts);
    let here = pair.here.as_ref().map(|here| here.refunded);
    // Two totals that are alike do not differ, whatever single refunds say: those are told one by one.
    if left == 0 || here == there.refunded || !there.counts || !here_counts {
        return;
    }
    let on_day = |at: Option<Timestamp>| at.is_some_and(|at| day.contains(at));
    let touched =
        on_day(paid_at(pair)) || on_day(there.updated_at) || pair.refunds.iter().any(|own| on_day(Some(own.at)));
    if !touched || there.updated_at.is_some_and(|at| at >= day.to) {
        return;
    }
    let kind = if pair.here.is_some() { DifferenceKind::AmountDiffers } else { DifferenceKind::MissingHere };
    let refunded = |amount| Side { amount, status: "refunded".to_owned(), at: None };
    found.differences.push(Difference {
        here: here.map(refunded),
        there: there.refunded.map(refunded),
        ..about(pair, Subject::RefundTotal, kind)
    });
}

fn side(there: &RefundThere) -> Side {
    Side { amount: there.amount, status: there.status.clone(), at: there.at }
}

fn about(pair: &Pair, subject: Subject, kind: DifferenceKind) -> Difference {
    Difference {
        subject,
        kind,
        order: pair.order.clone(),
        id: pair.here.as_ref().map(|here| here.id.clone()),
        refund_key: None,
        upstream_refund_no: None,
        here: None,
        there: None,
    }
}
