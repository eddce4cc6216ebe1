//! An order recorded by a device while the upstream could not be asked.

use std::sync::Arc;

use crate::domain::{Event, Facts, Rejection};

use super::{Context, Draft, Found, Refusal};

/// What the device says about the order.
#[derive(Clone, Debug)]
pub struct RecordOffline {
    /// Its facts: paid, with the references on the receipt.
    pub facts: Facts,
    /// Who recorded it.
    pub by: Option<String>,
}

/// Records a provisional order. The same recording again changes nothing.
///
/// # Errors
/// [`Rejection::AlreadyRecorded`] when another order bears one of the references.
pub fn record_offline(context: &Context, found: &Found, command: &RecordOffline) -> Result<Vec<Event>, Refusal> {
    if let Some((reference, holder)) = found.holders.first() {
        let (reference, order) = (reference.clone(), holder.order.clone());
        return Err(Rejection::AlreadyRecorded { reference, order }.into());
    }
    let mut draft = Draft::new(context, found)?;
    if draft.record.is_none() {
        let (facts, by) = (Arc::new(command.facts.clone()), command.by.clone());
        draft.push(Event::OrderRecorded { facts, by })?;
    }
    Ok(draft.events)
}
