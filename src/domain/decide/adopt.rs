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

#[cfg(test)]
mod tests {
    use super::super::story::{Story, yuan};
    use super::*;
    use crate::domain::{InFlight, Outcome};

    fn adopted(story: &mut Story) -> Vec<&'static str> {
        let context = story.context();
        let events = adopt(&context, &story.found(None), "li").expect("decided");
        story.write(&context, events)
    }

    #[test]
    fn what_is_not_settled_goes_to_review_with_its_hold_and_the_rest_stays() {
        let mut story = Story::paid();
        story.rules.in_flight = InFlight::Many;
        for (name, outcome) in [
            ("accepted", Some(Outcome::Accepted)),
            ("declined", Some(Outcome::Declined)),
            ("doubt", Some(Outcome::InDoubt)),
            ("sending", None),
            ("succeeded", Some(Outcome::Succeeded)),
        ] {
            story.send(name, "10").expect("granted");
            outcome.map(|outcome| story.told(name, outcome).expect("told"));
        }
        story.hold("queued", "10").expect("granted");
        let before = story.amounts();
        assert_eq!(
            adopted(&mut story),
            ["refund_to_review", "refund_to_review", "attempt_lost", "refund_to_review", "refund_to_review"]
        );
        let states: Vec<(&str, RefundState)> =
            story.record().refunds.iter().map(|refund| (refund.key.as_str(), refund.state)).collect();
        assert_eq!(
            states,
            [
                ("accepted", RefundState::Review),
                ("declined", RefundState::Declined),
                ("doubt", RefundState::Review),
                ("sending", RefundState::Review),
                ("succeeded", RefundState::Succeeded),
                ("queued", RefundState::Review),
            ]
        );
        assert_eq!(story.amounts(), before);
        assert_eq!(story.record().held(), yuan("40"));
        assert_eq!(adopted(&mut story), Vec::<&str>::new(), "adopting again writes nothing");
    }
}
