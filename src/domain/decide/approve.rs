//! A person lets a large refund go out.

use crate::domain::{Event, RefundKey, RefundState, Rejection};

use super::refund::{BY, well_named};
use super::{Context, Draft, Found, Refusal};

/// Approves a refund that waits for it; it is due at once. Approving it again changes nothing.
///
/// # Errors
/// [`Rejection::NothingToApprove`] where it waits for no approval, or no longer.
pub fn approve(context: &Context, found: &Found, key: &RefundKey, by: &str) -> Result<Vec<Event>, Refusal> {
    well_named("name of who approves", by, BY)?;
    let mut draft = Draft::new(context, found)?;
    let refund = draft.refund(key)?;
    if refund.approved_by.is_some() {
        return Ok(draft.events);
    }
    if !refund.awaits_approval || refund.state != RefundState::Queued {
        return Err(Rejection::NothingToApprove { key: key.clone(), state: refund.state }.into());
    }
    let due_at = context.now;
    draft.push(Event::RefundApproved { key: key.clone(), by: by.to_owned(), due_at })?;
    Ok(draft.events)
}
