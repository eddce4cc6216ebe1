//! An upstream that does not know an order whose refund is to be sent.

use std::time::Duration;

use crate::domain::{Event, OrderRecord, Refund, RefundKey, RefundState, Rules, Timestamp};

use super::{Context, Draft, Found, Refusal};

/// Puts the order's queued refunds before a person, once the upstream had long enough
/// ([`Rules::provisional_for`]) to learn of it.
///
/// # Errors
/// [`Refusal::Rejected`] where the order is not known here either.
pub fn unknown_upstream(context: &Context, found: &Found, rules: &Rules) -> Result<Vec<Event>, Refusal> {
    let mut draft = Draft::new(context, found)?;
    let record = draft.record()?;
    let queued = record.refunds.iter().filter(|refund| refund.state == RefundState::Queued);
    let lost: Vec<(RefundKey, Duration)> = queued
        .map(|refund| (refund.key.clone(), waited(record, refund, context.now)))
        .filter(|(_, waited)| *waited >= rules.provisional_for)
        .collect();
    for (key, waited) in lost {
        let hours = waited.as_secs() / 3_600;
        let reason = format!("the upstream does not know the order, {hours} h after it was recorded here");
        draft.push(Event::RefundToReview { key, reason })?;
    }
    Ok(draft.events)
}

/// How long the upstream had: from the recording of a provisional order, from the refund of any other.
fn waited(record: &OrderRecord, refund: &Refund, now: Timestamp) -> Duration {
    let since = if record.provisional { record.facts.asked_at } else { refund.requested_at };
    now.since(since)
}
