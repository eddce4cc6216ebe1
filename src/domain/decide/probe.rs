//! What a question about an unsettled refund does: evidence settles it, or is kept for a person.
//!
//! Three kinds of evidence count, in this order: words that bear the refund's own number; words that
//! bear its likeness, and the upstream's total, both only where nobody but this ledger refunds the
//! order. Silence is none of them: what nobody knows of and a total that did not move prove nothing,
//! after any time, for a request can still land.
//!
//! That the question was asked after the attempt ended is told by the attempt's number and the state
//! in which it was asked, which are compared here, and not by clocks, which are set back.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::totals;
use crate::domain::{
    Answer, Event, Finding, OrderRecord, Outcome, Proof, Refund, RefundKey, RefundState, Rules, Timestamp,
};

use super::facts::see;
use super::{Context, Draft, Found, Refusal, Seen, Settle, after, answer, attempt};

/// The most lines of evidence that are kept of one question, and characters of one line.
const LINES: usize = 20;
const LINE: usize = 300;

/// A question that found the same as the one before is kept again only after this long.
const SAME: Duration = Duration::from_secs(3_600);

/// What a question about a refund found.
#[derive(Clone, Debug)]
pub struct Probed {
    /// Which refund.
    pub key: RefundKey,
    /// The attempt it is about.
    pub attempt: u32,
    /// The state the refund was in when the question was asked.
    pub from: RefundState,
    /// What was found.
    pub finding: Finding,
    /// Whether it was found by shutting the door on the refund, and not by asking alone.
    pub fenced: bool,
    /// Facts asked for after that, if they could be had.
    pub fresh: Option<Seen>,
    /// For how long, as far as this process saw, nothing was heard of it.
    pub silent_for: Duration,
    /// The account's rules.
    pub rules: Rules,
}

/// Settles the refund by what was found, or keeps that as evidence and puts a refund that is unsettled
/// for too long before a person.
///
/// # Errors
/// [`Refusal::Overtaken`] when the refund has moved on since the question was asked.
pub fn probed(context: &Context, found: &Found, command: &Probed) -> Result<Vec<Event>, Refusal> {
    let mut draft = Draft::new(context, found)?;
    attempt::overtaken(&draft, &command.key, command.from, Some(command.attempt))?;
    // Out of review a refund goes again only by a person's word, and a copy's never by itself: the original may
    // have dealt with it.
    let sends_again = command.from == RefundState::InDoubt && !is_of_a_copy(context, draft.refund(&command.key)?);
    if weigh(&mut draft, found, command, sends_again)? == Weight::Settles {
        return Ok(draft.events);
    }
    keep(&mut draft, command)?;
    let (record, refund) = (draft.record()?, draft.refund(&command.key)?);
    // What the original of a copy may have dealt with is not sent again by silence either.
    if resends(record, refund, command) && !is_of_a_copy(context, refund) {
        let waited = command.silent_for.as_secs();
        let message = format!("sent again after {waited} s of silence, as the account's resend_after_silence says");
        let answer = Answer { message: Some(message), ..command.finding.answer.clone() };
        attempt::settle(&mut draft, &command.key, RefundState::Queued, answer, &command.rules, false)?;
    } else if is_overdue(refund, &command.rules, context.now) {
        let (state, since) = (refund.state, refund.state_at);
        let reason = format!("{state} since {since}, and nothing the upstream says settles it");
        draft.push(Event::RefundToReview { key: command.key.clone(), reason })?;
    }
    Ok(draft.events)
}

/// Records what an attempt told together with what a question asked right after it found: the second is decided on
/// the record after the first, as if each had been written by itself.
///
/// # Errors
/// As [`answer`] and [`probed`]; the answer alone may be written then.
pub fn answer_then_probed(
    context: &Context,
    found: &Found,
    settle: &Settle,
    command: &Probed,
) -> Result<Vec<Event>, Refusal> {
    let mut events = answer(context, found, settle)?;
    let record = after(context, found, events.clone())?;
    let found = Found { record: Some(Arc::new(record)), ..found.clone() };
    events.extend(probed(context, &found, command)?);
    Ok(events)
}

/// Whether evidence settles a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// It did, and the draft says how.
    Settles,
    /// The upstream's total counts the refund, which may not be finished: it is let go by nobody, and stays as it is.
    Counted,
    /// It does not.
    Nothing,
}

/// Whether it is from before this copy of a ledger was adopted: the original may have sent it too.
pub(crate) fn is_of_a_copy(context: &Context, refund: &Refund) -> bool {
    let since = refund.sent_at.unwrap_or(refund.requested_at);
    context.adopted_at.is_some_and(|adopted_at| since <= adopted_at)
}

/// Takes the fresh facts in and lets the evidence settle the refund, if it can. A door that was shut queues it
/// again only if it `sends_again`.
pub(super) fn weigh(
    draft: &mut Draft<'_>,
    found: &Found,
    command: &Probed,
    sends_again: bool,
) -> Result<Weight, Refusal> {
    let (key, rules, finding) = (&command.key, &command.rules, &command.finding);
    if let Some(seen) = &command.fresh {
        see(draft, found, seen)?;
    }
    // Of what was sent before this copy was adopted, the original may have sent as much.
    let copied = is_of_a_copy(draft.context, draft.refund(key)?);
    let rules = &Rules { sole_refunder: rules.sole_refunder && !copied, ..rules.clone() };
    let counts = match finding.proof {
        Proof::OwnNumber => true,
        // Somebody else's refund of the same amount would look just so.
        Proof::Likeness => rules.sole_refunder && !draft.record()?.external_seen,
    };
    let (state, fenced) = match finding.answer.outcome {
        Outcome::Succeeded | Outcome::Declined | Outcome::Accepted if counts => (finding.answer.outcome.state(), false),
        // What was sent is shut out for good. A mere question cannot know that.
        Outcome::NotSent if command.fenced && sends_again => (RefundState::Queued, true),
        _ => (command.from, false),
    };
    // Before a person because it has been accepted for too long: that it still is says nothing new.
    let known = draft.refund(key)?.last_finding.as_ref().map(|last| last.answer.outcome);
    if command.from == RefundState::Review && state == RefundState::Accepted && known == Some(Outcome::Accepted) {
        return Ok(Weight::Nothing);
    }
    if state != command.from {
        attempt::settle(draft, key, state, finding.answer.clone(), rules, fenced)?;
        return Ok(Weight::Settles);
    }
    if state == RefundState::Accepted && finding.answer.outcome == Outcome::Accepted {
        return Ok(Weight::Nothing); // its own row says that it is on its way: a total knows no better
    }
    if command.fresh.is_none() || !totals::prove(draft.record()?, rules, key) {
        return Ok(Weight::Nothing);
    }
    let (outcome, note) = match rules.totals_count_pending {
        true => (Outcome::Accepted, "; it may count what is not finished"),
        false => (Outcome::Succeeded, ""),
    };
    // That it was taken is no news of what was accepted, and does not end what is before a person.
    if outcome == Outcome::Accepted && command.from != RefundState::InDoubt {
        return Ok(Weight::Counted);
    }
    let message = format!(
        "the upstream's total of refunds moved by exactly this refund, and nobody else refunds this order{note}"
    );
    let answer = Answer { message: Some(message), outcome, ..finding.answer.clone() };
    attempt::settle(draft, key, outcome.state(), answer, rules, false)?;
    Ok(Weight::Settles)
}

/// Keeps what was found as evidence, unless it is what was found a moment ago.
fn keep(draft: &mut Draft<'_>, command: &Probed) -> Result<(), Refusal> {
    let mut finding = command.finding.clone();
    finding.evidence.extend(totals_in_words(draft.record()?, draft.refund(&command.key)?, command.fresh.as_ref()));
    finding.evidence.truncate(LINES);
    for line in &mut finding.evidence {
        if let Some((end, _)) = line.char_indices().nth(LINE) {
            line.truncate(end);
        }
    }
    let last = draft.refund(&command.key)?.last_finding.as_ref();
    let same = last.is_some_and(|last| {
        let recent = finding.asked_at.since(last.asked_at) < SAME && last.asked_at <= finding.asked_at;
        recent && says(last) == says(&finding)
    });
    if same { Ok(()) } else { draft.push(Event::Probed { key: command.key.clone(), finding: Box::new(finding) }) }
}

/// What a finding says, whenever it was found.
fn says(finding: &Finding) -> (Outcome, Proof, Option<&str>, Option<&str>, &[String]) {
    let answer = &finding.answer;
    (answer.outcome, finding.proof, answer.code.as_deref(), answer.message.as_deref(), &finding.evidence)
}

/// The upstream's total beside what it was before the attempt.
fn totals_in_words(record: &OrderRecord, refund: &Refund, fresh: Option<&Seen>) -> Option<String> {
    let now = fresh?.facts.refunded.map_or("not told".to_owned(), |total| total.to_string());
    let before = refund.baseline.and_then(|baseline| baseline.refunded);
    let before = before.map_or("unknown".to_owned(), |total| total.to_string());
    let ours = record.refunded_here();
    Some(format!("the upstream's total of refunds: {before} before the attempt, {now} now; {ours} of it is ours"))
}

/// Whether the account wants it sent again although nothing proves that it was not executed. Never while
/// the upstream's total shows anything that is not explained without it, or cannot be seen.
fn resends(record: &OrderRecord, refund: &Refund, command: &Probed) -> bool {
    let waited = command.rules.resend_after_silence.is_some_and(|silence| command.silent_for >= silence);
    let silent = command.finding.answer.outcome == Outcome::InDoubt && refund.state != RefundState::Accepted;
    let before = refund.baseline.and_then(|baseline| baseline.refunded);
    let now = command.fresh.as_ref().and_then(|seen| seen.facts.refunded);
    waited && silent && before.is_some() && before == now && record.unsettled.is_zero()
}

/// Whether a refund is unsettled for so long that it is time for a person.
pub(crate) fn is_overdue(refund: &Refund, rules: &Rules, now: Timestamp) -> bool {
    matches!(refund.state, RefundState::InDoubt | RefundState::Accepted)
        && now.since(refund.state_at) >= rules.review_after
}
