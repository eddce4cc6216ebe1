//! Facts come in: an order appears, changes, or is refunded by somebody else.

use std::sync::Arc;

use crate::domain::totals::{self, Age, Totals};
use crate::domain::{
    Event, Facts, OrderRecord, PaidAtSource, Reference, RefundKey, RefundState, Rejection, Rules, Timestamp,
};

use super::{Context, Draft, Found, Holder, Refusal};

/// Facts with the account's rules.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What the upstream said.
    pub facts: Arc<Facts>,
    /// The account's rules.
    pub rules: Rules,
}

/// Takes facts in. Facts that change nothing write nothing (but for the first after an adoption: that they
/// are fresh is news); older facts than those kept neither.
///
/// Queued refunds that no longer fit, or whose order is no longer paid, go to review with the
/// figures; nothing that was sent is touched.
///
/// # Errors
/// [`Refusal::Elsewhere`] when a provisional order bears one of the references: the facts confirm
/// that one, and the two become one record. [`Rejection::ContestedReference`] where they would give
/// one of our orders a second upstream order, or one upstream order a second name here.
pub fn facts(context: &Context, found: &Found, seen: &Seen) -> Result<Vec<Event>, Refusal> {
    let mut draft = Draft::new(context, found)?;
    see(&mut draft, found, seen)?;
    Ok(draft.events)
}

/// The same inside another decision: fresh facts before an attempt.
pub(super) fn see(draft: &mut Draft<'_>, found: &Found, seen: &Seen) -> Result<(), Refusal> {
    let Some(native) = seen.facts.native.as_ref() else {
        return Err(Rejection::Malformed("facts without the order's own number".to_owned()).into());
    };
    let bearer = found.holders.iter().find(|(reference, _)| reference == native);
    match &draft.record {
        None => {
            if let Some((_, same)) = bearer {
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
            if record.facts.native.as_ref().is_some_and(|ours| ours != native) {
                // Two upstream orders under one of our names: never merged, and said so.
                return Err(contested(record, &(native.clone(), own(record))));
            }
            if let Some(other) = bearer {
                // One upstream order under two of our names: it would be refunded twice.
                return Err(contested(record, other));
            }
            if !record.provisional && is_newer(record, seen, draft.context.now) {
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

/// Whether the facts kept were asked for after those seen. Facts that are kept from the future were
/// asked for before the clock was set back: they are older, whatever they say.
fn is_newer(record: &OrderRecord, seen: &Seen, now: Timestamp) -> bool {
    record.facts.asked_at > seen.facts.asked_at && record.facts.asked_at <= now
}

/// Whether what is known was asked for before the ledger was adopted: the original may have refunded since.
pub(super) fn is_stale(context: &Context, record: &OrderRecord) -> bool {
    context.adopted_at.is_some_and(|adopted_at| record.facts.asked_at < adopted_at)
}

fn own(record: &OrderRecord) -> Holder {
    Holder { order: record.id.clone(), provisional: record.provisional }
}

pub(super) fn contested(record: &OrderRecord, (reference, other): &(Reference, Holder)) -> Refusal {
    let (order, other) = (record.id.clone(), other.order.clone());
    Rejection::ContestedReference { order, other, reference: reference.clone() }.into()
}

/// The event that records the facts, if they change anything.
fn news(draft: &Draft<'_>, seen: &Seen) -> Result<Option<Event>, Refusal> {
    let facts = keep_what_was_known(draft.record.as_ref(), &seen.facts);
    let plain = Event::FactsSeen {
        facts: Arc::new(facts),
        external: draft.record.as_ref().map_or(Default::default(), |record| record.external),
        unsettled: draft.record.as_ref().map_or(Default::default(), |record| record.unsettled),
    };
    // Fold them once to let the totals see the record as it will be.
    let after = draft.after(plain)?;
    let totals = match (&draft.record, seen.facts.refunded) {
        // Nothing is said, so nothing is learnt or forgotten.
        (Some(before), None) => Totals { external: before.external, unsettled: before.unsettled },
        _ => totals::read(&after, &seen.rules, age(draft.record.as_ref(), &seen.facts)),
    };
    if let Some(before) = &draft.record
        && !before.provisional
        && !is_ahead(before, draft.context.now)
        && !(is_stale(draft.context, before) && draft.context.adopted_at <= Some(seen.facts.asked_at))
        && before.facts.same_content(&after.facts)
        && before.external == totals.external
        && before.unsettled == totals.unsettled
    {
        return Ok(None);
    }
    Ok(Some(Event::FactsSeen { facts: after.facts, external: totals.external, unsettled: totals.unsettled }))
}

/// Whether the record has times that are still to come: the clock was set back since. Nothing says what was
/// asked for after them, so the facts that come next lower nothing yet; they are written down whatever they
/// say, and from then on the times compare again.
fn is_ahead(record: &OrderRecord, now: Timestamp) -> bool {
    record.outcome_at.into_iter().chain([record.facts.asked_at]).any(|at| at.is_ahead_of(now))
}

/// How old the total of these facts is.
fn age(record: Option<&OrderRecord>, facts: &Facts) -> Age {
    let after_all = |record: &OrderRecord| {
        record.outcome_at.is_none_or(|outcome| facts.asked_at > outcome)
            && (record.provisional || facts.asked_at >= record.facts.asked_at)
    };
    if record.is_none_or(after_all) { Age::Fresh } else { Age::Old }
}

/// A list row often says less than a query: what it leaves out was not unsaid.
fn keep_what_was_known(record: Option<&OrderRecord>, facts: &Facts) -> Facts {
    let mut facts = Facts { upstream_time: None, body: None, ..facts.clone() };
    let Some(before) = record.map(|record| &record.facts) else { return facts };
    for (kind, number) in &before.references {
        facts.references.entry(kind.clone()).or_insert_with(|| number.clone());
    }
    for (name, value) in &before.details {
        facts.details.entry(name.clone()).or_insert_with(|| value.clone());
    }
    if facts.refunded.is_none() {
        facts.refunded = before.refunded;
        facts.refund_count = before.refund_count;
    }
    let guessed = facts.paid_at_source != PaidAtSource::Upstream && before.paid_at_source == PaidAtSource::Upstream;
    if before.paid_at.is_some() && (facts.paid_at.is_none() || guessed) {
        facts.paid_at = before.paid_at;
        facts.paid_at_source = before.paid_at_source;
    }
    facts.payment_method = facts.payment_method.or_else(|| before.payment_method.clone());
    facts.upstream_refund_status = facts.upstream_refund_status.or_else(|| before.upstream_refund_status.clone());
    facts.total = facts.total.or(before.total);
    facts.created_at = facts.created_at.or(before.created_at);
    facts.updated_at = facts.updated_at.or(before.updated_at);
    facts
}

/// Sends queued refunds to review that the new facts leave no room for: the oldest keep their place.
fn review_what_no_longer_fits(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let record = draft.record()?;
    let mut left = record.paid().saturating_sub(record.at_stake());
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
