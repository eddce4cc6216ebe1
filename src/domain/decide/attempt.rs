//! Attempts: when one may begin, and what its answer does.

use std::time::Duration;

use crate::domain::totals::Age;
use crate::domain::{
    Answer, Baseline, BlockReason, Event, Facts, InFlight, OrderRecord, Refund, RefundKey, RefundState, Rejection,
    Rules, Timestamp,
};

use super::facts::{no_room, not_paid, see};
use super::probe::is_of_a_copy;
use super::refund::{clock, uncontested, window};
use super::{Context, Draft, Found, Refusal, Seen};

/// How long a refund that finds the upstream busy waits before a person is asked.
const BUSY_REVIEW: Duration = Duration::from_secs(86_400);

/// A queued refund that is to be sent now.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Which.
    pub key: RefundKey,
    /// Facts asked for just now: there is no attempt without them.
    pub fresh: Seen,
}

/// An answer to an attempt.
#[derive(Clone, Debug)]
pub struct Settle {
    /// Which refund.
    pub key: RefundKey,
    /// The attempt it is about.
    pub attempt: u32,
    /// What was answered.
    pub answer: Answer,
    /// The account's rules.
    pub rules: Rules,
}

/// Takes fresh facts in, and starts the attempt if the refund still fits and nothing makes it wait.
///
/// The `AttemptStarted` event is the claim: of two callers only one gets to write it, and only the
/// one whose events hold it may send.
///
/// # Errors
/// [`Refusal::Overtaken`] when the refund is not queued any more; [`Rejection::ContestedReference`]
/// when another order claims one of the order's numbers by now.
pub fn attempt(context: &Context, found: &Found, command: &Attempt) -> Result<Vec<Event>, Refusal> {
    let mut draft = Draft::new(context, found)?;
    overtaken(&draft, &command.key, RefundState::Queued, None)?;
    see(&mut draft, found, &command.fresh)?;
    if draft.refund(&command.key)?.state == RefundState::Queued {
        uncontested(found, draft.record()?)?;
        start(&mut draft, &command.key, &command.fresh)?;
    }
    Ok(draft.events)
}

/// Starts an attempt on the draft's record, which has taken `seen` in. Writes nothing where the refund
/// has to wait, and a review where it can never go out as it is.
pub(super) fn start(draft: &mut Draft<'_>, key: &RefundKey, seen: &Seen) -> Result<(), Refusal> {
    let (context, rules) = (draft.context, &seen.rules);
    let record = draft.record()?;
    let refund = draft.refund(key)?;
    let others_in_flight = record.unsettled_refunds().next().is_some();
    if record.provisional
        || (rules.in_flight == InFlight::One && others_in_flight)
        || waits(record, refund, rules, context.now)
    {
        return Ok(());
    }
    let reason = if !record.is_refundable_status() {
        Some(not_paid(record))
    } else if let left = record.paid().saturating_sub(record.at_stake())
        && refund.amount > left
    {
        Some(no_room(record, refund.amount, left))
    } else {
        window(record, rules, clock(context, Some(seen))).err().map(|rejection| rejection.to_string())
    };
    let event = match reason {
        Some(reason) => Event::RefundToReview { key: key.clone(), reason },
        None => Event::AttemptStarted {
            key: key.clone(),
            attempt: refund.attempts + 1,
            baseline: Some(baseline(record, &seen.facts)),
        },
    };
    draft.push(event)
}

/// The upstream's totals as the newest read told them. What a read left out is unknown, although the
/// record still knows an older figure.
fn baseline(record: &OrderRecord, seen: &Facts) -> Baseline {
    let newest = if record.facts.asked_at > seen.asked_at { &record.facts } else { seen };
    Baseline { refunded: newest.refunded, count: newest.refund_count, asked_at: newest.asked_at }
}

/// Whether a queued refund's time has come.
#[must_use]
pub fn is_due(record: &OrderRecord, key: &RefundKey, rules: &Rules, now: Timestamp) -> bool {
    let refund = record.refund(key).filter(|refund| refund.state == RefundState::Queued);
    refund.is_some_and(|refund| !waits(record, refund, rules, now))
}

/// Whether the time for it has not come. A due time or a last attempt further away than the longest
/// wait was written before the clock was set back: nothing waits for a clock to catch up.
fn waits(record: &OrderRecord, refund: &Refund, rules: &Rules, now: Timestamp) -> bool {
    if refund.awaits_approval {
        return true;
    }
    let interval = rules.refund_interval.for_method(record.facts.payment_method.as_ref());
    let ahead = |until: Timestamp| until > now && until <= now.saturating_add(interval);
    let last = record.refunds.iter().filter_map(|refund| refund.sent_at).filter(|sent| *sent <= now).max();
    ahead(refund.due_at) || last.is_some_and(|last| ahead(last.saturating_add(interval)))
}

/// The earliest moment at which the order's next refund may be sent.
pub(super) fn next_slot(record: &OrderRecord, rules: &Rules, now: Timestamp) -> Timestamp {
    let interval = rules.refund_interval.for_method(record.facts.payment_method.as_ref());
    let last = record.refunds.iter().filter_map(|refund| refund.sent_at).max();
    match last {
        // A clock that was set back must not make a refund wait for years.
        Some(last) => last.saturating_add(interval).min(now.saturating_add(interval)).max(now),
        None => now,
    }
}

/// Records what an attempt told, with what was refunded elsewhere computed anew.
///
/// # Errors
/// [`Refusal::Overtaken`] when the refund has moved on since it was sent.
pub fn answer(context: &Context, found: &Found, command: &Settle) -> Result<Vec<Event>, Refusal> {
    let mut draft = Draft::new(context, found)?;
    overtaken(&draft, &command.key, RefundState::Sending, Some(command.attempt))?;
    let requested_at = draft.refund(&command.key)?.requested_at;
    let busy_too_long =
        command.answer.blocked == Some(BlockReason::Busy) && context.now.since(requested_at) > BUSY_REVIEW;
    let state = if busy_too_long { RefundState::Review } else { command.answer.outcome.state() };
    settle(&mut draft, &command.key, state, command.answer.clone(), &command.rules, false)?;
    Ok(draft.events)
}

/// Moves the refund to `state` by that answer, and computes anew what was refunded elsewhere.
pub(super) fn settle(
    draft: &mut Draft<'_>,
    key: &RefundKey,
    state: RefundState,
    answer: Answer,
    rules: &Rules,
    fenced: bool,
) -> Result<(), Refusal> {
    let (external, unsettled) = (draft.record()?.external, draft.record()?.unsettled);
    let due_at = draft.context.now; // when to try again is the business of a sync
    let event = Event::Answered { key: key.clone(), state, answer, due_at, external, unsettled, fenced };
    draft.push_recounted(event, rules, Age::Old)
}

/// Reads a crash while sending as what it is: nobody knows. Of that attempt only, if one is named.
///
/// # Errors
/// [`Refusal::Overtaken`] when the refund is not being sent, or by another attempt.
pub fn lost(context: &Context, found: &Found, key: &RefundKey, attempt: Option<u32>) -> Result<Vec<Event>, Refusal> {
    let mut draft = Draft::new(context, found)?;
    overtaken(&draft, key, RefundState::Sending, attempt)?;
    draft.push(Event::AttemptLost { key: key.clone() })?;
    Ok(draft.events)
}

/// Withdraws a refund that is proven not executed: queued, or in review without an open attempt.
///
/// # Errors
/// [`Rejection::NotCancelable`] in every other state; canceling twice is a replay and fine.
pub fn cancel(context: &Context, found: &Found, key: &RefundKey, by: Option<String>) -> Result<Vec<Event>, Refusal> {
    let mut draft = Draft::new(context, found)?;
    let refund = draft.refund(key)?;
    match refund.state {
        RefundState::Canceled => Ok(draft.events),
        RefundState::Queued => {
            draft.push(Event::RefundCanceled { key: key.clone(), by })?;
            Ok(draft.events)
        }
        // The original of a copied ledger may have sent it: that is for a verdict, after asking.
        RefundState::Review if refund.sent_at.is_none() && !is_of_a_copy(context, refund) => {
            draft.push(Event::RefundCanceled { key: key.clone(), by })?;
            Ok(draft.events)
        }
        state => Err(Rejection::NotCancelable { key: key.clone(), state }.into()),
    }
}

/// Refuses a command that was made for another state, or for another attempt.
pub(super) fn overtaken(
    draft: &Draft<'_>,
    key: &RefundKey,
    wanted: RefundState,
    attempt: Option<u32>,
) -> Result<(), Refusal> {
    let refund = draft.refund(key)?;
    if refund.state == wanted && attempt.is_none_or(|attempt| attempt == refund.attempts) {
        return Ok(());
    }
    Err(Refusal::Overtaken { key: key.clone(), state: refund.state })
}
