//! Adopting a copy of a ledger: what it cannot know about its refunds goes to a person.

use crate::domain::{Event, RefundKey, RefundState};

use super::{Context, Draft, Found, Refusal};

/// Sends every unfinished refund of an order to review: the original may have sent it, may have settled it,
/// or may send it still. One that was being sent is lost first, so that its totals are read as in doubt.
///
/// What is in review or ended stays as it is, so that adopting again writes nothing.
///
/// # Errors
/// [`Refusal::Broken`] where the events do not follow from the record: a defect.
pub fn adopt(context: &Context, found: &Found, by: &str) -> Result<Vec<Event>, Refusal> {
    let mut draft = Draft::new(context, found)?;
    let unfinished: Vec<(RefundKey, RefundState)> = draft
        .record()?
        .refunds
        .iter()
        .filter(|refund| refund.state.holds() && refund.state != RefundState::Review)
        .map(|refund| (refund.key.clone(), refund.state))
        .collect();
    for (key, state) in unfinished {
        if state == RefundState::Sending {
            draft.push(Event::AttemptLost { key: key.clone() })?;
        }
        let reason = format!(
            "it was {state} when {by} adopted this copy of the ledger; the original may have sent it, or may yet: \
             look at the upstream before anything else"
        );
        draft.push(Event::RefundToReview { key, reason })?;
    }
    Ok(draft.events)
}
