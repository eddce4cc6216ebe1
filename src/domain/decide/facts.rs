//! Facts come in: an order appears, changes, or is refunded by somebody else.

use std::sync::Arc;

use crate::domain::totals;
use crate::domain::{Event, Facts, OrderRecord, PaidAtSource, RefundKey, RefundState, Rejection, Rules};

use super::{Context, Draft, Found, Refusal};

/// Facts with the account's rules.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What the upstream said.
    pub facts: Arc<Facts>,
    /// The account's rules.
    pub rules: Rules,
}

/// Takes facts in. Facts that change nothing write nothing; older facts than those kept neither.
///
/// Queued refunds that no longer fit, or whose order is no longer paid, go to review with the
/// figures; nothing that was sent is touched.
///
/// # Errors
/// [`Refusal::Elsewhere`] when a provisional order bears one of the references: the facts confirm
/// that one, and the two become one record.
pub fn facts(context: &Context, found: &Found, seen: &Seen) -> Result<Vec<Event>, Refusal> {
    let mut draft = Draft::new(context, found)?;
    see(&mut draft, found, seen)?;
    Ok(draft.events)
}

/// The same inside another decision: fresh facts before an attempt.
pub(super) fn see(draft: &mut Draft<'_>, found: &Found, seen: &Seen) -> Result<(), Refusal> {
    match &draft.record {
        None => {
            let native = seen.facts.native.as_ref();
            if let Some((_, same)) = found.holders.iter().find(|(reference, _)| Some(reference) == native) {
                return Err(Refusal::Elsewhere(same.order.clone())); // confirmed before, under its offline name
            }
            if let [(_, first), rest @ ..] = found.holders.as_slice()
                && first.provisional
                && rest.iter().all(|(_, holder)| holder == first)
            {
                return Err(Refusal::Elsewhere(first.order.clone()));
            }
        }
        Some(record) => {
            let (ours, theirs) = (&record.facts.native, &seen.facts.native);
            if ours.is_some() && ours != theirs {
                // Two upstream orders under one of our names: never merged, and said so.
                let reference = theirs.clone().or_else(|| ours.clone());
                if let Some(reference) = reference {
                    let order = record.id.clone();
                    return Err(Rejection::ContestedReference { other: order.clone(), order, reference }.into());
                }
            }
            if !record.provisional && record.facts.asked_at > seen.facts.asked_at {
                return Ok(()); // an older read that arrived late says nothing new
            }
        }
    }
    if let Some(event) = news(draft, seen)? {
        draft.push(event)?;
        review_what_no_longer_fits(draft)?;
    }
    Ok(())
}

/// The event that records the facts, if they change anything.
fn news(draft: &Draft<'_>, seen: &Seen) -> Result<Option<Event>, Refusal> {
    let facts = keep_what_was_known(draft.record.as_ref(), &seen.facts);
    let plain = Event::FactsSeen {
        facts: Box::new(facts),
        external: draft.record.as_ref().map_or(Default::default(), |record| record.external),
        unsettled: draft.record.as_ref().map_or(Default::default(), |record| record.unsettled),
    };
    // Fold them once to let the totals see the record as it will be.
    let mut after = Draft { context: draft.context, record: draft.record.clone(), events: Vec::new() };
    after.push(plain)?;
    let after = after.record()?;
    let totals = totals::read(after, &seen.rules);
    if let Some(before) = &draft.record
        && !before.provisional
        && before.facts.same_content(&after.facts)
        && before.external == totals.external
        && before.unsettled == totals.unsettled
    {
        return Ok(None);
    }
    Ok(Some(Event::FactsSeen {
        facts: Box::new(after.facts.clone()),
        external: totals.external,
        unsettled: totals.unsettled,
    }))
}

/// A list row often says less than a query: what it leaves out was not unsaid.
fn keep_what_was_known(record: Option<&OrderRecord>, facts: &Facts) -> Facts {
    let mut facts = facts.clone();
    let Some(before) = record.map(|record| &record.facts) else { return facts };
    for (kind, number) in &before.references {
        facts.references.entry(kind.clone()).or_insert_with(|| number.clone());
    }
    if facts.refunded.is_none() && facts.status == before.status {
        facts.refunded = before.refunded;
        facts.refund_count = before.refund_count;
    }
    if facts.paid_at_source != PaidAtSource::Upstream && before.paid_at_source == PaidAtSource::Upstream {
        facts.paid_at = before.paid_at.or(facts.paid_at);
        facts.paid_at_source = before.paid_at_source;
    }
    facts
}

/// Sends queued refunds to review that the new facts leave no room for: the oldest keep their place.
fn review_what_no_longer_fits(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let record = draft.record()?;
    let mut left = record
        .paid()
        .saturating_sub(record.refunded())
        .saturating_sub(record.unsettled)
        .saturating_sub(record.sum(|state| state.holds() && state != RefundState::Queued));
    let mut out: Vec<(RefundKey, String)> = Vec::new();
    for refund in record.refunds.iter().filter(|refund| refund.state == RefundState::Queued) {
        if !record.is_refundable_status() {
            out.push((refund.key.clone(), not_paid(record)));
        } else if let Some(rest) = left.checked_sub(refund.amount) {
            left = rest;
        } else {
            out.push((refund.key.clone(), no_room(record, refund.amount, left)));
        }
    }
    for (key, reason) in out {
        draft.push(Event::RefundToReview { key, reason })?;
    }
    Ok(())
}

pub(super) fn not_paid(record: &OrderRecord) -> String {
    format!("the order is {} ({}) upstream, no longer paid", record.facts.status, record.facts.upstream_status)
}

pub(super) fn no_room(record: &OrderRecord, amount: crate::domain::Money, left: crate::domain::Money) -> String {
    format!(
        "{amount} no longer fits: {left} is left of {} paid, {} of it refunded elsewhere",
        record.paid(),
        record.external.saturating_add(record.unsettled)
    )
}
